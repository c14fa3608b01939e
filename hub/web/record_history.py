"""What happened to one record: who changed what here, and what was exchanged with the connected systems."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.audit import AuditEntry
from hub.sync.models import Run, RunItem
from hub.web.actors import actor_names
from hub.web.display import words

_MOST: Final = 15
_SHOWN: Final = {"create": ("Created", "plus", "good"), "delete": ("Deleted", "trash", "warn")}
_EXCHANGED: Final = {
    "created": ("plus", "good"),
    "updated": ("pencil", "info"),
    "rejected": ("alert-triangle", "bad"),
    "conflict": ("arrows-exchange", "warn"),
}
NEVER_SHOWN: Final = {"match_name", "match_domain"}
"""Fields that are made of others."""
_INVISIBLE: Final = "unchanged"


def history_of(session: Session, table: str, record_id: UUID) -> list[dict[str, Any]]:
    """The newest entries of a record's timeline, the newest first. table: the name of the record's table."""
    entries = [*_changes(session, table, record_id), *_exchanges(session, record_id)]
    return sorted(entries, key=lambda entry: entry["at"], reverse=True)[:_MOST]


def _changes(session: Session, table: str, record_id: UUID) -> list[dict[str, Any]]:
    query = select(AuditEntry).where(AuditEntry.record_kind == table, AuditEntry.record_id == record_id)
    found = session.scalars(query.order_by(AuditEntry.id.desc()).limit(_MOST)).all()
    names = actor_names(session, (entry.actor for entry in found))
    return [_change(entry, names[entry.actor]) for entry in found]


def _change(entry: AuditEntry, who: str) -> dict[str, Any]:
    title, icon, tone = _SHOWN.get(entry.action, ("Changed", "pencil", "info"))
    fields = [words(name) for name in entry.changes if name not in NEVER_SHOWN and not name.endswith("_id")]
    status = entry.changes.get("status")
    if entry.action == "update" and status is not None:
        title, icon, tone = f"{words(str(status[1]))}", "circle-check", "good"
        fields = []
    text = ", ".join(fields) if entry.action == "update" else ""
    return {"title": title, "icon": icon, "tone": tone, "at": entry.happened_at, "who": who, "text": text}


def _exchanges(session: Session, record_id: UUID) -> list[dict[str, Any]]:
    query = select(RunItem, Run.connection_name).join(Run, Run.id == RunItem.run_id)
    query = query.where(RunItem.record_id == record_id, RunItem.outcome != _INVISIBLE)
    rows = session.execute(query.order_by(RunItem.id.desc()).limit(_MOST))
    return [_exchange(item, connection) for item, connection in rows]


def _exchange(item: RunItem, connection: str) -> dict[str, Any]:
    icon, tone = _EXCHANGED.get(item.outcome, ("refresh", "calm"))
    where = f"in {connection}" if item.direction == "push" else f"from {connection}"
    return {
        "title": f"{words(item.outcome)} {where}",
        "icon": icon,
        "tone": tone,
        "at": item.happened_at,
        "text": item.reason,
    }
