"""Going out: claim what is owed, load the present records, send what differs, settle each by its own outcome.

Every send is stored before it goes out, and no transaction is open while the other system answers. A crash between any
two lines leaves either nothing, or an attempt without an answer, which is resolved before anything newer is sent.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.database import uuid7
from hub.core.errors import PermanentFailure
from hub.core.frozen import freeze
from hub.core.outbox import Link
from hub.sync.claim import claim, release, write
from hub.sync.connector import Op, Ref, Status, Stream, Values
from hub.sync.matching import settle_before_create
from hub.sync.models import Attempt, Batch
from hub.sync.resolve import resolve
from hub.sync.runs import Item, RunLog
from hub.sync.send import deliver
from hub.sync.settle import park, settle_unchanged, wait_for_parents

if TYPE_CHECKING:
    from hub.bootstrap import Hub
    from hub.sync.connections import Opened

log = structlog.get_logger("hub.sync")


@dataclass(frozen=True, slots=True)
class Prepared:
    """One record ready to go: its link, what it looks like over there now, and what of that differs."""

    link: Link
    op: Op
    revision: int
    label: str
    mapped: Values
    body: Values


def push(hub: Hub, opened: Opened, run: RunLog, *, kinds: Sequence[str], until: float) -> None:
    """Send what is owed to a connection, parents first, until nothing is due or the time (monotonic) is up."""
    streams = [opened.stream(kind) for kind in kinds]
    progress = True
    while progress and time.monotonic() < until:
        progress = False
        for stream in streams:
            while time.monotonic() < until and (links := claim(hub, opened.id, stream.kind)):
                progress = True
                push_block(hub, opened, stream, links, run)
                if run.failure or run.resumes_at:
                    return


def push_block(hub: Hub, opened: Opened, stream: Stream, links: Sequence[Link], run: RunLog) -> None:
    """One claimed block: what has no answer yet is resolved, the rest is prepared, stored and sent in batches."""
    open_links = [link for link in links if link.attempt_id is not None]
    if open_links:
        resolve(hub, opened, stream, open_links, run)
    prepared = prepare(hub, opened, stream, [link for link in links if link.attempt_id is None], run)
    prepared = settle_before_create(hub, opened, stream, prepared, run)
    for start in range(0, len(prepared), stream.batch_size):
        batch = store(hub, opened, stream, prepared[start : start + stream.batch_size], run)
        if batch is not None and not deliver(hub, opened, stream, batch, run):
            _give_back(hub, [item.link for item in prepared[start + stream.batch_size :]])
            return


def prepare(hub: Hub, opened: Opened, stream: Stream, links: Sequence[Link], run: RunLog) -> list[Prepared]:
    """Load and map the present records. What waits, is refused by the mapping, or is unchanged is settled here."""
    if not links:
        return []
    kind = hub.kinds[stream.kind]
    with hub.read() as session:
        records = {
            record.id: record for record in kind.load(session, [link.record_id for link in links if link.record_id])
        }
    needs = _needs(opened, stream, links, records)
    remote_ids = _remote_ids(hub, opened.id, [ref for refs in needs.values() for ref in refs])
    prepared: list[Prepared] = []
    unchanged: list[tuple[Link, Item]] = []
    for link in links:
        record = records.get(link.record_id) if link.record_id else None
        if record is None:
            unchanged.append((link, _item(stream, link, Status.UNCHANGED, reason="The record is gone here.")))
            continue
        label = kind.label(record)
        missing = [ref for ref in needs[link.id] if ref not in remote_ids]
        if missing:
            wait_for_parents(hub, opened, link, missing[0], label, run)
            continue
        try:
            mapped: Values = freeze(opened.connector.body(stream.kind, record, remote_ids, part=link.part))
        except PermanentFailure as refusal:
            park(hub, link, str(refusal), refusal.field or "", _item(stream, link, Status.REJECTED, label), run)
            continue
        body = mapped if link.remote_id is None else _differences(mapped, link.sent)
        if link.remote_id is not None and not body:
            unchanged.append((link, _item(stream, link, Status.UNCHANGED, label)))
            continue
        op = Op.CREATE if link.remote_id is None else Op.UPDATE
        prepared.append(Prepared(link, op, record.revision, label, mapped, body))
    settle_unchanged(hub, unchanged, {item.id: item.revision for item in records.values()}, run)
    return prepared


def store(hub: Hub, opened: Opened, stream: Stream, items: Sequence[Prepared], run: RunLog) -> Batch | None:
    """Write down what is about to be sent, for the links that are still ours and still what was loaded."""
    batch = Batch(id=uuid7(), connection_id=opened.id, kind=stream.kind, key="", run_id=run.id)
    batch.key = batch.id.hex

    def work(session: Session) -> bool:
        session.add(batch)
        session.flush()
        stored = 0
        for position, item in enumerate(items):
            attempt_id = uuid7()
            if not write(session, item.link, attempt_id=attempt_id):
                continue
            session.add(_attempt(attempt_id, batch, item, str(position + 1)))
            stored += 1
        return stored > 0

    return batch if hub.transact(work) else None


def _attempt(attempt_id: UUID, batch: Batch, item: Prepared, ref: str) -> Attempt:
    link = item.link
    return Attempt(
        id=attempt_id,
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
    )


def _needs(
    opened: Opened, stream: Stream, links: Sequence[Link], records: dict[UUID, Any]
) -> dict[UUID, Sequence[Ref]]:
    return {
        link.id: opened.connector.needs(stream.kind, records[link.record_id]) if link.record_id in records else ()
        for link in links
    }


def _remote_ids(hub: Hub, connection_id: UUID, refs: Sequence[Ref]) -> dict[Ref, str]:
    """The remote ids of everything a block refers to, in one query per kind."""
    found: dict[Ref, str] = {}
    with hub.read() as session:
        for kind in sorted({ref.kind for ref in refs}):
            ids = {ref.id for ref in refs if ref.kind == kind}
            rows = session.execute(
                select(Link.record_id, Link.part, Link.remote_id).where(
                    Link.connection_id == connection_id,
                    Link.kind == kind,
                    Link.record_id.in_(ids),
                    Link.remote_id.is_not(None),
                )
            )
            found |= {Ref(kind, row.record_id, row.part): row.remote_id for row in rows}
    return found


def _differences(mapped: Values, sent: Values | None) -> Values:
    """Only what differs from what was sent last travels."""
    if sent is None:
        return mapped
    return {name: value for name, value in mapped.items() if name not in sent or sent[name] != value}


def _item(stream: Stream, link: Link, status: Status, label: str = "", reason: str = "") -> Item:
    return Item(
        kind=stream.kind,
        direction="push",
        status=status,
        label=label or link.label,
        record_id=link.record_id,
        remote_id=link.remote_id,
        reason=reason,
    )


def _give_back(hub: Hub, links: Sequence[Link]) -> None:
    hub.transact(lambda session: release(session, links))


def due_kinds(opened: Opened) -> Iterator[str]:
    """The streams of a connection that go out, parents first."""
    return (kind for kind, subscription in opened.subscriptions.items() if subscription.pushes)
