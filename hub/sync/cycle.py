"""One round of a connection: what exists becomes owed, what changed over there is read, what is owed goes out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import ColumnElement, Update, and_, case, func, or_, select, update
from sqlalchemy.orm import Session

from hub.core import clock
from hub.core.clock import database_now
from hub.core.errors import RuleBroken
from hub.core.outbox import Link, Subscription, owe_missing
from hub.sync.breaker import is_closed
from hub.sync.claim import LEASE_S
from hub.sync.connections import Opened, open_connection
from hub.sync.models import Connection, ConnectionState
from hub.sync.pull import pull, pull_hints, said
from hub.sync.push import push
from hub.sync.restored import take_stock
from hub.sync.runs import RunLog, RunSummary

if TYPE_CHECKING:
    from hub.bootstrap import Hub

FOREVER = 24 * 3600.0
AWAKE = (ConnectionState.ACTIVE, ConnectionState.READ_ONLY)
TESTED_EVERY = timedelta(days=1)


def run_connection(
    hub: Hub,
    connection_id: UUID,
    *,
    kinds: Sequence[str] | None = None,
    direction: str | None = None,
    full: bool = False,
    beyond_guards: bool = False,
    trigger: str = "manual",
    actor: str = "system",
    seconds: float = FOREVER,
) -> RunSummary:
    """A run now, by the caller itself; returns when nothing more is due, with honest counts.

    kinds: these streams only. direction: "push" or "pull" only. full: read from the beginning; beyond_guards: and any
    number of records may be found deleted by it. Raises NotFound, RuleBroken for a paused connection.
    """
    opened = open_connection(hub, connection_id)
    if opened.state not in AWAKE:
        raise RuleBroken(_why_not(hub, opened), code="connection-not-ready")
    pulls, pushes = streams_of(opened, kinds, direction)
    run = RunLog(hub, opened, direction or "both", trigger, actor, [*dict.fromkeys((*pulls, *pushes))])
    run.open()
    until = time.monotonic() + seconds
    with run.closing():
        opened.breaker.asked = trigger == "manual"
        if _is_left_alone(opened, run):
            return run.finish()
        if opened.unlooked:
            with said(hub, opened, run):
                take_stock(hub, opened, run)
        if opened.may_write:
            scan_owed(hub, opened, pushes)
        pull(hub, opened, run, kinds=pulls, full=full, until=until, beyond_guards=beyond_guards)
        if pulls:
            _note_reading(hub, opened.id, run)
        if opened.may_write and not run.failure:
            _push_all(hub, opened, run, pushes, until)
    return run.finish()


def push_slice(hub: Hub, connection_id: UUID, *, seconds: float) -> RunSummary:
    """What is owed now, for at most so many seconds: the bounded piece of work of a queued job."""
    opened = open_connection(hub, connection_id)
    _, pushes = streams_of(opened, None, "push")
    run = RunLog(hub, opened, "push", "queue", "system", pushes)
    with run.closing():
        if opened.may_write and not _is_left_alone(opened, run):
            push(hub, opened, run, kinds=pushes, until=time.monotonic() + seconds)
    return run.finish()


def pull_slice(hub: Hub, connection_id: UUID, *, seconds: float) -> RunSummary:
    """What changed over there since the cursors, if that is due, and what hints point to; what exists here becomes
    owed.
    """
    opened = open_connection(hub, connection_id)
    pulls, pushes = streams_of(opened, None, None)
    run, until = RunLog(hub, opened, "pull", "schedule", "system", pulls), time.monotonic() + seconds
    with hub.read() as session:
        is_due = session.scalar(select(Connection.id).where(Connection.id == connection_id, *reading_is_due(hub)))
    with run.closing():
        if _is_left_alone(opened, run):
            return run.finish()
        if is_due and opened.unlooked:
            with said(hub, opened, run):
                take_stock(hub, opened, run)
        if is_due and opened.may_write:
            scan_owed(hub, opened, pushes)
        if is_due:
            pull(hub, opened, run, kinds=pulls, full=False, until=until)
            _note_reading(hub, opened.id, run)
        elif opened.state in AWAKE:
            pull_hints(hub, opened, run, kinds=pulls, until=until)
    return run.finish()


def reading_is_due(hub: Hub) -> tuple[ColumnElement[bool], ...]:
    """Which connections are to be read now."""
    before = clock.now() - timedelta(seconds=hub.settings.pull_every_s)
    return (
        Connection.state.in_(AWAKE),
        Connection.account_id.is_not(None),
        or_(Connection.pulled_at.is_(None), Connection.pulled_at < before),
        is_closed(),
    )


def testing_is_due() -> tuple[ColumnElement[bool], ...]:
    """Which connections are to be tested again: closing dates, tax codes and rights over there change unannounced."""
    return (Connection.state.in_(AWAKE), Connection.checked_at < clock.now() - TESTED_EVERY, is_closed())


def ask_for_run(session: Session, connection_id: UUID) -> None:
    """A person wants a run as soon as a worker can; remembered until one begins."""
    session.execute(_this(connection_id).values(asked_at=clock.now()))


def asked_run(hub: Hub, connection_id: UUID, *, seconds: float) -> RunSummary:
    """The run that a person asked for."""
    hub.transact(lambda session: session.execute(_this(connection_id).values(asked_at=None)) and None)
    return run_connection(hub, connection_id, seconds=seconds)


def _is_left_alone(opened: Opened, run: RunLog) -> bool:
    """Whether nothing may be called at this moment, after failures; the run then says so, and until when."""
    rest = opened.breaker.rest()
    if rest is not None:
        run.notice, run.resumes_at = str(rest), rest.resets_at
    return rest is not None


def _note_reading(hub: Hub, connection_id: UUID, run: RunLog) -> None:
    """When all of it was read, or could not be; what there was no time for is due at once."""
    read_at = None if run.cut_short else clock.now()
    hub.transact(lambda session: session.execute(_this(connection_id).values(pulled_at=read_at)) and None)


def _this(connection_id: UUID) -> Update:
    return update(Connection).where(Connection.id == connection_id).execution_options(synchronize_session=False)


def scan_owed(hub: Hub, opened: Opened, kinds: Sequence[str]) -> None:
    """Give every record that may be created over there, and has no link, one."""
    for kind in kinds:
        last: UUID | None = None
        while block := hub.transact(partial(_owe_block, subscription_id=opened.subscriptions[kind].id, after=last)):
            last = block[-1]


def _owe_block(session: Session, *, subscription_id: UUID, after: UUID | None) -> Sequence[UUID]:
    return owe_missing(session, session.get_one(Subscription, subscription_id), after=after)


def _push_all(hub: Hub, opened: Opened, run: RunLog, kinds: Sequence[str], until: float) -> None:
    """Send until nothing is owed that anybody could send now, and say what is left.

    What other workers have in hand is waited for while it gets less; what a dead one had comes free with its lease.
    """
    left, patience = _left_over(hub, opened.id, kinds), time.monotonic() + 2 * LEASE_S
    while True:
        push(hub, opened, run, kinds=kinds, until=until)
        before, left = left, _left_over(hub, opened.id, kinds)
        if left != before:
            patience = time.monotonic() + 2 * LEASE_S
        others_at_work = any(number for (at_work, number) in left.items() if at_work)
        if run.failure or run.resumes_at or not others_at_work or time.monotonic() > min(until, patience):
            break
        time.sleep(0.2)
    if number := sum(left.values()):
        run.rest = (
            f"{number:,} {'record is' if number == 1 else 'records are'} still to be sent, and will be tried again."
        )


def _left_over(hub: Hub, connection_id: UUID, kinds: Sequence[str]) -> dict[bool, int]:
    """How many records are owed and not set aside, by whether a worker has them in hand."""
    at_work = and_(Link.lease_until.is_not(None), Link.lease_until > database_now())
    owed = (Link.wanted > Link.done, Link.parked.is_(None), Link.ignored.is_(None), Link.held.is_(False))
    counts = select(func.sum(case((at_work, 1), else_=0)), func.count()).where(
        Link.connection_id == connection_id, Link.kind.in_(kinds), *owed
    )
    with hub.read() as session:
        busy, total = session.execute(counts).one()
    return {True: busy or 0, False: total - (busy or 0)}


def streams_of(opened: Opened, kinds: Sequence[str] | None, direction: str | None) -> tuple[list[str], list[str]]:
    """The streams to pull and those to push, in the connector's order. Raises NotFound for an unknown one."""
    for kind in kinds or ():
        opened.stream(kind)
    chosen = [item for kind, item in opened.subscriptions.items() if kinds is None or kind in kinds]
    pulls = [item.kind for item in chosen if item.pulls and direction in (None, "pull")]
    pushes = [item.kind for item in chosen if item.pushes and direction in (None, "push")]
    return pulls, pushes


def _why_not(hub: Hub, opened: Opened) -> str:
    with hub.read() as session:
        reason = session.scalar(select(Connection.reason).where(Connection.id == opened.id)) or ""
    if opened.state == ConnectionState.PAUSED:
        return f"The connection {opened.name} is paused. Resume it with `hub connection resume {opened.name}`."
    return f"The connection {opened.name} needs attention: {reason} Then test it: `hub connection check {opened.name}`."
