"""Going out: claim what is owed, load the present records, send what differs, settle each by its own outcome.

Every send is stored before it goes out, and no transaction is open while the other system answers. A crash between any
two lines leaves either nothing, or an attempt without an answer, which is resolved before anything newer is sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from hub.core.clock import database_now
from hub.core.database import uuid7
from hub.core.errors import ConfigurationFailure
from hub.core.outbox import Link
from hub.sync.claim import LEASE_S, claim, release, write
from hub.sync.connections import hold
from hub.sync.connector import Stream
from hub.sync.matching import settle_before_create
from hub.sync.models import Attempt, Batch
from hub.sync.prepare import Prepared, prepare
from hub.sync.resolve import resolve
from hub.sync.runs import RunLog
from hub.sync.send import Stored, deliver

if TYPE_CHECKING:
    from hub.bootstrap import Hub
    from hub.sync.connections import Opened


def push(hub: Hub, opened: Opened, run: RunLog, *, kinds: Sequence[str], until: float) -> None:
    """Send what is owed to a connection, parents first, until nothing is due or the time (monotonic) is up."""
    streams = [opened.stream(kind) for kind in kinds]
    progress = True
    while progress and time.monotonic() < until:
        progress = False
        for stream in streams:
            while time.monotonic() < until and (links := claim(hub, opened.id, stream.kind)):
                progress = True
                try:
                    push_block(hub, opened, stream, links, run)
                except ConfigurationFailure as failure:
                    hold(hub, opened.id, str(failure))
                    run.failure = str(failure)
                if run.failure or run.resumes_at:
                    return


def push_block(
    hub: Hub,
    opened: Opened,
    stream: Stream,
    links: Sequence[Link],
    run: RunLog,
    only: Callable[[Sequence[Prepared]], list[Prepared]] = list,
) -> None:
    """One claimed block: what has no answer yet is resolved, the rest is prepared, stored and sent in batches.

    only: what of it may be sent, asked before and after looking for it over there; it settles the rest itself.
    """
    open_links = [link for link in links if link.attempt_id is not None]
    if open_links:
        resolve(hub, opened, stream, open_links, run)
    prepared = prepare(hub, opened, stream, [link for link in links if link.attempt_id is None], run)
    prepared = only(settle_before_create(hub, opened, stream, only(prepared), run))
    for start in range(0, len(prepared), stream.batch_size):
        stored = store(hub, opened, stream, prepared[start : start + stream.batch_size], run)
        if stored is not None and not deliver(hub, opened, stream, stored, run):
            _give_back(hub, [item.link for item in prepared[start + stream.batch_size :]])
            return


def store(hub: Hub, opened: Opened, stream: Stream, items: Sequence[Prepared], run: RunLog) -> Stored | None:
    """Write down what is about to be sent, for the links that are still ours and still what was loaded."""
    batch = Batch(id=uuid7(), connection_id=opened.id, kind=stream.kind, key="", run_id=run.id)
    batch.key = batch.id.hex

    def work(session: Session) -> list[Attempt]:
        attempts = [_attempt(batch, item, str(position + 1)) for position, item in enumerate(items)]
        kept = [
            attempt
            for attempt, item in zip(attempts, items, strict=True)
            if write(
                session,
                item.link,
                Link.remote_id.is_not_distinct_from(item.link.remote_id),
                attempt_id=attempt.id,
                lease_until=database_now(plus_s=LEASE_S),
            )
        ]
        if kept:
            session.add(batch)
            session.flush()
            session.add_all(kept)
        return kept

    kept = hub.transact(work)
    return Stored(batch, kept, {item.link.id: item.link for item in items}) if kept else None


def _attempt(batch: Batch, item: Prepared, ref: str) -> Attempt:
    link = item.link
    return Attempt(
        id=uuid7(),
        batch_id=batch.id,
        link_id=link.id,
        ref=ref,
        key=f"{link.id.hex[:24]}-{link.key_number}",
        op=str(item.op),
        fence=link.fence,
        wanted=link.wanted,
        revision=item.revision,
        remote_id=link.remote_id,
        remote_version=link.remote_version,
        label=item.label,
        body=item.body,
        mapped=item.mapped,
        agreed=item.agreed,
        answered_at=None,
    )


def _give_back(hub: Hub, links: Sequence[Link]) -> None:
    hub.transact(lambda session: release(session, links))
