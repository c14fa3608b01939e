"""What a plan says of records going out: mapped, and looked for over there, as a send would, but not claimed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from hub.core.database import uuid7
from hub.core.kinds import RecordKind
from hub.core.outbox import Link, Subscription, creates
from hub.sync.connections import Opened
from hub.sync.connector import Op, Ref, Sending, Stream
from hub.sync.matching import decided_anew, linked_there
from hub.sync.models import Attempt, PlanItem
from hub.sync.prepare import Mapped, map_links, needs_of, remote_ids_of

if TYPE_CHECKING:
    from hub.bootstrap import Hub

BLOCK = 150
FETCHED_AT_ONCE = 100
"""Records asked for in one call when only their version is of interest."""
_NEW = "new:"
_OPEN = "A send of it has no answer yet; that is looked up first."
_ELSEWHERE = "It is over there as {}: if that is right, say so with `hub link relink`."
_NOT_GONE = "It is over there after all, so there is nothing to create."
_AFTER_INCOMING = "It changes here first, by what comes in. What goes out of it then is in the next plan."


@dataclass
class _Course:
    """What is known while a plan is worked out. needed: the records that others need over there and that are not there
    yet, by kind, with their part. planned: what those of them are called there that the plan itself creates or adopts.
    anew: where only some records are to go out, in full: which, by kind, and whether they are gone over there. gone: by
    link, what those were called.
    """

    hub: Hub
    opened: Opened
    plan_id: UUID
    anew: Mapping[str, Mapping[str, bool]] | None = None
    needed: dict[str, set[tuple[UUID, str]]] = field(default_factory=lambda: defaultdict(set))
    planned: dict[Ref, str] = field(default_factory=dict)
    gone: dict[UUID, str] = field(default_factory=dict)


def outgoing(
    hub: Hub,
    opened: Opened,
    kinds: Sequence[str],
    plan_id: UUID,
    anew: Mapping[str, Mapping[str, bool]] | None = None,
) -> Iterator[list[PlanItem]]:
    """What would be sent, in blocks, parents first. anew: only these records, by kind, in full."""
    course = _Course(hub, opened, plan_id, anew)
    streams = [opened.stream(kind) for kind in kinds]
    for stream in reversed(streams):
        for block in _links(course, stream):
            _note_needs(course, stream, block, kinds)
    for stream in streams:
        taken: set[str] = set()
        for block in _links(course, stream):
            yield _planned_block(course, stream, block, taken)
        yield from _unanswered(course, stream)


def versions_there(opened: Opened, kind: str, remote_ids: Sequence[str]) -> dict[str, str]:
    """The versions over there now of the records that have one."""
    found: dict[str, str] = {}
    for start in range(0, len(remote_ids), FETCHED_AT_ONCE):
        with opened.breaker.call():
            page = opened.connector.fetch(kind, remote_ids[start : start + FETCHED_AT_ONCE])
        found |= {change.remote_id: change.version for change in page.changes if change.version}
    return found


# Bodies with records that are not there yet ---------------------------------------------------------------------------


def placeholder(ref: Ref) -> str:
    """What stands in a body for the id over there of a record that the plan creates itself."""
    return f"{_NEW}{ref.kind}:{ref.id}:{ref.part}"


def ref_of(text: str) -> Ref:
    """The record that a placeholder stands for."""
    kind, record_id, part = text.removeprefix(_NEW).split(":", 2)
    return Ref(kind, UUID(record_id), part)


def new_in(value: Any) -> set[str]:
    """Every text within a value that stands for a record the plan creates."""
    if isinstance(value, str):
        return {value} if value.startswith(_NEW) else set()
    if isinstance(value, dict):
        value = list(value.values())
    return set().union(*map(new_in, value)) if isinstance(value, (list, tuple)) else set()


# What is owed, or would be --------------------------------------------------------------------------------------------


def _links(course: _Course, stream: Stream) -> Iterator[Sequence[Link]]:
    """The links of what is to go out, and, kept by nobody, those of what others need over there."""
    yield from _owed(course, stream) if course.anew is None else _anew(course, stream, course.anew.get(stream.kind, {}))
    needed = sorted(course.needed[stream.kind], key=str)
    for start in range(0, len(needed), BLOCK):
        with course.hub.read() as session:
            yield _only_needed(session, course, stream, needed[start : start + BLOCK])


def _owed(course: _Course, stream: Stream) -> Iterator[Sequence[Link]]:
    """The links that are owed and can be sent, and, kept by nobody, those that would be: of records that exist."""
    hub, kind = course.hub, course.hub.kinds[stream.kind]
    owed = select(Link).where(*_can_be_sent(course.opened.id, stream.kind)).order_by(Link.id)
    links: Sequence[Link] = ()
    while not links or len(links) == BLOCK:
        with hub.read() as session:
            links = session.scalars((owed.where(Link.id > links[-1].id) if links else owed).limit(BLOCK)).all()
        yield links
        if not links:
            break
    missing = select(kind.model.id).where(*_not_owed_yet(kind, course.opened.subscriptions[stream.kind]))
    ids: Sequence[UUID] = ()
    while not ids or len(ids) == BLOCK:
        further = missing.where(kind.model.id > ids[-1]) if ids else missing
        with hub.read() as session:
            ids = session.scalars(further.order_by(kind.model.id).limit(BLOCK)).all()
        yield [_new_link(course.opened.id, stream.kind, record_id) for record_id in ids]
        if not ids:
            break


def _anew(course: _Course, stream: Stream, records: Mapping[str, bool]) -> Iterator[Sequence[Link]]:
    """The links of these records as if nothing had been sent of them; none is kept so. records: which are gone."""
    ids = sorted(UUID(record_id) for record_id in records)
    for start in range(0, len(ids), BLOCK):
        some = ids[start : start + BLOCK]
        query = select(Link).where(
            Link.connection_id == course.opened.id, Link.kind == stream.kind, Link.record_id.in_(some)
        )
        with course.hub.read() as session:
            links = list(session.scalars(query.order_by(Link.id)))
            session.expunge_all()
        for link in links:
            link.sent = None
            if records[str(link.record_id)]:
                course.gone[link.id] = str(link.remote_id)
                link.remote_id = link.remote_version = None
        known = {link.record_id for link in links}
        new = [_new_link(course.opened.id, stream.kind, id) for id in some if id not in known]
        yield [*(link for link in links if not (link.parked or link.ignored or link.attempt_id)), *new]


def _can_be_sent(connection_id: UUID, kind: str) -> tuple[Any, ...]:
    """Owed, and not set aside; what a match or another plan holds back is looked for anew."""
    return (
        Link.connection_id == connection_id,
        Link.kind == kind,
        Link.record_id.is_not(None),
        Link.wanted > Link.done,
        Link.parked.is_(None),
        Link.ignored.is_(None),
        Link.attempt_id.is_(None),
    )


def _not_owed_yet(kind: RecordKind, subscription: Subscription) -> tuple[Any, ...]:
    has_link = exists().where(
        Link.connection_id == subscription.connection_id, Link.kind == kind.name, Link.record_id == kind.model.id
    )
    return (*creates(kind, subscription), ~has_link)


def _only_needed(
    session: Session, course: _Course, stream: Stream, needed: Sequence[tuple[UUID, str]]
) -> Sequence[Link]:
    """Of these records those that are there only because others need them: nothing is, or would be, owed of them.

    Where only some records are to go out, also what is owed of these besides.
    """
    kind, subscription = course.hub.kinds[stream.kind], course.opened.subscriptions[stream.kind]
    ids = [record_id for record_id, _ in needed]
    has_link = (Link.connection_id == course.opened.id, Link.kind == stream.kind, Link.record_id.in_(ids))
    known = {(row.record_id, row.part) for row in session.execute(select(Link.record_id, Link.part).where(*has_link))}
    owed: set[UUID] = set()
    links: Sequence[Link] = ()
    if course.anew is None:
        would_be = select(kind.model.id).where(*_not_owed_yet(kind, subscription), kind.model.id.in_(ids))
        owed = set(session.scalars(would_be))
    else:
        is_owed = (*_can_be_sent(course.opened.id, stream.kind), Link.record_id.in_(ids), Link.remote_id.is_(None))
        links = session.scalars(select(Link).where(*is_owed).order_by(Link.id)).all()
    new = [
        _new_link(course.opened.id, stream.kind, record_id, part)
        for record_id, part in needed
        if (record_id, part) not in known and record_id not in owed
    ]
    return [*links, *new]


def _new_link(connection_id: UUID, kind: str, record_id: UUID, part: str = "") -> Link:
    return Link(id=uuid7(), connection_id=connection_id, kind=kind, record_id=record_id, part=part, label="")


def _note_needs(course: _Course, stream: Stream, links: Sequence[Link], kinds: Sequence[str]) -> None:
    """What these need over there that is not there yet."""
    with course.hub.read() as session:
        found = course.hub.kinds[stream.kind].load(session, [link.record_id for link in links if link.record_id])
        needs, _ = needs_of(course.opened, stream, links, {record.id: record for record in found})
        refs = {ref for each in needs.values() for ref in each if ref.kind in kinds}
        known = remote_ids_of(session, course.opened.id, list(refs))
    for ref in refs - set(known):
        course.needed[ref.kind].add((ref.id, ref.part))


# What becomes of it ---------------------------------------------------------------------------------------------------


def _planned_block(course: _Course, stream: Stream, links: Sequence[Link], taken: set[str]) -> list[PlanItem]:
    if not links:
        return []
    hub, opened = course.hub, course.opened
    with hub.read() as session:
        coming = _coming_in(session, course.plan_id, stream.kind, links)
        adopted = {record_id: str(item.remote_id) for record_id, item in coming.items() if item.action == "adopt"}
        for link in links:
            if link.record_id is not None and link.record_id in adopted:
                _note_planned(course, Ref(stream.kind, link.record_id, link.part or ""), adopted[link.record_id])
        links = [link for link in links if link.record_id not in adopted]
        mapped = map_links(session, opened, stream, links, course.planned)
        decided = decided_anew(session, opened.id, stream.kind, links)
        documents = _documents(session, hub.kinds[stream.kind], links)
    mapped = [item for item in mapped if item.record is not None and not _is_settled(item)]
    found = _looked_for(course, stream, mapped, decided, taken)
    versions = _versions(opened, stream, mapped)
    items: list[PlanItem] = []
    for one in mapped:
        item = _item(stream, one, course.planned, found.get(one.link.id))
        if one.link.record_id in coming and item.action in ("create", "update"):
            item.action, item.reason = "wait", _AFTER_INCOMING
        item.remote_version = versions.get(str(item.remote_id), item.remote_version)
        if (was := course.gone.get(one.link.id)) is not None:
            _is_it_gone(item, was)
        assert one.record is not None
        ref = Ref(stream.kind, one.record.id, item.part)
        if item.action in ("create", "adopt"):
            _note_planned(course, ref, placeholder(ref) if item.action == "create" else str(item.remote_id))
        if document := documents.get(ref.id):
            item.amount, item.currency, item.document_on = document.total, document.currency, document.dated_on
        items.append(item)
    return items


def _is_it_gone(item: PlanItem, was: str) -> None:
    """What was called so over there was looked for once more before it is created again."""
    if item.action == "create":
        item.remote_id = was
    elif item.action == "adopt":
        again = item.remote_id != was
        item.action, item.reason = ("ask", _ELSEWHERE.format(item.remote_id)) if again else ("wait", _NOT_GONE)


def _is_settled(item: Mapped) -> bool:
    return item.is_unchanged and item.missing is None and item.failure is None


def _coming_in(session: Session, plan_id: UUID, kind: str, links: Sequence[Link]) -> Mapping[UUID | None, PlanItem]:
    """What the plan takes in for these records, by record."""
    found = session.scalars(
        select(PlanItem).where(
            PlanItem.plan_id == plan_id,
            PlanItem.direction == "pull",
            PlanItem.kind == kind,
            PlanItem.action.in_(("update", "conflict", "adopt")),
            PlanItem.record_id.in_([link.record_id for link in links]),
        )
    )
    return {item.record_id: item for item in found}


def _note_planned(course: _Course, ref: Ref, remote_id: str) -> None:
    if (ref.id, ref.part) in course.needed[ref.kind]:
        course.planned[ref] = remote_id


def _documents(session: Session, kind: RecordKind, links: Sequence[Link]) -> dict[UUID, Any]:
    if kind.documents is None:
        return {}
    ids = [link.record_id for link in links if link.record_id is not None]
    return {document.record_id: document for document in kind.documents(session, ids, None, None)}


def _looked_for(
    course: _Course,
    stream: Stream,
    mapped: Sequence[Mapped],
    decided: set[tuple[UUID | None, str]],
    taken: set[str],
) -> dict[UUID, list[Any]]:
    """By link, what is over there that may be the record, where the engine would look before it creates.

    taken: what earlier records of this plan are already; grows.
    """
    asked = [
        item
        for item in mapped
        if (stream.find_first or course.anew is not None)
        and item.body
        and item.op == Op.CREATE
        and (item.link.record_id, item.link.part) not in decided
    ]
    if not asked:
        return {}
    sendings = [Sending(str(n), "", Op.CREATE, item.body, item.label) for n, item in enumerate(asked)]
    with course.opened.breaker.call():
        found = list(course.opened.connector.find(stream.kind, sendings))
    with course.hub.read() as session:
        linked = linked_there(session, course.opened.id, stream.kind, [item.remote_id for item in found])
        linked -= set(course.gone.values())  # what was taken for gone is its own link's
    by_link: dict[UUID, list[Any]] = {}
    for number, item in enumerate(asked):
        free = [each for each in found if each.ref == str(number) and each.remote_id not in linked | taken]
        ours = [each for each in free if each.ours]
        if len(ours) == 1:
            taken.add(ours[0].remote_id)
        by_link[item.link.id] = free
    return by_link


def _versions(opened: Opened, stream: Stream, mapped: Sequence[Mapped]) -> dict[str, str]:
    """Their versions now of what would be updated, on a stream that can be read."""
    ids = [str(item.link.remote_id) for item in mapped if item.op == Op.UPDATE and item.body and item.failure is None]
    return versions_there(opened, stream.kind, ids) if stream.pulls and ids else {}


def _item(stream: Stream, item: Mapped, planned: Mapping[Ref, str], found: list[Any] | None) -> PlanItem:
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


def _unanswered(course: _Course, stream: Stream) -> Iterator[list[PlanItem]]:
    """What was sent and has no answer yet: nothing newer of it leaves before that is known."""
    query = (
        select(Link, Attempt.label)
        .join(Attempt, Attempt.id == Link.attempt_id)
        .where(Link.connection_id == course.opened.id, Link.kind == stream.kind)
    )
    rows: Sequence[Any] = ()
    while not rows or len(rows) == BLOCK:
        further = query.where(Link.id > rows[-1][0].id) if rows else query
        with course.hub.read() as session:
            rows = session.execute(further.order_by(Link.id).limit(BLOCK)).all()
        yield [_waiting(stream, link, label) for link, label in rows]
        if not rows:
            return


def _waiting(stream: Stream, link: Link, label: str) -> PlanItem:
    return PlanItem(
        id=uuid7(),
        direction="push",
        kind=stream.kind,
        action="wait",
        label=label,
        record_id=link.record_id,
        part=link.part,
        remote_id=link.remote_id,
        remote_version=link.remote_version,
        differences={},
        needs=[],
        reason=_OPEN,
        status="planned",
    )
