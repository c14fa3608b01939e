"""Why does this record differ? All that happened to one record, here and in every connected system, from what was kept.

Nothing is written for it: changes and decisions stand in the audit log, sends with their bodies and answers in the
attempts, what came in (with both values of a conflict, the base, the winner and the rule) in the items of runs. A body
is shown as it was sent, without any secret of its connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from hub.core import clock
from hub.core.audit import AuditEntry
from hub.core.errors import NotFound, RuleBroken
from hub.core.frozen import freeze
from hub.core.kinds import RecordKind
from hub.core.outbox import Event, Lineage, Link
from hub.redaction import Redactor
from hub.sync.connections import known_secrets
from hub.sync.models import Attempt, Batch, Connection, FormerConnection, MatchCase, Run, RunItem

if TYPE_CHECKING:
    from hub.bootstrap import Hub

NAMES = ("number", "code", "name", "reference")
"""The columns by which a person calls a record."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. sort: change, event, send, answer, read, decision, lineage or now.

    who: an actor, or the name of a connection. fields: per field what was there and what it became, what was sent, or
    both sides' values with the base, the winner and the rule.
    """

    at: datetime
    sort: str
    what: str
    who: str = ""
    text: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    run_id: UUID | None = None


def find_record(session: Session, kind: RecordKind, text: str) -> UUID:
    """The record with this id, number, name or id over there. Raises NotFound, RuleBroken when several are meant."""
    columns = [getattr(kind.model, name) for name in NAMES if hasattr(kind.model, name)]
    is_called = [column == text for column in columns]
    with suppress(ValueError):
        is_called.append(kind.model.id == UUID(text))
    linked = select(Link.record_id).where(Link.kind == kind.name, Link.remote_id == text)
    found = session.scalars(select(kind.model.id).where(or_(*is_called, kind.model.id.in_(linked))).limit(2)).all()
    if not found:
        raise NotFound(f"There is no {kind.title.lower()} with the id, number, name or id over there “{text}”.")
    if len(found) > 1:
        raise RuleBroken(f"Several {kind.name} are called “{text}”: give the id of the one you mean.")
    record_id: UUID = found[0]
    return record_id


def timeline_of(
    hub: Hub, session: Session, kind: RecordKind, record_id: UUID, *, most: int | None = None
) -> list[Entry]:
    """What happened to a record, the oldest first. most: only the newest entries."""
    links = session.scalars(select(Link).where(Link.kind == kind.name, Link.record_id == record_id)).all()
    names = _names(session, links)
    redactor = Redactor(known_secrets(hub, session, names))
    entries = [
        *_changes(session, kind, record_id, most),
        *_events(session, record_id, most),
        *_sends(session, links, names, redactor, most),
        *_run_items(session, record_id, redactor, most),
        *_decisions(session, record_id, links, names, most),
        *_lineage(session, record_id, most),
    ]
    entries.sort(key=lambda entry: entry.at)
    return entries if most is None else entries[-most:]


def now_of(session: Session, kind: RecordKind, record_id: UUID) -> list[Entry]:
    """How the record stands now in each connected system, and in which fields it differs as far as is known here."""
    links = session.scalars(
        select(Link).where(Link.kind == kind.name, Link.record_id == record_id).order_by(Link.connection_id, Link.part)
    ).all()
    names = _names(session, links)
    ours: Mapping[str, Any] = next((freeze(record) for record in kind.load(session, [record_id])), {})
    return [
        Entry(
            clock.now(),
            "now",
            f"now {_standing(link)}",
            names.get(link.connection_id, ""),
            " ".join(filter(None, (link.remote_id or "", *_reasons(link)))),
            _differences(link, ours),
        )
        for link in links
    ]


# What stands where ----------------------------------------------------------------------------------------------------


def _changes(session: Session, kind: RecordKind, record_id: UUID, most: int | None) -> Iterator[Entry]:
    query = select(AuditEntry).where(
        AuditEntry.record_kind == kind.model.__tablename__, AuditEntry.record_id == record_id
    )
    for row in session.scalars(query.order_by(AuditEntry.id.desc()).limit(most)):
        fields = {
            name: {"before": change[0], "after": change[1]} if _is_pair(change) else {"after": change}
            for name, change in row.changes.items()
        }
        yield Entry(row.happened_at, "change", row.action, row.actor, ", ".join(row.changes), fields)


def _events(session: Session, record_id: UUID, most: int | None) -> Iterator[Entry]:
    query = select(Event).where(Event.record_id == record_id).order_by(Event.sequence.desc()).limit(most)
    for row in session.scalars(query):
        yield Entry(row.happened_at, "event", row.name, row.actor, f"revision {row.revision}")


def _sends(
    session: Session, links: Sequence[Link], names: Mapping[UUID, str], redactor: Redactor, most: int | None
) -> Iterator[Entry]:
    query = select(Attempt, Batch).join(Batch, Batch.id == Attempt.batch_id)
    query = query.where(Attempt.link_id.in_([link.id for link in links])).order_by(Attempt.id.desc()).limit(most)
    for attempt, batch in session.execute(query):
        who = names.get(batch.connection_id, "")
        fields = {name: {"sent": value} for name, value in _redacted(attempt.body, redactor).items()}
        named = attempt.remote_id or ""
        yield Entry(batch.sent_at or attempt.sent_at, "send", f"push {attempt.op}", who, named, fields, batch.run_id)
        if attempt.answered_at is not None:
            told = _redacted(attempt.answer or {}, redactor)
            text = " ".join(filter(None, (str(told.get("remote_id") or ""), redactor.text(attempt.reason))))
            answer = {name: {"answered": value} for name, value in told.items()}
            yield Entry(attempt.answered_at, "answer", f"push {attempt.status}", who, text, answer, batch.run_id)


def _run_items(session: Session, record_id: UUID, redactor: Redactor, most: int | None) -> Iterator[Entry]:
    """What runs made of it; a send is told with its answer already."""
    query = select(RunItem, Run.connection_name).join(Run, Run.id == RunItem.run_id)
    was_not_sent = or_(RunItem.direction == "pull", RunItem.differences.is_(None))
    query = query.where(RunItem.record_id == record_id, was_not_sent)
    for item, connection in session.execute(query.order_by(RunItem.id.desc()).limit(most)):
        what, text = f"{item.direction} {item.outcome}", " ".join(filter(None, (item.remote_id, item.reason)))
        fields = _redacted(item.differences or {}, redactor)
        yield Entry(item.happened_at, "read", what, connection, redactor.text(text), fields, item.run_id)


def _decisions(
    session: Session, record_id: UUID, links: Sequence[Link], names: Mapping[UUID, str], most: int | None
) -> Iterator[Entry]:
    """What persons said: which record it is over there, whose value holds, that it is not sent, or sent again."""
    by_id = {link.id: link for link in links}
    query = select(AuditEntry).where(AuditEntry.record_kind == "link", AuditEntry.record_id.in_(by_id))
    for row in session.scalars(query.order_by(AuditEntry.id.desc()).limit(most)):
        connection = names.get(by_id[row.record_id].connection_id, "") if row.record_id else ""
        told = {name: value for name, value in row.changes.items() if name != "fields"}
        text = " ".join(filter(None, (connection, ", ".join(f"{n} {_plain(v)}" for n, v in told.items()))))
        yield Entry(row.happened_at, "decision", row.action, row.actor, text, row.changes.get("fields") or {})
    ours = or_(
        MatchCase.record_id == record_id,
        MatchCase.remote_id.in_([link.remote_id for link in links if link.remote_id]),
        MatchCase.chosen == str(record_id),
    )
    cases = select(MatchCase).where(MatchCase.decided_at.is_not(None), ours).order_by(MatchCase.id.desc()).limit(most)
    for case in session.scalars(cases):
        if case.decided_at is not None and case.connection_id in names:
            text = f"{names[case.connection_id]} {case.chosen or ''}".strip()
            yield Entry(case.decided_at, "decision", f"match {case.decision}", case.decided_by or "", text)


def _lineage(session: Session, record_id: UUID, most: int | None) -> Iterator[Entry]:
    query = select(Lineage).where(or_(Lineage.origin_id == record_id, Lineage.record_id == record_id))
    for row in session.scalars(query.order_by(Lineage.id.desc()).limit(most)):
        if row.record_id == record_id:
            yield Entry(row.recorded_at, "lineage", "came from", "", f"{row.origin_kind} {row.origin_id}")
        else:
            yield Entry(row.recorded_at, "lineage", "became", "", f"{row.kind} {row.record_id}")


# How it stands --------------------------------------------------------------------------------------------------------


def _standing(link: Link) -> str:
    for holds, words in (
        (link.tombstone_at is not None, "deleted there"),
        (link.ignored is not None, "ignored"),
        (link.parked is not None, "parked"),
        (link.attempt_id is not None, "sent without an answer"),
        (link.held, "held back"),
        (link.waiting_for is not None, "waiting for another record"),
        (link.wanted > link.done, "owed"),
        (link.remote_id is None, "not there"),
    ):
        if holds:
            return words
    return "in step"


def _reasons(link: Link) -> list[str]:
    findings = [str(finding.get("text", "")) for finding in link.findings or ()]
    return [*filter(None, (link.ignored, link.parked, link.parked_remedy)), *findings]


def _differences(link: Link, ours: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that they last showed otherwise than our record has them, and those a person has to decide on."""
    found: dict[str, Any] = {
        name: {"hub": ours[name], "remote": theirs}
        for name, theirs in (link.seen or {}).items()
        if name in ours and ours[name] != theirs
    }
    return found | (link.undecided or {})


# Small steps ----------------------------------------------------------------------------------------------------------


def _names(session: Session, links: Sequence[Link]) -> dict[UUID, str]:
    """The names of the connections, also of those that are removed."""
    ids = {link.connection_id for link in links}
    found: dict[UUID, str] = {}
    for table in (FormerConnection, Connection):
        found |= dict(session.execute(select(table.id, table.name).where(table.id.in_(ids))).all())
    return found


def _is_pair(change: Any) -> bool:
    return isinstance(change, list) and len(change) == 2


def _redacted(values: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    return {name: _without_secrets(value, redactor) for name, value in values.items()}


def _without_secrets(value: Any, redactor: Redactor) -> Any:
    if isinstance(value, str):
        return redactor.text(value)
    if isinstance(value, dict):
        return _redacted(value, redactor)
    return [_without_secrets(item, redactor) for item in value] if isinstance(value, list) else value


def _plain(value: Any) -> str:
    """A value in a sentence: of a pair what it was and what it is."""
    if _is_pair(value):
        return " → ".join(str(item) if item is not None else "nothing" for item in value)
    return str(value)
