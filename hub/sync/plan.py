"""Dry runs: what a run would do on both sides, worked out by the engine's own steps, and written down instead of done.

Incoming changes are merged in transactions that are rolled back; outgoing records are mapped, and looked for where the
engine would look, but not claimed. So nothing changes on either side, and no cursor moves.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from hub.core import clock
from hub.core.clock import database_now
from hub.core.database import MAX_ROWS_PER_TRANSACTION, uuid7
from hub.core.frozen import freeze
from hub.core.kinds import RecordKind
from hub.core.outbox import Link, Subscription, creates
from hub.sync.arrivals import refs_in
from hub.sync.connections import Opened, open_connection
from hub.sync.connector import Change, Op, Ref, Sending, Status, Stream
from hub.sync.cycle import streams_of
from hub.sync.matching import decided_anew, linked_there
from hub.sync.merge import merge
from hub.sync.models import Plan, PlanItem, StreamCursor
from hub.sync.prepare import Mapped, map_links, needs_of, remote_ids_of
from hub.sync.runs import Item

if TYPE_CHECKING:
    from hub.bootstrap import Hub

T = TypeVar("T")
LIFE = timedelta(hours=24)
BLOCK = 150
NEW = "new:"
APPLICABLE = ("create", "update", "adopt", "delete", "conflict")
"""What applying a plan can do; the rest is for a person, or waits."""
_ACTIONS = {
    Status.CREATED: "create",
    Status.UPDATED: "update",
    Status.DELETED: "delete",
    Status.CONFLICT: "conflict",
    Status.REJECTED: "refuse",
}


def make_plan(
    hub: Hub,
    connection_id: UUID,
    *,
    kinds: Sequence[str] | None = None,
    direction: str | None = None,
    actor: str = "system",
) -> UUID:
    """Work out what a run would do now, and keep it for a day. Returns its id. Raises NotFound, ConnectorError."""
    opened = open_connection(hub, connection_id)
    pulls, pushes = streams_of(opened, kinds, direction)
    items = [*_incoming(hub, opened, pulls), *_outgoing(hub, opened, [opened.stream(kind) for kind in pushes])]
    plan = Plan(
        id=uuid7(),
        connection_id=connection_id,
        kinds=[kind for kind in opened.subscriptions if kind in (*pulls, *pushes)],
        digest=digest_of(items),
        counts=_counts(items),
        totals=_totals(items),
        calls=_calls(opened, items),
        expires_at=clock.now() + LIFE,
        applied_at=None,
        actor=actor,
    )
    hub.transact(lambda session: session.add(plan), actor=actor)
    for block in blocks(items, MAX_ROWS_PER_TRANSACTION):

        def work(session: Session, block: Sequence[PlanItem] = block) -> None:
            for item in block:
                item.plan_id = plan.id
                session.add(item)

        hub.transact(work, actor=actor)
    return plan.id


def digest_of(items: Iterable[PlanItem]) -> str:
    """A hash over what the items of a plan would do, in their order."""
    names = "direction kind action label record_id part remote_id revision remote_version differences body".split()
    told = [[freeze(getattr(item, name)) for name in names] for item in items]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def blocks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


# Coming in ------------------------------------------------------------------------------------------------------------


class _RolledBack(Exception):
    """Ends a transaction whose work only was to be seen."""


def _rehearsed(hub: Hub, work: Callable[[Session], T], origin: UUID) -> T:
    """What the work would return, with nothing of it kept."""
    seen: list[T] = []

    def rehearse(session: Session) -> None:
        seen[:] = [work(session)]
        raise _RolledBack

    with suppress(_RolledBack):
        hub.transact(rehearse, origin=origin)
    return seen[0]


def _incoming(hub: Hub, opened: Opened, kinds: Sequence[str]) -> Iterator[PlanItem]:
    """What would be taken in, parents first. All pages are read first: no call is made within a transaction."""
    with hub.read() as session:
        asked_at = session.execute(select(database_now())).scalar_one()
    new: set[tuple[str, str]] = set()
    for kind in kinds:
        stream = opened.stream(kind)
        changes: dict[str, Change] = {}
        for page in opened.breaker.pages(opened.connector.pull(kind, _cursor(hub, opened.id, kind))):
            changes |= {change.remote_id: change for change in page.changes}
            for row in page.refused:
                yield _in(stream, "refuse", row.label, row.remote_id, reason=row.reason, field=row.field)
        for block in blocks(list(changes.values()), MAX_ROWS_PER_TRANSACTION):

            def work(session: Session, stream: Stream = stream, block: Sequence[Change] = block) -> list[Item]:
                return merge(session, opened, stream, block, asked_at=asked_at)

            merged = _rehearsed(hub, work, opened.id)
            revisions = _revisions(hub, hub.kinds[kind], [item.record_id for item in merged])
            for item in merged:
                if (planned := _planned(stream, item, changes[str(item.remote_id)], new, revisions)) is not None:
                    yield planned


def _planned(
    stream: Stream, item: Item, change: Change, new: set[tuple[str, str]], revisions: dict[UUID, int]
) -> PlanItem | None:
    """One change as the plan has it; None if it is known already."""
    action = _ACTIONS.get(item.status, "wait")
    reason = item.reason
    needs = [list(ref) for ref in sorted(refs_in(change) & new)]
    if item.status == Status.UNCHANGED:
        if not item.reason.startswith("Adopted"):
            return None
        action = "adopt"
    elif item.status == Status.DEFERRED and needs:
        action, reason = "create", "After the records that it refers to."
    elif item.status == Status.DEFERRED and "hub match" in item.reason:
        action = "ask"
    differences = item.differences or {}
    if action == "create":
        new.add((stream.kind, change.remote_id))
        shown = {name: freeze(_plain(value)) for name, value in change.values.items()}
        differences = {name: {"hub": None, "remote": value} for name, value in shown.items() if value not in (None, "")}
    revision = None if action == "create" or item.record_id is None else revisions.get(item.record_id)
    return _in(
        stream,
        action,
        item.label,
        change.remote_id,
        record_id=None if action == "create" else item.record_id,
        revision=revision,
        remote_version=change.version or None,
        differences=differences,
        needs=needs,
        reason=reason,
        field=item.field,
    )


def _in(stream: Stream, action: str, label: str, remote_id: str, **values: Any) -> PlanItem:
    base: dict[str, Any] = {"differences": {}, "needs": [], "part": "", "status": "planned"}
    return PlanItem(
        id=uuid7(), direction="pull", kind=stream.kind, action=action, label=label, remote_id=remote_id, **base | values
    )


def _plain(value: Any) -> Any:
    """A value with references as the ids they have over there."""
    if hasattr(value, "remote_id"):
        return value.remote_id
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _cursor(hub: Hub, connection_id: UUID, kind: str) -> dict[str, Any] | None:
    with hub.read() as session:
        return session.scalar(
            select(StreamCursor.cursor).where(StreamCursor.connection_id == connection_id, StreamCursor.kind == kind)
        )


def _revisions(hub: Hub, kind: RecordKind, ids: Iterable[UUID | None]) -> dict[UUID, int]:
    with hub.read() as session:
        rows = session.execute(select(kind.model.id, kind.model.revision).where(kind.model.id.in_({*ids} - {None})))
        return {row[0]: row[1] for row in rows}


# Going out ------------------------------------------------------------------------------------------------------------


def _outgoing(hub: Hub, opened: Opened, streams: Sequence[Stream]) -> Iterator[PlanItem]:
    """What would be sent, parents first."""
    wanted = _wanted(hub, opened, streams)
    planned: dict[Ref, str] = {}
    for stream in streams:
        for block in blocks(list(wanted[stream.kind].values()), BLOCK):
            with hub.read() as session:
                mapped = map_links(session, opened, stream, block, planned)
                decided = decided_anew(session, opened.id, stream.kind, block)
                documents = _documents(session, hub.kinds[stream.kind], block)
            found = _looked_for(hub, opened, stream, mapped, decided)
            for item in mapped:
                if item.record is None or (item.is_unchanged and not item.missing and not item.failure):
                    continue
                planned_item = _out(stream, item, planned, found.get(item.link.id))
                ref = Ref(stream.kind, item.record.id, item.link.part)
                if planned_item.action == "create":
                    planned[ref] = placeholder(ref)
                elif planned_item.action == "adopt":
                    planned[ref] = str(planned_item.remote_id)
                if document := documents.get(item.record.id):
                    planned_item.amount, planned_item.currency = document.total, document.currency
                    planned_item.document_on = document.dated_on
                yield planned_item


def _wanted(hub: Hub, opened: Opened, streams: Sequence[Stream]) -> dict[str, dict[tuple[UUID, str], Link]]:
    """The links that are owed, or would be, by kind: with those of the records that they need, which come first."""
    wanted: dict[str, dict[tuple[UUID, str], Link]] = {}
    with hub.read() as session:
        for stream in streams:
            owed = [*_owed(session, opened.id, stream.kind), *_not_owed_yet(session, hub, opened, stream.kind)]
            wanted[stream.kind] = {(link.record_id, link.part): link for link in owed if link.record_id is not None}
        for stream in reversed(streams):
            kind = hub.kinds[stream.kind]
            for block in blocks(list(wanted[stream.kind].values()), BLOCK):
                found = kind.load(session, [link.record_id for link in block if link.record_id])
                needs, _ = needs_of(opened, stream, block, {record.id: record for record in found})
                refs = {ref for each in needs.values() for ref in each if ref.kind in wanted}
                known = remote_ids_of(session, opened.id, list(refs))
                for ref in sorted(refs - set(known), key=str):
                    if (ref.id, ref.part) not in wanted[ref.kind]:
                        wanted[ref.kind][ref.id, ref.part] = _link_of(session, opened.id, ref)
    return wanted


def _owed(session: Session, connection_id: UUID, kind: str) -> Sequence[Link]:
    """What is owed and can be sent; what a match holds back is looked for anew."""
    return session.scalars(
        select(Link)
        .where(Link.connection_id == connection_id, Link.kind == kind, Link.wanted > Link.done)
        .where(Link.parked.is_(None), Link.ignored.is_(None), Link.attempt_id.is_(None))
        .order_by(Link.id)
    ).all()


def _not_owed_yet(session: Session, hub: Hub, opened: Opened, kind_name: str) -> list[Link]:
    """Links, which nobody keeps, for what the owed scan would find."""
    kind, subscription = hub.kinds[kind_name], opened.subscriptions[kind_name]
    ids = session.scalars(
        select(kind.model.id)
        .where(*creates(kind, subscription), ~_has_link(kind, subscription))
        .order_by(kind.model.id)
    )
    return [_new_link(opened.id, kind_name, record_id) for record_id in ids]


def _has_link(kind: RecordKind, subscription: Subscription) -> Any:
    return exists().where(
        Link.connection_id == subscription.connection_id, Link.kind == kind.name, Link.record_id == kind.model.id
    )


def _link_of(session: Session, connection_id: UUID, ref: Ref) -> Link:
    found = session.scalar(
        select(Link).where(
            Link.connection_id == connection_id,
            Link.kind == ref.kind,
            Link.record_id == ref.id,
            Link.part == ref.part,
        )
    )
    return found or _new_link(connection_id, ref.kind, ref.id, ref.part)


def _new_link(connection_id: UUID, kind: str, record_id: UUID, part: str = "") -> Link:
    return Link(id=uuid7(), connection_id=connection_id, kind=kind, record_id=record_id, part=part, label="")


def _documents(session: Session, kind: RecordKind, links: Sequence[Link]) -> dict[UUID, Any]:
    if kind.documents is None:
        return {}
    ids = [link.record_id for link in links if link.record_id is not None]
    return {document.record_id: document for document in kind.documents(session, ids, None, None)}


def _looked_for(
    hub: Hub, opened: Opened, stream: Stream, mapped: Sequence[Mapped], decided: set[tuple[UUID | None, str]]
) -> dict[UUID, list[Any]]:
    """By link, what is over there that may be the record, where the engine would look before it creates."""
    asked = [
        item
        for item in mapped
        if stream.find_first
        and item.body
        and item.op == Op.CREATE
        and (item.link.record_id, item.link.part) not in decided
    ]
    if not asked:
        return {}
    sendings = [Sending(str(n), "", Op.CREATE, item.body, item.label) for n, item in enumerate(asked)]
    with opened.breaker.call():
        found = list(opened.connector.find(stream.kind, sendings))
    with hub.read() as session:
        taken = linked_there(session, opened.id, stream.kind, [item.remote_id for item in found])
    by_link: dict[UUID, list[Any]] = defaultdict(list)
    for other in found:
        if other.remote_id not in taken:
            by_link[asked[int(other.ref)].link.id].append(other)
    return by_link


def _out(stream: Stream, item: Mapped, planned: dict[Ref, str], found: list[Any] | None) -> PlanItem:
    """One record as the plan has it."""
    link, record = item.link, item.record
    values: dict[str, Any] = {
        "direction": "push",
        "kind": stream.kind,
        "label": item.label,
        "record_id": link.record_id,
        "part": link.part or "",
        "remote_id": link.remote_id,
        "revision": getattr(record, "revision", None),
        "remote_version": link.remote_version,
        "needs": [],
        "status": "planned",
    }
    ours = [other for other in found or () if other.ours]
    if item.failure is not None:
        values |= {"action": "refuse", "reason": str(item.failure), "field": getattr(item.failure, "field", "") or ""}
    elif item.missing is not None:
        values |= {"action": "wait", "reason": f"It needs {item.missing.kind} that are not there yet."}
    elif len(ours) == 1:
        values |= {"action": "adopt", "remote_id": ours[0].remote_id, "reason": f"It is there: {ours[0].label}."}
    elif found:
        names = ", ".join(f"“{other.label}”" for other in found[:3])
        values |= {"action": "ask", "reason": f"Over there is {names}: a person says whether it is the same."}
    else:
        values |= {"action": "create" if item.op == Op.CREATE else "update", "body": item.body}
        before = link.sent or {}
        values["differences"] = {name: {"remote": before.get(name), "hub": value} for name, value in item.body.items()}
        values["needs"] = [[ref.kind, str(ref.id)] for ref in item.refs if ref in planned]
    return PlanItem(id=uuid7(), **{"differences": {}, "body": None} | values)


def placeholder(ref: Ref) -> str:
    """What stands in a body for the id over there of a record that the plan creates itself."""
    return f"{NEW}{ref.kind}:{ref.id}:{ref.part}"


def ref_of(text: str) -> Ref:
    """The record that a placeholder stands for."""
    kind, record_id, part = text.removeprefix(NEW).split(":", 2)
    return Ref(kind, UUID(record_id), part)


def new_in(value: Any) -> set[str]:
    """Every text within a value that stands for a record the plan creates."""
    if isinstance(value, str):
        return {value} if value.startswith(NEW) else set()
    if isinstance(value, dict):
        value = list(value.values())
    return set().union(*map(new_in, value)) if isinstance(value, (list, tuple)) else set()


# What it comes to -----------------------------------------------------------------------------------------------------


def _counts(items: Sequence[PlanItem]) -> dict[str, Any]:
    counted = Counter((item.direction, item.kind, item.action) for item in items)
    counts: dict[str, Any] = {}
    for (direction, kind, action), number in sorted(counted.items()):
        counts.setdefault(direction, {}).setdefault(kind, {})[action] = number
    return counts


def _totals(items: Sequence[PlanItem]) -> dict[str, str]:
    """The documents that would go out, by currency."""
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for item in items:
        if item.amount is not None and item.currency and item.action in ("create", "update"):
            totals[item.currency] += item.amount
    return {currency: str(total) for currency, total in sorted(totals.items())}


def _calls(opened: Opened, items: Sequence[PlanItem]) -> int:
    """About how many calls applying it takes: full batches, and a look where the engine looks first."""
    calls = 0
    for kind in {item.kind for item in items}:
        stream = opened.stream(kind)
        mine = [item for item in items if item.kind == kind]
        sent = sum(item.direction == "push" and item.action in ("create", "update") for item in mine)
        looks = sum(item.direction == "push" and item.action in ("create", "adopt") for item in mine)
        read = sum(item.direction == "pull" and item.action in APPLICABLE for item in mine)
        calls += -(-sent // stream.batch_size) + -(-read // BLOCK)
        calls += -(-looks // BLOCK) if stream.find_first else 0
    return calls
