"""Reading the past: a stream from a day on, beside what is new, which goes first.

It stands in a row of its own, with a cursor and a lease of its own, and is read in slices: whoever finds it free goes
on from its last saved page. It calls the other system with a share of the connection's budget, and a slice ends, or
waits, while the stream's own reading is at work.

Nothing older wins: of a record that the hub knows already, a page may be older than what was read meanwhile, however
late it arrives. If it shows the version that is known there is nothing to do; otherwise it leaves a hint, and the
record is asked for as it is now.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date, datetime
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from hub.core import audit, clock
from hub.core.clock import database_now
from hub.core.database import uuid7
from hub.core.errors import NotFound, RuleBroken
from hub.core.outbox import Subscription
from hub.sync.claim import LEASE_S, beating
from hub.sync.connections import get_connection, open_connection
from hub.sync.connector import Change, Page
from hub.sync.merge import merge
from hub.sync.models import Backfill, Run, RunStatus, StreamCursor
from hub.sync.pull import LeaseLost, answered, keep_refused, refusals, said, slices, work_hints
from hub.sync.runs import Item, RunLog, RunSummary, summary
from hub.sync.settle import pause

if TYPE_CHECKING:
    from hub.bootstrap import Hub
    from hub.sync.connections import Opened

FOREVER = 24 * 3600.0
_NEXT_LOOK_S = 0.2


def begin_backfill(session: Session, connection_id: UUID, kind: str, from_on: date, *, actor: str) -> Backfill:
    """Have the past of a stream read from a day on. One that is under way from that day goes on where it stands; from
    another day it starts anew. Raises NotFound, RuleBroken.
    """
    connection = get_connection(session, connection_id)
    reads = select(Subscription.id).where(
        Subscription.connection_id == connection_id, Subscription.kind == kind, Subscription.pulls
    )
    if session.scalar(reads) is None:
        raise NotFound(f"The connection {connection.name} reads no {kind}.")
    if from_on > clock.now().date():
        raise RuleBroken(f"{from_on} is not past.", fields={"from": "give a day that is over"})
    found = _row(session, connection_id, kind)
    if found is not None and found.ended_at is None and found.from_on == from_on:
        return found
    if found is None:
        found = Backfill(id=uuid7(), connection_id=connection_id, kind=kind, fence=0)
        session.add(found)
    elif found.ended_at is None:
        _close_run(session, found, RunStatus.CANCELLED, f"It was started anew from {from_on}.")
    found.from_on, found.actor, found.run_id, found.started_at = from_on, actor, uuid7(), clock.now()
    found.cursor = found.ended_at = found.reached_at = found.due_at = found.lease_until = None
    found.cancelled = False
    found.fence += 1  # a slice of the one before saves nothing any more
    audit.note(session, "backfill", "connection", connection_id, name=connection.name, kind=kind, from_on=str(from_on))
    session.flush()
    return found


def cancel_backfill(session: Session, connection_id: UUID, kind: str) -> None:
    """End it after the page that is being read. What it has read stays. Raises RuleBroken if there is none."""
    found = _row(session, connection_id, kind)
    if found is None or found.ended_at is not None:
        raise RuleBroken("No past is being read at this moment.", code="no-backfill")
    found.ended_at, found.cancelled = clock.now(), True
    found.lease_until, found.fence = None, found.fence + 1
    audit.note(session, "cancel-backfill", "connection", connection_id, kind=kind)
    _close_run(session, found, RunStatus.CANCELLED, "It was cancelled; what it has read stays.")


def backfill_is_due() -> tuple[ColumnElement[bool], ...]:
    """Which backfills a worker may go on with now."""
    return (
        Backfill.ended_at.is_(None),
        or_(Backfill.due_at.is_(None), Backfill.due_at <= clock.now()),
        or_(Backfill.lease_until.is_(None), Backfill.lease_until <= database_now()),
    )


def work_backfill(
    hub: Hub, connection_id: UUID, kind: str, *, seconds: float, waits: bool = False
) -> RunSummary | None:
    """Go on with reading the past for so long. Returns how its run stands; None if there is nothing to go on with.

    waits: for the stream's own reading, as a person does; a worker's slice ends instead, and another one comes.
    """
    mine = _take(hub, connection_id, kind)
    if mine is None:
        return None
    opened = open_connection(hub, connection_id, past={kind: mine.from_on})
    run = RunLog(hub, opened, "pull", "backfill", mine.actor, [kind], id=mine.run_id, started_at=mine.started_at)
    run.open()
    with run.closing():
        try:
            with beating(hub, partial(_stay, mine=mine), LEASE_S), said(hub, opened, run):
                _read(hub, opened, mine, run, until=time.monotonic() + seconds, waits=waits)
        finally:
            _leave(hub, mine, run)
    with hub.read() as session:
        if not _is_mine(session, mine):  # a person has ended it, or another worker goes on with it: their word holds
            return summary(session.get_one(Run, mine.run_id))
    return run.finish()


def _read(hub: Hub, opened: Opened, mine: Backfill, run: RunLog, *, until: float, waits: bool) -> None:
    is_first = True
    pages = opened.breaker.pages(opened.connector.pull(mine.kind, mine.cursor))
    while True:
        while _the_present_is_read(hub, mine):
            if not waits or time.monotonic() > until:
                run.rest = "It waits for what is new."
                return
            time.sleep(_NEXT_LOOK_S)
        if not is_first and time.monotonic() > until:
            run.rest = "The past is not read to its end yet; it goes on."
            return
        asked = answered(hub, lambda: next(pages, None))
        if asked is None:
            _end(hub, mine)
            return
        page, asked_at = asked
        is_first = page.cursor is None and is_first
        _save_page(hub, opened, mine, page, asked_at, run)
        work_hints(hub, opened, opened.stream(mine.kind), run)


def _save_page(hub: Hub, opened: Opened, mine: Backfill, page: Page, asked_at: datetime, run: RunLog) -> None:
    """A page in slices; the cursor moves with the last one."""
    stream = opened.stream(mine.kind)
    parts = list(slices(page.changes))
    for position, changes in enumerate(parts):
        is_last = position + 1 == len(parts)

        def work(session: Session, changes: Sequence[Change] = changes, is_last: bool = is_last) -> list[Item]:
            row = _locked(session, mine)
            items = merge(session, opened, stream, changes, asked_at=asked_at, is_past=True)
            if is_last:
                items += refusals(stream, page)
                keep_refused(session, opened, stream, page)
                row.cursor = page.cursor or row.cursor
                stamps = [change.modified_at for change in page.changes if change.modified_at is not None]
                row.reached_at = max([*stamps, row.reached_at] if row.reached_at else stamps, default=None)
            run.count_arrived(session, items)
            return items

        run.postpone(hub.transact(work, actor=f"connection:{opened.name}", origin=opened.id))


# The row --------------------------------------------------------------------------------------------------------------


def _row(session: Session, connection_id: UUID, kind: str) -> Backfill | None:
    query = select(Backfill).where(Backfill.connection_id == connection_id, Backfill.kind == kind)
    return session.scalar(query.with_for_update().execution_options(populate_existing=True))


def _take(hub: Hub, connection_id: UUID, kind: str) -> Backfill | None:
    def work(session: Session) -> Backfill | None:
        taken = session.execute(
            update(Backfill)
            .where(Backfill.connection_id == connection_id, Backfill.kind == kind, *backfill_is_due())
            .values(fence=Backfill.fence + 1, lease_until=database_now(plus_s=LEASE_S))
            .execution_options(synchronize_session=False)
        )
        return _row(session, connection_id, kind) if getattr(taken, "rowcount", 0) else None

    return hub.transact(work)


def _this(mine: Backfill) -> tuple[ColumnElement[bool], ...]:
    return (Backfill.id == mine.id, Backfill.fence == mine.fence)


def _is_mine(session: Session, mine: Backfill) -> bool:
    return session.scalar(select(Backfill.id).where(*_this(mine))) is not None


def _locked(session: Session, mine: Backfill) -> Backfill:
    row = session.scalar(select(Backfill).where(*_this(mine)).with_for_update())
    if row is None:
        raise LeaseLost
    return row


def _stay(session: Session, *, mine: Backfill) -> None:
    values = {"lease_until": database_now(plus_s=LEASE_S)}
    session.execute(update(Backfill).where(*_this(mine)).values(values).execution_options(synchronize_session=False))


def _leave(hub: Hub, mine: Backfill, run: RunLog) -> None:
    """Free for whoever goes on: at once, or after a failure with a pause."""
    due_at = run.resumes_at or (pause(3) if run.failure else None)
    values = {"lease_until": None, "due_at": due_at}
    left = update(Backfill).where(*_this(mine)).values(values).execution_options(synchronize_session=False)
    hub.transact(lambda session: session.execute(left) and None)


def _end(hub: Hub, mine: Backfill) -> None:
    """All of it is read. A stream that only reads counts from that day on now, so that what is old is kept in step."""

    def work(session: Session) -> None:
        _locked(session, mine).ended_at = clock.now()
        session.execute(
            update(Subscription)
            .where(Subscription.connection_id == mine.connection_id, Subscription.kind == mine.kind)
            .where(Subscription.pushes.is_(False), Subscription.start_on > mine.from_on)
            .values(start_on=mine.from_on)
            .execution_options(synchronize_session=False)
        )

    hub.transact(work)


def _the_present_is_read(hub: Hub, mine: Backfill) -> bool:
    """Whether the stream's own reading is at work: it goes first."""
    at_work = select(StreamCursor.id).where(
        StreamCursor.connection_id == mine.connection_id,
        StreamCursor.kind == mine.kind,
        StreamCursor.lease_until > database_now(),
    )
    with hub.read() as session:
        return session.scalar(at_work) is not None


def _close_run(session: Session, backfill: Backfill, status: RunStatus, headline: str) -> None:
    session.execute(
        update(Run)
        .where(Run.id == backfill.run_id)
        .values(status=status, headline=headline, ended_at=clock.now(), lease_until=None, resumes_at=None)
        .execution_options(synchronize_session=False)
    )
