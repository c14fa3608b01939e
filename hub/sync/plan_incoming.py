"""What a plan says of changes coming in: each page merged as it would be, in a transaction that is rolled back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.clock import database_now
from hub.core.database import MAX_ROWS_PER_TRANSACTION, circumstances, uuid7
from hub.core.frozen import freeze
from hub.sync.arrivals import refs_in
from hub.sync.connections import Opened
from hub.sync.connector import Change, Page, Status, Stream
from hub.sync.merge import merge
from hub.sync.models import Hint, PlanItem, StreamCursor
from hub.sync.pull import HINTS_AT_ONCE
from hub.sync.runs import Item

if TYPE_CHECKING:
    from hub.bootstrap import Hub

AFTER_OTHERS = "After the records that it refers to."
_ACTIONS = {
    Status.CREATED: "create",
    Status.UPDATED: "update",
    Status.DELETED: "delete",
    Status.CONFLICT: "conflict",
    Status.REJECTED: "refuse",
}


class _RolledBack(Exception):
    """Ends a transaction whose work only was to be seen."""


def incoming(hub: Hub, opened: Opened, kinds: Sequence[str], plan_id: UUID) -> Iterator[list[PlanItem]]:
    """What would be taken in, in blocks, parents first. No call is made within a transaction."""
    for kind in kinds:
        stream = opened.stream(kind)
        pages = _pages(hub, opened, kind)
        while True:
            asked_at = _now(hub)
            page = next(pages, None)
            if page is None:
                break
            yield [
                _item(stream, "refuse", row.label, row.remote_id, reason=row.reason, field=row.field)
                for row in page.refused
            ]
            changes = list({change.remote_id: change for change in page.changes}.values())
            for start in range(0, len(changes), MAX_ROWS_PER_TRANSACTION):
                block = changes[start : start + MAX_ROWS_PER_TRANSACTION]
                yield _rehearsed(hub, opened, stream, block, asked_at, plan_id)


def rehearse(
    session: Session, opened: Opened, stream: Stream, changes: Sequence[Change], asked_at: datetime, plan_id: UUID
) -> list[PlanItem]:
    """What merging these changes would do, with nothing of it kept. What is known already is left out."""
    savepoint = session.begin_nested()
    try:
        merged = merge(session, opened, stream, changes, asked_at=asked_at)
    finally:
        savepoint.rollback()
    new = _new(session, plan_id, changes)
    revisions = revisions_of(session, stream.kind, [item.record_id for item in merged])
    by_remote_id = {change.remote_id: change for change in changes}
    planned = (_planned(stream, item, by_remote_id[str(item.remote_id)], new, revisions) for item in merged)
    return [item for item in planned if item is not None]


def revisions_of(session: Session, kind: str, ids: Iterable[UUID | None]) -> dict[UUID | None, int]:
    """The revisions of our records now; of None there is none."""
    model = circumstances(session).kinds[kind].model
    rows = session.execute(select(model.id, model.revision).where(model.id.in_({*ids} - {None})))
    return {row[0]: row[1] for row in rows}


def _rehearsed(
    hub: Hub, opened: Opened, stream: Stream, changes: Sequence[Change], asked_at: datetime, plan_id: UUID
) -> list[PlanItem]:
    seen: list[PlanItem] = []

    def work(session: Session) -> None:
        seen[:] = rehearse(session, opened, stream, changes, asked_at, plan_id)
        raise _RolledBack

    with suppress(_RolledBack):
        hub.transact(work, origin=opened.id)
    return seen


def _pages(hub: Hub, opened: Opened, kind: str) -> Iterator[Page]:
    """What a run would read: the pages since the cursor, and what hints point to."""
    with hub.read() as session:
        cursor = session.scalar(
            select(StreamCursor.cursor).where(StreamCursor.connection_id == opened.id, StreamCursor.kind == kind)
        )
    yield from opened.breaker.pages(opened.connector.pull(kind, cursor))
    query = select(Hint.id, Hint.remote_id).where(Hint.connection_id == opened.id, Hint.kind == kind).order_by(Hint.id)
    with hub.read() as session:
        hints = session.execute(query.limit(HINTS_AT_ONCE)).all()
    while hints:
        with opened.breaker.call():
            page = opened.connector.fetch(kind, [row.remote_id for row in hints])
        yield page
        with hub.read() as session:
            hints = session.execute(query.where(Hint.id > hints[-1].id).limit(HINTS_AT_ONCE)).all()


def _now(hub: Hub) -> datetime:
    with hub.read() as session:
        return session.execute(select(database_now())).scalar_one()


def _new(session: Session, plan_id: UUID, changes: Sequence[Change]) -> set[tuple[str, str]]:
    """What of the records these refer to the plan takes in itself, as (kind, remote id)."""
    refs = {ref for change in changes for ref in refs_in(change)}
    if not refs:
        return set()
    rows = session.execute(
        select(PlanItem.kind, PlanItem.remote_id).where(
            PlanItem.plan_id == plan_id,
            PlanItem.direction == "pull",
            PlanItem.action == "create",
            PlanItem.remote_id.in_([remote_id for _, remote_id in refs]),
        )
    )
    return refs & {(row[0], row[1]) for row in rows}


def _planned(
    stream: Stream, item: Item, change: Change, new: set[tuple[str, str]], revisions: dict[UUID | None, int]
) -> PlanItem | None:
    """One change as the plan has it; None if it is known already. What it creates is noted in `new`."""
    action = _ACTIONS.get(item.status, "wait")
    reason = item.reason
    needs = [list(ref) for ref in sorted(refs_in(change) & new)]
    if item.status == Status.UNCHANGED:
        if not item.reason.startswith("Adopted"):
            return None
        action = "adopt"
    elif item.status == Status.DEFERRED and needs:
        action, reason = "create", AFTER_OTHERS
    elif item.status == Status.DEFERRED and "hub match" in item.reason:
        action = "ask"
    differences = item.differences or {}
    if action == "create":
        new.add((stream.kind, change.remote_id))
        shown = {name: freeze(_plain(value)) for name, value in change.values.items()}
        differences = {name: {"hub": None, "remote": value} for name, value in shown.items() if value not in (None, "")}
    is_new = action == "create" or item.record_id not in revisions
    return _item(
        stream,
        action,
        item.label,
        change.remote_id,
        record_id=None if is_new else item.record_id,
        revision=None if is_new or item.record_id is None else revisions[item.record_id],
        remote_version=change.version or None,
        differences=freeze(differences),
        needs=needs,
        reason=reason,
        field=item.field,
    )


def _item(stream: Stream, action: str, label: str, remote_id: str, **values: Any) -> PlanItem:
    base: dict[str, Any] = {"differences": {}, "needs": [], "part": "", "status": "planned"}
    return PlanItem(
        id=uuid7(), direction="pull", kind=stream.kind, action=action, label=label, remote_id=remote_id, **base | values
    )


def _plain(value: Any) -> Any:
    """A value with references as the ids they have over there."""
    if hasattr(value, "remote_id"):
        return value.remote_id
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
