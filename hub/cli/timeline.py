"""`hub timeline`: all that happened to one record."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import click
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from hub.bootstrap import Hub
from hub.cli.lookup import one_of
from hub.cli.output import json_option, print_rows
from hub.cli.session import pass_hub
from hub.core.audit import AuditEntry
from hub.core.errors import NotFound
from hub.core.kinds import RecordKind
from hub.core.outbox import Event, Lineage
from hub.sync.models import Run, RunItem


@click.command()
@click.argument("kind")
@click.argument("text", metavar="ID|NUMBER")
@json_option
@pass_hub
def timeline(hub: Hub, kind: str, text: str, as_json: bool) -> None:
    """All that happened to one record of a KIND, oldest first: changes, events, deliveries, where it came from."""
    with hub.read() as session:
        if kind not in hub.kinds:
            raise NotFound(f"There is no kind of record called “{kind}”. There is: {', '.join(sorted(hub.kinds))}.")
        record_id = _record_id(session, hub.kinds[kind], text)
        rows = [*_changes(session, record_id), *_events(session, record_id), *_deliveries(session, record_id)]
        rows += _lineage(session, record_id)
    rows.sort(key=lambda row: row["at"])
    print_rows(rows, ("at", "what", "who", "text"), as_json=as_json, empty="Nothing is known of it.")


def _record_id(session: Session, kind: RecordKind, text: str) -> UUID:
    names = ("number", "code", "name", "reference")
    columns = [getattr(kind.model, name) for name in names if hasattr(kind.model, name)]
    found: UUID = one_of(session, kind.model, text, by=columns, what=kind.title.lower()).id
    return found


def _changes(session: Session, record_id: UUID) -> list[dict[str, Any]]:
    rows = session.scalars(select(AuditEntry).where(AuditEntry.record_id == record_id))
    return [
        {"at": row.happened_at, "what": row.action, "who": row.actor, "text": ", ".join(row.changes)} for row in rows
    ]


def _events(session: Session, record_id: UUID) -> list[dict[str, Any]]:
    rows = session.scalars(select(Event).where(Event.record_id == record_id))
    return [
        {"at": row.happened_at, "what": row.name, "who": row.actor, "text": f"revision {row.revision}"} for row in rows
    ]


def _deliveries(session: Session, record_id: UUID) -> list[dict[str, Any]]:
    query = select(RunItem, Run.connection_name).join(Run, Run.id == RunItem.run_id)
    return [
        {
            "at": item.happened_at,
            "what": f"{item.direction} {item.outcome}",
            "who": connection,
            "text": " ".join(filter(None, (item.remote_id, item.reason))),
        }
        for item, connection in session.execute(query.where(RunItem.record_id == record_id))
    ]


def _lineage(session: Session, record_id: UUID) -> list[dict[str, Any]]:
    query = select(Lineage).where(or_(Lineage.origin_id == record_id, Lineage.record_id == record_id))
    found = session.scalars(query).all()
    came = [row for row in found if row.record_id == record_id]
    became = [row for row in found if row.origin_id == record_id]
    return [
        *(_row(row, "came from", f"{row.origin_kind} {row.origin_id}") for row in came),
        *(_row(row, "became", f"{row.kind} {row.record_id}") for row in became),
    ]


def _row(row: Lineage, what: str, text: str) -> dict[str, Any]:
    return {"at": row.recorded_at, "what": what, "who": "", "text": text}
