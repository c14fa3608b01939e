"""One batch over the wire, and what its answer, or the lack of one, means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from sqlalchemy import select, update
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
from hub.sync.claim import heartbeat, lease, write
from hub.sync.connections import hold
from hub.sync.connector import Batch as Call
from hub.sync.connector import Op, Outcome, Sending, Status, Stream
from hub.sync.models import Attempt, Batch, Connection, ConnectionState
from hub.sync.runs import RunLog
from hub.sync.settle import pause, settle

if TYPE_CHECKING:
    from hub.bootstrap import Hub
    from hub.sync.connections import Opened

log = structlog.get_logger("hub.sync")


def deliver(hub: Hub, opened: Opened, stream: Stream, batch: Batch, run: RunLog, *, replay: bool = False) -> bool:
    """Send one stored batch and settle it. Returns whether more may be sent to this connection now.

    replay: the batch was sent before and its answer lost. Whatever keeps the repeat from being answered says nothing
    of the first time, so its records stay uncertain; a refusal of the repeat as a whole is raised.
    """
    attempts, links = _of_batch(hub, batch.id)
    not_applied = Status.UNCERTAIN if replay else Status.DEFERRED
    if not _may_still_write(hub, opened.id):
        _settle(hub, batch, attempts, links, _all(attempts, not_applied, "The connection may not write now."), run)
        return False
    try:
        with heartbeat(hub, list(links.values())):
            # What was answered once is settled; to send it again under its old key would say nothing about today.
            outcomes = opened.connector.push(call_of(batch, [a for a in attempts if a.answered_at is None]))
    except PermanentFailure as refusal:
        if replay:
            raise
        return _refused(hub, opened, stream, batch, attempts, links, refusal, run)
    except Exception as failure:
        outcomes, go_on = _without_answer(hub, opened, attempts, failure, run, not_applied)
        _settle(hub, batch, attempts, links, outcomes, run)
        return go_on
    _settle(hub, batch, attempts, links, outcomes, run)
    return True


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
    attempts: Sequence[Attempt],
    failure: Exception,
    run: RunLog,
    not_applied: Status,
) -> tuple[list[Outcome], bool]:
    """What a call that raised means for its records, and whether the next batch may go."""
    if isinstance(failure, TemporaryFailure):
        until = pause(0, failure.retry_after_s)
        run.resumes_at = until
        return _all(attempts, not_applied, str(failure), until=until), False
    if isinstance(failure, QuotaSpent):
        run.resumes_at = failure.resets_at or pause(6)
        return _all(attempts, not_applied, str(failure), until=run.resumes_at), False
    if isinstance(failure, ConfigurationFailure):
        hold(hub, opened.id, str(failure))
        run.failure = str(failure)
        return _all(attempts, not_applied, str(failure)), False
    if not isinstance(failure, OutcomeUnknown):
        # A fault of the connector itself: whether it had sent anything is not known.
        log.error("connector failed", connection=opened.name, error=repr(failure), exc_info=failure)
        run.failure = f"The connector failed with {type(failure).__name__}; the details are in the log."
        return _all(attempts, Status.UNCERTAIN, run.failure), False
    return _all(attempts, Status.UNCERTAIN, str(failure)), True


def _refused(
    hub: Hub,
    opened: Opened,
    stream: Stream,
    batch: Batch,
    attempts: Sequence[Attempt],
    links: dict[UUID, Link],
    refusal: PermanentFailure,
    run: RunLog,
) -> bool:
    """The whole call was refused, nothing was applied: halve it until the one bad record stands alone."""
    if len(attempts) == 1:
        outcome = Outcome(attempts[0].ref, Status.REJECTED, reason=str(refusal), field=refusal.field or "")
        _settle(hub, batch, attempts, links, [outcome], run)
        return True
    middle = len(attempts) // 2
    halves = [_again(hub, batch, part, links, run) for part in (attempts[:middle], attempts[middle:])]
    go_on = True
    for half in halves:
        if half is not None:
            go_on = deliver(hub, opened, stream, half, run) and go_on
    return go_on


def _again(hub: Hub, batch: Batch, attempts: Sequence[Attempt], links: dict[UUID, Link], run: RunLog) -> Batch | None:
    """Store part of a refused batch anew: another call, so another key."""
    part = Batch(id=uuid7(), connection_id=batch.connection_id, kind=batch.kind, key="", run_id=run.id)
    part.key = part.id.hex

    def work(session: Session) -> bool:
        session.add(part)
        session.flush()
        now = clock.now()
        session.execute(
            update(Attempt)
            .where(Attempt.id.in_([attempt.id for attempt in attempts]))
            .values(answered_at=now, status="refused", reason="refused with its whole batch")
            .execution_options(synchronize_session=False)
        )
        session.execute(update(Batch).where(Batch.id == batch.id).values(answered_at=now))
        kept = 0
        for position, attempt in enumerate(attempts):
            link = links[attempt.link_id]
            new_id = uuid7()
            if not write(session, link, attempt_id=new_id, key_number=link.key_number + 1):
                continue
            link.key_number += 1
            kept += 1
            session.add(
                Attempt(
                    id=new_id,
                    batch_id=part.id,
                    link_id=link.id,
                    ref=str(position + 1),
                    key=f"{link.id.hex[:24]}-{link.key_number}",
                    op=attempt.op,
                    fence=link.fence,
                    wanted=attempt.wanted,
                    revision=attempt.revision,
                    remote_id=attempt.remote_id,
                    remote_version=attempt.remote_version,
                    label=attempt.label,
                    body=attempt.body,
                    mapped=attempt.mapped,
                )
            )
        return kept > 0

    return part if hub.transact(work) else None


def lease_batch(hub: Hub, batch_id: UUID) -> tuple[Batch, list[Attempt], dict[UUID, Link]] | None:
    """Take a whole batch that has no answer, with the links of all its records; None if somebody else has it."""

    def work(session: Session) -> tuple[Batch, list[Attempt], dict[UUID, Link]] | None:
        taken = session.execute(
            update(Batch)
            .where(Batch.id == batch_id, Batch.answered_at.is_(None))
            .where(Batch.lease_until.is_(None) | (Batch.lease_until <= database_now()))
            .values(lease_until=database_now(plus_s=60))
            .execution_options(synchronize_session=False)
        )
        if not getattr(taken, "rowcount", 0):
            return None
        attempts = _attempts(session, batch_id)
        links = lease(session, [attempt.link_id for attempt in attempts])
        batch = session.get_one(Batch, batch_id, populate_existing=True)
        return batch, attempts, {link.id: link for link in links}

    return hub.transact(work)


def _of_batch(hub: Hub, batch_id: UUID) -> tuple[list[Attempt], dict[UUID, Link]]:
    with hub.read() as session:
        attempts = _attempts(session, batch_id)
        links = session.scalars(select(Link).where(Link.id.in_([attempt.link_id for attempt in attempts])))
        return attempts, {link.id: link for link in links}


def _attempts(session: Session, batch_id: UUID) -> list[Attempt]:
    return list(session.scalars(select(Attempt).where(Attempt.batch_id == batch_id).order_by(Attempt.id)))


def _settle(
    hub: Hub,
    batch: Batch,
    attempts: Sequence[Attempt],
    links: dict[UUID, Link],
    outcomes: Sequence[Outcome],
    run: RunLog,
) -> None:
    by_ref = {outcome.ref: outcome for outcome in outcomes}
    settle_batch(hub, batch, [a for a in attempts if a.answered_at is None], links, by_ref, run)


def settle_batch(
    hub: Hub,
    batch: Batch,
    attempts: Sequence[Attempt],
    links: dict[UUID, Link],
    outcomes: dict[str, Outcome],
    run: RunLog,
) -> None:
    """Settle the records of one batch and count them, in one transaction."""

    def work(session: Session) -> None:
        items = settle(session, links, attempts, outcomes)
        still_open = any(item.status == Status.UNCERTAIN for item in items)
        session.execute(
            update(Batch)
            .where(Batch.id == batch.id)
            .values(answered_at=None if still_open else clock.now(), lease_until=None)
            .execution_options(synchronize_session=False)
        )
        run.count(session, items)

    hub.transact(work)
    for attempt in attempts:
        run.waiting.pop(attempt.link_id, None)


def _may_still_write(hub: Hub, connection_id: UUID) -> bool:
    with hub.read() as session:
        state = session.scalar(select(Connection.state).where(Connection.id == connection_id))
    return state == ConnectionState.ACTIVE


def _all(attempts: Sequence[Attempt], status: Status, reason: str, **more: object) -> list[Outcome]:
    return [Outcome(attempt.ref, status, reason=reason, **more) for attempt in attempts]  # type: ignore[arg-type]
