"""What another system showed, merged into the hub: which of our records is it, what changed on which side, who wins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core import clock
from hub.core.clock import database_now
from hub.core.database import circumstances, is_worth_another_try
from hub.core.errors import HubError
from hub.core.outbox import Link, lock_records, record_lineage
from hub.sync.arrivals import Arrival, Asked, arrivals_of, records_now, shown_by, take_in, take_in_new
from hub.sync.bases import note_bases
from hub.sync.connections import Opened
from hub.sync.connector import Change, Status, Stream, Values
from hub.sync.hints import leave_hint
from hub.sync.matching import has_open_create, match_changes, open_case
from hub.sync.runs import Item
from hub.sync.settle import pause
from hub.sync.threeway import Verdict, judge

log = structlog.get_logger("hub.sync")


def merge(
    session: Session,
    opened: Opened,
    stream: Stream,
    changes: Sequence[Change],
    *,
    asked_at: datetime,
    is_past: bool = False,
) -> list[Item]:
    """Merge some changes of one stream. Each stands in a savepoint: one that fails stops no other.

    asked_at: when they were asked for, by the database's clock; what we wrote or saw since may not be among them.
    is_past: they are listed as they were at some time before: of a record that is known in another version they say
    nothing but that it is to be looked at.
    """
    asked = Asked(asked_at, is_past)
    return [item for part in _one_by_one(changes) for item in _merge(session, opened, stream, part, asked)]


def _one_by_one(changes: Sequence[Change]) -> Iterator[list[Change]]:
    """The changes in parts that show each record once, in order."""
    part: dict[str, Change] = {}
    for change in changes:
        if change.remote_id in part:
            yield list(part.values())
            part = {}
        part[change.remote_id] = change
    yield list(part.values())


def _merge(session: Session, opened: Opened, stream: Stream, changes: Sequence[Change], asked: Asked) -> list[Item]:
    # Asked before the links are read: whichever create ends in between is among the open ones or among the links.
    is_open = stream.pushes and has_open_create(session, opened.id, stream.kind)
    items: list[Item] = []
    known: list[Arrival] = []
    unknown: list[Arrival] = []
    arrivals = arrivals_of(session, opened, stream, changes, asked)
    for arrival in arrivals:
        if not arrival.concerns_us:
            continue
        if arrival.change.merged_into or arrival.change.deleted:
            items += _in_savepoint(session, opened, arrival, _gone, stream)
        elif arrival.missing:
            items.append(_wait(session, opened, arrival))
        elif arrival.link is None:
            unknown.append(arrival)
        else:
            known.append(arrival)
    items += _together(session, opened, known, _all_known, stream)
    items += _unknown(session, opened, stream, unknown, is_open=is_open)
    note_bases(session, opened, stream, arrivals)
    return items


# What becomes of it ---------------------------------------------------------------------------------------------------


def _all_known(session: Session, opened: Opened, arrivals: Sequence[Arrival], stream: Stream) -> list[Item]:
    return [_known(session, opened, arrival, stream) for arrival in arrivals]


def _known(session: Session, opened: Opened, arrival: Arrival, stream: Stream) -> Item:
    link = arrival.link
    assert link is not None
    if reason := _is_another(link, arrival.change):
        return _item(arrival, Status.CONFLICT, reason)
    if reason := _too_early(session, link, arrival.asked.at) or _may_be_older(link, arrival):
        leave_hint(session, opened.id, stream.kind, arrival.change.remote_id, reason)
        return _item(arrival, Status.DEFERRED, f"{reason} It is read again afterwards.")
    arrival.shown = shown_by(session, arrival)
    seen, was_gone = _seen(link, arrival), link.tombstone_at is not None
    _touch(link, arrival)
    arrival.verdict = verdict = judge(
        arrival.shown,
        arrival.before or {},
        seen=seen,
        agreed=link.agreed or {},
        authority=stream.rule,
        theirs_is_newer=_is_newer(arrival),
    )
    if verdict.taken:
        take_in(session, stream.kind, link.record_id, {name: arrival.values[name] for name in verdict.taken})
    _heed(stream, link, verdict)
    item = _known_item(arrival, verdict)
    return replace(item, reason=f"It is over there again. {item.reason}".strip()) if was_gone else item


def _is_another(link: Link, change: Change) -> str:
    """Why a change cannot be of this link's record, as when theirs was copied with our key on it; empty if it can."""
    if link.remote_id in (None, change.remote_id) or link.tombstone_at is not None:
        return ""
    return f"“{link.label}” is {link.remote_id} over there already, so this is another record: take our key off it."


def _too_early(session: Session, link: Link, asked_at: datetime) -> str:
    """Why what they show may be older than what we wrote; empty if it is not."""
    if _is_open(session, link):
        return "A send of it has no answer yet."
    if link.delivered_at is not None and link.delivered_at >= asked_at:
        return "It was written while it was being read."
    return ""


def _may_be_older(link: Link, arrival: Arrival) -> str:
    """Why what they show may be older than what is known of it; empty if it is not, or the same."""
    change, asked = arrival.change, arrival.asked
    if change.version and change.version == link.remote_version and link.tombstone_at is None:
        return ""
    if asked.is_past and link.remote_id is not None:
        return "It is known in another version than the past shows."
    if link.shown_at is not None and link.shown_at > asked.at:
        return "It was read by somebody else while this answer was on its way."
    return ""


def _seen(link: Link, arrival: Arrival) -> Values:
    """What they last showed. In the version that our last send made, our fields look as they spell them."""
    seen, agreed = link.seen or {}, link.agreed or {}
    if not arrival.change.version or arrival.change.version != link.remote_version:
        return seen
    return {name: value for name, value in arrival.shown.items() if name in agreed} | seen


def _is_newer(arrival: Arrival) -> bool:
    theirs_at, ours_at = arrival.change.modified_at, arrival.changed_at
    return theirs_at is None or ours_at is None or theirs_at > ours_at


def _heed(stream: Stream, link: Link, verdict: Verdict) -> None:
    """What is not taken goes back to them, or waits for a person."""
    if verdict.refused and stream.pushes:
        link.wanted = (link.wanted or 0) + 1
    if verdict.undecided:
        names = sorted(verdict.undecided)
        link.undecided = {**(link.undecided or {}), **{name: verdict.disputed[name] for name in names}}
        link.parked = f"Both sides changed {', '.join(names)}, and a person decides which holds."
        link.parked_field, link.parked_at = names[0], clock.now()
        link.parked_remedy = f"Decide with `hub link settle {link.id} --keep hub` or `--keep remote`."


def _known_item(arrival: Arrival, verdict: Verdict) -> Item:
    before = arrival.before or {}
    changed = {*verdict.taken, *verdict.refused, *verdict.undecided}
    differences = {name: {"hub": before.get(name), "remote": arrival.shown[name]} for name in sorted(changed)}
    differences |= verdict.disputed
    if verdict.is_conflict or verdict.undecided:
        reason = f"Both sides changed {', '.join(sorted(verdict.disputed))}."
        return _item(arrival, Status.CONFLICT, reason, differences=differences)
    reason = f"The hub decides on {', '.join(sorted(verdict.refused))}." if verdict.refused else ""
    status = Status.UPDATED if verdict.taken else Status.UNCHANGED
    return _item(arrival, status, reason, differences=differences or None)


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
    new: list[Arrival] = []
    for arrival, verdict in zip(arrivals, verdicts, strict=True):
        ours = arrival.change.our_id if _exists(session, stream.kind, arrival.change.our_id) else verdict.record_id
        if verdict.ignored:
            continue
        if ours is None and verdict.case:
            open_case(session, opened, arrival.change, verdict.case)
            names = ", ".join(f"“{item.label}”" for item in verdict.case[:3])
            reason = f"Here is {names}: say whether it is the same (`hub match list {opened.name}`)."
            items.append(_item(arrival, Status.DEFERRED, reason))
        elif ours is None:
            new.append(arrival)
        else:
            items += _in_savepoint(session, opened, arrival, _adopt, stream, ours)
    return [*items, *_together(session, opened, new, _create, stream)]


def _create(session: Session, opened: Opened, arrivals: Sequence[Arrival], stream: Stream) -> list[Item]:
    """Our records of what they show, with their links. Raises for the first that cannot be."""
    for arrival in arrivals:
        arrival.shown = shown_by(session, arrival)
    ids = take_in_new(session, stream.kind, [arrival.values for arrival in arrivals])
    links = _links_of(session, opened, stream, ids)
    items: list[Item] = []
    for arrival, record_id in zip(arrivals, ids, strict=True):
        _linked(session, opened, arrival, stream, links.get(record_id), record_id)
        arrival.verdict = Verdict(taken=dict(arrival.shown))
        items.append(_item(arrival, Status.CREATED))
    return items


def _adopt(session: Session, opened: Opened, arrival: Arrival, stream: Stream, record_id: UUID) -> Item:
    """One of our records is theirs: link it, and merge what each says."""
    lock_records(session, circumstances(session).kinds[stream.kind], [record_id])
    link = _links_of(session, opened, stream, [record_id]).get(record_id)
    if link is not None and _is_open(session, link):
        reason = "A send of the record that it is has no answer yet."
        leave_hint(session, opened.id, stream.kind, arrival.change.remote_id, reason)
        return _item(arrival, Status.DEFERRED, reason)
    if link is not None and (reason := _is_another(link, arrival.change)):
        return _item(arrival, Status.CONFLICT, reason)
    arrival.before = records_now(session, stream.kind, [record_id]).get(record_id)
    arrival.shown = shown_by(session, arrival)
    verdict = judge(arrival.shown, arrival.before or {}, seen={}, agreed={}, authority=stream.rule)
    if verdict.taken:
        take_in(session, stream.kind, record_id, {name: arrival.values[name] for name in verdict.taken})
        link = _links_of(session, opened, stream, [record_id]).get(record_id)
    _heed(stream, _linked(session, opened, arrival, stream, link, record_id), verdict)
    arrival.verdict = verdict
    differences = verdict.disputed or None
    return _item(arrival, Status.UNCHANGED, "Adopted: it was here already.", differences=differences)


def _linked(
    session: Session, opened: Opened, arrival: Arrival, stream: Stream, link: Link | None, record_id: UUID
) -> Link:
    """Let the link of our record, a new one if it has none, be to theirs; with what it comes from."""
    if link is None:
        link = Link(connection_id=opened.id, kind=stream.kind, record_id=record_id, part="")
        session.add(link)
    link.ignored = None
    arrival.link = link
    _touch(link, arrival)
    for origin in arrival.origins:
        record = (stream.kind, record_id)
        record_lineage(session, origin, record, connection_id=opened.id, remote_id=arrival.change.remote_id)
    return link


def _links_of(session: Session, opened: Opened, stream: Stream, record_ids: Sequence[UUID]) -> dict[UUID, Link]:
    """The links of our records, locked, so that no sender takes them meanwhile."""
    links = session.scalars(
        select(Link)
        .where(Link.connection_id == opened.id, Link.kind == stream.kind, Link.part == "")
        .where(Link.record_id.in_(record_ids))
        .order_by(Link.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {link.record_id: link for link in links if link.record_id is not None}


def _gone(session: Session, opened: Opened, arrival: Arrival, stream: Stream) -> Item:
    """Deleted or merged over there: our record stays, its link remembers."""
    link, change = arrival.link, arrival.change
    if link is None:
        return _item(arrival, Status.UNCHANGED, "It is gone over there, and was never known here.")
    if link.tombstone_at is not None:
        return _item(arrival, Status.UNCHANGED, "That it is gone over there was known.")
    if arrival.asked.is_past:
        return _item(arrival, Status.UNCHANGED, "Whether it is gone over there is told by what is new.")
    if reason := _too_early(session, link, arrival.asked.at):
        leave_hint(session, opened.id, stream.kind, change.remote_id, reason)
        return _item(arrival, Status.DEFERRED, f"{reason} It is read again afterwards.")
    survivor = change.merged_into
    if survivor is None:
        link.tombstone_at = clock.now()
        withdraw = circumstances(session).kinds[change.kind].withdraw
        if withdraw is not None and link.record_id is not None:
            withdraw(session, link.record_id)
            link.seen = link.agreed = None  # what it says when it is seen again is news, whatever it said before
        return _item(arrival, Status.DELETED, "It was deleted over there; the record here stays.")
    other = session.scalar(
        select(Link).where(Link.connection_id == opened.id, Link.kind == change.kind, Link.remote_id == survivor)
    )
    if other is None:
        link.remote_id, link.remote_version, link.fence = survivor, None, link.fence + 1
        link.sent = link.seen = link.agreed = None
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


# Small steps ----------------------------------------------------------------------------------------------------------


def _together(
    session: Session, opened: Opened, arrivals: Sequence[Arrival], step: Callable[..., list[Item]], *more: Any
) -> list[Item]:
    """Some records' work at once; if one of them cannot be, each by itself.

    Whatever is wrong with one, it is undone alone, said, and looked at again later.
    """
    if not arrivals:
        return []
    links = [arrival.link for arrival in arrivals]
    try:
        with session.begin_nested():
            items = step(session, opened, arrivals, *more)
            session.flush()
            return items
    except Exception as failure:
        if is_worth_another_try(failure):
            raise
        for arrival, link in zip(arrivals, links, strict=True):
            arrival.link, arrival.verdict = link, None
        if len(arrivals) > 1:
            return [item for arrival in arrivals for item in _together(session, opened, [arrival], step, *more)]
        return [_refused(session, opened, arrivals[0], failure)]


def _in_savepoint(
    session: Session, opened: Opened, arrival: Arrival, step: Callable[..., Item], *more: Any
) -> list[Item]:
    """One record's work by itself."""

    def alone(session: Session, opened: Opened, arrivals: Sequence[Arrival]) -> list[Item]:
        return [step(session, opened, arrivals[0], *more)]

    return _together(session, opened, [arrival], alone)


def _refused(session: Session, opened: Opened, arrival: Arrival, failure: Exception) -> Item:
    change, reason = arrival.change, str(failure)
    if not isinstance(failure, HubError):
        log.error("merge failed", connection=opened.name, record=change.label, exc_info=failure)
        reason = f"It could not be taken in ({type(failure).__name__}); the details are in the log."
    leave_hint(session, opened.id, change.kind, change.remote_id, reason, due_at=pause(1))
    fields = getattr(failure, "fields", {})
    return _item(arrival, Status.REJECTED, reason, field=next(iter(fields), ""))


def _exists(session: Session, kind: str, record_id: UUID | None) -> bool:
    return record_id is not None and session.get(circumstances(session).kinds[kind].model, record_id) is not None


def _is_open(session: Session, link: Link) -> bool:
    if link.attempt_id is not None:
        return True
    return link.lease_until is not None and bool(session.scalar(select(link.lease_until > database_now())))


def _touch(link: Link, arrival: Arrival) -> None:
    if link.shown_at is None or link.shown_at < arrival.asked.at:
        link.shown_at = arrival.asked.at
    link.remote_id, link.remote_version = arrival.change.remote_id, arrival.change.version or None
    link.label, link.tombstone_at = arrival.change.label or link.label, None
    link.fence = (link.fence or 0) + 1


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
