"""The guarantees under fire: real processes, a real queue server and the vendors' stand-ins, whose ledgers are the
truth. Workers are killed and suspended, the queue server forgets everything, answers are lost, and still every record
arrives once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from datetime import date
from decimal import Decimal

import pytest
import redis
from sqlalchemy import func, select, text

from hub.bootstrap import build_hub
from hub.cli.services import environment_of
from hub.core.clients.models import Client, Contact
from hub.core.clients.service import create_client
from hub.core.companies.service import set_company
from hub.core.invoicing.drafts import billable_groups, draft_invoice
from hub.core.invoicing.service import draft_ids, issue_invoice
from hub.core.outbox import Link
from hub.core.people.service import create_person
from hub.core.projects.models import Project
from hub.core.projects.service import create_project, create_task
from hub.core.rates.service import add_rate
from hub.core.timesheets.service import record_time, submit_and_approve
from hub.migrations import upgrade
from hub.sync.connections import add_connection, connection_named
from hub.sync.models import Attempt, Batch, Connection, Run, RunItem, RunStatus
from hub.sync.reconcile import reconcile
from plugins.crm_salesforce.sandbox import SalesforceSandbox
from plugins.quickbooks.sandbox.server import QuickBooksSandbox

pytestmark = [pytest.mark.story, pytest.mark.slow]

INVOICES, CLIENTS = 60, 10
RECOVERY_S = 90
"""Long for a loaded machine; a few leases are enough. What is stuck would be stuck for good."""
NO_LIMITS = {"calls_per_minute": 0, "calls_per_second": 0, "batches_per_minute": 0, "calls_in_flight": 0}
LOST_ANSWER = {"apply": True, "close": True}
FAULTS = (
    LOST_ANSWER,
    {"close": True},
    {"status": 500, "body": "<html>oops</html>"},
    {"status": 500, "apply": True, "body": "<html>oops</html>"},
    {"status": 429, "headers": {"Retry-After": "1"}},
    {"status": 200, "apply": True, "body": "<html>please sign in</html>"},
    {"delay_s": 6.0},  # longer than a lease
)


@pytest.fixture
def hub(settings):
    """A hub with the installed plugins, as its processes see it."""
    with closing(build_hub(settings)) as hub:
        upgrade(hub)
        for name in ("quickbooks", "crm_salesforce"):
            hub.plugins.enable(name, actor="command")
        hub.transact(
            lambda session: set_company(session, name="Firm", country="GB", currency="GBP", tax_rate=Decimal(20))
        )
        yield hub


@pytest.fixture
def process(hub, settings, tmp_path):
    """Starts `hub ...` as a process of this hub; all are ended with the test."""
    running = []
    log = (tmp_path / "processes.log").open("ab")
    environ = {**os.environ, **environment_of(settings), "HUB_REDIS_URL": settings.redis_url}

    def start(*arguments):
        command = [sys.executable, "-m", "hub", *arguments]
        running.append(subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        return running[-1]

    yield start
    for each in running:
        if each.poll() is None:
            each.send_signal(signal.SIGCONT)
            each.kill()
        each.wait()
    log.close()


@pytest.fixture
def quickbooks():
    with QuickBooksSandbox(country="GB", currency="GBP", **NO_LIMITS).serve() as server:
        yield server


@pytest.fixture
def books(hub, quickbooks):
    return add_connection(hub, connector="quickbooks", name="books", settings=quickbooks.settings).id


@pytest.fixture
def issued(hub):
    """60 invoices of 10 clients: each 1 h x 80.00 GBP + 20 % = 96.00."""

    def work(session):
        add_rate(session, rate=Decimal(80), currency="GBP")
        person = create_person(session, name="Ann")
        clients = [create_client(session, name=f"Client {number}").id for number in range(CLIENTS)]
        entries = []
        for number in range(INVOICES):
            project = create_project(session, client_id=clients[number % CLIENTS], name=f"Project {number}")
            task = create_task(session, project_id=project.id, name="Advice")
            day = date(2026, 1, 5)
            entry = record_time(session, task_id=task.id, person_id=person.id, worked_on=day, seconds=3600)
            entries.append(entry.id)
        submit_and_approve(session, entries)
        for group in billable_groups(session, ["project"]):
            draft_invoice(session, group)
        for invoice_id in draft_ids(session):
            issue_invoice(session, invoice_id)

    hub.transact(work)


def wait_until(is_so, seconds=RECOVERY_S):
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, f"not within {seconds} s"
        time.sleep(0.1)


def owed(hub):
    with hub.read() as session:
        return session.scalar(select(func.count()).select_from(Link).where(Link.wanted > Link.done))


def delivered(hub):
    """Links of invoices that are done."""
    with hub.read() as session:
        done = select(func.count()).select_from(Link).where(Link.kind == "invoices", Link.wanted == Link.done)
        return session.scalar(done)


def assert_everything_arrived_once(hub, books, quickbooks):
    ledger = Counter((effect.operation, effect.kind) for effect in quickbooks.sandbox.effects(actor="api"))
    assert ledger == {("create", "Item"): 1, ("create", "Customer"): CLIENTS, ("create", "Invoice"): INVOICES}
    quickbooks.sandbox._faults.clear()  # the comparison is about what is there
    comparison = reconcile(hub, books)
    assert comparison.equal, [row for row in comparison.rows if row.verdict != "matched"]
    invoices = next(total for total in comparison.totals if total.kind == "invoices")
    # 60 x 96.00
    assert (invoices.count, invoices.ours, invoices.theirs) == (INVOICES, Decimal("5760.00"), Decimal("5760.00"))


def assert_nothing_is_left_over(hub):
    with hub.read() as session:
        stuck = session.execute(
            select(Link.kind, Link.label, Link.parked).where(
                Link.attempt_id.is_not(None) | Link.parked.is_not(None) | Link.waiting_for.is_not(None)
            )
        ).all()
        unanswered = session.scalars(select(Attempt.id).where(Attempt.answered_at.is_(None))).all()
        open_batches = session.scalars(select(Batch.id).where(Batch.answered_at.is_(None))).all()
    assert (stuck, unanswered, open_batches) == ([], [], [])


def assert_runs_say_the_truth(hub):
    """Of all runs together: each record that was created over there is counted as created, or as found there."""
    with hub.read() as session:
        runs = session.scalars(select(Run)).all()
        items = Counter(session.scalars(select(RunItem.outcome).where(RunItem.direction == "push")).all())
    for run in runs:
        parts = (run.created, run.updated, run.unchanged, run.deleted, run.rejected, run.deferred, run.conflicts)
        assert run.records_read == sum(parts)
        assert run.status != RunStatus.SUCCESS or not (run.deferred or run.rejected)
    assert items["created"] + items["unchanged"] == 1 + CLIENTS + INVOICES


def forget_jobs(queue_server):
    """What FLUSHALL does, but for the spent calls: to have forgotten those costs a minute's silence, by design."""
    with closing(redis.from_url(queue_server)) as client:
        for key in client.scan_iter():
            if not key.startswith(b"hub:limits:"):
                client.delete(key)


def test_every_invoice_arrives_once_whatever_dies_on_the_way(hub, process, queue_server, issued, books, quickbooks):
    """Workers are killed, the queue server forgets its jobs, every kind of fault happens, two commands help along."""
    chance = random.Random(5)
    for fault in FAULTS:
        quickbooks.sandbox.add_fault(method="POST", path="/v3/company/*/batch", skip=chance.randrange(2), **fault)
    process("scheduler")
    workers = [process("worker"), process("worker")]
    commands = [process("sync", "books"), process("sync", "books")]

    for wanted in (1, INVOICES // 3, INVOICES // 2):  # not before there is something to break
        wait_until(lambda wanted=wanted: delivered(hub) >= wanted or quickbooks.sandbox.in_flight)
        victim = workers.pop(0)
        victim.kill()
        victim.wait()
        forget_jobs(queue_server)
        workers.append(process("worker"))
    wait_until(lambda: delivered(hub) == INVOICES and not owed(hub))

    for command in commands:
        assert command.wait(RECOVERY_S) in (0, 3)  # 3: it left something to the others
    assert [worker.poll() for worker in workers] == [None, None]
    assert_everything_arrived_once(hub, books, quickbooks)
    assert_nothing_is_left_over(hub)
    assert_runs_say_the_truth(hub)


def test_a_worker_suspended_in_a_call_changes_nothing_when_it_goes_on(hub, process, issued, books, quickbooks):
    """Suspended for longer than its lease; another worker has delivered everything meanwhile."""
    quickbooks.sandbox.add_fault(method="POST", path="/v3/company/*/batch", skip=2, delay_s=3)
    slow = process("sync", "books", "--direction", "push")
    wait_until(lambda: quickbooks.sandbox.calls().get("batch", 0) >= 2 and quickbooks.sandbox.in_flight)
    slow.send_signal(signal.SIGSTOP)
    quick = process("sync", "books", "--direction", "push")
    wait_until(lambda: delivered(hub) == INVOICES)
    assert quick.wait(RECOVERY_S) in (0, 3)

    slow.send_signal(signal.SIGCONT)

    assert slow.wait(RECOVERY_S) in (0, 3)
    process("sync", "books", "--direction", "push").wait(RECOVERY_S)
    assert_everything_arrived_once(hub, books, quickbooks)
    assert_nothing_is_left_over(hub)


def test_a_token_that_rotates_is_renewed_once_by_four_processes(hub, process, books, quickbooks):
    """The token service takes 12 s: longer than the lease of a renewal, which its beats keep."""
    before = quickbooks.sandbox.calls()["token"]
    quickbooks.sandbox.expire_tokens()
    quickbooks.sandbox.add_fault(method="POST", path="/oauth2/*", delay_s=12)

    checks = [process("connection", "check", "books") for _ in range(4)]

    assert [check.wait(RECOVERY_S) for check in checks] == [0, 0, 0, 0]
    assert quickbooks.sandbox.calls()["token"] == before + 1


def test_a_rotated_token_that_died_with_its_process_is_not_lost_silently(hub, process, books, quickbooks):
    """The answer with the new tokens never came, and the old refresh token is used up: a person is asked for one."""
    quickbooks.sandbox.expire_tokens()
    quickbooks.sandbox.add_fault(method="POST", path="/oauth2/*", **LOST_ANSWER)

    process("connection", "check", "books").wait(RECOVERY_S)

    with hub.read() as session:
        connection = connection_named(session, "books")
    assert connection.state == "needs_attention"
    assert "give the new refresh_token" in connection.reason


def test_a_pull_that_is_killed_between_and_within_pages_takes_in_every_record_once(hub, process):
    """12 accounts, 20 contacts and 5 won opportunities; the session expires in the middle as well."""
    with SalesforceSandbox(country="GB", currency="GBP", latency_s=0.3).serve() as crm:
        connection = add_connection(hub, connector="salesforce", name="crm", settings=crm.settings).id
        for wanted in (0, 1, 13):
            killed = process("sync", "crm", "--direction", "pull")
            wait_until(lambda wanted=wanted: taken_in(hub) >= wanted and crm.sandbox.in_flight)
            killed.kill()
            killed.wait()
        crm.sandbox.add_fault(
            path="/services/data/*/queryAll*", status=401, body=[{"errorCode": "INVALID_SESSION_ID", "message": "x"}]
        )

        assert process("sync", "crm", "--direction", "pull").wait(RECOVERY_S) == 0

        with hub.read() as session:
            counts = [session.scalar(select(func.count()).select_from(kind)) for kind in (Client, Contact, Project)]
            running = session.scalars(select(Connection.state).where(Connection.id == connection)).all()
        assert (counts, running) == ([12, 20, 5], ["active"])


def taken_in(hub):
    with hub.read() as session:
        return session.scalar(select(func.count()).select_from(Link))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_connections_to_the_database_that_are_ended_lose_and_double_nothing(hub, process, issued, books, quickbooks):
    process("scheduler")
    workers = [process("worker"), process("worker")]
    quickbooks.sandbox.latency_s = 0.3
    end = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )

    for wanted in (1, INVOICES // 2):
        wait_until(lambda wanted=wanted: owed(hub) and (delivered(hub) >= wanted or quickbooks.sandbox.in_flight))
        with hub.read() as session:
            session.execute(end)
    hub.database.engine.dispose()
    wait_until(lambda: delivered(hub) == INVOICES and not owed(hub))

    assert [worker.poll() for worker in workers] == [None, None]
    assert_everything_arrived_once(hub, books, quickbooks)
    assert_nothing_is_left_over(hub)
