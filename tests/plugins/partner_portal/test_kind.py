"""Deals on their way to another system, from the approval to the first delivery."""

from types import SimpleNamespace

import pytest
from marshmallow import Schema
from sqlalchemy import select

from hub.core.outbox import Link
from hub.sdk import CheckResult, Connector, Outcome, Status, Stream, hookimpl
from hub.sync.connections import add_connection
from hub.sync.cycle import run_connection
from plugins.partner_portal import partners, service
from plugins.partner_portal.rules import Role
from tests.plugins.partner_portal.conftest import PLUGINS

DIFFERENT = {"customer_name": "Zulu AG", "customer_website": "zulu.de", "customer_postcode": "80331"}


class Crm(Connector):
    """Takes deals by their title."""

    name, title, category, settings = "crm", "CRM", "CRM", Schema
    streams = (Stream("deals", "Deals", pushes=True, batch_size=10),)
    taken: list[str] = []

    def check(self):
        return CheckResult("1", "The CRM", "sandbox")

    def body(self, stream, record, remote_ids, *, part=""):
        return {"title": record.title, "state": record.state}

    def push(self, batch):
        self.taken += [f"{sending.op} {sending.body}" for sending in batch.sendings]
        return [Outcome(s.ref, Status.UPDATED if s.remote_id else Status.CREATED, f"r{s.key}") for s in batch.sendings]


@hookimpl
def connectors():
    return [Crm]


@pytest.fixture
def hub(make_hub):
    hub = make_hub({**PLUGINS, "crm": SimpleNamespace(__name__="crm", connectors=connectors)})
    hub.transact(lambda session: partners.set_family(session, "erp", "ERP") and None)
    Crm.taken = []
    return hub


@pytest.fixture
def crm(hub):
    return add_connection(hub, connector="crm", name="crm", settings={}).id


def test_a_deal_that_is_lost_before_it_was_sent_is_not_created_there(hub, story, crm):
    lost, kept = story.approved(story.north), story.approved(story.south, **DIFFERENT, title="Kept")
    story.act(service.close_lost, lost, role=Role.PARTNER, reason="price")
    run = run_connection(hub, crm)
    assert (run.status, run.counts["created"], run.counts["unchanged"]) == ("success", 1, 1)
    assert Crm.taken == ["create {'title': 'Kept', 'state': 'approved'}"]
    with hub.read() as session:
        owed = session.execute(select(Link.record_id, Link.remote_id, Link.wanted - Link.done)).all()
    assert {record_id: (remote_id is not None, left) for record_id, remote_id, left in owed} == {
        lost: (False, 0),
        kept: (True, 0),
    }


def test_a_deal_that_is_lost_afterwards_stays_in_step(hub, story, crm):
    deal_id = story.approved(story.north)
    run_connection(hub, crm)
    story.act(service.close_lost, deal_id, role=Role.PARTNER, reason="price")
    run_connection(hub, crm)
    assert Crm.taken[1:] == ["update {'state': 'lost'}"]
