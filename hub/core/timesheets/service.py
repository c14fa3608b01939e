"""Time entries, from entry to approval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from hub.core import clock
from hub.core.database import circumstances
from hub.core.errors import NotFound, RuleBroken
from hub.core.outbox import announce
from hub.core.people.service import get_person
from hub.core.projects.service import get_tasks
from hub.core.records import TimeEntryRecord
from hub.core.timesheets.models import ImportBatch, TimeEntry, TimeStatus
from hub.core.timesheets.rules import EDITABLE, check_seconds, next_status


@dataclass(frozen=True, slots=True)
class Block:
    """A block of work to be recorded. billable: unless said, as the task is."""

    task_id: UUID
    person_id: UUID
    worked_on: date
    seconds: int
    note: str = ""
    billable: bool | None = None
    external_id: str | None = None
    import_batch_id: UUID | None = None


def record_time(session: Session, **values: Any) -> TimeEntry:
    """A new block of work; values: the fields of Block. Raises NotFound, RuleBroken."""
    return record_blocks(session, [Block(**values)])[0]


def record_blocks(session: Session, blocks: Sequence[Block]) -> list[TimeEntry]:
    """New blocks of work, at most 200 in a transaction. Raises NotFound, RuleBroken; then none is recorded."""
    tasks = get_tasks(session, {block.task_id for block in blocks})
    for person_id in {block.person_id for block in blocks}:
        get_person(session, person_id)
    entries = [
        TimeEntry(
            project_id=tasks[block.task_id].project_id,
            task_id=block.task_id,
            person_id=block.person_id,
            worked_on=block.worked_on,
            seconds=check_seconds(block.seconds),
            note=block.note.strip(),
            billable=tasks[block.task_id].billable if block.billable is None else block.billable,
            status=TimeStatus.OPEN,
            external_id=block.external_id,
            import_batch_id=block.import_batch_id,
        )
        for block in blocks
    ]
    session.add_all(entries)
    announce(session, "time_entries", [entry.id for entry in entries])
    return entries


def change_time(session: Session, entry_id: UUID, **values: Any) -> TimeEntry:
    """Change seconds, note, worked_on or billable of an open entry. Raises RuleBroken once it is submitted."""
    entry = get_time(session, entry_id)
    if entry.status not in EDITABLE:
        raise RuleBroken(f"This entry is {entry.status} and cannot be changed any more.", code="time-locked")
    if "seconds" in values:
        check_seconds(values["seconds"])
    for name in ("seconds", "note", "worked_on", "billable"):
        if name in values:
            setattr(entry, name, values[name])
    announce(session, "time_entries", [entry.id])
    return entry


def delete_time(session: Session, entry_id: UUID) -> None:
    """Take an open entry out. Raises RuleBroken once it is submitted."""
    entry = get_time(session, entry_id)
    if entry.status not in EDITABLE:
        raise RuleBroken(f"This entry is {entry.status} and cannot be deleted any more.", code="time-locked")
    session.delete(entry)


def submit_time(session: Session, ids: Sequence[UUID]) -> list[TimeEntry]:
    """Hand entries in for approval: they are locked for their owner."""
    entries = _entries(session, ids)
    for entry in entries:
        entry.status = next_status(entry.status, "submit")
        entry.submitted_at, entry.rejected_reason = clock.now(), None
    announce(session, "time_entries", [entry.id for entry in entries])
    return entries


def approve_time(session: Session, ids: Sequence[UUID], *, by_person: UUID | None = None) -> list[TimeEntry]:
    """Approve submitted entries. by_person: who approves; nobody approves their own. Raises RuleBroken."""
    entries = _entries(session, ids)
    for entry in entries:
        if by_person is not None and entry.person_id == by_person:
            raise RuleBroken("Nobody approves their own time: ask someone else to.", code="own-approval")
        entry.status = next_status(entry.status, "approve")
        entry.approved_at, entry.approved_by = clock.now(), circumstances(session).actor
    announce(session, "time_entries", [entry.id for entry in entries], event="time_approved")
    return entries


def reject_time(session: Session, ids: Sequence[UUID], *, reason: str) -> list[TimeEntry]:
    """Send submitted entries back, with the reason."""
    if not reason.strip():
        raise RuleBroken("Say why the time is sent back.", fields={"reason": "must not be empty"})
    entries = _entries(session, ids)
    for entry in entries:
        entry.status = next_status(entry.status, "reject")
        entry.rejected_reason = reason.strip()
    announce(session, "time_entries", [entry.id for entry in entries])
    return entries


def counts() -> ColumnElement[bool]:
    """Which entries count: all but those of an import that is not complete yet, or is being undone."""
    published = select(ImportBatch.id).where(ImportBatch.published_at.is_not(None))
    return or_(TimeEntry.import_batch_id.is_(None), TimeEntry.import_batch_id.in_(published))


def unapproved_ids(session: Session, *, after: UUID | None = None, limit: int = 200) -> Sequence[UUID]:
    """Ids of entries that are not approved yet, in order, for working through them in slices."""
    waiting = (TimeStatus.OPEN, TimeStatus.SUBMITTED)
    query = select(TimeEntry.id).where(TimeEntry.status.in_(waiting), counts()).order_by(TimeEntry.id).limit(limit)
    return session.scalars(query.where(TimeEntry.id > after) if after else query).all()


def submit_and_approve(session: Session, ids: Sequence[UUID]) -> int:
    """Approve entries that come approved from elsewhere, handing in those that are open. Returns how many."""
    entries = _entries(session, ids)
    submit_time(session, [entry.id for entry in entries if entry.status == TimeStatus.OPEN])
    return len(approve_time(session, [entry.id for entry in entries]))


def get_time(session: Session, entry_id: UUID) -> TimeEntry:
    entry = session.get(TimeEntry, entry_id)
    if entry is None:
        raise NotFound(f"There is no time entry with id {entry_id}.")
    return entry


def load_time(session: Session, ids: Sequence[UUID]) -> list[TimeEntryRecord]:
    return [entry.to_record() for entry in session.scalars(select(TimeEntry).where(TimeEntry.id.in_(ids)))]


def _entries(session: Session, ids: Sequence[UUID]) -> list[TimeEntry]:
    entries = list(
        session.scalars(select(TimeEntry).where(TimeEntry.id.in_(ids)).order_by(TimeEntry.id).with_for_update())
    )
    if len(entries) != len(set(ids)):
        missing = set(ids) - {entry.id for entry in entries}
        raise NotFound(f"There is no time entry with id {sorted(missing)[0]}.")
    return entries
