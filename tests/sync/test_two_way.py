"""A stream that runs both ways: no echo, no lost edit, no value reverted, whatever crosses on the way."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import select, update

from hub.core.clients.models import Client
from hub.core.clients.service import change_client, create_client
from hub.core.errors import RuleBroken
from hub.core.outbox import Link
from hub.sdk import Change, Page, Stream, hookimpl
from hub.sync.connections import add_connection
from hub.sync.cycle import push_slice, run_connection
from hub.sync.models import Attempt, Hint, RunItem
from hub.sync.repairs import parked_links, retry_all, settle_conflict
from tests.sync.fake_remote import REMOTES, Fake

AUTHORITY = {"phone": "hub", "email": "manual", "website": "newest"}
EARLIER = datetime(2020, 1, 1, tzinfo=UTC)


class TwoWay(Fake):
    """Shows what it holds, with a version; spells names without spaces around them."""

    name = "twoway"
    streams = (Stream("clients", "Clients", pushes=True, pulls=True, batch_size=10, authority=AUTHORITY),)
    between = staticmethod(lambda: None)
    """What happens while a page that was read is on its way."""
    versions = True

    def body(self, stream, record, remote_ids, *, part=""):
        return {"name": record.name, "phone": record.phone, "email": record.email, "website": record.website}

    def _apply(self, stream, item):
        item.body.update({name: value.strip(" .") for name, value in item.body.items()})
        return super()._apply(stream, item)

    def pull(self, stream, cursor):
        page = self.fetch(stream, list(self.remote.records.get(stream, {})))
        type(self).between()
        yield Page(page.changes, {"v": 1})

    def fetch(self, stream, remote_ids):
        held = self.remote.records.get(stream, {})
        return Page(
            tuple(self._change(remote_id, held[remote_id]) for remote_id in remote_ids if remote_id in held), None
        )

    def _change(self, remote_id, held):
        values = {name: held.get(name, "") for name in ("name", "phone", "email", "website")}
        version = str(held["version"]) if self.versions else ""
        at = held.get("modified_at", datetime.now(UTC) + timedelta(days=1))
        return Change("clients", remote_id, values, version=version, label=values["name"], modified_at=at)


@hookimpl
def connectors():
    return [TwoWay]


@pytest.fixture
def hub(make_hub):
    return make_hub({"twoway": SimpleNamespace(connectors=connectors)})


@pytest.fixture
def crm(hub, remote):
    account = next(name for name, known in REMOTES.items() if known is remote)
    return add_connection(hub, connector="twoway", name="crm", settings={"account": account}).id


@pytest.fixture
def client(hub, crm, remote):
    """A client that both sides know and agree on, with nothing left to say."""
    made = hub.transact(lambda session: create_client(session, name="Acme", phone="1").to_record())
    run_connection(hub, crm)
    run_connection(hub, crm)
    remote.ledger.clear()
    return made


def edit(remote, *, modified_at=None, **values):
    """Somebody over there changes the client."""
    held = remote.records["clients"]["c1"]
    held |= values | ({"modified_at": modified_at} if modified_at else {})
    held["version"] += 1


def ours(hub):
    with hub.read() as session:
        return session.scalars(select(Client)).one()


def change(hub, client, **values):
    hub.transact(lambda session: change_client(session, client.id, **values) and None)


def last_body(hub):
    with hub.read() as session:
        return session.scalars(select(Attempt).order_by(Attempt.id.desc())).first().body


def test_what_came_from_there_does_not_go_back(hub, crm, remote):
    remote.records["clients"] = {"c1": {"name": "Globex", "phone": "7", "version": 1}}
    for _ in range(2):
        run_connection(hub, crm)

    edit(remote, name="Globex Corp")
    for _ in range(2):
        run_connection(hub, crm)

    assert ours(hub).name == "Globex Corp"
    assert remote.ledger == []


def test_what_we_wrote_comes_back_as_nothing_new(hub, crm, client, remote):
    change(hub, client, name="Acme Ltd.")  # which they spell “Acme Ltd”
    for _ in range(3):
        run_connection(hub, crm)

    assert remote.ledger == [("update", "clients", "c1")]
    assert (ours(hub).name, remote.records["clients"]["c1"]["name"]) == ("Acme Ltd.", "Acme Ltd")


def test_an_edit_right_after_our_write_comes_through(hub, crm, client, remote):
    change(hub, client, name="Acme Ltd.")
    run_connection(hub, crm, direction="push")
    edit(remote, name="Acme Group")

    run_connection(hub, crm)

    assert (ours(hub).name, len(remote.ledger)) == ("Acme Group", 1)


def test_an_edit_back_to_the_value_before_our_write_comes_through(hub, crm, client, remote):
    change(hub, client, name="Acme Group")
    run_connection(hub, crm, direction="push")
    edit(remote, name="Acme")

    run_connection(hub, crm)

    assert (ours(hub).name, len(remote.ledger)) == ("Acme", 1)


def test_an_edit_of_what_a_call_without_an_answer_created_comes_through(hub, crm, remote):
    """It is found over there as it is by then, which is not as our call has made it."""
    hub.transact(lambda session: create_client(session, name="Acme", phone="1") and None)
    remote.faults = ["lose"]
    run_connection(hub, crm, direction="push")
    edit(remote, email="a@acme.example")
    time.sleep(0.25)  # the fake's calls have certainly ended after 0.2 s
    hub.transact(lambda session: session.execute(update(Link).values(due_at=None)) and None)
    run_connection(hub, crm, direction="push")

    run_connection(hub, crm)

    assert (ours(hub).email, ours(hub).phone) == ("a@acme.example", "1")
    assert remote.ledger == [("create", "clients", "c1")]


def test_a_page_that_was_read_before_our_write_reverts_nothing(hub, crm, client, remote, monkeypatch):
    change(hub, client, name="Acme Group")
    monkeypatch.setattr(TwoWay, "between", staticmethod(lambda: push_slice(hub, crm, seconds=5)))

    run_connection(hub, crm, direction="pull")

    assert ours(hub).name == remote.records["clients"]["c1"]["name"] == "Acme Group"
    with hub.read() as session:
        assert session.scalars(select(Hint)).all() == []  # it was read again, and nothing was new


def test_both_sides_changes_of_different_fields_meet(hub, crm, client, remote):
    change(hub, client, name="Acme Group")
    edit(remote, email="a@acme.example")

    run_connection(hub, crm)

    held = remote.records["clients"]["c1"]
    assert (held["name"], held["email"]) == (ours(hub).name, ours(hub).email) == ("Acme Group", "a@acme.example")
    assert last_body(hub) == {"name": "Acme Group"}


def test_a_field_the_hub_decides_on_is_written_back_alone(hub, crm, client, remote):
    edit(remote, phone="2", name="Acme Group")

    for _ in range(2):
        run_connection(hub, crm)

    held = remote.records["clients"]["c1"]
    assert (held["phone"], held["name"], ours(hub).phone, ours(hub).name) == ("1", "Acme Group", "1", "Acme Group")
    assert (last_body(hub), len(remote.ledger)) == ({"phone": "1"}, 1)


def test_a_field_the_hub_decides_on_goes_back_though_nothing_else_came(hub, crm, client, remote):
    edit(remote, phone="2")

    for _ in range(2):
        run_connection(hub, crm)

    assert remote.records["clients"]["c1"]["phone"] == ours(hub).phone == "1"
    assert remote.ledger == [("update", "clients", "c1")]


def test_a_field_both_changed_follows_its_rule_and_ends_equal(hub, crm, client, remote):
    change(hub, client, name="Ours")
    edit(remote, name="Theirs")

    run = run_connection(hub, crm)

    assert (run.status, run.counts["conflicts"]) == ("partial", 1)
    assert ours(hub).name == remote.records["clients"]["c1"]["name"] == "Theirs"
    assert remote.ledger == []


@pytest.mark.parametrize(("when", "winner"), [(EARLIER, "ours"), (EARLIER + timedelta(days=36500), "theirs")])
def test_the_newest_wins_where_it_is_to(hub, crm, client, remote, when, winner):
    change(hub, client, website="ours")
    edit(remote, website="theirs", modified_at=when)

    run_connection(hub, crm)

    assert ours(hub).website == remote.records["clients"]["c1"]["website"] == winner


@pytest.mark.parametrize(("keep", "email", "writes"), [("hub", "o@acme.example", 1), ("remote", "t@acme.example", 0)])
def test_a_field_a_person_decides_on_is_written_nowhere_until_then(hub, crm, client, remote, keep, email, writes):
    change(hub, client, email="o@acme.example")
    edit(remote, email="t@acme.example")
    for _ in range(2):
        run_connection(hub, crm)
    assert (ours(hub).email, remote.records["clients"]["c1"]["email"]) == ("o@acme.example", "t@acme.example")
    with hub.read() as session:
        [link] = parked_links(session)
    assert "Both sides changed email" in link.parked
    retry_all(hub.transact)  # which decides nothing

    hub.transact(lambda session: settle_conflict(session, link.id, keep) and None)
    for _ in range(2):
        run_connection(hub, crm)

    assert ours(hub).email == remote.records["clients"]["c1"]["email"] == email
    assert len(remote.ledger) == writes


def test_a_conflict_keeps_both_values_the_base_the_winner_and_the_rule(hub, crm, client, remote):
    change(hub, client, name="Ours")
    edit(remote, name="Theirs")
    run_connection(hub, crm)

    with hub.read() as session:
        item = session.scalars(select(RunItem).where(RunItem.outcome == "conflict")).one()
    expected = {"base": "Acme", "hub": "Ours", "remote": "Theirs", "winner": "remote", "rule": "remote"}
    assert item.differences == {"name": expected}


def test_what_is_decided_already_cannot_be_decided_again(hub, crm, client):
    with hub.read() as session:
        link_id = session.scalars(select(Link.id)).one()
    with pytest.raises(RuleBroken, match="nothing to decide"):
        hub.transact(lambda session: settle_conflict(session, link_id, "hub"))


def test_a_record_that_was_here_already_is_adopted_by_the_rules(hub, crm, remote):
    hub.transact(lambda session: create_client(session, name="Acme", phone="1", website="acme.example") and None)
    remote.records["clients"] = {"c9": {"name": "Acme", "phone": "9", "website": "acme.example", "version": 1}}
    hub.transact(lambda session: session.execute(update(Link).values(ignored="not yet")) and None)

    for _ in range(2):
        run_connection(hub, crm)

    held = remote.records["clients"]["c9"]
    assert (ours(hub).phone, held["phone"]) == ("1", "1")  # the hub decides on phones
    assert len(remote.records["clients"]) == 1


def test_a_rule_that_does_not_exist_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="the authority of name is 'ours'; use one of hub, remote, newest, manual"):
        Stream("clients", "Clients", authority={"name": "ours"})
