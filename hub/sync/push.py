"""Going out: claim what is owed, load the present records, send what differs, settle each by its own outcome.

Every send is stored before it goes out, and no transaction is open while the other system answers. A crash between any
two lines leaves either nothing, or an attempt without an answer, which is resolved before anything newer is sent.

A stream is sent by one thread, and by more of them as long as there are full blocks: up to as many as the other system
takes calls at once. Each claims blocks of its own, so that threads, workers and hosts share the work in one way.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from hub.core.clock import database_now
from hub.core.database import uuid7
from hub.core.errors import ConfigurationFailure
from hub.core.outbox import Link
from hub.sync.claim import BLOCK, LEASE_S, claim, release, still_ours, write_all
from hub.sync.connections import hold
from hub.sync.connector import Limit, Stream
from hub.sync.matching import settle_before_create
from hub.sync.models import Attempt, Batch
from hub.sync.prepare import Prepared, prepare
from hub.sync.resolve import resolve
from hub.sync.runs import RunLog
from hub.sync.send import Stored, deliver, new_batch

if TYPE_CHECKING:
    from hub.bootstrap import Hub
    from hub.sync.connections import Opened

MOST_CALLS_CLAIMED = 10


def push(hub: Hub, opened: Opened, run: RunLog, *, kinds: Sequence[str], until: float) -> None:
    """Send what is owed to a connection, parents first, until nothing is due or the time (monotonic) is up."""
    streams = [opened.stream(kind) for kind in kinds]
    progress = True
    while progress and time.monotonic() < until:
        progress = False
        for stream in streams:
            progress = _Senders(hub, opened, stream, run, until).send() or progress
            if run.failure or run.resumes_at:
                return


class _Senders:
    """The threads that send one stream, the caller's among them."""

    def __init__(self, hub: Hub, opened: Opened, stream: Stream, run: RunLog, until: float) -> None:
        self._hub, self._opened, self._stream, self._run, self._until = hub, opened, stream, run, until
        self._most = calls_at_once(opened.connector.limits)
        self._lock = threading.Lock()
        self._others: list[Future[None]] = []
        self._sent = self._broken = False

    def send(self) -> bool:
        """Send until nothing is due or the time is up. Returns whether anything was; raises as a thread does."""
        with ThreadPoolExecutor(self._most, thread_name_prefix="sender") as self._pool:
            self._work(self._opened)
            for other in self._others:  # which grows while it is gone through: each is there before its starter ends
                other.result()
        return self._sent

    def _work(self, opened: Opened) -> None:
        size = block_of(self._stream)
        try:
            while self._may_go_on() and (links := claim(self._hub, opened.id, self._stream.kind, size)):
                self._sent = True
                if len(links) == size:
                    self._one_more()
                self._send_block(opened, links)
        except BaseException:
            self._broken = True
            raise

    def _may_go_on(self) -> bool:
        stopped = self._broken or self._run.failure or self._run.resumes_at
        return not stopped and time.monotonic() < self._until

    def _one_more(self) -> None:
        with self._lock:
            if len(self._others) + 1 < self._most:
                work = partial(copy_context().run, self._work, self._opened.for_another_thread())
                self._others.append(self._pool.submit(work))

    def _send_block(self, opened: Opened, links: Sequence[Link]) -> None:
        try:
            push_block(self._hub, opened, self._stream, links, self._run)
        except ConfigurationFailure as failure:
            hold(self._hub, opened.id, str(failure), signed_out=failure.reauthorise)
            self._run.failure = str(failure)


def calls_at_once(limits: Sequence[Limit]) -> int:
    """As many calls as the other system takes at the same time; one where that is not known."""
    return min((limit.in_flight for limit in limits if limit.in_flight), default=1)


def block_of(stream: Stream) -> int:
    """How many links are claimed at once: whole batches, few enough to be sent before they are long in hand."""
    return stream.batch_size * max(1, min(MOST_CALLS_CLAIMED, BLOCK // stream.batch_size))


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
    batch = new_batch(opened.id, stream.kind, run.id)

    def work(session: Session) -> list[Attempt]:
        ours = still_ours(session, [item.link for item in items])
        kept = [
            _attempt(batch, item, str(position + 1))
            for position, item in enumerate(items)
            if (link := ours.get(item.link.id)) is not None and link.remote_id == item.link.remote_id
        ]
        if kept:
            lease_until = database_now(plus_s=LEASE_S)
            write_all(session, [(each.link_id, {"attempt_id": each.id, "lease_until": lease_until}) for each in kept])
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
