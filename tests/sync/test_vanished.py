"""A full read that misses records: they are deleted there only if everything agrees, and come back when seen again."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from sqlalchemy import select

from hub.core import clock
from hub.core.clients.models import Client
from hub.core.database import uuid7
from hub.core.errors import RuleBroken, TemporaryFailure
from hub.core.invoicing.service import get_invoice
from hub.core.outbox import Link
from hub.core.payments.models import Payment
from hub.sdk import Change, DeleteSignal, Page, Refused
from hub.sync.cycle import run_connection
from hub.sync.mending import Trouble, repairs_of
from hub.sync.models import RunItem
from hub.sync.vanished import decide_vanished
from tests.sync.fake_remote import Fake, payment


@pytest.fixture(autouse=True)
def told_by_absence(monkeypatch):
    """The fake's clients and payments are known to be deleted by nothing but a full read without them."""
    streams = tuple(replace(stream, deletes=DeleteSignal.FULL_READ) for stream in Fake.streams)
    monkeypatch.setattr(Fake, "streams", streams)


def client(number):
    return Change("clients", f"c{number}", {"name": f"Client {number}"}, version="1", label=f"Client {number}")


def show(remote, *changes, refused=()):
    """All that is there: two pages of clients."""
    half = len(changes) // 2 or 1
    remote.pages = [Page(part, None) for part in (changes[:half], changes[half:]) if part]
    if refused:
        remote.pages.append(Page((), None, tuple(refused)))


@pytest.fixture
def read(hub, books):
    """A full read of the clients."""
    return lambda **more: run_connection(hub, books, kinds=["clients"], direction="pull", full=True, **more)


@pytest.fixture
def twenty(hub, firm, books, remote, read):
    """Twenty clients over there, all known here: 2 % of them is none, so that five may vanish."""
    clients = [client(number) for number in range(20)]
    show(remote, *clients)
    assert read().counts["created"] == 20
    return clients


def tombstones(hub):
    with hub.read() as session:
        gone = select(Link.remote_id).where(Link.tombstone_at.is_not(None))
        return sorted(session.scalars(gone), key=lambda remote_id: int(remote_id[1:]))


def repairs(hub):
    with hub.read() as session:
        return repairs_of(session, connectors=["fake"], kinds=["clients", "payments", "services", "invoices"])


def test_what_a_complete_read_misses_is_deleted_there_and_stays_here(hub, remote, twenty, read):
    show(remote, *twenty[5:])

    run = read()

    assert (run.status, run.counts["deleted"], run.counts["unchanged"]) == ("success", 5, 15)
    assert tombstones(hub) == ["c0", "c1", "c2", "c3", "c4"]
    with hub.read() as session:
        assert len(session.scalars(select(Client)).all()) == 20


def test_more_than_the_guard_allows_is_kept_for_a_person_and_the_run_is_partial(hub, remote, twenty, read):
    show(remote, *twenty[6:])

    run = read()

    assert (run.status, run.counts["deleted"]) == ("partial", 0)
    assert run.headline == (
        "A full read would delete 6 of 20 clients here, more than the guard of 5: look whether they are really gone."
    )
    assert tombstones(hub) == []
    (repair,) = repairs(hub)
    assert (repair.trouble, repair.title, repair.stream) == (
        Trouble.VANISHED,
        "6 clients are missing in books",
        "clients",
    )


def test_a_person_who_says_that_they_are_gone_is_heeded_by_the_next_run(hub, books, remote, twenty, read):
    show(remote, *twenty[6:])
    read()

    hub.transact(lambda session: decide_vanished(session, books, "clients", gone=True))
    run = run_connection(hub, books, kinds=["clients"], direction="pull")

    assert (run.status, run.counts["deleted"]) == ("success", 6)
    assert tombstones(hub) == [f"c{number}" for number in range(6)]
    assert repairs(hub) == []
    with pytest.raises(RuleBroken, match="nothing to decide"):
        hub.transact(lambda session: decide_vanished(session, books, "clients", gone=True))


def test_a_person_who_says_that_they_are_there_is_not_asked_again_until_a_read_misses_them(
    hub, books, remote, twenty, read
):
    show(remote, *twenty[6:])
    read()

    hub.transact(lambda session: decide_vanished(session, books, "clients", gone=False))

    assert repairs(hub) == []
    run_connection(hub, books, kinds=["clients"], direction="pull")
    assert tombstones(hub) == []
    read()
    assert [repair.trouble for repair in repairs(hub)] == [Trouble.VANISHED]


def test_what_is_there_again_before_a_person_has_decided_is_not_deleted(hub, books, remote, twenty, read):
    """It is asked for once more by its id: what was missing may have been hidden for a moment only."""
    show(remote, *twenty[6:])
    read()
    hub.transact(lambda session: decide_vanished(session, books, "clients", gone=True))
    show(remote, *twenty[1:])

    run = run_connection(hub, books, kinds=["clients"], direction="pull")

    assert (tombstones(hub), run.counts["deleted"]) == (["c0"], 1)


def test_a_complete_read_afterwards_clears_what_was_kept(hub, remote, twenty, read):
    show(remote, *twenty[6:])
    read()
    show(remote, *twenty)

    run = read()

    assert (run.status, repairs(hub), tombstones(hub)) == ("success", [], [])


def test_a_person_may_say_beforehand_that_any_number_may_be_gone(hub, remote, twenty, read):
    show(remote, *twenty[6:])

    run = read(beyond_guards=True)

    assert (run.status, run.counts["deleted"]) == ("success", 6)


@pytest.mark.parametrize(
    "trouble", ["breaks off", "has a row that cannot be read", "has no more time", "is no full one"]
)
def test_a_read_that_is_not_complete_deletes_nothing(hub, books, remote, twenty, read, monkeypatch, trouble):
    show(remote, *twenty[5:], refused=[Refused("c99", "No name.")] if "row" in trouble else ())
    pull = Fake.pull

    def first_page(self, stream, cursor):
        pages = pull(self, stream, cursor)
        yield next(pages)
        if trouble == "breaks off":
            raise TemporaryFailure("It cannot be reached.")
        time.sleep(0.5 if trouble == "has no more time" else 0)
        yield from pages

    monkeypatch.setattr(Fake, "pull", first_page)
    if trouble == "is no full one":
        run_connection(hub, books, kinds=["clients"], direction="pull")
    else:
        read(seconds=0.4 if trouble == "has no more time" else 60)

    assert tombstones(hub) == []


def test_a_stream_that_tells_its_deletions_has_none_by_absence(hub, remote, twenty, read, monkeypatch):
    monkeypatch.setattr(Fake, "streams", tuple(replace(each, deletes=DeleteSignal.TOLD) for each in Fake.streams))
    show(remote, *twenty[1:])
    read()
    assert tombstones(hub) == []


def test_what_the_read_did_not_show_but_is_there_is_not_deleted(hub, remote, twenty, read, monkeypatch):
    """As what the stream's conditions leave out since: it is asked for by its id."""
    show(remote, *twenty[2:])
    hidden = [replace(each, version="2") for each in twenty[:2]]
    fetch = Fake.fetch

    def also_hidden(self, stream, remote_ids):
        page = fetch(self, stream, remote_ids)
        return Page((*page.changes, *(each for each in hidden if each.remote_id in remote_ids)), None)

    monkeypatch.setattr(Fake, "fetch", also_hidden)

    run = read()

    assert (run.status, tombstones(hub)) == ("success", [])


def test_what_we_made_there_while_it_was_read_is_not_missing(hub, books, remote, twenty, read, monkeypatch):
    pull = Fake.pull

    def while_reading(self, stream, cursor):
        yield from pull(self, stream, cursor)
        made = [
            Link(connection_id=books, kind="clients", record_id=uuid7(), remote_id=f"n{n}", delivered_at=clock.now())
            for n in range(50)
        ]
        hub.transact(lambda session: session.add_all(made))

    monkeypatch.setattr(Fake, "pull", while_reading)

    run = read()

    assert (run.status, tombstones(hub), repairs(hub)) == ("success", [], [])


def test_a_crash_between_the_read_and_its_deletes_is_made_good_by_the_next_one(hub, remote, twenty, read, monkeypatch):
    show(remote, *twenty[3:])
    with monkeypatch.context() as patch:
        patch.setattr(Fake, "fetch", lambda *arguments: [][1])
        assert read().status == "failed"
    assert tombstones(hub) == []

    assert read().counts["deleted"] == 3
    assert tombstones(hub) == ["c0", "c1", "c2"]


def test_a_record_that_is_seen_again_is_the_same_one_as_before(hub, remote, twenty, read):
    show(remote, *twenty[1:])
    read()
    show(remote, *twenty)

    run = read()

    assert (run.counts["created"], tombstones(hub)) == (0, [])
    with hub.read() as session:
        assert len(session.scalars(select(Client)).all()) == 20


def test_a_payment_that_vanished_pays_nothing_and_pays_again_when_it_is_seen_again(
    hub, books, remote, invoice_for, read
):
    """96.00 paid, open again when the payment is gone, paid when it is back; its row is never deleted."""
    invoice = invoice_for("Acme Ltd")
    run_connection(hub, books)
    money = payment("p1", client="c1", invoice="i1", amount="96.00")
    kept = Page((), None)

    def after_reading(*pages):
        remote.pages = list(pages)
        run_connection(hub, books, kinds=["payments"], direction="pull", full=True)
        with hub.read() as session:
            (found,) = session.scalars(select(Payment)).all()
            return get_invoice(session, invoice.id).paid, found.amount

    assert after_reading(Page((money,), None)) == (96, 96)
    assert after_reading(kept) == (0, 0)
    assert after_reading(Page((money,), None)) == (96, 96)
    with hub.read() as session:
        assert session.scalars(select(RunItem.outcome).where(RunItem.remote_id == "p1")).all() == [
            "created",
            "deleted",
            "updated",
        ]
