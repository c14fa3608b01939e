"""Sends that have no answer: found out what became of them, before anything newer of the record leaves.

Within the life of the vendor's keys the identical batch is simply repeated. Otherwise nothing but a look is allowed
until the call has certainly ended over there (slow is not dead); then what is found is adopted, and what is certainly
not there is owed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from hub.core import clock
from hub.core.errors import ConnectorError, PermanentFailure
from hub.core.outbox import Link
from hub.sync.claim import heartbeat, release, write
from hub.sync.connector import Found, Op, Outcome, Status, Stream
from hub.sync.models import Attempt, Batch
from hub.sync.runs import RunLog
from hub.sync.send import Stored, deliver, lease_batch, sending_of, settle_batch
from hub.sync.settle import pause

if TYPE_CHECKING:
    from hub.bootstrap import Hub
    from hub.sync.connections import Opened


def resolve(hub: Hub, opened: Opened, stream: Stream, links: Sequence[Link], run: RunLog) -> None:
    """Resolve the batches that these links' open attempts belong to, each once, by one worker."""
    with hub.read() as session:
        batch_ids = session.scalars(
            select(Attempt.batch_id).where(Attempt.id.in_([link.attempt_id for link in links])).distinct()
        ).all()
    for batch_id in batch_ids:
        leased = lease_batch(hub, batch_id)
        if leased is None:
            continue
        batch = leased.batch
        if stream.keyed and clock.now() < batch.created_at + timedelta(seconds=stream.key_life_s):
            _repeat(hub, opened, stream, leased, run)
        else:
            _look_or_wait(hub, opened, stream, leased, run)


def _repeat(hub: Hub, opened: Opened, stream: Stream, leased: Stored, run: RunLog) -> None:
    """The same call with the same key and body: answered with the first answer, or carried out now."""
    try:
        deliver(hub, opened, stream, leased, run, replay=True)
    except PermanentFailure:
        _look_or_wait(hub, opened, stream, leased, run)


def _look_or_wait(hub: Hub, opened: Opened, stream: Stream, leased: Stored, run: RunLog) -> None:
    """A look says something only once the call has certainly ended over there."""
    sent_at = leased.batch.sent_at or leased.batch.created_at
    ends_at = sent_at + timedelta(seconds=opened.connector.call_timeout_s)
    if clock.now() < ends_at:
        _wait(hub, leased, ends_at)
    else:
        _look(hub, opened, stream, leased, run)


def _wait(hub: Hub, leased: Stored, until: datetime) -> None:
    """The call may still be running over there."""

    def work(session: Session) -> None:
        release(session, list(leased.links.values()), due_at=until)
        session.execute(
            update(Batch)
            .where(Batch.id == leased.batch.id, Batch.fence == leased.batch.fence)
            .values(lease_until=None)
            .execution_options(synchronize_session=False)
        )

    hub.transact(work)


def _look(hub: Hub, opened: Opened, stream: Stream, leased: Stored, run: RunLog) -> None:
    creates = [sending_of(attempt) for attempt in leased.attempts if attempt.op == Op.CREATE]
    try:
        with heartbeat(hub, list(leased.links.values()), leased.batch), opened.breaker.call():
            found = list(opened.connector.find(stream.kind, creates)) if creates else []
    except ConnectorError:
        _wait(hub, leased, pause(3))
        return
    outcomes = {attempt.ref: _verdict(attempt, found) for attempt in leased.attempts}
    settle_batch(hub, leased, outcomes, run, looked_up=True)
    _owe_again(hub, leased, outcomes)


def _verdict(attempt: Attempt, found: Sequence[Found]) -> Outcome:
    """Adopt the one that is ours; ask a person about several; else it is certainly not there."""
    ours = [item for item in found if item.ref == attempt.ref and item.ours]
    if len(ours) == 1:
        return Outcome(attempt.ref, Status.CREATED, ours[0].remote_id, ours[0].remote_version)
    if ours:
        listed = ", ".join(item.remote_id for item in ours)
        return Outcome(
            attempt.ref,
            Status.REJECTED,
            reason=f"After a lost answer there are several of it over there: {listed}.",
            remedy="Remove what is too much over there, then link the right one with `hub link relink`.",
        )
    # An update that was lost is simply sent again: its fields are absolute, and nothing newer has left meanwhile.
    return Outcome(attempt.ref, Status.DEFERRED, reason="It did not arrive and is sent again.", until=clock.now())


def _owe_again(hub: Hub, leased: Stored, outcomes: dict[str, Outcome]) -> None:
    again = [leased.links[each.link_id] for each in leased.attempts if outcomes[each.ref].status == Status.DEFERRED]

    def work(session: Session) -> None:
        for link in again:
            write(session, link, due_at=None, failures=0)

    if again:
        hub.transact(work)
