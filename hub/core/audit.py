"""Who changed what: one audit row for every change of a business row, written by the session itself.

No service has to think of it: whatever is flushed is recorded in the same transaction. Rows are append-only and sealed
into a hash chain afterwards.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, insert, inspect
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy.orm import Mapped, Session, UOWTransaction, mapped_column

from hub.core import clock
from hub.core.database import Base, circumstances
from hub.core.frozen import freeze

_LEFT_OUT = {"id", "revision", "created_at", "updated_at"}
MASKED = "•••"


class AuditEntry(Base):
    """One change. changes: field → [old, new]; a secret's values are masked. hash: set when the row is sealed."""

    __tablename__ = "audit_entry"
    __table_args__ = (Index("ix_audit_entry_record_kind_record_id", "record_kind", "record_id"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    happened_at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str] = mapped_column(index=True)
    request_id: Mapped[str]
    action: Mapped[str]
    record_kind: Mapped[str]
    record_id: Mapped[UUID | None]
    revision: Mapped[int | None]
    changes: Mapped[dict[str, Any]]
    previous_hash: Mapped[str | None]
    hash: Mapped[str | None]


def note(session: Session, action: str, record_kind: str, record_id: UUID | None, **changes: Any) -> None:
    """Record something that is no change of a row: a login, an export, a plugin switched on."""
    session.add(AuditEntry(**_entry(session, action, record_kind, record_id, None, changes)))


@sqlalchemy_event.listens_for(Session, "after_flush")
def _write_entries(session: Session, context: UOWTransaction) -> None:
    entries = [
        _entry(session, action, item.__tablename__, item.id, getattr(item, "revision", None), changes)
        for action, items in (("create", session.new), ("update", session.dirty), ("delete", session.deleted))
        for item in items
        if getattr(item, "__audited__", False) and ((changes := _changes(item, action)) or action != "update")
    ]
    if entries:
        session.connection().execute(insert(AuditEntry), entries)


def _changes(item: Any, action: str) -> dict[str, list[Any]]:
    secret: frozenset[str] = getattr(item, "__secret__", frozenset())
    state, found = inspect(item), dict[str, list[Any]]()
    for attribute in state.mapper.column_attrs:
        name = attribute.key
        if name in _LEFT_OUT or (action == "update" and name not in state.committed_state):
            continue
        history = state.attrs[name].history
        value = getattr(item, name) if action == "create" else None
        if action == "create" and value is not None:
            found[name] = [None, MASKED if name in secret else freeze(value)]
        elif action == "delete" and state.dict.get(name) is not None:
            found[name] = [MASKED if name in secret else freeze(state.dict[name]), None]
        elif action == "update" and history.has_changes():
            old = history.deleted[0] if history.deleted else None
            new = history.added[0] if history.added else None
            found[name] = [MASKED, MASKED] if name in secret else [freeze(old), freeze(new)]
    return found


def _entry(
    session: Session,
    action: str,
    record_kind: str,
    record_id: UUID | None,
    revision: int | None,
    changes: dict[str, Any],
) -> dict[str, Any]:
    about = circumstances(session)
    return {
        "happened_at": clock.now(),
        "actor": about.actor,
        "request_id": about.request_id,
        "action": action,
        "record_kind": record_kind,
        "record_id": record_id,
        "revision": revision,
        "changes": changes,
        "previous_hash": None,
        "hash": None,
    }
