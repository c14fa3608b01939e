"""Children before their parents: each waits, is set aside, or goes, whatever happens to its parent meanwhile."""

from __future__ import annotations

from functools import partial
from math import inf

import pytest
from sqlalchemy import select

import hub.sync.prepare as prepare_module
from hub.core.database import uuid7
from hub.core.outbox import Link
from hub.sdk import Ref
from hub.sync import cycle
from hub.sync.push import push as send
from hub.sync.repairs import retry_all
from hub.sync.runs import RunLog
from tests.sync.fake_remote import Fake


def by_kind(hub, kind):
    with hub.read() as session:
        return session.scalars(select(Link).where(Link.kind == kind).order_by(Link.id)).all()


@pytest.fixture
def transactions(hub, monkeypatch):
    """Grows with every transaction that may write."""
    counted, transact = [], hub.database.transact

    def counting(work, about=None):
        counted.append(work)
        return transact(work, about)

    monkeypatch.setattr(hub.database, "transact", counting)
    return counted


@pytest.fixture
def push_invoices(hub, books):
    """One look at the invoices that are owed, while their clients and services are not there yet."""

    def push():
        cycle.scan_owed(hub, cycle.open_connection(hub, books), ["invoices"])
        opened = cycle.open_connection(hub, books)
        run = RunLog(hub, opened, "push", "queue", "system", ["invoices"])
        send(hub, opened, run, kinds=["invoices"], until=inf)
        run.finish()

    return push


def test_a_block_that_waits_is_put_to_sleep_in_as_many_transactions_as_one_record(
    hub, books, remote, invoice_for, push_invoices, transactions
):
    counts = []
    for number in (1, 6):
        for position in range(number):
            invoice_for(f"Client {number}-{position}")
        transactions.clear()
        push_invoices()
        counts.append(len(transactions))

    assert counts[0] == counts[1]
    assert [link.waiting_for is not None for link in by_kind(hub, "invoices")] == [True] * 7
    assert len(by_kind(hub, "clients")) == 7  # owed because of their invoices


def test_a_block_that_is_refused_is_set_aside_in_as_many_transactions_as_one_record(
    hub, books, remote, invoice_for, push_invoices, transactions, monkeypatch
):
    monkeypatch.setattr(Fake, "needs", lambda self, stream, record: [][1])  # a fault of the connector's
    counts = []
    for number in (1, 6):
        for position in range(number):
            invoice_for(f"Client {number}-{position}")
        transactions.clear()
        push_invoices()
        counts.append(len(transactions))

    assert counts[0] == counts[1]
    assert all("IndexError" in link.parked for link in by_kind(hub, "invoices"))


def test_a_parent_that_arrives_while_its_child_is_mapped_leaves_it_due(
    hub, books, remote, invoice_for, push_invoices, monkeypatch
):
    """Its settlement has woken nobody, since nobody slept yet: the child must not go to sleep for good."""
    invoice = invoice_for("Acme Ltd")
    map_links = prepare_module.map_links

    def arrive(session, parent):
        known = select(Link).where(Link.kind == parent.kind, Link.record_id == parent.id)
        link = session.scalar(known) or Link(connection_id=books, kind=parent.kind, record_id=parent.id, part="")
        link.remote_id = "r1"
        session.add(link)

    def while_mapping(*arguments):
        mapped = map_links(*arguments)
        for each in mapped:
            if each.missing is not None:
                hub.transact(partial(arrive, parent=each.missing))
        return mapped

    monkeypatch.setattr(prepare_module, "map_links", while_mapping)
    push_invoices()

    assert [held["number"] for held in remote.records["invoices"].values()] == [invoice.number]


def test_a_child_whose_parent_is_gone_here_is_set_aside_and_stops_no_other(
    hub, books, remote, invoice_for, monkeypatch
):
    lost, fine = invoice_for("Acme Ltd"), invoice_for("Brown Ltd")
    needs = Fake.needs

    def of_a_client_that_is_gone(self, stream, record):
        return [Ref("clients", uuid7())] if record.id == lost.id else needs(self, stream, record)

    monkeypatch.setattr(Fake, "needs", of_a_client_that_is_gone)

    run = cycle.run_connection(hub, books)

    assert (run.status, run.counts["rejected"]) == ("partial", 1)
    assert [held["number"] for held in remote.records["invoices"].values()] == [fine.number]
    parked = {link.record_id: link.parked for link in by_kind(hub, "invoices")}
    assert parked[lost.id] == "What it refers to in clients is gone here."


def test_everything_parked_is_retried_in_blocks_of_a_moment_each(hub, books, transactions, monkeypatch):
    monkeypatch.setattr("hub.sync.repairs.MAX_ROWS_PER_TRANSACTION", 2)
    links = [Link(connection_id=books, kind="services", record_id=uuid7(), part="", parked="No.") for _ in range(5)]
    undecided = Link(
        connection_id=books, kind="clients", record_id=uuid7(), part="", parked="Both.", undecided={"a": 1}
    )
    hub.transact(lambda session: session.add_all([*links, undecided]))

    transactions.clear()

    assert retry_all(hub.transact, Link.connection_id == books) == 5

    assert len(transactions) == 4  # 2 + 2 + 2 of which one is undecided, and one that finds nothing more
    assert [link.parked for link in by_kind(hub, "clients")] == ["Both."]
    assert [link.parked for link in by_kind(hub, "services")] == [None] * 5


def test_a_retry_of_everything_that_is_broken_off_keeps_the_rest_parked(hub, books, monkeypatch):
    monkeypatch.setattr("hub.sync.repairs.MAX_ROWS_PER_TRANSACTION", 2)
    links = [Link(connection_id=books, kind="services", record_id=uuid7(), part="", parked="No.") for _ in range(5)]
    hub.transact(lambda session: session.add_all(links))
    blocks = []

    def first_block_only(work):
        if blocks:
            raise KeyboardInterrupt
        blocks.append(hub.transact(work))
        return blocks[-1]

    with pytest.raises(KeyboardInterrupt):
        retry_all(first_block_only)

    assert sorted(link.parked is None for link in by_kind(hub, "services")) == [False] * 3 + [True] * 2
