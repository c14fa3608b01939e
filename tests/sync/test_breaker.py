"""A system that fails again and again is left alone by all workers, and found again by one of them."""

from __future__ import annotations

import threading
from datetime import timedelta
from unittest.mock import Mock

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from hub.core import clock
from hub.core.errors import (
    Busy,
    ConfigurationFailure,
    OutcomeUnknown,
    PermanentFailure,
    QuotaSpent,
    TemporaryFailure,
)
from hub.core.outbox import Link
from hub.core.services.service import create_service
from hub.jobs.queue import queue
from hub.jobs.scheduler import sweep
from hub.sync import breaker as breaker_module
from hub.sync import cycle, settle
from hub.sync.breaker import ConnectionRests, rest_of
from hub.sync.connections import check_connection, open_connection
from hub.sync.hints import leave_hint
from hub.sync.models import Attempt, Connection
from hub.sync.reconcile import reconcile
from tests.sync.fake_remote import Fake

DOWN = TemporaryFailure("It cannot be reached.")


class Time:
    """A clock that goes on only when it is told to."""

    def __init__(self):
        self.now = clock.now()

    def passes(self, seconds):
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def time(monkeypatch):
    """The business clock stands still, and pauses are as long as they can be."""
    stopped = Time()
    monkeypatch.setattr(clock, "now", lambda: stopped.now)
    monkeypatch.setattr(settle.random, "uniform", lambda low, high: high)
    return stopped


def worker(hub, books):
    """The breaker as another process sees it: by a connection opened anew."""
    return open_connection(hub, books).breaker


def fail(breaker, times=1, failure=DOWN):
    for _ in range(times):
        with pytest.raises(type(failure)), breaker.call():
            raise failure


def is_open(breaker):
    return breaker.rest() is not None


def rest(hub, books):
    with hub.read() as session:
        return rest_of(session.get_one(Connection, books))


def test_five_failures_in_a_row_open_it_whichever_worker_met_them(hub, books, time):
    one, other = worker(hub, books), worker(hub, books)
    fail(one, 3)
    fail(other, 1, OutcomeUnknown("It did not answer."))
    assert not is_open(one)

    fail(other, 1)

    for each in (one, other, worker(hub, books)):
        with pytest.raises(ConnectionRests, match="It cannot be reached"), each.call():
            pytest.fail("a call was made")


@pytest.mark.parametrize(
    "failure",
    [
        PermanentFailure("This record is refused."),
        ConfigurationFailure("The login is wrong."),
        QuotaSpent("No more calls today."),
        Busy("Too many calls."),
        ZeroDivisionError("A fault of the connector."),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_what_is_no_failure_of_the_other_system_never_opens_it(hub, books, failure):
    breaker = worker(hub, books)
    fail(breaker, 10, failure)
    assert not is_open(breaker)


def test_an_answer_ends_the_row_a_refusal_is_one(hub, books, time):
    breaker = worker(hub, books)
    fail(breaker, 4)
    fail(breaker, 1, PermanentFailure("This record is refused."))
    fail(breaker, 4)
    assert not is_open(breaker)


def test_that_it_is_busy_says_neither(hub, books, time):
    breaker = worker(hub, books)
    fail(breaker, 4)
    fail(breaker, 1, Busy("Too many calls."))
    fail(breaker, 1)
    assert is_open(breaker)


def test_the_pause_grows_with_every_look_in_vain_up_to_a_quarter_of_an_hour(hub, books, time):
    fail(worker(hub, books), 5)
    pauses = []
    for _ in range(9):
        pauses.append((rest(hub, books).tries_at - time.now).total_seconds())
        time.passes(pauses[-1])
        fail(worker(hub, books), 1)
    assert pauses == [8, 16, 32, 64, 128, 256, 512, 900, 900]  # 2 s doubled twice, and on


def test_pauses_are_anywhere_below_that(hub, books, monkeypatch):
    drawn = []
    monkeypatch.setattr(settle.random, "uniform", lambda low, high: drawn.append((low, high)) or 3.0)
    fail(worker(hub, books), 5)
    assert drawn[-1] == (0.5, 8.0)


def test_the_other_systems_own_wish_for_silence_is_kept(hub, books, time):
    breaker = worker(hub, books)
    fail(breaker, 4)
    fail(breaker, 1, TemporaryFailure("Down for maintenance.", retry_after_s=3600))
    assert (rest(hub, books).tries_at - time.now).total_seconds() == 3600


def test_after_the_pause_exactly_one_of_many_workers_calls(hub, books, time):
    fail(worker(hub, books), 5)
    time.passes(8)
    workers = [worker(hub, books) for _ in range(8)]
    all_have_looked, refused, all_refused, called = threading.Barrier(8), [], threading.Event(), []

    def work(breaker):
        look = breaker._look
        breaker._look = lambda: (look(), all_have_looked.wait(20))[0]  # each has seen the pause end
        try:
            with breaker.call():
                called.append(breaker)
                all_refused.wait(20)  # the call is open until the others have been refused
        except ConnectionRests:
            refused.append(breaker)
            if len(refused) == 7:
                all_refused.set()

    threads = [threading.Thread(target=work, args=(each,)) for each in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(called), len(refused)) == (1, 7)
    assert rest(hub, books) is None


def test_a_worker_that_died_while_it_looked_is_followed_by_another(hub, books, time):
    fail(worker(hub, books), 5)
    time.passes(8)
    worker(hub, books)._admitted(False)  # killed here: its lease is not renewed
    assert is_open(worker(hub, books))

    time.passes(breaker_module.LEASE_S)
    with worker(hub, books).call():
        pass

    assert rest(hub, books) is None


def test_what_comes_of_a_look_that_was_taken_over_changes_nothing_when_it_failed(hub, books, time):
    fail(worker(hub, books), 5)
    time.passes(8)
    with pytest.raises(TemporaryFailure), worker(hub, books).call():
        time.passes(60)  # suspended beyond its lease
        with worker(hub, books).call():
            pass
        raise DOWN
    assert rest(hub, books) is None


def test_a_look_that_says_neither_is_made_again_at_once(hub, books, time):
    fail(worker(hub, books), 5)
    time.passes(8)
    fail(worker(hub, books), 1, ZeroDivisionError("A fault of the connector."))
    assert rest(hub, books) is not None
    assert not is_open(worker(hub, books))


def test_it_is_said_once_when_it_opens_and_once_when_it_closes(hub, books, time):
    with capture_logs() as lines:
        fail(worker(hub, books), 5)
        for pause in (8, 16, 32):
            time.passes(pause)
            fail(worker(hub, books), 1)
        time.passes(64)
        for _ in range(3):
            with worker(hub, books).call():
                pass
    told = [(line["log_level"], line["event"]) for line in lines if line["log_level"] != "debug"]
    assert told == [("warning", "connection is left alone"), ("info", "connection answers again")]


def test_a_run_whose_calls_fail_beyond_its_share_ends(hub, books, time):
    """Every second call is answered, so the breaker stays closed; of 21 calls the 11th failure is one too many."""
    breaker = worker(hub, books)
    for _ in range(10):
        fail(breaker)
        with breaker.call():
            pass
    fail(breaker)
    with pytest.raises(ConnectionRests, match="11 of 21 calls of this run failed"), breaker.call():
        pytest.fail("a call was made")

    with worker(hub, books).call():
        pass  # another run has its own share


@pytest.fixture
def services(hub, books):
    """A hundred services, each owed to the connection: ten calls of ten."""

    def work(session):
        for number in range(100):
            create_service(session, name=f"Service {number}")

    hub.transact(work)


def make_due(hub):
    """Let time pass for the database too: whatever is put off may be tried now."""
    hub.transact(lambda session: session.execute(update(Link).values(due_at=None)) and None)


def owed(hub):
    with hub.read() as session:
        return len(session.scalars(select(Link.id).where(Link.wanted > Link.done)).all())


def test_a_run_that_meets_nothing_but_failures_ends_after_five_calls(hub, books, services, remote, time):
    remote.faults = ["drop"] * 100

    run = cycle.run_connection(hub, books, direction="push")

    assert remote.calls.count("push services") == 5
    assert run.status == "deferred"
    assert run.counts["deferred"] == run.counts["read"] > 0
    assert owed(hub) == 100


def test_while_it_is_open_runs_call_nothing_and_say_when_they_go_on(hub, books, services, remote, time):
    fail(worker(hub, books), 5)
    remote.calls.clear()

    runs = [
        cycle.run_connection(hub, books, trigger="api"),
        cycle.push_slice(hub, books, seconds=5),
        cycle.pull_slice(hub, books, seconds=5),
    ]

    assert remote.calls == []
    assert owed(hub) == 100
    with hub.read() as session:
        assert session.scalars(select(Attempt.id)).all() == []  # not even begun
    assert [run.status for run in runs[:2]] == ["deferred", "deferred"]
    assert {run.resumes_at for run in runs[:2]} == {time.now + timedelta(seconds=8)}
    assert "It cannot be reached" in runs[0].headline


def test_while_it_is_open_nothing_of_it_is_queued_but_what_a_person_asks_for(hub, books, services, remote, time):
    hub.transact(lambda session: leave_hint(session, books, "payments", "p1", "told"))
    fail(worker(hub, books), 5)
    hub.redis.flushall()
    sweep(hub)
    assert len(queue(hub)) == 0

    hub.transact(lambda session: cycle.ask_for_run(session, books))
    sweep(hub)
    assert [job.func_name for job in queue(hub).jobs] == ["hub.jobs.slices.sync"]

    hub.redis.flushall()
    time.passes(8)
    sweep(hub)
    assert {job.func_name.rpartition(".")[2] for job in queue(hub).jobs} == {"push", "pull", "sync"}


def test_it_catches_up_by_itself_when_the_other_system_is_back(hub, books, services, remote, time):
    remote.faults = ["down"] * 5
    for _ in range(5):
        cycle.push_slice(hub, books, seconds=5)
        make_due(hub)
    assert rest(hub, books) is not None
    time.passes(8)

    run = cycle.run_connection(hub, books)

    assert run.status == "success", run.headline
    assert remote.created("services") == 100
    assert rest(hub, books) is None


def test_a_look_at_the_books_that_is_not_allowed_says_why(hub, books, remote, time):
    fail(worker(hub, books), 5)
    with pytest.raises(ConnectionRests, match="left alone for a while"):
        reconcile(hub, books)


def test_a_person_who_tests_the_connection_is_not_held_up_and_closes_it(hub, books, remote, time):
    fail(worker(hub, books), 5)
    check_connection(hub, books)
    assert rest(hub, books) is None


def test_a_run_that_a_person_asks_for_tries_at_once_and_once(hub, books, services, remote, time):
    fail(worker(hub, books), 5)
    remote.faults = ["drop"] * 100

    run = cycle.run_connection(hub, books, direction="push")

    assert remote.calls.count("push services") == 1
    assert (run.status, run.resumes_at) == ("deferred", time.now + timedelta(seconds=16))


def test_a_test_in_vain_makes_the_pause_no_longer(hub, books, time, monkeypatch):
    fail(worker(hub, books), 5)
    before = rest(hub, books)
    monkeypatch.setattr(Fake, "check", Mock(side_effect=DOWN))
    with pytest.raises(TemporaryFailure):
        check_connection(hub, books)
    assert rest(hub, books) == before


def test_a_record_whose_calls_alone_fail_is_tried_ever_less_often(hub, books, services, remote, time):
    due = []
    for _ in range(3):
        remote.faults = ["down"]
        cycle.push_slice(hub, books, seconds=5)
        with hub.read() as session:
            due.append(max(at for at in session.scalars(select(Link.due_at)) if at is not None))
        make_due(hub)
        with worker(hub, books).call():
            pass  # something else is answered
    assert [round((at - time.now).total_seconds()) for at in due] == [2, 4, 8]


def test_what_was_refused_is_never_tried_again_by_itself(hub, books, invoice_for, remote, time):
    remote.bad_names.add("Acme Ltd")
    invoice_for("Acme Ltd")
    cycle.run_connection(hub, books)
    calls = list(remote.calls)
    time.passes(30 * 24 * 3600)
    make_due(hub)
    cycle.push_slice(hub, books, seconds=5)
    assert remote.calls == calls
