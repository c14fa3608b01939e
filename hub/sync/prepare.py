"""Loading and mapping what is to be sent: the present record, in the vendor's fields, and what of that differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.errors import ConnectorError, PermanentFailure
from hub.core.frozen import freeze
from hub.core.outbox import Link
from hub.sync.connector import Op, Ref, Status, Stream, Values
from hub.sync.runs import Item, RunLog
from hub.sync.settle import park, settle_unchanged, wait_for_parents

if TYPE_CHECKING:
    from hub.bootstrap import Hub
    from hub.sync.connections import Opened

log = structlog.get_logger("hub.sync")


@dataclass(frozen=True, slots=True)
class Prepared:
    """One record ready to go: its link, what it looks like over there now, and what of that differs.

    agreed: our record's fields, on streams that are read too; None on others.
    """

    link: Link
    op: Op
    revision: int
    label: str
    mapped: Values
    body: Values
    agreed: Values | None = None


def prepare(hub: Hub, opened: Opened, stream: Stream, links: Sequence[Link], run: RunLog) -> list[Prepared]:
    """Load and map the present records. What waits, is refused by the mapping, or is unchanged is settled here."""
    if not links:
        return []
    kind = hub.kinds[stream.kind]
    with hub.read() as session:
        records = {
            record.id: record for record in kind.load(session, [link.record_id for link in links if link.record_id])
        }
    needs, faulty = _needs(opened, stream, links, records)
    with hub.read() as session:
        remote_ids = remote_ids_of(session, opened.id, [ref for refs in needs.values() for ref in refs])
    prepared: list[Prepared] = []
    unchanged: list[tuple[Link, Item]] = []
    for link in links:
        record = records.get(link.record_id) if link.record_id else None
        if record is None:
            unchanged.append((link, _item(stream, link, Status.UNCHANGED, reason="The record is gone here.")))
            continue
        label = kind.label(record)
        if link.id in faulty:
            _set_aside(hub, opened, link, faulty[link.id], _item(stream, link, Status.REJECTED, label), run)
            continue
        missing = [ref for ref in needs[link.id] if ref not in remote_ids]
        if missing:
            wait_for_parents(hub, opened, link, missing[0], label, run)
            continue
        try:
            mapped: Values = freeze(opened.connector.body(stream.kind, record, remote_ids, part=link.part))
        except ConnectorError as failure:
            if not isinstance(failure, PermanentFailure):
                raise
            _set_aside(hub, opened, link, failure, _item(stream, link, Status.REJECTED, label), run)
            continue
        except Exception as failure:
            _set_aside(hub, opened, link, failure, _item(stream, link, Status.REJECTED, label), run)
            continue
        body = mapped if link.remote_id is None else _differences(mapped, link.sent)
        if link.remote_id is not None and not body:
            unchanged.append((link, _item(stream, link, Status.UNCHANGED, label)))
            continue
        op = Op.CREATE if link.remote_id is None else Op.UPDATE
        agreed = freeze(record) if stream.pulls else None
        prepared.append(Prepared(link, op, record.revision, label, mapped, body, agreed))
    settle_unchanged(hub, unchanged, {item.id: item.revision for item in records.values()}, run)
    return prepared


def _needs(
    opened: Opened, stream: Stream, links: Sequence[Link], records: dict[UUID, Any]
) -> tuple[dict[UUID, Sequence[Ref]], dict[UUID, Exception]]:
    """What each link's record refers to, by link; and where the connector could not say."""
    needs: dict[UUID, Sequence[Ref]] = {}
    faulty: dict[UUID, Exception] = {}
    for link in links:
        try:
            record = records.get(link.record_id) if link.record_id else None
            needs[link.id] = () if record is None else opened.connector.needs(stream.kind, record)
        except PermanentFailure as refusal:
            needs[link.id], faulty[link.id] = (), refusal
        except ConnectorError:
            raise
        except Exception as failure:
            needs[link.id], faulty[link.id] = (), failure
    return needs, faulty


def _set_aside(hub: Hub, opened: Opened, link: Link, failure: Exception, item: Item, run: RunLog) -> None:
    """What the connector has against one record, or a fault of its own with it, stops only that one."""
    if isinstance(failure, PermanentFailure):
        park(hub, link, str(failure), failure.field or "", item, run)
        return
    log.error("connector failed", connection=opened.name, record=item.label, error=repr(failure), exc_info=failure)
    reason = f"The connector failed with {type(failure).__name__}; the details are in the log."
    park(hub, link, reason, "", item, run, remedy="Update or mend the plugin, then retry.")


def remote_ids_of(session: Session, connection_id: UUID, refs: Sequence[Ref]) -> dict[Ref, str]:
    """The remote ids of everything some records refer to, in one query per kind."""
    found: dict[Ref, str] = {}
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
