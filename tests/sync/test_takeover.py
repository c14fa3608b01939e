"""A worker that was too slow, or dead: another takes over, and nothing is doubled, lost, or stuck."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from sqlalchemy import select, update

import hub.sync.pull as pull_module
import hub.sync.push as push_module
import hub.sync.settle as settle_module
import hub.sync.tokens as tokens_module
from hub.core import clock
from hub.core.clients.models import Client
from hub.core.errors import ConfigurationFailure, RuleBroken
from hub.core.outbox import Link
from hub.sync import cycle
from hub.sync.claim import LEASE_S, beating, lease, write
from hub.sync.connections import remove_connection, set_state
from hub.sync.connector import Change, Outcome, Page, Status
from hub.sync.models import Attempt, Batch, Connection, ConnectionState, Hint, Run, StreamCursor
from hub.sync.pull import work_hints
from hub.sync.repairs import relink, unlink
from hub.sync.runs import RunLog
from hub.sync.send import lease_batch
from tests.sync.fake_remote import Fake


def owed(hub):
    """The links that are not in step."""
    with hub.read() as session:
        return session.scalars(select(Link).where(Link.wanted > Link.done)).all()


def let_time_pass(hub):
    """Every lease is over, whatever was put off is due, and calls of the fake have certainly ended (0.2 s)."""
    time.sleep(0.25)

    def work(session):
        session.execute(update(Link).values(due_at=None, lease_until=None))
        session.execute(update(Batch).values(lease_until=None))

    hub.transact(work)


def take_over_everything(hub):
    """What another worker does with links whose lease is over."""
    hub.transact(lambda session: lease(session, session.scalars(select(Link.id)).all()))


def in_step(hub, books, kind="clients"):
    """Runs until all is delivered; a fault that leaves something stuck shows as what is still owed."""
    for _ in range(4):
        let_time_pass(hub)
        run = cycle.run_connection(hub, books, direction="push")
        if not owed(hub):
            break
    assert [(link.kind, link.label, link.parked) for link in owed(hub)] == []
    assert run.status == "success", run.headline


@pytest.fixture
def during_the_call(monkeypatch):
    """Something that happens after the remote has applied a call of a stream, and before its answer is settled."""

    def happen(stream, what):
        once, push = [what], Fake.push

        def slow(self, batch):
            outcomes = push(self, batch)
            if batch.stream == stream and once:
                once.pop()()
            return outcomes

        monkeypatch.setattr(Fake, "push", slow)

    return happen


@pytest.fixture
def long_pauses(monkeypatch):
    """Whatever is put off is put off for an hour."""
    monkeypatch.setattr(settle_module, "pause", lambda *failures, **more: clock.now() + timedelta(hours=1))


@pytest.fixture
def before_the_call(monkeypatch):
    """Something that happens after a batch was written down, and before it is sent."""

    def happen(what):
        once, deliver = [what], push_module.deliver

        def held_up(*arguments, **more):
            if once:
                once.pop()()
            return deliver(*arguments, **more)

        monkeypatch.setattr(push_module, "deliver", held_up)

    return happen


@pytest.mark.parametrize("stream", ["clients", "invoices"])
def test_an_answer_that_comes_after_the_record_was_taken_over_changes_nothing_and_nothing_is_stuck(
    hub, invoice_for, books, remote, during_the_call, stream
):
    """clients have no keys over there and are looked up; invoices have keys and are repeated."""
    invoice_for("Acme Ltd")
    during_the_call(stream, lambda: take_over_everything(hub))

    run = cycle.push_slice(hub, books, seconds=0)
    cycle.scan_owed(hub, cycle.open_connection(hub, books), ["services", "invoices"])
    run = cycle.push_slice(hub, books, seconds=10)

    assert run.counts["deferred"] >= 1
    in_step(hub, books)
    assert (remote.created("clients"), remote.created("invoices")) == (1, 1)
    with hub.read() as session:
        assert session.scalars(select(Attempt).where(Attempt.answered_at.is_(None))).all() == []


def test_what_an_overtaken_worker_sent_is_owed_once_more(hub, invoice_for, books, remote, during_the_call):
    """Its answer may be of something newer than what the other worker knows, so the other one's is not the last."""
    invoice_for("Acme Ltd")
    [before] = (link for link in owed(hub) if link.kind == "services")
    during_the_call("services", lambda: take_over_everything(hub))

    cycle.push_slice(hub, books, seconds=0.5)

    [after] = (link for link in owed(hub) if link.kind == "services")
    assert (after.id, after.wanted - before.wanted, after.done) == (before.id, 1, 0)


def test_what_was_taken_over_before_its_call_is_not_sent_by_the_first_worker(
    hub, invoice_for, books, remote, before_the_call
):
    invoice_for("Acme Ltd")
    before_the_call(lambda: take_over_everything(hub))

    cycle.run_connection(hub, books, seconds=0.5)

    assert remote.ledger == []
    in_step(hub, books)
    assert [remote.created(kind) for kind in ("services", "clients", "invoices")] == [1, 1, 1]


@pytest.mark.parametrize("what", ["paused", "removed"])
def test_a_connection_that_is_paused_or_removed_right_before_a_call_makes_none(
    hub, invoice_for, books, remote, before_the_call, what
):
    invoice_for("Acme Ltd")
    before_the_call(
        lambda: (
            hub.transact(lambda session: set_state(session, books, ConnectionState.PAUSED))
            if what == "paused"
            else remove_connection(hub, books)
        )
    )

    run = cycle.run_connection(hub, books)

    assert remote.ledger == []
    assert run.status == "deferred"


def test_a_connection_whose_plugin_is_disabled_right_before_a_call_makes_none(
    hub, invoice_for, books, remote, before_the_call, monkeypatch
):
    invoice_for("Acme Ltd")
    before_the_call(lambda: monkeypatch.setattr(hub, "connector_classes", dict))

    cycle.run_connection(hub, books)

    assert remote.ledger == []


def test_a_batch_whose_resolver_died_is_taken_over_with_its_lease(hub, invoice_for, books, remote, long_pauses):
    """Not later: a minute of standing still for each worker that dies while it repeats a call adds up."""
    invoice_for("Acme Ltd")
    remote.faults = ["lose"]
    cycle.run_connection(hub, books)
    with hub.read() as session:
        batch = session.scalars(select(Batch).where(Batch.answered_at.is_(None))).one()

    first = lease_batch(hub, batch.id)

    assert lease_batch(hub, batch.id) is None
    assert first.batch.lease_until - max(link.lease_until for link in first.links.values()) < timedelta(seconds=1)
    assert LEASE_S <= 5


def open_batch(hub):
    with hub.read() as session:
        return session.scalars(select(Batch).where(Batch.answered_at.is_(None))).one()


@pytest.mark.parametrize("stream", ["clients", "invoices"])
def test_a_batch_belongs_to_who_sends_it_from_its_first_call_on(
    hub, invoice_for, books, remote, during_the_call, stream
):
    """Another worker that comes by one of its records, while the call is open, must not begin to resolve it."""
    invoice_for("Acme Ltd")
    taken = []
    during_the_call(stream, lambda: taken.append(lease_batch(hub, open_batch(hub).id)))

    run = cycle.run_connection(hub, books)

    assert taken == [None]
    assert run.status == "success", run.headline


def test_who_finds_the_records_of_a_dead_worker_free_finds_their_batch_free_too(
    hub, invoice_for, books, remote, during_the_call
):
    """Else it would hold them for a lease of its own and do nothing: the takeover would take twice as long."""
    invoice_for("Acme Ltd")
    ends = []

    def look():
        with hub.read() as session:
            links = session.scalars(select(Link.lease_until).where(Link.attempt_id.is_not(None)))
            ends.append((open_batch(hub).lease_until, min(links)))

    during_the_call("clients", look)
    cycle.run_connection(hub, books)

    [(batch_ends, links_end)] = ends
    assert batch_ends <= links_end


def test_a_late_answer_does_not_free_the_batch_that_another_worker_has_taken_over(
    hub, invoice_for, books, remote, during_the_call
):
    invoice_for("Acme Ltd")

    def another_worker():
        let_time_pass(hub)
        assert lease_batch(hub, open_batch(hub).id) is not None

    during_the_call("clients", another_worker)
    cycle.push_slice(hub, books, seconds=0)
    cycle.scan_owed(hub, cycle.open_connection(hub, books), ["services", "invoices"])
    cycle.push_slice(hub, books, seconds=1)

    assert lease_batch(hub, open_batch(hub).id) is None  # it is being resolved
    in_step(hub, books)
    assert (remote.created("clients"), remote.created("invoices")) == (1, 1)


def test_what_of_a_batch_was_answered_stays_in_the_hands_it_is_in(hub, invoice_for, books, remote, monkeypatch):
    """Two invoices go in one batch; the answer leaves one out. Resolving that one must not touch the other's link."""
    invoice_for("Acme Ltd"), invoice_for("Brown Ltd")
    push = Fake.push
    monkeypatch.setattr(
        Fake,
        "push",
        lambda self, batch: [
            Outcome(each.ref, Status.UNCERTAIN) if (batch.stream, each.ref) == ("invoices", "2") else each
            for each in push(self, batch)
        ],
    )
    cycle.run_connection(hub, books)
    with hub.read() as session:
        batch = session.scalars(select(Batch).where(Batch.answered_at.is_(None))).one()
        fences = {link.id: link.fence for link in session.scalars(select(Link).where(Link.kind == "invoices"))}

    leased = lease_batch(hub, batch.id)

    with hub.read() as session:
        now = {link.id: link.fence for link in session.scalars(select(Link).where(Link.kind == "invoices"))}
    assert [id for id in now if now[id] != fences[id]] == list(leased.links)
    assert len(leased.links) == 1


def test_a_beat_that_fails_is_made_again(hub, monkeypatch):
    """A database that is away for a moment must not end the lease of a long call for good."""
    beats, enough = [], threading.Event()

    def work(session):
        beats.append(len(beats))
        if len(beats) == 1:
            raise ConnectionError("the server closed the connection")
        enough.set()

    with beating(hub, work, 0.06):
        assert enough.wait(10)


def test_a_record_on_which_the_connector_fails_stops_no_other(hub, invoice_for, books, remote, monkeypatch):
    invoice_for("Acme Ltd"), invoice_for("Brown Ltd")
    body = Fake.body

    def faulty(self, stream, record, remote_ids, *, part=""):
        if getattr(record, "name", "") == "Acme Ltd":
            raise KeyError("country")
        return body(self, stream, record, remote_ids, part=part)

    monkeypatch.setattr(Fake, "body", faulty)

    run = cycle.run_connection(hub, books)

    assert run.status == "partial"
    assert remote.created("invoices") == 1  # Brown's
    parked = {link.kind: link.parked for link in owed(hub)}
    assert "KeyError" in parked["clients"]
    assert "Acme Ltd has to be mended first" in parked["invoices"]


@pytest.mark.parametrize("repair", [lambda s, id: unlink(s, id), lambda s, id: relink(s, id, "c99")])
def test_a_worker_that_loaded_a_link_before_a_person_changed_it_sends_nothing_of_it(
    hub, invoice_for, books, remote, repair
):
    invoice_for("Acme Ltd")
    cycle.run_connection(hub, books)
    client = select(Link).where(Link.kind == "clients")
    [loaded] = hub.transact(lambda session: lease(session, [session.scalars(client).one().id]))

    hub.transact(lambda session: repair(session, loaded.id) and None)

    assert not hub.transact(lambda session: write(session, loaded, label="as it was"))


def test_a_link_with_an_open_send_is_not_relinked(hub, invoice_for, books, remote, long_pauses):
    invoice_for("Acme Ltd")
    remote.faults = ["lose"]
    cycle.run_connection(hub, books)
    with hub.read() as session:
        link = session.scalars(select(Link).where(Link.attempt_id.is_not(None))).one()

    with pytest.raises(RuleBroken, match="no answer yet"):
        hub.transact(lambda session: relink(session, link.id, "s99"))


def test_workers_send_what_was_there_before_the_connection(hub, invoice_for, books, remote):
    """No command is needed: the first scheduled look finds what exists."""
    invoice_for("Acme Ltd")

    cycle.pull_slice(hub, books, seconds=10)
    cycle.push_slice(hub, books, seconds=10)

    assert remote.created("invoices") == 1


def test_a_run_waits_for_what_a_dead_worker_had_in_hand(hub, invoice_for, books, remote):
    """A run that finds nothing free, because a killed worker's lease still runs, is no success yet."""
    invoice_for("Acme Ltd")
    cycle.scan_owed(hub, cycle.open_connection(hub, books), ["services", "invoices"])
    take_over_everything(hub)

    run = cycle.run_connection(hub, books, direction="push")

    assert run.status == "success", run.headline
    assert remote.created("invoices") == 1


def test_a_run_that_leaves_something_due_later_is_no_success(hub, invoice_for, books, remote, long_pauses):
    invoice_for("Acme Ltd")
    remote.faults = ["lose"]  # the service's create
    cycle.run_connection(hub, books)

    again = cycle.run_connection(hub, books)

    assert again.status == "deferred"
    assert again.headline == "2 records are still to be sent, and will be tried again."


def test_a_run_that_is_stopped_says_so(hub, invoice_for, books, remote, monkeypatch):
    invoice_for("Acme Ltd")

    def ctrl_c(self, batch):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Fake, "push", ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            cycle.run_connection(hub, books)

    with hub.read() as session:
        assert session.scalars(select(Run.status)).all() == ["cancelled"]
    in_step(hub, books)
    assert remote.created("invoices") == 1


def test_a_slow_page_is_read_by_one_worker_however_long_it_takes(hub, books, remote, monkeypatch):
    monkeypatch.setattr(pull_module, "LEASE_S", 0.3)
    reading = []

    def slowly(self, stream, cursor):
        reading.append(stream)
        time.sleep(1)  # three leases
        others.append(pull_module._take(hub, books, stream))
        return iter(())

    others: list[object] = []
    monkeypatch.setattr(Fake, "pull", slowly)

    cycle.run_connection(hub, books, kinds=["payments"])

    assert (reading, others) == (["payments"], [None])


def test_a_person_is_told_when_somebody_else_is_reading(hub, books, remote, monkeypatch):
    pull_module._take(hub, books, "payments")
    hub.transact(lambda s: s.execute(update(StreamCursor).values(lease_until=clock.now() + timedelta(hours=1))))
    monkeypatch.setattr(pull_module, "LEASE_S", 0.05)

    run = cycle.run_connection(hub, books, kinds=["payments"])

    assert run.status == "deferred"
    assert run.headline == "Payments: another worker is reading them at this moment."


def test_two_workers_at_the_same_hint_take_it_in_once(hub, books, remote):
    """The second one merges nothing: what it has read is what the first one saved."""
    change = Change("clients", "c7", {"name": "Acme Ltd"}, label="Acme Ltd")
    remote.pages = [Page((change,), {"v": 1})]
    hub.transact(lambda session: session.add(Hint(connection_id=books, kind="clients", remote_id="c7")))
    opened = cycle.open_connection(hub, books)
    both_have_read, fetch = threading.Barrier(2, timeout=20), Fake.fetch

    class Meeting(Fake):
        def fetch(self, stream, remote_ids):
            page = fetch(self, stream, remote_ids)
            both_have_read.wait()
            return page

    def work():
        mine = cycle.open_connection(hub, books)
        mine.connector.__class__ = Meeting
        run = RunLog(hub, mine, "pull", "schedule", "system", ["clients"])
        try:
            work_hints(hub, mine, opened.stream("clients"), run)
        except Exception as failure:
            failures.append(failure)

    failures: list[Exception] = []
    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert failures == []
    with hub.read() as session:
        assert session.scalars(select(Client.name)).all() == ["Acme Ltd"]


def test_a_slow_renewal_of_a_token_keeps_its_lease(hub, books, monkeypatch):
    """Whoever needs a token beside it waits, and uses the one that came of it: a refresh token is good for one use."""
    monkeypatch.setattr(tokens_module, "LEASE_S", 0.3)
    renewals = []

    def renew(tokens):
        renewals.append(tokens)
        time.sleep(1)  # three leases
        return {"access_token": f"access {len(renewals)}", "refresh_token": "next"}

    got = []
    store = tokens_module.Tokens(hub, books, {"refresh_token": "first"})
    others = [threading.Thread(target=lambda: got.append(store.access_token(renew))) for _ in range(3)]
    for other in others:
        other.start()
    for other in others:
        other.join()

    assert got == ["access 1"] * 3
    assert renewals == [{"refresh_token": "first"}]


def test_who_was_overtaken_in_a_renewal_takes_the_token_that_the_other_one_saved(hub, books):
    """Suspended for longer than its lease, it finds its refresh token used up: that is no reason to stop."""
    other = tokens_module.Tokens(hub, books, {"refresh_token": "first"})

    def suspended(tokens):
        hub.transact(lambda session: session.execute(update(Connection).values(token_lease_until=None)))
        other.access_token(lambda tokens: {"access_token": "theirs", "refresh_token": "next"})
        raise ConfigurationFailure("The refresh token is used up.")

    assert tokens_module.Tokens(hub, books, {"refresh_token": "first"}).access_token(suspended) == "theirs"
