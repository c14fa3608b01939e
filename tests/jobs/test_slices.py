"""Work that is queued gets done, and work whose job was lost too."""

from __future__ import annotations

import signal
from datetime import date, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import select, update

from hub.core import clock
from hub.core.errors import ConfigurationFailure, TemporaryFailure
from hub.core.outbox import Link, Subscription
from hub.jobs.queue import enqueue_once, mark, queue
from hub.jobs.scheduler import sweep
from hub.sdk import Change, Page, hookimpl
from hub.services.queue_server import ensure_queue_server, stop_queue_server
from hub.sync.backfill import begin_backfill
from hub.sync.cycle import ask_for_run
from hub.sync.merge import leave_hint
from hub.sync.models import Batch, Connection, PlanState, Run
from hub.sync.plan import ask_for_plan, load_plan
from hub.tracing import current_trace, traced
from tests.sync.fake_remote import Fake


def forget_marks(hub):
    """Let the seconds pass after which what is queued may be queued again."""
    for key in hub.redis.scan_iter("hub:queued:*"):
        hub.redis.delete(key)


def time_is_up():
    """What the system does to a job that takes too long."""
    signal.raise_signal(signal.SIGALRM)


def runs(hub):
    with hub.read() as session:
        return session.scalars(select(Run)).all()


def numbers(remote):
    return sorted(held["number"] for held in remote.records.get("invoices", {}).values())


def test_a_committed_change_wakes_a_worker_which_sends_it(hub, books, remote, invoice_for, work_off):
    invoice = invoice_for()
    work_off(hub)
    assert numbers(remote) == [invoice.number]


def test_what_a_request_sets_off_in_a_worker_belongs_to_its_trace(
    hub, books, remote, invoice_for, work_off, monkeypatch
):
    traces, send = [], Fake.push

    def push(connector, batch):
        traces.append(current_trace())
        return send(connector, batch)

    monkeypatch.setattr(Fake, "push", push)
    with traced("a-request"):
        invoice_for()
    work_off(hub)

    assert set(traces) == {"a-request"}
    assert current_trace() == ""


def test_what_is_queued_already_is_not_queued_again(hub, books, remote, invoice_for):
    for _ in range(3):
        invoice_for()
    enqueue_once(hub, "push", str(books))
    assert len(queue(hub)) == 1


def test_jobs_do_not_pile_up_while_no_worker_comes_for_them(hub, books, remote, invoice_for, work_off, monkeypatch):
    monkeypatch.setattr("hub.jobs.queue.MOST_QUEUED", 3)
    invoice = invoice_for()
    for _ in range(5):
        forget_marks(hub)
        sweep(hub)
    assert len(queue(hub)) == 3

    work_off(hub)

    assert numbers(remote) == [invoice.number]


def test_a_queued_job_names_its_work_and_holds_no_data(hub, books, remote, invoice_for):
    invoice_for()
    (job,) = queue(hub).jobs
    assert (job.func_name, job.args) == ("hub.jobs.slices.push", [str(books)])


def test_when_everything_queued_is_lost_the_sweep_queues_what_is_owed(hub, books, remote, invoice_for, work_off):
    invoice = invoice_for()
    hub.redis.flushall()
    work_off(hub)
    assert numbers(remote) == []

    sweep(hub)
    work_off(hub)

    assert numbers(remote) == [invoice.number]


@pytest.fixture
def own_server(hub, tmp_path, monkeypatch):
    """A queue server of this test's own, which may be stopped."""
    import redis

    folder = tmp_path / "queue"
    folder.mkdir()
    client = redis.from_url(ensure_queue_server(folder))
    monkeypatch.setitem(hub.__dict__, "redis", client)
    yield folder
    stop_queue_server(folder)
    client.close()


def test_while_the_queue_server_is_gone_work_is_taken_in_and_done_when_it_is_back(
    hub, books, remote, invoice_for, own_server, work_off
):
    stop_queue_server(own_server)
    invoice = invoice_for()  # is not refused

    ensure_queue_server(own_server)
    sweep(hub)
    work_off(hub)

    assert numbers(remote) == [invoice.number]


def test_a_connection_that_is_not_active_is_not_woken_by_the_sweep(hub, books, remote, invoice_for):
    from hub.sync.connections import set_state
    from hub.sync.models import ConnectionState

    invoice_for()
    hub.transact(lambda session: set_state(session, books, ConnectionState.READ_ONLY) and None)
    hub.redis.flushall()
    sweep(hub)
    assert [job.func_name for job in queue(hub).jobs] == ["hub.jobs.slices.pull"]


def test_a_job_of_a_connection_that_is_gone_does_no_harm(hub, books, remote, invoice_for, work_off):
    from hub.sync.connections import remove_connection

    invoice_for()
    remove_connection(hub, books)
    work_off(hub)
    assert queue(hub).failed_job_registry.count == 0
    assert numbers(remote) == []


def test_a_slice_leaves_room_for_other_connections(hub, books, remote, invoice_for, work_off):
    invoice = invoice_for()
    for number in range(max(1, hub.settings.workers - 1)):
        hub.redis.set(f"hub:slice:{books}:{number}", 1, ex=60)  # as many as may are at it
    work_off(hub)
    assert numbers(remote) == []

    for number in range(hub.settings.workers):
        hub.redis.delete(f"hub:slice:{books}:{number}")
    sweep(hub)
    work_off(hub)
    assert numbers(remote) == [invoice.number]
    assert list(hub.redis.scan_iter("hub:slice:*")) == []  # the place is given back


def test_what_is_put_off_is_not_woken_before_it_is_due(hub, books, remote, invoice_for):
    from datetime import timedelta

    from hub.core import clock

    invoice_for()
    later = clock.now() + timedelta(minutes=5)
    hub.transact(lambda session: session.execute(update(Link).values(due_at=later)) and None)
    hub.redis.flushall()
    sweep(hub)
    assert "hub.jobs.slices.push" not in [job.func_name for job in queue(hub).jobs]
    assert not hub.redis.exists(mark("push", str(books)))


def test_a_run_that_was_asked_for_while_the_connection_was_busy_is_made_afterwards(
    hub, books, remote, invoice_for, work_off
):
    hub.redis.set(f"hub:slice:{books}:0", 1)  # the connection's only place is taken
    hub.transact(lambda session: ask_for_run(session, books))
    sweep(hub)
    work_off(hub)
    assert runs(hub) == []

    hub.redis.delete(f"hub:slice:{books}:0")
    sweep(hub)
    work_off(hub)
    assert [run.trigger for run in runs(hub)] == ["manual"]

    sweep(hub)
    work_off(hub)
    assert len(runs(hub)) == 1


def test_a_stream_that_is_switched_off_keeps_no_worker_busy(hub, books, remote, invoice_for, work_off):
    invoice_for()
    hub.transact(lambda session: leave_hint(session, books, "payments", "p1", "told"))
    hub.transact(lambda session: session.execute(update(Subscription).values(pushes=False, pulls=False)) and None)
    hub.transact(lambda session: session.execute(update(Connection).values(pulled_at=clock.now())) and None)
    work_off(hub)

    sweep(hub)

    assert len(queue(hub)) == 0


def test_a_plan_whose_job_was_lost_is_made_after_the_next_sweep(hub, books, remote, invoice_for, work_off):
    invoice_for()
    plan = ask_for_plan(hub, books, queued=True)
    hub.redis.flushall()

    sweep(hub)
    assert [job.func_name for job in queue(hub).jobs if job.args == [str(plan.id)]] == ["hub.jobs.slices.plan"]
    work_off(hub)

    assert load_plan(hub, plan.id)[0].state == PlanState.READY


@pytest.fixture
def tested_long_ago(hub, books):
    """The connection's last test is a day and an hour old."""
    then = clock.now() - timedelta(hours=25)
    hub.transact(lambda session: session.execute(update(Connection).values(checked_at=then, facts={})) and None)
    hub.redis.flushall()
    return books


def checks(hub):
    return [job.args for job in queue(hub).jobs if job.func_name == "hub.jobs.slices.check"]


def test_a_connection_is_tested_again_once_a_day(hub, tested_long_ago, remote, work_off):
    sweep(hub)
    assert checks(hub) == [[str(tested_long_ago)]]
    work_off(hub)

    with hub.read() as session:
        found = session.get_one(Connection, tested_long_ago)
    assert found.facts == {"currency": "GBP"}
    assert found.checked_at > clock.now() - timedelta(minutes=5)
    hub.redis.flushall()
    sweep(hub)
    assert checks(hub) == []


def test_a_daily_test_without_an_answer_stops_nothing_and_is_made_again_an_hour_later(
    hub, tested_long_ago, remote, work_off, monkeypatch
):
    def away(connector):
        raise TemporaryFailure("It cannot be reached.")

    monkeypatch.setattr(Fake, "check", away)
    sweep(hub)
    work_off(hub)
    forget_marks(hub)
    sweep(hub)

    assert checks(hub) == []
    with hub.read() as session:
        assert session.get_one(Connection, tested_long_ago).state == "active"
    hub.redis.delete(f"hub:tested:{tested_long_ago}")  # an hour later
    forget_marks(hub)
    sweep(hub)
    assert checks(hub) == [[str(tested_long_ago)]]


def test_a_daily_test_that_finds_the_login_ended_holds_the_connection(hub, tested_long_ago, work_off, monkeypatch):
    def ended(connector):
        raise ConfigurationFailure("The login has ended. Connect again.")

    monkeypatch.setattr(Fake, "check", ended)
    sweep(hub)
    work_off(hub)

    with hub.read() as session:
        found = session.get_one(Connection, tested_long_ago)
    assert (found.state, found.reason) == ("needs_attention", "The login has ended. Connect again.")


def test_a_job_ends_when_its_time_is_up_whatever_hook_it_hangs_in(make_hub, work_off):
    """A hook that fails is told apart and the job goes on; the end of its time is no failure of the hook."""

    @hookimpl
    def schedules():
        time_is_up()
        return []

    hub = make_hub({"hanging": SimpleNamespace(schedules=schedules)})
    enqueue_once(hub, "scheduled", "hanging:tidy")

    work_off(hub)

    assert queue(hub).failed_job_registry.count == 1


def test_a_run_whose_job_has_no_more_time_says_so_and_its_records_are_taken_over(
    hub, books, remote, invoice_for, work_off, monkeypatch
):
    invoice = invoice_for()
    push = Fake.push

    def hang(self, batch):
        push(self, batch)
        time_is_up()

    with monkeypatch.context() as patch:
        patch.setattr(Fake, "push", hang)
        work_off(hub)
    assert [(run.status, run.headline.split(".")[0]) for run in runs(hub)] == [
        ("failed", "It took longer than a job may")
    ]
    hub.transact(lambda session: session.execute(update(Link).values(lease_until=None, due_at=None)) and None)
    hub.transact(lambda session: session.execute(update(Batch).values(lease_until=None)) and None)

    enqueue_once(hub, "push", str(books))
    work_off(hub)

    assert numbers(remote) == [invoice.number]
    assert remote.created("services") == 1


def test_the_past_that_a_person_asked_for_is_read_by_workers_to_its_end(hub, books, remote, work_off, monkeypatch):
    monkeypatch.setattr("hub.jobs.slices.SLICE_S", 0)  # a page each
    names = ("Acme Ltd", "Brown Ltd", "Cole Ltd")
    changes = [Change("clients", name, {"name": name}, label=name) for name in names]
    remote.pages = [Page((change,), None) for change in changes]
    hub.transact(lambda session: begin_backfill(session, books, "clients", date(2020, 1, 1), actor="user:7") and None)
    hub.transact(lambda session: session.execute(update(Connection).values(pulled_at=clock.now())) and None)

    for _ in range(4):
        forget_marks(hub)
        sweep(hub)
        work_off(hub)

    assert [(run.trigger, run.status, run.created) for run in runs(hub)] == [("backfill", "success", 3)]
    forget_marks(hub)
    sweep(hub)
    assert len(queue(hub)) == 0


def test_of_all_connections_one_reads_its_past_at_a_time(hub, books, remote, work_off):
    """However many wait, the other workers are there for what is new."""
    hub.transact(lambda session: begin_backfill(session, books, "clients", date(2020, 1, 1), actor="user:7") and None)
    hub.redis.set("hub:slice:backfills", "another connection's", ex=60)
    enqueue_once(hub, "backfill", f"{books}:clients")
    work_off(hub)
    assert runs(hub) == []
