"""What a complete read from the beginning does not show any more: deleted over there, where nothing else tells it.

Three things have to agree before a record counts as deleted: the read was complete, without an error or a row that
could not be read; no more are missing than the guard allows, or a person has said that it is right; and asked for by
its id, each is not there either. What is deleted then is the link's, as everywhere: a tombstone, which goes when the
record is seen again. Our record stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from hub.core import audit, clock
from hub.core.clock import database_now
from hub.core.errors import NotFound, RuleBroken
from hub.core.outbox import Link
from hub.sync.connector import Change, Stream
from hub.sync.guards import too_many_deletes
from hub.sync.merge import merge
from hub.sync.models import StreamCursor
from hub.sync.runs import Item, RunLog

if TYPE_CHECKING:
    from hub.bootstrap import Hub
    from hub.sync.connections import Opened

ASKED_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class FullRead:
    """A read of all of a stream. number: grows from one to the next. began_at: by the database's clock."""

    number: int
    began_at: datetime


def note_shown(
    session: Session, connection_id: UUID, kind: str, remote_ids: Sequence[str], full_read: FullRead
) -> None:
    """These records are there, as this read from the beginning shows."""
    session.flush()
    session.execute(
        update(Link)
        .where(Link.connection_id == connection_id, Link.kind == kind, Link.remote_id.in_(remote_ids))
        .values(full_read=full_read.number, changed_at=Link.changed_at)
        .execution_options(synchronize_session=False)
    )


def note_vanished(
    hub: Hub, opened: Opened, stream: Stream, run: RunLog, full_read: FullRead, *, beyond_guard: bool
) -> None:
    """After a complete read: what it did not show is deleted, or, if it is too much, kept until a person decides."""

    def work(session: Session) -> str:
        of = session.scalar(select(func.count()).where(*_linked(opened.id, stream.kind))) or 0
        number = session.scalar(select(func.count()).where(*vanished_links(opened.id, stream.kind, full_read))) or 0
        excess = too_many_deletes(session, opened.id, stream.kind, number, of)
        is_held_back = excess is not None and not beyond_guard
        cursor = cursor_of(session, opened.id, stream.kind)
        cursor.full_read, cursor.full_read_at, cursor.vanished_are_gone = full_read.number, full_read.began_at, False
        cursor.vanished = number if is_held_back else 0
        return f"A full read would {excess}: look whether they are really gone." if is_held_back else ""

    if reason := hub.transact(work):
        run.held_back = run.held_back or reason
    else:
        _bury(hub, opened, stream, run, full_read)


def bury_what_is_gone(hub: Hub, opened: Opened, stream: Stream, run: RunLog) -> None:
    """Delete what a person has said is gone."""
    with hub.read() as session:
        full_read = full_read_of(session, opened.id, stream.kind)
    _bury(hub, opened, stream, run, full_read)

    def work(session: Session) -> None:
        cursor = cursor_of(session, opened.id, stream.kind)
        if cursor.full_read == full_read.number:
            cursor.vanished, cursor.vanished_are_gone = 0, False

    hub.transact(work)


def decide_vanished(session: Session, connection_id: UUID, kind: str, *, gone: bool) -> int:
    """A person says of the records that a full read did not show whether they are gone. Returns how many they were.

    Those that are gone are asked for once more and noted by the next run; the others stay as they are until a full read
    misses them again. Raises NotFound, RuleBroken when there is nothing to decide.
    """
    cursor = cursor_of(session, connection_id, kind)
    if not cursor.vanished:
        raise RuleBroken("There is nothing to decide any more.", code="nothing-vanished")
    number = cursor.vanished
    cursor.vanished, cursor.vanished_are_gone = (number if gone else 0), gone
    audit.note(session, "vanished", "connection", connection_id, kind=kind, number=number, gone=gone)
    return number


def vanished_links(connection_id: UUID, kind: str, full_read: FullRead) -> tuple[ColumnElement[bool], ...]:
    """The links of what a full read did not show, is not known to be deleted, and was not made by us meanwhile."""
    is_older = or_(Link.delivered_at.is_(None), Link.delivered_at < full_read.began_at)
    return (*_linked(connection_id, kind), Link.full_read < full_read.number, is_older)


def full_read_of(session: Session, connection_id: UUID, kind: str) -> FullRead:
    """The last complete read of a stream."""
    cursor = cursor_of(session, connection_id, kind)
    return FullRead(cursor.full_read, cursor.full_read_at or clock.now())


def cursor_of(session: Session, connection_id: UUID, kind: str) -> StreamCursor:
    """The cursor of a stream, locked. Raises NotFound where nothing was ever read."""
    cursor = session.scalar(
        select(StreamCursor)
        .where(StreamCursor.connection_id == connection_id, StreamCursor.kind == kind)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if cursor is None:
        raise NotFound(f"Of {kind} nothing was read yet.")
    return cursor


def _linked(connection_id: UUID, kind: str) -> tuple[ColumnElement[bool], ...]:
    is_there = (Link.remote_id.is_not(None), Link.tombstone_at.is_(None))
    return (Link.connection_id == connection_id, Link.kind == kind, *is_there)


def _bury(hub: Hub, opened: Opened, stream: Stream, run: RunLog, full_read: FullRead) -> None:
    """Ask for what is missing by its id, and delete what is not there either; in an order that a crash can end."""
    last: UUID | None = None
    while True:
        with hub.read() as session:
            missing = select(Link.id, Link.remote_id, Link.label)
            missing = missing.where(*vanished_links(opened.id, stream.kind, full_read))
            if last is not None:
                missing = missing.where(Link.id > last)
            rows = session.execute(missing.order_by(Link.id).limit(ASKED_AT_ONCE)).all()
            asked_at = session.execute(select(database_now())).scalar_one()
        if not rows:
            return
        last = rows[-1].id
        with opened.breaker.call():
            page = opened.connector.fetch(stream.kind, [row.remote_id for row in rows])
        there = {change.remote_id for change in page.changes} | {refused.remote_id for refused in page.refused}
        gone = [
            Change(stream.kind, row.remote_id, {}, label=row.label, deleted=True)
            for row in rows
            if row.remote_id not in there
        ]
        merged = partial(_merged, opened=opened, stream=stream, run=run, asked_at=asked_at)
        work = partial(merged, changes=[*page.changes, *gone])
        run.postpone(hub.transact(work, actor=f"connection:{opened.name}", origin=opened.id))


def _merged(
    session: Session, *, opened: Opened, stream: Stream, run: RunLog, asked_at: datetime, changes: Sequence[Change]
) -> list[Item]:
    items = merge(session, opened, stream, changes, asked_at=asked_at)
    run.count_arrived(session, items)
    return items
