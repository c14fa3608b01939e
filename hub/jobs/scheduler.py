"""The scheduler: one process at a time, by a lease in the database, looks every second for what is due."""

from __future__ import annotations

import os
import signal
import socket
import threading
from typing import TYPE_CHECKING
from uuid import UUID

import redis
import structlog
from sqlalchemy import ColumnElement, Select, and_, or_, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import InstrumentedAttribute, Session

from hub.core import clock
from hub.core.clock import database_now
from hub.core.errors import HubError
from hub.core.outbox import Link, Notice, Subscription, upsert
from hub.jobs.queue import enqueue_once
from hub.sync.backfill import backfill_is_due
from hub.sync.breaker import is_closed
from hub.sync.claim import is_due
from hub.sync.cycle import AWAKE, reading_is_due, testing_is_due
from hub.sync.models import Backfill, Connection, ConnectionState, Hint, Lease, Run, RunStatus
from hub.sync.plan import unfinished_plans

if TYPE_CHECKING:
    from hub.bootstrap import Hub

log = structlog.get_logger("hub.jobs")
LEASE_S = 5
EVERY_S = 1.0
ALERTS_EVERY_S = 30
TESTED_AGAIN_S = 3600
"""When a daily test that found nothing out is made once more."""


def run_scheduler(hub: Hub) -> None:
    """Sweep every second until told to stop. A second scheduler waits for the first one's lease to run out."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    signal.signal(signal.SIGINT, lambda number, frame: stop.set())
    owner = f"{socket.gethostname()}:{os.getpid()}"
    while not stop.wait(EVERY_S):
        try:
            if take_lease(hub, owner):
                sweep(hub)
        except redis.RedisError as failure:
            log.warning("the queue server cannot be reached", error=str(failure))
        except (HubError, DBAPIError) as failure:
            log.warning("nothing could be looked up; tried again", error=str(failure))


def take_lease(hub: Hub, owner: str) -> bool:
    """Become or stay the one scheduler."""

    def work(session: Session) -> bool:
        insert = upsert(session, Lease).values(name="scheduler", owner=owner)
        session.execute(insert.on_conflict_do_nothing(index_elements=["name"]))
        taken = session.execute(
            update(Lease)
            .where(Lease.name == "scheduler")
            .where(or_(Lease.owner == owner, Lease.lease_until.is_(None), Lease.lease_until <= database_now()))
            .values(owner=owner, lease_until=database_now(plus_s=LEASE_S))
            .execution_options(synchronize_session=False)
        )
        return bool(getattr(taken, "rowcount", 0))

    return hub.transact(work)


def sweep(hub: Hub) -> None:
    """Queue whatever is due: sends, reads, hints, daily tests, plans, the past, notices, alerts, plugins' schedules."""
    with hub.read() as session:
        owed = session.scalars(_of(Link, Subscription.pushes).where(is_due())).all()
        reads = session.scalars(select(Connection.id).where(*reading_is_due(hub))).all()
        hints = session.scalars(_of(Hint, Subscription.pulls).where(_is_hint_due())).all()
        told = session.scalar(select(Notice.id).where(*_is_notice_due(hub)).limit(1))
        awake = set(session.scalars(select(Connection.id).where(Connection.state.in_(AWAKE), is_closed())))
        is_asked = (Connection.asked_at.is_not(None), Connection.state.in_(AWAKE))
        asked = session.scalars(select(Connection.id).where(*is_asked)).all()
        writing = select(Connection.id).where(Connection.state == ConnectionState.ACTIVE, is_closed())
        active = set(session.scalars(writing))
        untested = session.scalars(select(Connection.id).where(*testing_is_due())).all()
        plans = unfinished_plans(session)
        past = session.execute(select(Backfill.connection_id, Backfill.kind).where(*backfill_is_due())).all()
        stale = session.scalar(select(Run.id).where(_is_stale()).limit(1))
    for connection_id in owed:
        if connection_id in active:
            enqueue_once(hub, "push", str(connection_id))
    for connection_id in {*reads, *(awake & set(hints))}:
        enqueue_once(hub, "pull", str(connection_id))
    for connection_id in asked:
        enqueue_once(hub, "sync", str(connection_id))
    for connection_id in untested:
        if _is_time(hub, f"tested:{connection_id}", TESTED_AGAIN_S):
            enqueue_once(hub, "check", str(connection_id))
    for plan_id in plans:
        enqueue_once(hub, "plan", str(plan_id))
    for connection_id, kind in past:
        if connection_id in awake:
            enqueue_once(hub, "backfill", f"{connection_id}:{kind}")
    if told is not None:
        enqueue_once(hub, "notices", "all")
    if hub.settings.mail_url and _is_time(hub, "scheduled:alerts", ALERTS_EVERY_S):
        enqueue_once(hub, "alerts", "all")
    for plugin, schedule in hub.plugins.hooks.collect("schedules"):
        name = f"{plugin}:{schedule.name}"
        if _is_time(hub, f"scheduled:{name}", max(1, int(schedule.every_s))):
            enqueue_once(hub, "scheduled", name)
    if stale is not None:
        hub.transact(_close_stale_runs)


def _is_time(hub: Hub, name: str, every_s: int) -> bool:
    """Whether something was not done for so many seconds. Asking counts as doing it."""
    return bool(hub.redis.set(f"hub:{name}", 1, nx=True, ex=every_s))


def _of(table: type[Link | Hint], runs: InstrumentedAttribute[bool]) -> Select[UUID]:
    """The connections with such rows, of streams that run this way: of the others nothing can be done."""
    stream = and_(Subscription.connection_id == table.connection_id, Subscription.kind == table.kind, runs)
    return select(table.connection_id).join(Subscription, stream).distinct()


def _is_notice_due(hub: Hub) -> tuple[ColumnElement[bool], ...]:
    due = or_(Notice.due_at.is_(None), Notice.due_at <= clock.now())
    listens = Notice.subscriber.in_(list(hub.plugins.modules))
    return (Notice.done_at.is_(None), Notice.parked.is_(None), due, listens)


def _is_hint_due() -> ColumnElement[bool]:
    return or_(Hint.due_at.is_(None), Hint.due_at <= clock.now())


def _is_stale() -> ColumnElement[bool]:
    return and_(Run.lease_until <= database_now(), Run.status == RunStatus.RUNNING)


def _close_stale_runs(session: Session) -> None:
    """A run whose process is gone says so; its records are taken over by their leases."""
    session.execute(
        update(Run)
        .where(_is_stale())
        .values(
            status=RunStatus.STALE, headline="The process that ran it ended.", ended_at=clock.now(), lease_until=None
        )
        .execution_options(synchronize_session=False)
    )
