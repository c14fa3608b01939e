"""Reading the past: from a day on, in slices, beside what is new, and never over it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select, update

from hub.core import clock
from hub.core.clients.models import Client
from hub.core.errors import Busy, NotFound, RuleBroken, TemporaryFailure
from hub.core.outbox import Link, Subscription
from hub.sdk import Change, Page
from hub.sync.backfill import begin_backfill, cancel_backfill, work_backfill
from hub.sync.connections import open_connection
from hub.sync.connector import Limit
from hub.sync.cycle import run_connection
from hub.sync.limits import Limiter
from hub.sync.models import Backfill, Run, StreamCursor
from tests.sync.fake_remote import Fake

JANUARY = date(2020, 1, 1)


def client(number, *, year=2020, phone="old", version="1"):
    at = datetime(year, 6, 1, tzinfo=UTC)
    values = {"name": f"Client {number}", "phone": phone}
    return Change("clients", f"c{number}", values, version=version, label=f"Client {number}", modified_at=at)


@pytest.fixture(autouse=True)
def keeps_to_the_start_day(monkeypatch):
    """The fake's pull shows what is dated since the start day, a page after the other."""
    pull = Fake.pull

    def since_the_start_day(self, stream, cursor):
        first = self.context.start_on.get(stream, date.min)
        for page in pull(self, stream, cursor):
            kept = (change for change in page.changes if change.modified_at.date() >= first)
            yield replace(page, changes=tuple(kept))

    monkeypatch.setattr(Fake, "pull", since_the_start_day)


@pytest.fixture
def begin(hub, books):
    """Asks for the past of the clients from a day on."""

    def asked(from_on=JANUARY, kind="clients"):
        return hub.transact(lambda session: begin_backfill(session, books, kind, from_on, actor="user:7"))

    return asked


@pytest.fixture
def work(hub, books):
    """A slice of a worker; by default one that gets to the end."""
    return lambda seconds=60, **more: work_backfill(hub, books, "clients", seconds=seconds, **more)


def phones(hub):
    with hub.read() as session:
        return dict(session.execute(select(Client.name, Client.phone)).all())


def only(hub, model):
    with hub.read() as session:
        return session.scalars(select(model)).one()


def pages_of(remote, *changes):
    remote.pages = [Page((change,), None) for change in changes]


# From a day on, in slices ---------------------------------------------------------------------------------------------


def test_the_past_is_read_from_the_day_that_was_given(hub, firm, books, remote, begin, work):
    pages_of(remote, client(1, year=2018), client(2, year=2019), client(3, year=2020))
    begin(date(2019, 1, 1))

    run = work()

    assert (run.status, run.counts["created"]) == ("success", 2)
    assert sorted(phones(hub)) == ["Client 2", "Client 3"]
    found = only(hub, Backfill)
    assert found.ended_at is not None
    assert found.reached_at == datetime(2020, 6, 1, tzinfo=UTC)


def test_all_slices_are_one_run_which_goes_on_where_the_last_one_stood(hub, firm, books, remote, begin, work):
    pages_of(remote, *(client(number) for number in range(3)))
    begin()

    first = work(seconds=0)  # one page at least, so that it gets on
    stood = (first.status, first.counts["created"], first.headline)
    rest = [work(seconds=0) for _ in range(3)]

    assert stood == ("deferred", 1, "The past is not read to its end yet; it goes on.")
    assert [run.counts["created"] for run in rest] == [2, 3, 3]
    assert rest[-1].status == "success"
    run = only(hub, Run)
    assert (run.trigger, run.actor, run.records_read) == ("backfill", "user:7", 3)
    assert work() is None


def test_a_slice_that_dies_is_gone_on_with_from_its_last_saved_page(hub, firm, books, remote, begin, work, monkeypatch):
    pages_of(remote, *(client(number) for number in range(3)))
    begin()
    pull, read = Fake.pull, []

    def killed(self, stream, cursor):
        for page in pull(self, stream, cursor):
            read.append(page.changes[0].remote_id)
            if read == ["c0", "c1"]:
                raise SystemExit
            yield page

    monkeypatch.setattr(Fake, "pull", killed)
    with pytest.raises(SystemExit):
        work()
    hub.transact(lambda session: session.execute(update(Backfill).values(lease_until=None, due_at=None)) and None)

    run = work()

    assert read == ["c0", "c1", "c1", "c2"]
    assert (run.status, run.counts["created"]) == ("success", 3)


def test_one_worker_at_a_time_reads_it(hub, firm, books, remote, begin, work, monkeypatch):
    pages_of(remote, client(1))
    begin()
    pull, others = Fake.pull, []

    def meanwhile(self, stream, cursor):
        others.append(work())
        yield from pull(self, stream, cursor)

    monkeypatch.setattr(Fake, "pull", meanwhile)
    work()

    assert others == [None]


def test_after_a_failure_it_is_tried_again_later(hub, firm, books, remote, begin, work, monkeypatch):
    begin()

    def unreachable(self, stream, cursor):
        raise TemporaryFailure("It cannot be reached.")

    monkeypatch.setattr(Fake, "pull", unreachable)
    run = work()

    assert (run.status, run.headline) == ("failed", "It cannot be reached.")
    assert only(hub, Backfill).due_at > clock.now()
    assert work() is None


def test_another_day_starts_it_anew_and_the_same_one_does_not(hub, firm, books, remote, begin, work):
    pages_of(remote, client(1, year=2018), client(2, year=2020), client(3, year=2020))
    begin()
    work(seconds=0)
    stands = only(hub, Backfill).cursor

    begin()
    assert only(hub, Backfill).cursor == stands is not None
    begin(date(2018, 1, 1))
    assert only(hub, Backfill).cursor is None
    work()

    assert len(phones(hub)) == 3
    with hub.read() as session:
        assert sorted(session.scalars(select(Run.status))) == ["cancelled", "success"]


def test_a_stream_that_only_reads_counts_from_that_day_on_afterwards(hub, firm, books, remote, begin):
    """Else what changes of the old records now would be left out, because it lies before the start day."""

    def start_days():
        with hub.read() as session:
            return dict(session.execute(select(Subscription.kind, Subscription.start_on)).all())

    later = date(2026, 1, 1)
    hub.transact(lambda session: session.execute(update(Subscription).values(start_on=later)) and None)
    for kind in ("clients", "payments"):
        begin(JANUARY, kind)
        work_backfill(hub, books, kind, seconds=60)

    # clients are sent too: an earlier day would have more of them created over there
    assert start_days() == {"services": later, "clients": later, "invoices": later, "payments": JANUARY}


@pytest.mark.parametrize(
    ("kind", "from_on", "error", "text"),
    [
        ("invoices", JANUARY, NotFound, "reads no invoices"),
        ("clients", date(2999, 1, 1), RuleBroken, "is not past"),
    ],
)
def test_what_cannot_be_read_is_refused(hub, books, begin, kind, from_on, error, text):
    with pytest.raises(error, match=text):
        begin(from_on, kind)


# Beside what is new ---------------------------------------------------------------------------------------------------


def test_an_old_page_that_arrives_late_overwrites_nothing_newer(hub, firm, books, remote, begin, work, monkeypatch):
    """The past's page was made before the change, arrives after it was read, and shows what was then."""
    pages_of(remote, client(1, phone="old", version="1"))
    begin()
    pull, once = Fake.pull, []

    def late(self, stream, cursor):
        for page in list(pull(self, stream, cursor)):  # as a listing that is made at its beginning
            if not once:
                once.append(page)
                pages_of(remote, client(1, phone="new", version="2"))
                run_connection(hub, books, kinds=["clients"], direction="pull", full=True)
                assert phones(hub) == {"Client 1": "new"}
            yield page

    monkeypatch.setattr(Fake, "pull", late)
    run = work()

    assert phones(hub) == {"Client 1": "new"}
    assert (run.status, run.counts["updated"]) == ("success", 0)


def test_a_known_record_that_differs_is_read_as_it_is_now(hub, firm, books, remote, begin, work):
    """Neither the listing of the past nor what is known may be right: version 3 is."""
    pages_of(remote, client(1, phone="known", version="2"))
    run_connection(hub, books, kinds=["clients"], direction="pull")
    pages_of(remote, client(1, phone="listed", version="1"))
    begin()
    fetch = Fake.fetch

    def as_it_is_now(self, stream, remote_ids):
        return replace(fetch(self, stream, remote_ids), changes=(client(1, phone="now", version="3"),))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fake, "fetch", as_it_is_now)
        work()

    assert phones(hub) == {"Client 1": "now"}


def test_an_answer_that_was_overtaken_by_another_reading_is_asked_for_again(hub, firm, books, remote, monkeypatch):
    """A slow page of the present, asked for before the past read the record newer, must not take it back."""
    pull, once = Fake.pull, []
    pages_of(remote, client(1, phone="newer", version="2"))

    def slow(self, stream, cursor):
        if once:
            yield from pull(self, stream, cursor)
            return
        once.append(stream)
        hub.transact(lambda session: begin_backfill(session, books, "clients", JANUARY, actor="user:7"))
        hub.transact(lambda session: session.execute(update(StreamCursor).values(lease_until=None)) and None)
        work_backfill(hub, books, "clients", seconds=60)
        assert phones(hub) == {"Client 1": "newer"}
        yield Page((client(1, phone="older", version="1"),), {"v": 1, "page": 1})

    monkeypatch.setattr(Fake, "pull", slow)
    run_connection(hub, books, kinds=["clients"], direction="pull")

    assert phones(hub) == {"Client 1": "newer"}


def test_that_a_record_is_gone_is_not_told_by_the_past(hub, firm, books, remote, begin, work):
    pages_of(remote, client(1))
    run_connection(hub, books, kinds=["clients"], direction="pull")
    pages_of(remote, replace(client(1), deleted=True))
    begin()
    work()
    assert only(hub, Link).tombstone_at is None


def test_while_what_is_new_is_read_the_past_waits(hub, firm, books, remote, begin, work):
    pages_of(remote, client(1))
    begin()
    lease = clock.now() + timedelta(minutes=1)
    busy = StreamCursor(connection_id=books, kind="clients", lease_until=lease)
    hub.transact(lambda session: session.add(busy))

    run = work()

    assert (run.status, run.headline) == ("deferred", "It waits for what is new.")
    assert "pull clients" not in remote.calls or phones(hub) == {}
    hub.transact(lambda session: session.execute(update(StreamCursor).values(lease_until=None)) and None)
    assert work().status == "success"


def test_the_past_has_a_share_of_the_calls_and_leaves_the_rest(hub, books, queue_server):
    """Of 10 calls a minute half: 5 at most, and the present has all that is left of the 10."""
    limits = [Limit("calls", calls=10, per_s=60)]
    past = Limiter(hub.redis, "account", limits, workers=2, share=50)
    present = Limiter(hub.redis, "account", limits, workers=2)

    def calls(limiter):
        made = 0
        with pytest.raises(Busy):
            while True:
                with limiter.slot(("calls",), timeout_s=0):
                    made += 1
        return made

    assert (calls(past), calls(present)) == (5, 5)


def test_the_past_is_read_with_the_configured_share(hub, books, monkeypatch):
    shares = []
    limiter = hub.limiter
    monkeypatch.setattr(hub, "limiter", lambda *of, share=100: shares.append(share) or limiter(*of, share=share))
    open_connection(hub, books)
    open_connection(hub, books, past={"clients": JANUARY})
    assert shares == [100, hub.settings.backfill_share]


# Cancelled ------------------------------------------------------------------------------------------------------------


def test_it_ends_after_the_page_at_which_it_is_cancelled_and_keeps_what_it_has_read(
    hub, firm, books, remote, begin, work, monkeypatch
):
    pages_of(remote, *(client(number) for number in range(3)))
    begin()
    pull = Fake.pull

    def cancelled_at_the_second(self, stream, cursor):
        for number, page in enumerate(pull(self, stream, cursor)):
            if number == 1:
                hub.transact(lambda session: cancel_backfill(session, books, "clients"))
            yield page

    monkeypatch.setattr(Fake, "pull", cancelled_at_the_second)
    run = work()

    assert (run.status, run.headline) == ("cancelled", "It was cancelled; what it has read stays.")
    assert sorted(phones(hub)) == ["Client 0"]
    assert work() is None
    with pytest.raises(RuleBroken, match="No past is being read"):
        hub.transact(lambda session: cancel_backfill(session, books, "clients"))
