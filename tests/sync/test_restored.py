"""A restored hub finds out what the other side has before it writes: nothing is created or numbered twice."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import select

import plugins.quickbooks
from hub.backup import restore_backup, write_backup
from hub.bootstrap import build_hub
from hub.config import load_settings
from hub.core.errors import RuleBroken
from hub.core.outbox import Link
from hub.sync.apply import apply_plan
from hub.sync.connections import add_connection, change_settings, connection_named, set_state
from hub.sync.cycle import run_connection
from hub.sync.mending import Trouble, repairs_of
from hub.sync.models import Connection, ConnectionState
from hub.sync.plan import make_plan
from tests.plugins.quickbooks.books import company
from tests.web.pages.firm import issue, set_rate


@pytest.fixture
def hub(make_hub):
    return make_hub({"quickbooks": plugins.quickbooks})


@pytest.fixture
def books():
    with company(country="GB").serve() as server:
        yield server


@pytest.fixture
def restored(hub, books, tmp_path, request):
    """A hub as it was when one invoice was sent and a second one issued; that one, and a third, were sent since."""
    set_rate(hub)
    connection = add_connection(hub, connector="quickbooks", name="books", settings=books.settings)
    issue(hub, "Brown Ltd")
    run_connection(hub, connection.id)
    issue(hub, "Carter Ltd", hours=2)
    write_backup(hub, tmp_path / "b.tar.gz")
    issue(hub, "Davies Ltd", hours=3)
    run_connection(hub, connection.id)
    assert numbers(books) == ["INV-00001", "INV-00002", "INV-00003"]

    flags = {"data_dir": str(tmp_path / "copy")}
    if not hub.database.is_sqlite:
        server = request.getfixturevalue("postgres_server")
        flags["database_url"] = server.create_database(f"t_{uuid4().hex[:12]}", template="template0")
    settings = load_settings(flags, environ={})
    restore_backup(settings, tmp_path / "b.tar.gz")
    copy = build_hub(settings, plugins={"quickbooks": plugins.quickbooks})
    change_settings(copy, connection.id, {"refresh_token": books.settings["refresh_token"]})
    yield copy
    copy.close()


def numbers(books):
    """The numbers of the invoices that were created over there, in order: the effect ledger's word."""
    created = [effect.id for effect in books.sandbox.effects("create", "Invoice")]
    return [books.sandbox.state["entities"]["Invoice"][remote_id]["DocNumber"] for remote_id in created]


def connection_of(hub):
    with hub.read() as session:
        return session.scalars(select(Connection)).one()


def go_live(hub):
    hub.transact(
        lambda session: set_state(session, connection_named(session, "books").id, ConnectionState.ACTIVE) and None
    )


def test_before_it_has_looked_a_restored_connection_does_not_write(restored, books):
    with pytest.raises(RuleBroken, match="nobody knows yet what books has that the backup had not") as refused:
        go_live(restored)
    assert refused.value.code == "connection-restored"

    plan_id = make_plan(restored, connection_of(restored).id)
    with pytest.raises(RuleBroken) as refused:
        apply_plan(restored, plan_id, go_live=True)
    assert refused.value.code == "connection-restored"
    assert numbers(books) == ["INV-00001", "INV-00002", "INV-00003"]


def test_what_was_sent_after_the_backup_is_adopted_and_no_number_is_given_twice(restored, books):
    run_connection(restored, connection_of(restored).id)

    with restored.read() as session:
        links = {link.label.split()[0]: link for link in session.scalars(select(Link).where(Link.kind == "invoices"))}
    assert {number: (link.remote_id is not None, link.wanted - link.done) for number, link in links.items()} == {
        "INV-00001": (True, 0),
        "INV-00002": (True, 0),
    }
    assert connection_of(restored).only_there == ["INV-00003"]

    go_live(restored)
    again = issue(restored, "Evans Ltd")
    run_connection(restored, connection_of(restored).id)

    assert again.number == "INV-00004"
    assert numbers(books) == ["INV-00001", "INV-00002", "INV-00003", "INV-00004"]


def test_what_is_over_there_only_is_told_until_the_hub_writes_again(restored):
    def told():
        with restored.read() as session:
            found = repairs_of(session, connectors=restored.connector_classes(), kinds=restored.kinds)
        return [each.text for each in found if each.trouble == Trouble.RESTORED]

    assert told() == [
        "What it has that the backup had not is read with the next run, before anything is written there."
    ]
    run_connection(restored, connection_of(restored).id)
    assert told() == [
        "Issued after the backup, and there only: INV-00003. Their numbers are not given again. "
        "Let it write again when this hub is the one that shall."
    ]
    go_live(restored)
    assert told() == []


def test_another_document_of_the_same_number_is_left_to_a_person(restored, books):
    invoice = next(
        each for each in books.sandbox.state["entities"]["Invoice"].values() if each["DocNumber"] == "INV-00002"
    )
    books.sandbox.edit_invoice(id=invoice["Id"], TxnDate="2026-01-30")

    run_connection(restored, connection_of(restored).id)

    with restored.read() as session:
        link = session.scalars(select(Link).where(Link.kind == "invoices", Link.parked.is_not(None))).one()
    assert link.parked == (
        "Over there INV-00002 is another document: 192.00 GBP of 2026-01-30, here 192.00 GBP of 2026-01-31."
    )
