"""Of several schedulers one is at work; what ended without saying so is closed."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

from sqlalchemy import select, update

from hub.core import clock
from hub.core.database import uuid7
from hub.jobs.queue import queue
from hub.jobs.scheduler import sweep, take_lease
from hub.sdk import hookimpl
from hub.sync.models import Lease, Run


def test_of_two_schedulers_one_sweeps(hub):
    assert [take_lease(hub, owner) for owner in ("one", "two", "one", "two")] == [True, False, True, False]


def test_another_takes_over_when_the_lease_of_one_that_is_gone_has_run_out(hub):
    take_lease(hub, "one")
    past = clock.now() - timedelta(seconds=1)
    hub.transact(lambda session: session.execute(update(Lease).values(lease_until=past)) and None)
    assert [take_lease(hub, owner) for owner in ("two", "one")] == [True, False]


def test_many_that_start_at_once_agree_on_one(hub):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda number: take_lease(hub, f"host:{number}"), range(8)))
    assert taken.count(True) == 1


def test_a_run_whose_process_ended_is_closed_as_soon_as_its_lease_is_over(hub):
    def run(lease_until):
        return Run(
            id=uuid7(),
            connection_id=uuid7(),
            connection_name="books",
            direction="push",
            kinds=[],
            trigger="queue",
            actor="system",
            lease_until=lease_until,
        )

    now = clock.now()
    dead, alive = run(now - timedelta(seconds=1)), run(now + timedelta(minutes=1))
    hub.transact(lambda session: session.add_all([dead, alive]))
    sweep(hub)
    with hub.read() as session:
        statuses = {row.id: row.status for row in session.execute(select(Run.id, Run.status))}
        assert session.get_one(Run, dead.id).headline == "The process that ran it ended."
    assert statuses == {dead.id: "stale", alive.id: "running"}


def test_what_a_plugin_wants_done_at_intervals_is_queued_once_per_interval_and_done(make_hub, work_off):
    done = []

    @hookimpl
    def schedules():
        return [SimpleNamespace(name="tidy", every_s=3600, work=lambda transact: done.append(transact))]

    hub = make_hub({"tidier": SimpleNamespace(schedules=schedules)})
    for _ in range(3):
        sweep(hub)
    assert [(job.func_name, job.args) for job in queue(hub).jobs] == [("hub.jobs.slices.scheduled", ["tidier:tidy"])]
    work_off(hub)
    assert done == [hub.transact]
