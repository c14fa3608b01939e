"""What another system showed, merged into the hub: which of our records is it, what changed on which side, who wins.

Each side's changes are found against its own base: theirs against what they last showed (`seen`), ours against the same
values, because that is what both agreed on. A field that only one side changed never conflicts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from hub.core import clock
from hub.core.clock import database_now
from hub.core.database import circumstances, is_worth_another_try, uuid7
from hub.core.errors import HubError
from hub.core.frozen import canonical, freeze
from hub.core.outbox import Link, lock_records, record_lineage, upsert
from hub.sync.connections import Opened
from hub.sync.connector import Change, Missing, RemoteRef, Status, Stream
from hub.sync.matching import has_open_create, match_changes, open_case
from hub.sync.models import Hint
from hub.sync.runs import Item
from hub.sync.settle import pause

log = structlog.get_logger("hub.sync")


@dataclass
class Arrival:
    """One change on its way in: its link, if there is one, and its values with references resolved."""

    change: Change
    link: Link | None
    values: dict[str, Any] = field(default_factory=dict)
    missing: list[RemoteRef] = field(default_factory=list)
    concerns_us: bool = True


def merge(session: Session, opened: Opened, stream: Stream, changes: Sequence[Change]) -> list[Item]:
    """Merge some changes of one stream. Each stands in a savepoint: one that fails stops no other."""
    # Asked before the links are read: whichever create ends in between is among the open ones or among the links.
    is_open = stream.pushes and has_open_create(session, opened.id, stream.kind)
    arrivals = _arrivals(session, opened, stream, changes)
    items: list[Item] = []
    unknown: list[Arrival] = []
    for arrival in arrivals:
        if not arrival.concerns_us:
            continue
        if arrival.change.merged_into or arrival.change.deleted:
            items += _in_savepoint(session, opened, arrival, _gone)
        elif arrival.missing:
            items.append(_wait(session, opened, arrival))
        elif arrival.link is None:
            unknown.append(arrival)
        else:
            items += _in_savepoint(session, opened, arrival, _known, stream)
    return items + _unknown(session, opened, stream, unknown, is_open=is_open)


# Which record is it ---------------------------------------------------------------------------------------------------


def _arrivals(session: Session, opened: Opened, stream: Stream, changes: Sequence[Change]) -> list[Arrival]:
    """The changes with their links and references, in a few queries for all of them."""
    by_remote_id, by_record_id = _links(session, opened, stream, changes)
    ids = _resolved(session, opened, changes)
    arrivals: list[Arrival] = []
    for change in changes:
        link = by_remote_id.get(change.remote_id) or (by_record_id.get(change.our_id) if change.our_id else None)
        arrival = Arrival(change, link)
        arrival.values = _filled(change.values, ids, arrival)
        arrivals.append(arrival)
    return arrivals


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


# What becomes of it ---------------------------------------------------------------------------------------------------


def _known(session: Session, opened: Opened, arrival: Arrival, stream: Stream) -> Item:
    link = arrival.link
    assert link is not None
    if _is_open(session, link):
        leave_hint(session, opened.id, stream.kind, arrival.change.remote_id, "a send of it has no answer yet")
        return _item(arrival, Status.DEFERRED, "A send of it has no answer yet; it is read again afterwards.")
    _touch(link, arrival)
    shown = _shown(session, stream.kind, arrival)
    base = link.seen or {}
    theirs = {name: value for name, value in arrival.values.items() if name not in base or base[name] != shown[name]}
    if not theirs:
        return _item(arrival, Status.UNCHANGED)
    ours = _our_values(session, stream.kind, link, theirs)
    conflicts = {
        name: {"base": base.get(name), "hub": ours[name], "remote": shown[name], "winner": _winner(stream, name)}
        for name in theirs
        if name in ours and name in base and ours[name] != base[name] and ours[name] != shown[name]
    }
    wins = {name: value for name, value in theirs.items() if conflicts.get(name, {}).get("winner") != "hub"}
    differs = {name: value for name, value in wins.items() if ours.get(name) != shown[name]}
    if differs:
        _apply(session, stream.kind, link.record_id, differs)
    link.seen = shown
    if len(wins) < len(theirs):
        # A field the hub has authority over is written back, also if what we sent last is what we still say.
        link.wanted, link.sent = link.wanted + 1, None
    if conflicts:
        named = ", ".join(sorted(conflicts))
        return _item(arrival, Status.CONFLICT, f"Both sides changed {named}.", differences=conflicts)
    return _item(arrival, Status.UPDATED if differs else Status.UNCHANGED)


def _unknown(
    session: Session, opened: Opened, stream: Stream, arrivals: Sequence[Arrival], *, is_open: bool
) -> list[Item]:
    """Changes no link knows: adopted, created, or left to a person."""
    if not arrivals:
        return []
    if is_open:
        # One of these may be the record whose create has no answer yet.
        for arrival in arrivals:
            leave_hint(session, opened.id, stream.kind, arrival.change.remote_id, "a create has no answer yet")
        return [_item(arrival, Status.DEFERRED, "A create has no answer yet.") for arrival in arrivals]
    verdicts = match_changes(session, opened, stream.kind, [(a.change, a.values) for a in arrivals])
    items: list[Item] = []
    for arrival, verdict in zip(arrivals, verdicts, strict=True):
        ours = arrival.change.our_id if _exists(session, stream.kind, arrival.change.our_id) else verdict.record_id
        if verdict.ignored:
            continue
        if ours is None and verdict.case:
            open_case(session, opened, arrival.change, verdict.case)
            names = ", ".join(f"“{item.label}”" for item in verdict.case[:3])
            reason = f"Here is {names}: say whether it is the same (`hub match list {opened.name}`)."
            items.append(_item(arrival, Status.DEFERRED, reason))
        else:
            items += _in_savepoint(session, opened, arrival, _take_in, stream, ours)
    return items


def _take_in(session: Session, opened: Opened, arrival: Arrival, stream: Stream, record_id: UUID | None) -> Item:
    """Create our record, or adopt one, with a link."""
    is_new = record_id is None
    if record_id is not None:
        lock_records(session, circumstances(session).kinds[stream.kind], [record_id])
        if (link := _link_of(session, opened, stream, record_id)) is not None and _is_open(session, link):
            reason = "A send of the record that it is has no answer yet."
            leave_hint(session, opened.id, stream.kind, arrival.change.remote_id, reason)
            return _item(arrival, Status.DEFERRED, reason)
    ours = {} if record_id is None else _record_values(session, stream.kind, record_id, arrival.values)
    shown = _shown(session, stream.kind, arrival)
    values = {name: value for name, value in arrival.values.items() if is_new or ours.get(name) != shown[name]}
    if values or is_new:
        record_id = _apply(session, stream.kind, record_id, values)
    link = _link_of(session, opened, stream, record_id)
    if link is None:
        link = Link(connection_id=opened.id, kind=stream.kind, record_id=record_id, part="")
        session.add(link)
    link.remote_id, link.seen = arrival.change.remote_id, shown
    link.ignored, link.tombstone_at = None, None
    arrival.link = link
    _touch(link, arrival)
    for origin in arrival.change.lineage:
        record_lineage(
            session,
            origin,
            (stream.kind, record_id),  # type: ignore[arg-type]
            connection_id=opened.id,
            remote_id=arrival.change.remote_id,
        )
    reason = "" if is_new else "Adopted: it was here already."
    return _item(arrival, Status.CREATED if is_new else Status.UNCHANGED, reason)


def _link_of(session: Session, opened: Opened, stream: Stream, record_id: UUID | None) -> Link | None:
    """The link of one of our records, locked, so that no sender takes it meanwhile."""
    return session.scalar(
        select(Link)
        .where(Link.connection_id == opened.id, Link.kind == stream.kind, Link.record_id == record_id, Link.part == "")
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _gone(session: Session, opened: Opened, arrival: Arrival) -> Item:
    """Deleted or merged over there: our record stays, its link remembers."""
    link, change = arrival.link, arrival.change
    if link is None:
        return _item(arrival, Status.UNCHANGED, "It is gone over there, and was never known here.")
    if link.tombstone_at is not None:
        return _item(arrival, Status.UNCHANGED, "That it is gone over there was known.")
    survivor = change.merged_into
    if survivor is None:
        link.tombstone_at = clock.now()
        withdraw = circumstances(session).kinds[change.kind].withdraw
        if withdraw is not None and link.record_id is not None:
            withdraw(session, link.record_id)
        return _item(arrival, Status.DELETED, "It was deleted over there; the record here stays.")
    other = session.scalar(
        select(Link).where(Link.connection_id == opened.id, Link.kind == change.kind, Link.remote_id == survivor)
    )
    if other is None:
        link.remote_id, link.seen = survivor, None
        leave_hint(session, opened.id, change.kind, survivor, "merged over there")
        return _item(arrival, Status.UPDATED, f"It was merged into {survivor} over there; the link follows.")
    link.tombstone_at = clock.now()
    reason = f"It was merged over there into what is “{other.label}” here: merge the two here as well."
    return _item(arrival, Status.CONFLICT, reason)


def _wait(session: Session, opened: Opened, arrival: Arrival) -> Item:
    for parent in arrival.missing:
        if not _is_read(opened, parent.kind):
            reason = f"It refers to {parent.kind} {parent.remote_id}, which this connection does not read."
            leave_hint(session, opened.id, arrival.change.kind, arrival.change.remote_id, reason, due_at=pause(6))
            return _item(arrival, Status.REJECTED, reason, field=parent.kind)
        leave_hint(session, opened.id, parent.kind, parent.remote_id, "another record refers to it")
    leave_hint(session, opened.id, arrival.change.kind, arrival.change.remote_id, "waits for what it refers to")
    return _item(arrival, Status.DEFERRED, f"It waits for {arrival.missing[0].kind} {arrival.missing[0].remote_id}.")


def _is_read(opened: Opened, kind: str) -> bool:
    subscription = opened.subscriptions.get(kind)
    return subscription is not None and subscription.pulls


def leave_hint(
    session: Session, connection_id: UUID, kind: str, remote_id: str, reason: str, *, due_at: datetime | None = None
) -> None:
    """Remember to look at a remote record (again); once is enough. due_at: not before."""
    hint: Any = upsert(session, Hint).values(
        id=uuid7(),
        connection_id=connection_id,
        kind=kind,
        remote_id=remote_id,
        reason=reason,
        due_at=due_at,
        failures=0,
        created_at=clock.now(),
    )
    session.execute(hint.on_conflict_do_nothing(index_elements=["connection_id", "kind", "remote_id"]))


# Small steps ----------------------------------------------------------------------------------------------------------


def _in_savepoint(
    session: Session, opened: Opened, arrival: Arrival, step: Callable[..., Item], *more: Any
) -> list[Item]:
    """One record's work; whatever is wrong with it, it is undone alone, said, and looked at again later."""
    try:
        with session.begin_nested():
            item = step(session, opened, arrival, *more)
            session.flush()
            return [item]
    except Exception as failure:
        if is_worth_another_try(failure):
            raise
        change, reason = arrival.change, str(failure)
        if not isinstance(failure, HubError):
            log.error("merge failed", connection=opened.name, record=change.label, exc_info=failure)
            reason = f"It could not be taken in ({type(failure).__name__}); the details are in the log."
        leave_hint(session, opened.id, change.kind, change.remote_id, reason, due_at=pause(1))
        fields = getattr(failure, "fields", {})
        return [_item(arrival, Status.REJECTED, reason, field=next(iter(fields), ""))]


def _apply(session: Session, kind: str, record_id: UUID | None, values: dict[str, Any]) -> UUID:
    apply = circumstances(session).kinds[kind].apply
    if apply is None:
        raise HubError(f"The hub takes in no {kind}.")
    return apply(session, record_id, values)


def _our_values(session: Session, kind: str, link: Link, names: Sequence[str] | dict[str, Any]) -> dict[str, Any]:
    return {} if link.record_id is None else _record_values(session, kind, link.record_id, names)


def _shown(session: Session, kind: str, arrival: Arrival) -> dict[str, Any]:
    """What they show, spelt as our own records are, so that 120.00 and 120 do not differ."""
    record = circumstances(session).kinds[kind].record
    return {name: canonical(record, name, value) for name, value in arrival.values.items()}


def _record_values(
    session: Session, kind: str, record_id: UUID, names: Sequence[str] | dict[str, Any]
) -> dict[str, Any]:
    """What our record says of these fields, as JSON."""
    session.flush()
    records = circumstances(session).kinds[kind].load(session, [record_id])
    return {name: freeze(getattr(records[0], name)) for name in names if hasattr(records[0], name)} if records else {}


def _exists(session: Session, kind: str, record_id: UUID | None) -> bool:
    return record_id is not None and session.get(circumstances(session).kinds[kind].model, record_id) is not None


def _is_open(session: Session, link: Link) -> bool:
    if link.attempt_id is not None:
        return True
    return link.lease_until is not None and bool(session.scalar(select(link.lease_until > database_now())))


def _touch(link: Link, arrival: Arrival) -> None:
    link.remote_id, link.remote_version = arrival.change.remote_id, arrival.change.version or None
    link.label, link.tombstone_at = arrival.change.label or link.label, None
    link.fence = (link.fence or 0) + 1


def _winner(stream: Stream, name: str) -> str:
    return stream.authority.get(name, stream.authority.get("*", "remote"))


def _item(
    arrival: Arrival, status: Status, reason: str = "", *, field: str = "", differences: dict[str, Any] | None = None
) -> Item:
    change = arrival.change
    return Item(
        kind=change.kind,
        direction="pull",
        status=status,
        label=change.label,
        record_id=arrival.link.record_id if arrival.link is not None else None,
        remote_id=change.remote_id,
        reason=reason,
        field=field,
        differences=differences,
    )
