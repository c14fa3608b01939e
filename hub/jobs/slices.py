"""What workers run: bounded slices of work, which look up in the database what there is to do.

Run twice, a slice does no harm; not run at all, the sweep queues it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

import structlog

from hub.bootstrap import Hub
from hub.core.errors import ConnectorError, NotFound, RuleBroken
from hub.jobs.notices import deliver_notices
from hub.jobs.places import place
from hub.jobs.queue import JOB_TIMEOUT_S, SLICE_S, mark
from hub.jobs.worker import current_hub
from hub.notify.alerts import send_alerts
from hub.notify.mail import MailNotSent
from hub.sync import cycle
from hub.sync.backfill import work_backfill
from hub.sync.connections import check_connection
from hub.sync.plan import work_on_plan

log = structlog.get_logger("hub.jobs")

SLOT_S = 5
"""How long after its worker was killed a place is taken."""


def push(connection_id: str) -> None:
    """Send what is owed to a connection."""
    _slice("push", connection_id, lambda hub: cycle.push_slice(hub, UUID(connection_id), seconds=SLICE_S))


def pull(connection_id: str) -> None:
    """Read what changed on the other side of a connection."""
    _slice("pull", connection_id, lambda hub: cycle.pull_slice(hub, UUID(connection_id), seconds=SLICE_S))


def sync(connection_id: str) -> None:
    """The whole run that a person asked for. Were there no place for it now, the sweep would queue it again."""

    def work(hub: Hub) -> object:
        return cycle.asked_run(hub, UUID(connection_id), seconds=JOB_TIMEOUT_S / 2)

    _slice("sync", connection_id, work)


def check(connection_id: str) -> None:
    """The daily test of a connection: what it finds is kept, and what a person has to mend is said by its state."""

    def work(hub: Hub) -> None:
        try:
            check_connection(hub, UUID(connection_id), asked=False)
        except (ConnectorError, RuleBroken) as failure:
            log.info("a connection could not be tested", connection=connection_id, reason=str(failure))

    _slice("check", connection_id, work)


def plan(plan_id: str) -> None:
    """Make or apply a plan that a person asked for. Broken off, or without a place, it is queued again by the sweep."""
    hub = current_hub()
    hub.redis.delete(mark("plan", plan_id))
    with _slot(hub, "plans") as free:
        if free:
            work_on_plan(hub, UUID(plan_id))


def backfill(name: str) -> None:
    """Go on with reading the past of a stream: "connection:kind". One at a time, so that most workers are for the
    present."""
    hub = current_hub()
    hub.redis.delete(mark("backfill", name))
    connection_id, _, kind = name.partition(":")
    with place(hub.redis, "hub:slice:backfills", SLOT_S) as ours:
        if ours:
            with suppress(NotFound):  # the connection is gone or its plugin disabled
                work_backfill(hub, UUID(connection_id), kind, seconds=SLICE_S)


def notices(_: str) -> None:
    """Tell plugins what happened."""
    hub = current_hub()
    hub.redis.delete(mark("notices", "all"))
    deliver_notices(hub, seconds=SLICE_S)


def alerts(_: str) -> None:
    """Tell by mail what is to be mended about connections. One worker at a time, so that nothing is told twice."""
    hub = current_hub()
    hub.redis.delete(mark("alerts", "all"))
    with place(hub.redis, "hub:alerts", SLOT_S) as ours:
        try:
            if ours:
                send_alerts(hub)
        except MailNotSent as failure:
            log.warning("no mail could be sent", reason=str(failure))


def scheduled(name: str) -> None:
    """Run what a plugin wants done at intervals: "plugin:name"."""
    hub = current_hub()
    hub.redis.delete(mark("scheduled", name))
    for plugin, schedule in hub.plugins.hooks.collect("schedules"):
        if f"{plugin}:{schedule.name}" == name:
            schedule.work(hub.transact)


def _slice(work: str, connection_id: str, run: object) -> None:
    hub = current_hub()
    hub.redis.delete(mark(work, connection_id))
    with _slot(hub, connection_id) as free:
        if not free:
            return  # enough of this connection are at work; whoever is will find the rest
        try:
            run(hub)  # type: ignore[operator]
        except NotFound:
            log.info("the connection is gone or its plugin disabled", connection=connection_id)


@contextmanager
def _slot(hub: Hub, connection_id: str) -> Iterator[bool]:
    """At most all workers but one are busy with one connection, so that a slow one never delays the others."""
    for number in range(max(1, hub.settings.workers - 1)):
        with place(hub.redis, f"hub:slice:{connection_id}:{number}", SLOT_S) as ours:
            if ours:
                yield True
                return
    yield False
