"""Who changed what, when, and by which way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask.typing import ResponseReturnValue
from sqlalchemy import ColumnElement, Select, Text, cast, or_, select
from sqlalchemy.orm import Session

from hub.access.models import ApiKey, User
from hub.core.audit import AuditEntry
from hub.core.companies.models import Company
from hub.core.database import Base
from hub.web.actors import actor_names, way_of
from hub.web.current import current_hub, reading
from hub.web.display import words
from hub.web.listing import listing, query_day, query_text
from hub.web.pages.blueprint import pages
from hub.web.record_link import page_of
from hub.web.session import render

_LABELS = ("name", "number", "label", "email", "title", "first_name")
_DONE = {"create": "Created", "update": "Changed", "delete": "Deleted"}


@pages.get("/audit", permission="audit.read")
def audit() -> ResponseReturnValue:
    """The entries within the filters, the newest first."""
    from_on, to_on = query_day("from"), query_day("to")
    with reading() as session:
        statement = _filtered(session, from_on, to_on)
        page = listing(session, statement, AuditEntry.id, newest_first=True)
        names = actor_names(session, {entry.actor for entry in page.rows})
        labels = _record_labels(session, page.rows)
        kinds = session.scalars(select(AuditEntry.record_kind).distinct().order_by(AuditEntry.record_kind)).all()
    return render(
        "pages/audit.html",
        entries=[_shown(entry, names, labels) for entry in page.rows],
        kinds=[(kind, words(kind)) for kind in kinds],
        filters={name: query_text(name) for name in ("q", "kind", "who", "from", "to")},
        previous=page.previous,
        next=page.next,
        note="The newest first" if page.rows else "",
    )


def _filtered(session: Session, from_on: date | None, to_on: date | None) -> Select[Any]:
    statement = select(AuditEntry)
    if query_text("kind"):
        statement = statement.where(AuditEntry.record_kind == query_text("kind"))
    if query_text("record"):
        statement = statement.where(AuditEntry.record_id == _id(query_text("record")))
    if query_text("q"):
        statement = statement.where(_about(session, query_text("q")))
    zone = ZoneInfo(session.scalar(select(Company.time_zone).order_by(Company.id).limit(1)) or "UTC")
    if from_on is not None:
        statement = statement.where(AuditEntry.happened_at >= _midnight(from_on, zone))
    if to_on is not None:
        statement = statement.where(AuditEntry.happened_at < _midnight(to_on + timedelta(days=1), zone))
    return statement


def _about(session: Session, text: str) -> ColumnElement[bool]:
    """Entries by people of that name, of a record with that id, or with that text in what changed."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    pattern = f"%{escaped}%"
    users = session.scalars(select(User.id).where(User.name.ilike(pattern, escape="\\")))
    keys = session.scalars(select(ApiKey.key_id).where(ApiKey.name.ilike(pattern, escape="\\")))
    actors = [*(f"user:{each}" for each in users), *(f"key:{each}" for each in keys)]
    record_id = _id(text)
    return or_(
        AuditEntry.actor.in_(actors),
        AuditEntry.actor.ilike(pattern, escape="\\"),
        cast(AuditEntry.changes, Text).ilike(pattern, escape="\\"),
        *([AuditEntry.record_id == record_id] if record_id is not None else []),
    )


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)


def _record_labels(session: Session, entries: Sequence[AuditEntry]) -> dict[tuple[str, UUID], str]:
    """What the records on this page are called, in one query for each table."""
    ids: dict[str, set[UUID]] = {}
    for entry in entries:
        if entry.record_id is not None:
            ids.setdefault(entry.record_kind, set()).add(entry.record_id)
    models = {mapper.class_.__tablename__: mapper.class_ for mapper in Base.registry.mappers}
    labels: dict[tuple[str, UUID], str] = {}
    for table, wanted in ids.items():
        model = models.get(table)
        column = next((getattr(model, name) for name in _LABELS if hasattr(model, name)), None)
        if model is None or column is None or not hasattr(model, "id"):
            continue
        for record_id, label in session.execute(select(model.id, column).where(model.id.in_(wanted))):
            labels[(table, record_id)] = label or ""
    return labels


def _shown(entry: AuditEntry, names: Mapping[str, str], labels: Mapping[tuple[str, UUID], str]) -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": entry.happened_at,
        "who": names[entry.actor],
        "via": way_of(entry.actor),
        "kind": entry.record_kind,
        "record_label": _label(entry, labels),
        "href": _href(entry),
        "action": _DONE.get(entry.action, entry.action),
        "changes": [_change(field, change) for field, change in entry.changes.items()],
        "address": "",
    }


def _label(entry: AuditEntry, labels: Mapping[tuple[str, UUID], str]) -> str:
    """The name of the record now, else what the entry itself says of it."""
    known = labels.get((entry.record_kind, entry.record_id)) if entry.record_id is not None else None
    if known:
        return known
    for name in _LABELS:
        value = entry.changes.get(name)
        said = value[-1] if isinstance(value, list) and value else value
        if isinstance(said, str) and said:
            return said
    return words(entry.record_kind)


def _href(entry: AuditEntry) -> str:
    for kind in current_hub().kinds.values():
        if kind.model.__tablename__ == entry.record_kind:
            return page_of(kind, entry.record_id)
    return ""


def _change(field: str, change: Any) -> tuple[str, str, str]:
    """A field with its value before and after; what is no pair is a value that was noted."""
    before, after = change if isinstance(change, list) and len(change) == 2 else (None, change)
    return field, _value(before), _value(after)


def _value(value: Any) -> str:
    if value in (None, ""):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{words(name).lower()}: {_value(each)}" for name, each in value.items())
    return ", ".join(_value(each) for each in value) if isinstance(value, list) else str(value)
