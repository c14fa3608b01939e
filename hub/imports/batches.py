"""A batch: the rows one import brought in. They count once the batch is published, and can be taken out again.

An import writes in many small transactions, so that nobody waits for it. Until the last one publishes the batch, its
entries can be neither approved nor billed. What an import that broke off left behind, the next import of the same rows
writes anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, BinaryIO, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import exists, func, or_, select, update
from sqlalchemy.orm import Session

from hub.core import audit, clock
from hub.core.database import MAX_ROWS_PER_TRANSACTION
from hub.core.errors import NotFound, RuleBroken
from hub.core.timesheets.models import ImportBatch, TimeEntry
from hub.core.timesheets.rules import EDITABLE
from hub.core.timesheets.service import counts, delete_time

T = TypeVar("T")


class Transactions(Protocol):
    """What an import needs of a hub: a look into the database, and work in transactions that are tried again."""

    def read(self) -> AbstractContextManager[Session]: ...

    def transact(self, work: Callable[[Session], T], *, actor: str = "system") -> T: ...


def digest_of(source: BinaryIO) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    source.seek(0)
    while chunk := source.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()


def publish_batch(session: Session, batch_id: UUID, summary: dict[str, Any]) -> None:
    """Let the rows of a batch count, if it has any; close batches of imports that broke off and are empty now."""
    batch = session.get(ImportBatch, batch_id)
    if batch is None:
        return  # an import that changed nothing has no batch
    batch.counts, batch.published_at = summary, clock.now()
    left_behind = (
        update(ImportBatch)
        .where(ImportBatch.id != batch_id, ImportBatch.published_at.is_(None), ImportBatch.undone_at.is_(None))
        .where(~exists().where(TimeEntry.import_batch_id == ImportBatch.id))
    )
    session.execute(left_behind.values(undone_at=clock.now()).execution_options(synchronize_session=False))


def take_back_unpublished(session: Session, external_ids: Sequence[str]) -> None:
    """Delete what an import that broke off left behind of these entries."""
    left_behind = select(TimeEntry.id).where(TimeEntry.external_id.in_(external_ids), ~counts())
    for entry_id in session.scalars(left_behind.order_by(TimeEntry.id)).all():
        delete_time(session, entry_id)
    session.flush()  # the session would write the new entries, with the same external ids, before it deletes these


def undo_import(hub: Transactions, batch_id: UUID, *, actor: str = "command") -> int:
    """Take the entries of a batch out again, while none of them was changed, submitted or approved since.

    Clients, projects, tasks and people that the import made stay. Returns how many entries went. Raises NotFound,
    RuleBroken; run again after it broke off, it goes on.
    """
    hub.transact(lambda session: _withdraw(session, batch_id), actor=actor)
    removed = 0
    while count := hub.transact(lambda session: _delete_some(session, batch_id), actor=actor):
        removed += count
    hub.transact(lambda session: _close(session, batch_id, removed), actor=actor)
    return removed


def _withdraw(session: Session, batch_id: UUID) -> None:
    """From here on no entry of the batch counts, so that nobody approves one while they are deleted."""
    batch = session.get(ImportBatch, batch_id, with_for_update=True)
    if batch is None:
        raise NotFound(f"There is no import with the id {batch_id}.")
    if batch.undone_at is not None:
        raise RuleBroken(f"The import of {batch.file_name} was undone already.", code="import-undone")
    touched = session.scalar(
        select(func.count())
        .select_from(TimeEntry)
        .where(TimeEntry.import_batch_id == batch_id)
        .where(or_(TimeEntry.status.not_in(EDITABLE), TimeEntry.revision > 1))
    )
    if touched:
        raise RuleBroken(
            f"The import of {batch.file_name} cannot be undone: {touched} of its time entries "
            "were changed, submitted or approved since. Correct them one by one.",
            code="import-touched",
        )
    batch.published_at = None


def _delete_some(session: Session, batch_id: UUID) -> int:
    ids = session.scalars(
        select(TimeEntry.id)
        .where(TimeEntry.import_batch_id == batch_id)
        .order_by(TimeEntry.id)
        .limit(MAX_ROWS_PER_TRANSACTION)
    ).all()
    for entry_id in ids:
        delete_time(session, entry_id)
    return len(ids)


def _close(session: Session, batch_id: UUID, removed: int) -> None:
    session.get_one(ImportBatch, batch_id).undone_at = clock.now()
    audit.note(session, "undo", "import_batch", batch_id, removed=removed)
