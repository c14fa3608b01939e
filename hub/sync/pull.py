"""Coming in: pages since the cursor, each saved with the cursor that is true for it, and hints looked up one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.orm import Session

from hub.core import clock
from hub.core.clock import database_now
from hub.core.database import MAX_ROWS_PER_TRANSACTION, uuid7
from hub.core.errors import (
    ConfigurationFailure,
    ConnectorError,
    HubError,
    QuotaSpent,
)
from hub.core.outbox import upsert
from hub.sync.claim import LEASE_S, beating
from hub.sync.connections import Opened, hold
from hub.sync.connector import Change, Cursor, DeleteSignal, Page, Status, Stream
from hub.sync.hints import leave_hint
from hub.sync.merge import merge
from hub.sync.models import Hint, StreamCursor
from hub.sync.runs import Item, RunLog
from hub.sync.settle import pause
from hub.sync.vanished import FullRead, bury_what_is_gone, note_shown, note_vanished

if TYPE_CHECKING:
    from hub.bootstrap import Hub

log = structlog.get_logger("hub.sync")

HINTS_AT_ONCE = 100


class LeaseLost(HubError):
    """Another worker has taken this stream over."""


def pull(
    hub: Hub,
    opened: Opened,
    run: RunLog,
    *,
    kinds: Sequence[str],
    full: bool,
    until: float,
    beyond_guards: bool = False,
) -> None:
    """Read what changed over there, parents first. What goes wrong in one stream stops the others only if it must.

    The time (monotonic) that is up ends it after a page whose cursor is saved: the next slice goes on from there.
    """
    if run.trigger == "manual":
        # A person who asks for a run asks for now: what was put off before is looked at whatever its pause.
        _each(hub, opened, run, kinds, until, partial(work_hints, every=True))
    read = partial(pull_stream, full=full, until=until, beyond_guards=beyond_guards)
    _each(hub, opened, run, kinds, until, read)
    pull_hints(hub, opened, run, kinds=kinds, until=until)


def pull_hints(hub: Hub, opened: Opened, run: RunLog, *, kinds: Sequence[str], until: float) -> None:
    """Look at what something pointed to, and nothing else."""
    for _ in range(2):  # twice, because a child may have been put off until its parent is there
        _each(hub, opened, run, kinds, until, work_hints)


def _each(hub: Hub, opened: Opened, run: RunLog, kinds: Sequence[str], until: float, work: Callable[..., None]) -> None:
    """Do one thing for every stream, until something stops the run."""
    for kind in kinds:
        if run.failure or run.resumes_at:
            return
        if time.monotonic() > until:
            run.cut_short = True
            return
        with said(hub, opened, run):
            work(hub, opened, opened.stream(kind), run)


def pull_stream(
    hub: Hub,
    opened: Opened,
    stream: Stream,
    run: RunLog,
    *,
    full: bool = False,
    until: float = inf,
    beyond_guards: bool = False,
) -> None:
    """All pages of one stream since its cursor (from the beginning if full), or those there is time for.

    beyond_guards: a full read may find any number of records deleted.
    """
    taken = _take_in_turn(hub, opened, stream, run)
    if taken is None:
        return
    fence, full_read = taken.fence, None
    try:
        with beating(hub, partial(_stay, connection_id=opened.id, kind=stream.kind, fence=fence), LEASE_S):
            if taken.vanished_are_gone:
                bury_what_is_gone(hub, opened, stream, run)
            pages = opened.breaker.pages(opened.connector.pull(stream.kind, None if full else taken.cursor))
            if full and stream.deletes == DeleteSignal.FULL_READ:
                full_read = FullRead(fence, _database_time(hub))
            is_complete = True
            while (asked := answered(hub, lambda: next(pages, None))) is not None:
                page, asked_at = asked
                _save_page(hub, opened, stream, page, asked_at, fence, run, full_read=full_read)
                is_complete = is_complete and not page.refused
                if page.cursor is not None and time.monotonic() > until:
                    run.cut_short, is_complete = True, False
                    break
            if full_read is not None and is_complete:
                note_vanished(hub, opened, stream, run, full_read, beyond_guard=beyond_guards)
    finally:
        _leave(hub, opened.id, stream.kind, fence)


def answered(hub: Hub, ask: Callable[[], Page | None]) -> tuple[Page, datetime] | None:
    """An answer with the instant it was asked for; None for none. What we write in between may not be in it."""
    asked_at = _database_time(hub)
    page = ask()
    return None if page is None else (page, asked_at)


def _database_time(hub: Hub) -> datetime:
    with hub.read() as session:
        return session.execute(select(database_now())).scalar_one()


def work_hints(hub: Hub, opened: Opened, stream: Stream, run: RunLog, *, every: bool = False) -> None:
    """Look again at remote records that something pointed to; every: also those whose pause is not over."""
    query = select(Hint.id, Hint.remote_id, Hint.failures, Hint.times_left).where(
        Hint.connection_id == opened.id, Hint.kind == stream.kind
    )
    if not every:
        query = query.where(or_(Hint.due_at.is_(None), Hint.due_at <= clock.now()))
    with hub.read() as session:
        due = session.execute(query.order_by(Hint.created_at).limit(HINTS_AT_ONCE)).all()
    if not due:
        return
    try:
        with opened.breaker.call():
            asked = answered(hub, lambda: opened.connector.fetch(stream.kind, [row.remote_id for row in due]))
        assert asked is not None
        page, asked_at = asked
    except Exception:
        later = pause(1 + max(row.failures for row in due))
        put_off = update(Hint).where(_ids(due)).values(failures=Hint.failures + 1, due_at=later)
        hub.transact(lambda session: session.execute(put_off) and None)
        raise

    def work(session: Session) -> list[Item]:
        # Taken out first: whatever has to be looked at once more leaves its hint anew, with a pause that grows.
        # Locked, because another worker may be at the same hints: what it has merged is no news any more. What was
        # told since they were read stays: the answer may be older.
        looked_at = {row.id: row.times_left for row in due}
        found = session.scalars(select(Hint).where(_ids(due)).order_by(Hint.id).with_for_update()).all()
        hints = {hint.remote_id: hint for hint in found if hint.times_left == looked_at[hint.id]}
        failures = {remote_id: hint.failures for remote_id, hint in hints.items()}
        session.execute(delete(Hint).where(Hint.id.in_([hint.id for hint in hints.values()])))
        changes = [change for change in page.changes if change.remote_id in failures]
        items = merge(session, opened, stream, changes, asked_at=asked_at)
        keep_refused(session, opened, stream, page, only=failures)
        again = session.scalars(
            select(Hint).where(Hint.connection_id == opened.id, Hint.kind == stream.kind, Hint.remote_id.in_(failures))
        )
        for hint in again:
            hint.failures = failures[hint.remote_id] + 1
            hint.due_at = pause(hint.failures)
        items += refusals(stream, page)
        run.count_arrived(session, items)
        return items

    run.postpone(hub.transact(work, actor=f"connection:{opened.name}", origin=opened.id))


def _save_page(
    hub: Hub,
    opened: Opened,
    stream: Stream,
    page: Page,
    asked_at: datetime,
    fence: int,
    run: RunLog,
    *,
    full_read: FullRead | None = None,
) -> None:
    """A page in slices; the cursor moves with the last one, when all of it is saved."""
    parts = list(slices(page.changes))
    for position, changes in enumerate(parts):
        is_last = position + 1 == len(parts)

        def work(session: Session, changes: Sequence[Change] = changes, is_last: bool = is_last) -> list[Item]:
            cursor = _mine(session, opened.id, stream.kind, fence)
            items = merge(session, opened, stream, changes, asked_at=asked_at)
            if full_read is not None:
                there = [change.remote_id for change in changes if not change.deleted]
                note_shown(session, opened.id, stream.kind, there, full_read)
            if is_last:
                items += refusals(stream, page)
                keep_refused(session, opened, stream, page)
                if page.cursor is not None:
                    cursor.cursor = page.cursor
            run.count_arrived(session, items)
            return items

        run.postpone(hub.transact(work, actor=f"connection:{opened.name}", origin=opened.id))


def slices(changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    if not changes:
        yield ()
    for start in range(0, len(changes), MAX_ROWS_PER_TRANSACTION):
        yield changes[start : start + MAX_ROWS_PER_TRANSACTION]


def refusals(stream: Stream, page: Page) -> list[Item]:
    return [
        Item(
            stream.kind,
            "pull",
            Status.REJECTED,
            refused.label,
            remote_id=refused.remote_id,
            reason=refused.reason,
            field=refused.field,
        )
        for refused in page.refused
    ]


def keep_refused(
    session: Session, opened: Opened, stream: Stream, page: Page, only: Container[str] | None = None
) -> None:
    """What could not be read stays due: it is looked at again, until it is right over there, or gone."""
    for refused in page.refused:
        if refused.remote_id and (only is None or refused.remote_id in only):
            leave_hint(session, opened.id, stream.kind, refused.remote_id, refused.reason, due_at=pause(1))


@contextmanager
def said(hub: Hub, opened: Opened, run: RunLog) -> Iterator[None]:
    """Say in the run what stopped a stream, and whether the connection is to blame."""
    try:
        yield
    except LeaseLost:
        log.info("another worker has taken the stream over", connection=opened.name)
    except ConfigurationFailure as failure:
        hold(hub, opened.id, str(failure), signed_out=failure.reauthorise)
        run.failure = str(failure)
    except QuotaSpent as failure:
        run.resumes_at = failure.resets_at or pause(6)
        run.notice = str(failure)
    except ConnectorError as failure:
        if not opened.breaker.was_open:
            log.warning("pull stopped", connection=opened.name, reason=str(failure))
        run.failure = str(failure)
    except HubError:
        raise
    except Exception as failure:
        log.error("pull failed", connection=opened.name, error=repr(failure), exc_info=failure)
        run.failure = f"The connector failed with {type(failure).__name__}; the details are in the log."


class _Turn(NamedTuple):
    """A stream's one pull, taken: where it stands, under which fence, and whether a person has decided meanwhile that
    what the last full read did not show is gone."""

    cursor: Cursor | None
    fence: int
    vanished_are_gone: bool


def _take_in_turn(hub: Hub, opened: Opened, stream: Stream, run: RunLog) -> _Turn | None:
    """Take the stream's one pull; None while another worker has it.

    A person who asked for this run waits for a moment, until a dead worker's lease is over, and is told if somebody
    is reading still.
    """
    until = time.monotonic() + (2 * LEASE_S if run.trigger == "manual" else 0)
    while (taken := _take(hub, opened.id, stream.kind)) is None and time.monotonic() < until:
        time.sleep(0.1)
    if taken is None and run.trigger == "manual":
        run.notice = f"{stream.title}: another worker is reading them at this moment."
    return taken


def _take(hub: Hub, connection_id: UUID, kind: str) -> _Turn | None:
    """Take the stream's one pull; None while another worker has it."""

    def work(session: Session) -> _Turn | None:
        insert = upsert(session, StreamCursor).values(id=uuid7(), connection_id=connection_id, kind=kind, fence=0)
        session.execute(insert.on_conflict_do_nothing(index_elements=["connection_id", "kind"]))
        taken = session.execute(
            update(StreamCursor)
            .where(StreamCursor.connection_id == connection_id, StreamCursor.kind == kind)
            .where(or_(StreamCursor.lease_until.is_(None), StreamCursor.lease_until <= database_now()))
            .values(fence=StreamCursor.fence + 1, lease_until=database_now(plus_s=LEASE_S))
            .returning(StreamCursor.cursor, StreamCursor.fence, StreamCursor.vanished_are_gone)
            .execution_options(synchronize_session=False)
        ).one_or_none()
        return None if taken is None else _Turn(*taken)

    return hub.transact(work)


def _stay(session: Session, *, connection_id: UUID, kind: str, fence: int) -> None:
    session.execute(
        update(StreamCursor)
        .where(StreamCursor.connection_id == connection_id, StreamCursor.kind == kind, StreamCursor.fence == fence)
        .values(lease_until=database_now(plus_s=LEASE_S))
        .execution_options(synchronize_session=False)
    )


def _mine(session: Session, connection_id: UUID, kind: str, fence: int) -> StreamCursor:
    cursor = session.scalar(
        select(StreamCursor)
        .where(StreamCursor.connection_id == connection_id, StreamCursor.kind == kind, StreamCursor.fence == fence)
        .with_for_update()
    )
    if cursor is None:
        raise LeaseLost
    return cursor


def _leave(hub: Hub, connection_id: UUID, kind: str, fence: int) -> None:
    def work(session: Session) -> None:
        session.execute(
            update(StreamCursor)
            .where(StreamCursor.connection_id == connection_id, StreamCursor.kind == kind)
            .where(StreamCursor.fence == fence)
            .values(lease_until=None, pulled_at=clock.now())
            .execution_options(synchronize_session=False)
        )

    hub.transact(work)


def _ids(rows: Sequence[Any]) -> ColumnElement[bool]:
    return Hint.id.in_([row.id for row in rows])
