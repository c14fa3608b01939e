"""Loading and mapping what is to be sent: the present record, in the vendor's fields, and what of that differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.database import circumstances
from hub.core.errors import ConnectorError, PermanentFailure
from hub.core.frozen import freeze
from hub.core.kinds import RecordKind
from hub.core.outbox import Link
from hub.sync.connector import Op, Ref, Status, Stream, Values
from hub.sync.runs import Item, RunLog
from hub.sync.settle import park, settle_unchanged
from hub.sync.waiting import wait_for_parents

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


@dataclass(frozen=True, slots=True)
class Mapped:
    """What would go out for one link: of a record that is gone or lapsed nothing; else it waits for a record that is
    missing over there, or the connector has something against it, or here are all its fields and those that differ.
    """

    link: Link
    record: Any | None
    label: str
    missing: Ref | None = None
    failure: Exception | None = None
    values: Values = field(default_factory=dict)
    body: Values = field(default_factory=dict)
    refs: Sequence[Ref] = ()

    @property
    def op(self) -> Op:
        return Op.CREATE if self.link.remote_id is None else Op.UPDATE

    @property
    def is_unchanged(self) -> bool:
        return self.op == Op.UPDATE and not self.body


def map_links(
    session: Session,
    opened: Opened,
    stream: Stream,
    links: Sequence[Link],
    planned: Mapping[Ref, str] | None = None,
) -> list[Mapped]:
    """The present records of these links in the vendor's fields. planned: ids of what would be created before them."""
    kind = circumstances(session).kinds[stream.kind]
    found = kind.load(session, [link.record_id for link in links if link.record_id])
    records = {record.id: record for record in found}
    needs, faulty = needs_of(opened, stream, links, records)
    remote_ids = remote_ids_of(session, opened.id, [ref for refs in needs.values() for ref in refs])
    remote_ids = {**(planned or {}), **remote_ids}
    return [
        _mapped(opened, stream, kind, link, records.get(link.record_id), needs, faulty, remote_ids) for link in links
    ]


def _mapped(
    opened: Opened,
    stream: Stream,
    kind: RecordKind,
    link: Link,
    record: Any | None,
    needs: Mapping[UUID, Sequence[Ref]],
    faulty: Mapping[UUID, Exception],
    remote_ids: Mapping[Ref, str],
) -> Mapped:
    if record is None:
        return Mapped(link, None, link.label)
    label = kind.label(record)
    if link.remote_id is None and kind.lapsed(record):
        return Mapped(link, None, label)
    if link.id in faulty:
        return Mapped(link, record, label, failure=faulty[link.id])
    missing = next((ref for ref in needs[link.id] if ref not in remote_ids), None)
    if missing is not None:
        return Mapped(link, record, label, missing=missing)
    try:
        values: Values = freeze(opened.connector.body(stream.kind, record, remote_ids, part=link.part))
    except ConnectorError as failure:
        if not isinstance(failure, PermanentFailure):
            raise
        return Mapped(link, record, label, failure=failure)
    except Exception as failure:
        return Mapped(link, record, label, failure=failure)
    body = values if link.remote_id is None else _differences(values, link.sent)
    return Mapped(link, record, label, values=values, body=body, refs=needs[link.id])


def prepare(hub: Hub, opened: Opened, stream: Stream, links: Sequence[Link], run: RunLog) -> list[Prepared]:
    """Load and map the present records. What waits, is refused by the mapping, or is unchanged is settled here."""
    if not links:
        return []
    with hub.read() as session:
        mapped = map_links(session, opened, stream, links)
    prepared: list[Prepared] = []
    unchanged: list[tuple[Link, Item]] = []
    refused: list[tuple[Link, Item]] = []
    waiting: list[tuple[Link, Ref, Item]] = []
    for item in mapped:
        if item.record is None:
            reason = "It is gone here, or need not be created there any more."
            unchanged.append((item.link, _item(stream, item.link, Status.UNCHANGED, item.label, reason)))
        elif item.failure is not None:
            found = _item(stream, item.link, Status.REJECTED, item.label)
            refused.append((item.link, _blamed(opened, item.failure, found)))
        elif item.missing is not None:
            waiting.append((item.link, item.missing, _item(stream, item.link, Status.DEFERRED, item.label)))
        elif item.is_unchanged:
            unchanged.append((item.link, _item(stream, item.link, Status.UNCHANGED, item.label)))
        else:
            agreed = freeze(item.record) if stream.pulls else None
            revision = item.record.revision
            prepared.append(Prepared(item.link, item.op, revision, item.label, item.values, item.body, agreed))
    revisions = {item.record.id: item.record.revision for item in mapped if item.record is not None}
    settle_unchanged(hub, unchanged, revisions, run)
    park(hub, refused, run)
    wait_for_parents(hub, opened, waiting, run)
    return prepared


def needs_of(
    opened: Opened, stream: Stream, links: Sequence[Link], records: Mapping[UUID, Any]
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


def _blamed(opened: Opened, failure: Exception, item: Item) -> Item:
    """What the connector has against one record, or a fault of its own with it, said of only that one."""
    if isinstance(failure, PermanentFailure):
        return replace(item, reason=str(failure), field=failure.field or "")
    log.error("connector failed", connection=opened.name, record=item.label, error=repr(failure), exc_info=failure)
    reason = f"The connector failed with {type(failure).__name__}; the details are in the log."
    return replace(item, reason=reason, remedy="Update or mend the plugin, then retry.")


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
