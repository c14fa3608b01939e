"""Changes on their way in: which link each is of, what our record says, and our ids for theirs in its values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from hub.core.database import circumstances
from hub.core.errors import HubError
from hub.core.frozen import canonical, freeze
from hub.core.outbox import Link
from hub.sync.connections import Opened
from hub.sync.connector import Authority, Change, Missing, RemoteRef, Stream, Values
from hub.sync.threeway import Verdict


@dataclass(frozen=True, slots=True)
class Asked:
    """at: when changes were asked for, by the database's clock. is_past: in a listing of what was; it may be older."""

    at: datetime
    is_past: bool = False


@dataclass
class Arrival:
    """One change on its way in.

    link: if there is one. asked: the question that it answers. values: what they show, references resolved; shown: the
    same, spelt as our records are. before: what our record said before (None: it had to be created). changed_at: when
    it last changed here, where the newest wins. missing: references to records the hub does not have yet. origins: the
    records it comes from. verdict: how it was merged, once it was.
    """

    change: Change
    link: Link | None
    asked: Asked
    values: Values = field(default_factory=dict)
    shown: Values = field(default_factory=dict)
    before: Values | None = None
    changed_at: datetime | None = None
    missing: list[RemoteRef] = field(default_factory=list)
    origins: Sequence[tuple[str, UUID]] = ()
    concerns_us: bool = True
    verdict: Verdict | None = None


def arrivals_of(
    session: Session, opened: Opened, stream: Stream, changes: Sequence[Change], asked: Asked
) -> list[Arrival]:
    """The changes with their links and references, in a few queries for all of them."""
    by_remote_id, by_record_id = _links(session, opened, stream, changes)
    ids = _resolved(session, opened, changes)
    arrivals: list[Arrival] = []
    for change in changes:
        link = by_remote_id.get(change.remote_id) or (by_record_id.get(change.our_id) if change.our_id else None)
        arrival = Arrival(change, link, asked)
        arrival.values = _filled(change.values, ids, arrival)
        arrival.origins = _origins(change, ids)
        arrivals.append(arrival)
    _note_ours(session, stream, arrivals)
    return arrivals


def shown_by(session: Session, arrival: Arrival) -> Values:
    """What they show, spelt as our own records are, so that 120.00 and 120 do not differ."""
    record = circumstances(session).kinds[arrival.change.kind].record
    return {name: canonical(record, name, value) for name, value in arrival.values.items()}


def records_now(session: Session, kind: str, ids: Sequence[UUID]) -> dict[UUID, Values]:
    """What our records of one kind say now, as JSON."""
    if not ids:
        return {}
    session.flush()
    return {record.id: freeze(record) for record in circumstances(session).kinds[kind].load(session, ids)}


def refs_in(change: Change) -> set[tuple[str, str]]:
    """The records over there that a change refers to, as (kind, remote id)."""
    refs: set[tuple[str, str]] = set()
    _collect(change.values, refs)
    return refs


def take_in(session: Session, kind: str, record_id: UUID | None, values: Values) -> UUID:
    """Write values that came in, to one of our records or (None) a new one. Returns its id."""
    apply = circumstances(session).kinds[kind].apply
    if apply is None:
        raise HubError(f"The hub takes in no {kind}.")
    return apply(session, record_id, values)


def take_in_new(session: Session, kind: str, many: Sequence[Values]) -> Sequence[UUID]:
    """Make new records of what came in. Returns their ids, in order."""
    create = circumstances(session).kinds[kind].create
    return create(session, many) if create is not None else [take_in(session, kind, None, values) for values in many]


def _note_ours(session: Session, stream: Stream, arrivals: Sequence[Arrival]) -> None:
    """What our records say, and where the newest wins when they changed, in a query or two for all of them."""
    linked = {arrival.link.record_id for arrival in arrivals if arrival.link is not None} - {None}
    ids = [record_id for record_id in linked if record_id is not None]
    before = records_now(session, stream.kind, ids)
    changed_at: dict[UUID, datetime] = {}
    if Authority.NEWEST in stream.authority.values():
        model = circumstances(session).kinds[stream.kind].model
        rows = session.execute(select(model.id, model.updated_at).where(model.id.in_(ids)))
        changed_at = {row[0]: row[1] for row in rows}
    for arrival in arrivals:
        if arrival.link is not None and arrival.link.record_id is not None:
            arrival.before = before.get(arrival.link.record_id)
            arrival.changed_at = changed_at.get(arrival.link.record_id)


def _links(
    session: Session, opened: Opened, stream: Stream, changes: Sequence[Change]
) -> tuple[dict[str, Link], dict[UUID, Link]]:
    rows = session.scalars(
        select(Link)
        .where(Link.connection_id == opened.id, Link.kind == stream.kind)
        .where(
            or_(
                Link.remote_id.in_([change.remote_id for change in changes]),
                Link.record_id.in_([change.our_id for change in changes if change.our_id]),
            )
        )
        .order_by(Link.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    return (
        {link.remote_id: link for link in rows if link.remote_id},
        {link.record_id: link for link in rows if link.record_id and not link.part},
    )


def _resolved(session: Session, opened: Opened, changes: Sequence[Change]) -> dict[tuple[str, str], UUID]:
    refs: set[tuple[str, str]] = set()
    for change in changes:
        _collect(change.values, refs)
        refs |= {(kind, change.remote_id) for kind in change.may_be}
    found: dict[tuple[str, str], UUID] = {}
    for kind in sorted({kind for kind, _ in refs}):
        rows = session.execute(
            select(Link.remote_id, Link.record_id).where(
                Link.connection_id == opened.id,
                Link.kind == kind,
                Link.remote_id.in_([remote_id for name, remote_id in refs if name == kind]),
                Link.record_id.is_not(None),
            )
        )
        found |= {(kind, row.remote_id): row.record_id for row in rows}
    return found


def _origins(change: Change, ids: dict[tuple[str, str], UUID]) -> list[tuple[str, UUID]]:
    """What a change comes from: as it says itself, or as our own links know."""
    sent = [(kind, ids[kind, change.remote_id]) for kind in change.may_be if (kind, change.remote_id) in ids]
    return list(dict.fromkeys((*change.lineage, *sent)))


def _collect(value: Any, refs: set[tuple[str, str]]) -> None:
    if isinstance(value, RemoteRef):
        refs.add((value.kind, value.remote_id))
    elif isinstance(value, dict):
        for item in value.values():
            _collect(item, refs)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _collect(item, refs)


def _filled(value: Any, ids: dict[tuple[str, str], UUID], arrival: Arrival) -> Any:
    """The value with our ids for theirs, noting on the way what is missing."""
    if isinstance(value, RemoteRef):
        ours = ids.get((value.kind, value.remote_id))
        if ours is None and value.missing == Missing.LEAVE_OUT:
            arrival.concerns_us = False
        elif ours is None and value.missing == Missing.WAIT:
            arrival.missing.append(value)
        return ours
    if isinstance(value, dict):
        return {name: _filled(item, ids, arrival) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_filled(item, ids, arrival) for item in value]
    return value
