"""A connection that fails is left alone, found back by one probe, and said so in two lines."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from hub.core import clock
from hub.core.errors import OutcomeUnknown, PermanentFailure, QuotaSpent, TemporaryFailure
from hub.core.outbox import Link
from hub.jobs import scheduler
from hub.sync.breaker import OPENS_AFTER, admit, is_sign_of_failure, note_failure, note_success
from hub.sync.cycle import pull_slice, push_slice, run_connection
from hub.sync.models import Connection, Run


def connection(hub):
    with hub.read() as session:
        return session.scalars(select(Connection)).one()


def fail(hub, connection_id, times=OPENS_AFTER):
    for _ in range(times):
        note_failure(hub, connection_id, TemporaryFailure("It cannot be reached."))


def let_the_pause_pass(hub):
    past = clock.now() - timedelta(seconds=1)
    hub.transact(lambda session: session.execute(update(Connection).values(tried_again_at=past)))
    hub.transact(lambda session: session.execute(update(Link).values(due_at=None)))


def test_a_few_failures_in_a_row_are_borne(hub, books):
    fail(hub, books, OPENS_AFTER - 1)
    assert admit(hub, books) is None


def test_it_is_left_alone_after_five_failures_in_a_row(hub, books):
    fail(hub, books)
    assert admit(hub, books) > clock.now()


def test_an_answer_in_between_begins_the_count_anew(hub, books):
    fail(hub, books, OPENS_AFTER - 1)
    note_success(hub, books)
    fail(hub, books, OPENS_AFTER - 1)
    assert admit(hub, books) is None


def test_one_worker_probes_when_the_pause_is_over(hub, books):
    fail(hub, books)
    let_the_pause_pass(hub)
    assert admit(hub, books) is None
    assert admit(hub, books) > clock.now()  # another worker, at the same moment


def test_a_person_may_probe_at_any_time(hub, books):
    fail(hub, books)
    assert admit(hub, books, asked=True) is None


def test_it_is_said_once_that_it_is_left_alone_and_once_that_it_is_back(hub, books):
    with capture_logs() as lines:
        fail(hub, books, OPENS_AFTER + 3)
        note_success(hub, books)
        note_success(hub, books)
    assert [line["event"] for line in lines if line["event"].startswith("connection ")] == [
        "connection left alone",
        "connection is back",
    ]


@pytest.mark.parametrize(
    ("failure", "is_sign"),
    [
        (TemporaryFailure("down"), True),
        (OutcomeUnknown("no answer"), True),
        (TemporaryFailure("busy", retry_after_s=30), False),  # it is at work, and asks for a pause itself
        (QuotaSpent("spent"), False),
        (PermanentFailure("no"), False),
    ],
)
def test_what_says_that_the_other_system_cannot_be_reached(failure, is_sign):
    assert is_sign_of_failure(failure) is is_sign


def test_while_it_is_left_alone_nothing_is_called_and_what_is_owed_stays_owed(hub, invoice_for, books, remote):
    invoice_for("Acme Ltd")
    fail(hub, books)
    remote.calls.clear()

    for _ in range(3):
        push_slice(hub, books, seconds=5)
        pulled = pull_slice(hub, books, seconds=5)

    assert remote.calls == []
    assert (pulled.status, "left alone for a while" in pulled.headline) == ("deferred", True)
    with hub.read() as session:
        runs = session.scalars(select(Run)).all()
    # Said once for each way, however often a worker comes by.
    assert sorted(run.direction for run in runs) == ["pull", "push"]
    assert {run.resumes_at for run in runs} == {connection(hub).tried_again_at}


def test_the_probe_that_is_answered_lets_everything_go(hub, invoice_for, books, remote):
    invoice_for("Acme Ltd")
    fail(hub, books)
    let_the_pause_pass(hub)

    run = run_connection(hub, books, trigger="queue")

    assert run.status == "success", run.headline
    assert (remote.created("invoices"), connection(hub).failed_in_row) == (1, 0)


def test_calls_that_get_no_answer_end_the_run_after_a_few(hub, invoice_for, books, remote, monkeypatch):
    for number in range(OPENS_AFTER + 3):
        invoice_for(f"Client{number} Ltd")
    monkeypatch.setattr("tests.sync.fake_remote.Fake.streams", one_by_one())
    remote.faults = ["drop"] * 40
    remote.calls.clear()

    run = run_connection(hub, books, direction="push")

    assert len([call for call in remote.calls if call.startswith("push")]) == OPENS_AFTER
    assert run.status == "deferred"


def one_by_one():
    from dataclasses import replace

    from tests.sync.fake_remote import Fake

    return tuple(replace(stream, batch_size=1, find_first=False) for stream in Fake.streams)


def test_nothing_is_queued_for_a_connection_that_is_left_alone(hub, invoice_for, books, monkeypatch):
    invoice_for("Acme Ltd")
    queued = []
    monkeypatch.setattr(scheduler, "enqueue_once", lambda hub, work, subject: queued.append(work))
    fail(hub, books)

    scheduler.sweep(hub)
    assert queued == []

    let_the_pause_pass(hub)
    scheduler.sweep(hub)
    assert "pull" in queued
