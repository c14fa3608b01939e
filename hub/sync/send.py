"""One batch over the wire, and what its answer, or the lack of one, means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from hub.core import clock
from hub.core.clock import database_now
from hub.core.database import uuid7
from hub.core.errors import (
    ConfigurationFailure,
    OutcomeUnknown,
    PermanentFailure,
    QuotaSpent,
    TemporaryFailure,
)
from hub.core.outbox import Link
from hub.sync.claim import LEASE_S, heartbeat, lease, may_write, renew, renew_batch, write
from hub.sync.connections import hold
from hub.sync.connector import Batch as Call
from hub.sync.connector import Op, Outcome, Sending, Status, Stream
from hub.sync.models import Attempt, Batch
from hub.sync.runs import Item, RunLog
from hub.sync.settle import pause, settle

if TYPE_CHECKING:
    from hub.bootstrap import Hub
    from hub.sync.connections import Opened

log = structlog.get_logger("hub.sync")
_PUT_OFF = (Status.DEFERRED, Status.UNCERTAIN)


@dataclass(frozen=True, slots=True)
class Stored:
    """A batch in the hands of one worker: its attempts as they were written down, and their links as it has them."""

    batch: Batch
    attempts: Sequence[Attempt]
    links: dict[UUID, Link]


def deliver(hub: Hub, opened: Opened, stream: Stream, stored: Stored, run: RunLog, *, replay: bool = False) -> bool:
    """Send one stored batch and settle it. Returns whether more may be sent to this connection now.

    replay: the batch was sent before and its answer lost. Whatever keeps the repeat from being answered says nothing
    of the first time, so its records stay uncertain; a refusal of the repeat as a whole is raised.
    """
    not_applied = Status.UNCERTAIN if replay else Status.DEFERRED
    allowed, ours = _hold_on(hub, opened.id, stored)
    if not ours:
        return allowed  # all of it was taken over: whoever has it finds out what became of it
    stored = Stored(stored.batch, ours, stored.links)
    if not allowed:
        _settle(hub, stored, _all(ours, not_applied, "The connection may not write now."), run)
        return False
    try:
        links = [stored.links[attempt.link_id] for attempt in ours]
        with heartbeat(hub, links, stored.batch), opened.breaker.call():
            outcomes = opened.connector.push(call_of(stored.batch, ours))
    except PermanentFailure as refusal:
        if replay:
            raise
        return _refused(hub, opened, stream, stored, refusal, run)
    except Exception as failure:
        outcomes, go_on = _without_answer(hub, opened, stored, failure, run, not_applied)
        _settle(hub, stored, outcomes, run)
        return go_on
    stopping = next((outcome for outcome in outcomes if outcome.stops), None)
    if stopping is None:
        _settle(hub, stored, outcomes, run)
        return True
    hold(hub, opened.id, stopping.reason)
    run.failure = stopping.reason
    _settle(hub, stored, [replace(each, status=not_applied) if each.stops else each for each in outcomes], run)
    return False


def _hold_on(hub: Hub, connection_id: UUID, stored: Stored) -> tuple[bool, list[Attempt]]:
    """Right before a call: may the connection write, and which records are still ours, their lease renewed?

    What was taken over while this worker was not looking must not be sent by it any more. What was answered once is
    settled: to send it again under its old key would say nothing about today.
    """
    unanswered = [attempt for attempt in stored.attempts if attempt.answered_at is None]

    def work(session: Session) -> tuple[bool, list[Attempt]]:
        if not renew_batch(session, stored.batch, sent_at=database_now()):
            return may_write(hub, session, connection_id), []
        kept = renew(session, [stored.links[attempt.link_id] for attempt in unanswered])
        return may_write(hub, session, connection_id), [a for a in unanswered if a.link_id in kept]

    return hub.transact(work)


def call_of(batch: Batch, attempts: Sequence[Attempt]) -> Call:
    """A stored batch as the connector gets it: a repeat is the same to the letter."""
    return Call(batch.key, batch.kind, tuple(sending_of(attempt) for attempt in attempts))


def sending_of(attempt: Attempt) -> Sending:
    """A stored attempt as the connector gets it."""
    return Sending(
        ref=attempt.ref,
        key=attempt.key,
        op=Op(attempt.op),
        body=attempt.body,
        label=attempt.label,
        remote_id=attempt.remote_id,
        remote_version=attempt.remote_version,
    )


def _without_answer(
    hub: Hub,
    opened: Opened,
    stored: Stored,
    failure: Exception,
    run: RunLog,
    not_applied: Status,
) -> tuple[list[Outcome], bool]:
    """What a call that raised means for its records, and whether the next batch may go."""
    attempts = stored.attempts
    if isinstance(failure, TemporaryFailure):
        before = max(stored.links[attempt.link_id].failures for attempt in attempts)
        until = pause(before, failure.retry_after_s)
        run.resumes_at = until
        return _all(attempts, not_applied, str(failure), until=until), False
    if isinstance(failure, QuotaSpent):
        run.resumes_at = failure.resets_at or pause(6)
        return _all(attempts, not_applied, str(failure), until=run.resumes_at), False
    if isinstance(failure, ConfigurationFailure):
        hold(hub, opened.id, str(failure), signed_out=failure.reauthorise)
        run.failure = str(failure)
        return _all(attempts, not_applied, str(failure)), False
    if not isinstance(failure, OutcomeUnknown):
        # A fault of the connector itself: whether it had sent anything is not known.
        log.error("connector failed", connection=opened.name, error=repr(failure), exc_info=failure)
        run.failure = f"The connector failed with {type(failure).__name__}; the details are in the log."
        return _all(attempts, Status.UNCERTAIN, run.failure), False
    return _all(attempts, Status.UNCERTAIN, str(failure)), True


def _refused(hub: Hub, opened: Opened, stream: Stream, stored: Stored, refusal: PermanentFailure, run: RunLog) -> bool:
    """The whole call was refused, nothing was applied: halve it until the one bad record stands alone."""
    attempts = stored.attempts
    if len(attempts) == 1:
        outcome = Outcome(attempts[0].ref, Status.REJECTED, reason=str(refusal), field=refusal.field or "")
        _settle(hub, stored, [outcome], run)
        return True
    middle = len(attempts) // 2
    halves = [_again(hub, stored, part, run) for part in (attempts[:middle], attempts[middle:])]
    go_on = True
    for half in halves:
        if half is not None:
            go_on = deliver(hub, opened, stream, half, run) and go_on
    return go_on


def _again(hub: Hub, stored: Stored, refused: Sequence[Attempt], run: RunLog) -> Stored | None:
    """Store part of a refused batch anew: another call, so another key."""
    batch = stored.batch
    part = new_batch(batch.connection_id, batch.kind, run.id)

    def work(session: Session) -> list[Attempt]:
        kept: list[Attempt] = []
        for position, attempt in enumerate(refused):
            again = _anew(attempt, stored.links[attempt.link_id], part, str(position + 1))
            if not write(session, stored.links[attempt.link_id], attempt_id=again.id, key_number=Link.key_number + 1):
                continue
            kept.append(again)
        session.execute(
            update(Attempt)
            .where(Attempt.batch_id == batch.id, Attempt.link_id.in_([attempt.link_id for attempt in kept]))
            .values(answered_at=clock.now(), status="refused", reason="refused with its whole batch")
            .execution_options(synchronize_session=False)
        )
        _close_if_answered(session, batch)
        if kept:
            session.add(part)
            session.flush()
            session.add_all(kept)
        return kept

    kept = hub.transact(work)
    for attempt in kept:
        stored.links[attempt.link_id].key_number += 1
    return Stored(part, kept, stored.links) if kept else None


def new_batch(connection_id: UUID, kind: str, run_id: UUID | None) -> Batch:
    """A batch with a key of its own, not stored yet."""
    batch_id = uuid7()
    return Batch(id=batch_id, connection_id=connection_id, kind=kind, key=batch_id.hex, run_id=run_id, fence=0)


def _anew(attempt: Attempt, link: Link, batch: Batch, ref: str) -> Attempt:
    return Attempt(
        id=uuid7(),
        batch_id=batch.id,
        link_id=link.id,
        ref=ref,
        key=f"{link.id.hex[:24]}-{link.key_number + 1}",
        op=attempt.op,
        fence=link.fence,
        wanted=attempt.wanted,
        revision=attempt.revision,
        remote_id=attempt.remote_id,
        remote_version=attempt.remote_version,
        label=attempt.label,
        body=attempt.body,
        mapped=attempt.mapped,
        agreed=attempt.agreed,
        answered_at=None,
    )


def lease_batch(hub: Hub, batch_id: UUID) -> Stored | None:
    """Take a batch that has no answer, with the links of what is open in it; None if somebody else has it."""

    def work(session: Session) -> Stored | None:
        taken = session.execute(
            update(Batch)
            .where(Batch.id == batch_id, Batch.answered_at.is_(None))
            .where(Batch.lease_until.is_(None) | (Batch.lease_until <= database_now()))
            .values(fence=Batch.fence + 1, lease_until=database_now(plus_s=LEASE_S))
            .execution_options(synchronize_session=False)
        )
        if not getattr(taken, "rowcount", 0):
            return None
        # What was answered is settled, and may be on its way again by other hands.
        unanswered = select(Attempt).where(Attempt.batch_id == batch_id, Attempt.answered_at.is_(None))
        attempts = session.scalars(unanswered.order_by(Attempt.id)).all()
        links = lease(session, [attempt.link_id for attempt in attempts])
        batch = session.get_one(Batch, batch_id, populate_existing=True)
        return Stored(batch, attempts, {link.id: link for link in links})

    return hub.transact(work)


def _settle(hub: Hub, stored: Stored, outcomes: Sequence[Outcome], run: RunLog) -> None:
    settle_batch(hub, stored, {outcome.ref: outcome for outcome in outcomes}, run)


def settle_batch(
    hub: Hub, stored: Stored, outcomes: dict[str, Outcome], run: RunLog, *, looked_up: bool = False
) -> None:
    """Settle the records of one batch and count them, in one transaction; what is put off counts at the run's end."""

    def work(session: Session) -> list[Item]:
        items = settle(session, stored.links, stored.attempts, outcomes, looked_up=looked_up)
        run.count(session, [item for item in items if item.status not in _PUT_OFF])
        _close_if_answered(session, stored.batch)
        return items

    for attempt, item in zip(stored.attempts, hub.transact(work), strict=True):
        run.waiting.pop(attempt.link_id, None)
        if item.status in _PUT_OFF:
            run.waiting[attempt.link_id] = item


def _close_if_answered(session: Session, batch: Batch) -> None:
    """A batch is over when the last of its attempts has an answer; else whoever resolves the rest may take it, unless
    somebody has taken it over already.
    """
    session.flush()
    is_open = exists().where(Attempt.batch_id == batch.id, Attempt.answered_at.is_(None))
    this = update(Batch).where(Batch.id == batch.id).execution_options(synchronize_session=False)
    session.execute(this.where(Batch.fence == batch.fence).values(lease_until=None))
    session.execute(this.where(~is_open).values(answered_at=clock.now()))


def _all(attempts: Sequence[Attempt], status: Status, reason: str, **more: object) -> list[Outcome]:
    return [Outcome(attempt.ref, status, reason=reason, **more) for attempt in attempts]  # type: ignore[arg-type]
