"""What an outcome makes of a link: one transaction per batch, refused by the fence when the link is no longer ours."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from hub.core import clock
from hub.core.clock import database_now
from hub.core.outbox import Link
from hub.sync.claim import still_ours, write_all
from hub.sync.connector import Outcome, Status
from hub.sync.hints import leave_hint
from hub.sync.models import Attempt
from hub.sync.runs import Item, RunLog

if TYPE_CHECKING:
    from hub.bootstrap import Hub

DELIVERED = (Status.CREATED, Status.UPDATED, Status.UNCHANGED, Status.DELETED)
_REFUSED = (Status.REJECTED, Status.CONFLICT)
_CHANGED = "It changed while the call was open, and is sent as it is now."
_OVERTAKEN = "Another worker took it over while the call was open."
_STALE = "It is newer over there than what we know; it is read and merged before it is sent again."
_STALE_TRIES = 3
"""How often in a row a record is read and sent again before a person is asked."""
_READ_WITHIN = timedelta(seconds=30)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 900.0


def pause(failures: int, retry_after_s: float | None = None) -> datetime:
    """When to try again: what the other side asks for, else full jitter under a doubling ceiling."""
    ceiling = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(failures, 12))
    return clock.now() + timedelta(seconds=max(retry_after_s or 0, random.uniform(0.5, ceiling)))  # noqa: S311


def settle(
    session: Session,
    links: Mapping[UUID, Link],
    attempts: Sequence[Attempt],
    outcomes: Mapping[str, Outcome],
    *,
    looked_up: bool = False,
) -> list[Item]:
    """Close the attempts of one batch by their outcomes, matched by ref. Returns what to count.

    looked_up: the outcomes are no answer; they say what was found over there later, when it may have been edited.
    An attempt whose link was taken over stays open: whoever has the link now finds out by itself what became of it.
    """
    taken = _taken_remote_ids(session, attempts, outcomes)
    ours = still_ours(session, [links[attempt.link_id] for attempt in attempts])
    settled: list[tuple[Attempt, Outcome]] = []
    changes: list[tuple[UUID, dict[str, Any]]] = []
    items: list[Item] = []
    for attempt in attempts:
        link = links[attempt.link_id]
        if link.id not in ours:
            items.append(_counted(link, attempt, Outcome(attempt.ref, Status.DEFERRED, reason=_OVERTAKEN)))
            continue
        outcome = _unless_stale(session, link, attempt, _outcome_of(attempt, outcomes, taken))
        if outcome.status in _REFUSED and ours[link.id].wanted != attempt.wanted:
            # What was refused is no longer what we say.
            outcome = Outcome(attempt.ref, Status.DEFERRED, reason=f"{_CHANGED} Refused was: {outcome.reason}")
            changes.append((link.id, {**_answered(link, attempt), "due_at": None}))
        else:
            changes.append((link.id, _consequences(link, attempt, outcome, looked_up=looked_up)))
        settled.append((attempt, outcome))
        items.append(_counted(link, attempt, outcome))
    write_all(session, changes)
    _refused_by_fence(session, [attempt.link_id for attempt in attempts if attempt.link_id not in ours])
    _close(session, settled)
    wake_children(session, [attempt.link_id for attempt, outcome in settled if outcome.status in DELIVERED])
    for attempt, outcome in settled:
        if outcome.status == Status.REJECTED:
            park_children(session, attempt.link_id, attempt.label, outcome.reason)
    return items


def _outcome_of(attempt: Attempt, outcomes: Mapping[str, Outcome], taken: Mapping[str, UUID]) -> Outcome:
    """What the answer says of one attempt; none that would make two of our records the same one over there."""
    outcome = outcomes.get(attempt.ref)
    if outcome is None:
        return Outcome(attempt.ref, Status.UNCERTAIN, reason="The answer says nothing of this record.")
    if outcome.remote_id is not None and taken.get(outcome.remote_id, attempt.link_id) != attempt.link_id:
        return Outcome(
            attempt.ref,
            Status.REJECTED,
            reason=f"{outcome.remote_id} over there is linked to another record of the hub already.",
            remedy="Unlink one of the two with `hub link unlink`.",
        )
    return outcome


def _unless_stale(session: Session, link: Link, attempt: Attempt, outcome: Outcome) -> Outcome:
    """What we sent was made for an older version: on a stream that is read too, theirs is read and merged first."""
    is_read = attempt.agreed is not None and link.remote_id is not None
    if outcome.status != Status.CONFLICT or not is_read or link.failures >= _STALE_TRIES:
        return outcome
    leave_hint(session, link.connection_id, link.kind, str(link.remote_id), _STALE)
    return Outcome(attempt.ref, Status.DEFERRED, reason=f"{_STALE} {outcome.reason}", until=clock.now() + _READ_WITHIN)


def settle_unchanged(hub: Hub, links: Sequence[tuple[Link, Item]], revisions: Mapping[UUID, int], run: RunLog) -> None:
    """Nothing differs from what is there: delivered, without a call."""
    if not links:
        return

    def work(session: Session) -> None:
        ours = still_ours(session, [link for link, _ in links])
        settled = {"lease_until": None, "failures": 0, "due_at": None}
        write_all(
            session,
            [
                (link.id, {**settled, "done": link.wanted, "revision": _revision_now(link, revisions)})
                for link, _ in links
                if link.id in ours
            ],
        )
        run.count(session, [item for _, item in links])

    hub.transact(work)


def _revision_now(link: Link, revisions: Mapping[UUID, int]) -> int | None:
    return revisions.get(link.record_id, link.revision) if link.record_id else link.revision


def park(hub: Hub, refused: Sequence[tuple[Link, Item]], run: RunLog) -> None:
    """Set links aside for a person, each with the reason and the field that its item names."""
    if not refused:
        return

    def work(session: Session) -> None:
        ours = still_ours(session, [link for link, _ in refused])
        parked = [(link, item) for link, item in refused if link.id in ours and ours[link.id].wanted == link.wanted]
        changes = {link_id: {"lease_until": None} for link_id in ours}  # what changed meanwhile is looked at again
        changes |= {link.id: _set_aside(item) for link, item in parked}
        write_all(session, changes.items())
        for link, item in parked:
            park_children(session, link.id, item.label, item.reason)
        run.count(session, [item for _, item in parked])

    hub.transact(work)


def _set_aside(item: Item) -> dict[str, Any]:
    return {**parking(item.reason, item.field, item.remedy), "label": item.label}


def wake_children(session: Session, parent_ids: Sequence[UUID]) -> None:
    """Those that waited for these records are due."""
    if not parent_ids:
        return
    session.execute(
        update(Link)
        .where(Link.waiting_for.in_(parent_ids))
        .values(waiting_for=None, parked=None, parked_at=None, due_at=None)
        .execution_options(synchronize_session=False)
    )


def ignore(session: Session, link: Link, reason: str) -> None:
    """A person decided that this record is not sent: what waits for it is set aside with it."""
    link.ignored, link.lease_until = reason, None
    park_children(session, link.id, link.label, reason)


def park_children(session: Session, parent_id: UUID, label: str, reason: str) -> None:
    """Those that wait for a record that cannot go are set aside with it, and come back with it."""
    session.execute(
        update(Link)
        .where(Link.waiting_for == parent_id, Link.parked.is_(None))
        .values(parked=f"{label} has to be mended first: {reason}", parked_at=clock.now())
        .execution_options(synchronize_session=False)
    )


def parking(reason: str, field: str = "", remedy: str = "") -> dict[str, Any]:
    """The values of a link that is set aside for a person."""
    return {
        "parked": reason,
        "parked_field": field or None,
        "parked_remedy": remedy or None,
        "parked_at": clock.now(),
        "lease_until": None,
    }


def _answered(link: Link, attempt: Attempt) -> dict[str, Any]:
    return {"attempt_id": None, "lease_until": None, "key_number": link.key_number + 1, "label": attempt.label}


def _consequences(link: Link, attempt: Attempt, outcome: Outcome, *, looked_up: bool) -> dict[str, Any]:
    """The new values of a link, by outcome. A definite answer ends the attempt and changes the next key."""
    answered = _answered(link, attempt)
    if outcome.status in DELIVERED:
        return answered | {
            "remote_id": outcome.remote_id or link.remote_id,
            "remote_version": outcome.remote_version or link.remote_version,
            "sent": {**(link.sent or {}), **attempt.mapped},
            "delivered_at": database_now(),
            **_bases(link, attempt, looked_up=looked_up),
            "done": attempt.wanted,
            "revision": attempt.revision,
            "failures": 0,
            "due_at": None,
            "parked": None,
            "parked_field": None,
            "parked_remedy": None,
            "parked_at": None,
            "findings": [asdict(finding) for finding in outcome.findings] or None,
        }
    if outcome.status in _REFUSED:
        return answered | parking(outcome.reason, outcome.field, outcome.remedy) | {"due_at": None}
    due = {"due_at": outcome.until or pause(link.failures), "failures": link.failures + 1, "lease_until": None}
    if outcome.status == Status.UNCERTAIN:
        return due  # the attempt stays open: it is resolved before anything newer leaves
    return answered | due


def _bases(link: Link, attempt: Attempt, *, looked_up: bool) -> dict[str, Any]:
    """The bases of the next merge, on a stream that is read too. How they show what we changed is not known yet.

    What was only looked up may not be in the version that our call has made: whatever differs there is their edit.
    """
    if attempt.agreed is None:
        return {}
    if looked_up:
        return {"agreed": attempt.agreed, "seen": attempt.agreed}
    before, seen = link.agreed or {}, link.seen or {}
    kept = {name: value for name, value in seen.items() if attempt.agreed.get(name) == before.get(name, value)}
    return {"agreed": attempt.agreed, "seen": kept}


def _close(session: Session, settled: Sequence[tuple[Attempt, Outcome]]) -> None:
    """Note what came of attempts. One whose outcome is uncertain stays open."""
    now = clock.now()
    rows = [
        {
            "id": attempt.id,
            "status": "" if outcome.status == Status.UNCERTAIN else str(outcome.status),
            "reason": outcome.reason,
            "answered_at": None if outcome.status == Status.UNCERTAIN else now,
            "answer": _answer(outcome),
        }
        for attempt, outcome in settled
    ]
    if rows:
        session.execute(update(Attempt), rows)


def _answer(outcome: Outcome) -> dict[str, Any]:
    """What the answer said besides its verdict and its reason."""
    told = {name: getattr(outcome, name) for name in ("remote_id", "remote_version", "field", "remedy")}
    told["findings"] = [finding.text for finding in outcome.findings]
    return {name: value for name, value in told.items() if value}


def _refused_by_fence(session: Session, link_ids: Sequence[UUID]) -> None:
    """Somebody else has these links: what we did may be newer than what they know, so the truth is read again."""
    if not link_ids:
        return
    session.execute(
        update(Link)
        .where(Link.id.in_(link_ids))
        .values(wanted=Link.wanted + 1, seen=None)
        .execution_options(synchronize_session=False)
    )


def _taken_remote_ids(
    session: Session, attempts: Sequence[Attempt], outcomes: Mapping[str, Outcome]
) -> dict[str, UUID]:
    remote_ids = [outcome.remote_id for outcome in outcomes.values() if outcome.remote_id]
    if not attempts or not remote_ids:
        return {}
    mine = session.execute(select(Link.connection_id, Link.kind).where(Link.id == attempts[0].link_id)).one()
    rows = session.execute(
        select(Link.remote_id, Link.id).where(
            Link.connection_id == mine.connection_id, Link.kind == mine.kind, Link.remote_id.in_(remote_ids)
        )
    )
    return {row.remote_id: row.id for row in rows}


def _counted(link: Link, attempt: Attempt, outcome: Outcome) -> Item:
    return Item(
        kind=link.kind,
        direction="push",
        status=outcome.status,
        label=attempt.label,
        record_id=link.record_id,
        remote_id=outcome.remote_id or link.remote_id,
        reason=outcome.reason or "; ".join(finding.text for finding in outcome.findings),
        field=outcome.field,
        remedy=outcome.remedy,
        differences={"sent": attempt.body},
    )
