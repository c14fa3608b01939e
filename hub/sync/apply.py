"""Applying a plan: exactly what it shows, or a chosen part of it, through the same steps as every other run.

First what is wanted is written down (`hub.sync.choose`). Then it is carried out, by whoever asked or by a worker, block
by block, each item marked with what became of it; a crash anywhere in between is made good by carrying it out once
more. What has changed on either side since the plan was made is left out as stale.

What would go out by the plan and was not chosen is held, until another plan with it is applied. When the connection
goes live by the plan, so is all else that was owed until then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import ColumnElement, case, or_, select, tuple_, update
from sqlalchemy.orm import Session

from hub.core import clock
from hub.core.clock import database_now
from hub.core.errors import HubError
from hub.core.frozen import freeze
from hub.core.outbox import Link, owe
from hub.sync.choose import CHOSEN, choose, chosen, refuse_unready
from hub.sync.claim import is_due, lease, may_write, write
from hub.sync.connections import Opened, get_connection, open_connection, set_state
from hub.sync.connector import Change, Op, Status, Stream
from hub.sync.cycle import scan_owed
from hub.sync.merge import merge
from hub.sync.models import ConnectionState, Plan, PlanItem, PlanState, RunItem
from hub.sync.plan import Items, at_work, blocks, load_plan
from hub.sync.plan_incoming import rehearse, revisions_of
from hub.sync.plan_outgoing import BLOCK, FETCHED_AT_ONCE, new_in, placeholder, ref_of, versions_there
from hub.sync.prepare import Prepared, remote_ids_of
from hub.sync.pull import said
from hub.sync.push import push_block
from hub.sync.runs import Item, RunLog, RunSummary

if TYPE_CHECKING:
    from hub.bootstrap import Hub

_STALE = "It has changed since the plan was made."
_DONE = "It was sent before this plan was applied."
_AT_WORK = "Another worker has it in hand."


@dataclass(frozen=True, slots=True)
class Applied:
    """The run that applied a plan, and what became of the items that were chosen, counted."""

    run: RunSummary
    outcomes: Mapping[str, int]

    @property
    def ok(self) -> bool:
        return self.run.ok and not self.outcomes.get("stale") and not self.outcomes.get("left")


def apply_plan(
    hub: Hub,
    plan_id: UUID,
    *,
    only: Sequence[str] = (),
    go_live: bool = False,
    beyond_guards: bool = False,
    actor: str = "system",
) -> Applied:
    """Do what a plan shows, or what is chosen of it, as `choose`. Raises NotFound, RuleBroken."""
    with at_work(hub, plan_id):
        choose(hub, plan_id, only=only, go_live=go_live, beyond_guards=beyond_guards, actor=actor)
        return _carry_out(hub, load_plan(hub, plan_id)[0])


@dataclass
class _Course:
    """A plan while it is carried out. stale: the items left out since they have changed."""

    hub: Hub
    opened: Opened
    plan: Plan
    run: RunLog
    outcomes: Counter[str] = field(default_factory=Counter)
    stale: set[UUID] = field(default_factory=set)

    @property
    def may_go_on(self) -> bool:
        return not (self.run.failure or self.run.resumes_at)


def carry_out(hub: Hub, plan_id: UUID) -> Applied | None:
    """Do what was chosen of a plan; None if nothing is asked of it. Once more after a crash, it goes on from there.

    Raises RuleBroken where the connection may not do it any more; then nothing is asked of the plan.
    """
    with at_work(hub, plan_id):
        plan, _ = load_plan(hub, plan_id)
        return None if plan.wish is None or plan.state != PlanState.APPLYING else _carry_out(hub, plan)


def _carry_out(hub: Hub, plan: Plan) -> Applied:
    assert plan.wish is not None
    try:
        opened = _live(hub, plan)
    except HubError as failure:
        _close(hub, plan, str(failure), None)
        raise
    run = RunLog(hub, opened, "both", "plan", plan.wish["actor"], plan.kinds)
    run.open()
    course = _Course(hub, opened, plan, run)
    try:
        with run.closing():
            _take_in(course)
            _send(course)
        summary = run.finish()
    except BaseException:  # who stopped it wants no worker to go on with it
        _close(hub, plan, run.failure, run.id)
        raise
    course.outcomes["left"] = _close(hub, plan, "", run.id)
    return Applied(summary, {name: number for name, number in course.outcomes.items() if number})


def _close(hub: Hub, plan: Plan, reason: str, run_id: UUID | None) -> int:
    """Nothing more is asked of the plan. What was not reached can be chosen again; returns how much."""

    def work(session: Session) -> int:
        left = update(PlanItem).where(PlanItem.plan_id == plan.id, PlanItem.status == CHOSEN)
        number = getattr(session.execute(left.values(status="planned", note="It was not reached.")), "rowcount", 0)
        closed = {"state": PlanState.READY, "wish": None, "reason": reason}
        session.execute(update(Plan).where(Plan.id == plan.id).values(**closed, run_id=run_id or plan.run_id))
        return int(number)

    return hub.transact(work)


def _live(hub: Hub, plan: Plan) -> Opened:
    """The connection, ready for what was chosen. Going live it holds all that is owed first, and only then writes."""
    assert plan.wish is not None
    go_live, actor = plan.wish["go_live"], plan.wish["actor"]
    with hub.read() as session:
        writes = session.scalar(chosen(plan.id, PlanItem.id).where(PlanItem.direction == "push").limit(1)) is not None
        refuse_unready(plan, get_connection(session, plan.connection_id), writes=writes, go_live=go_live)
    opened = open_connection(hub, plan.connection_id)
    if opened.may_write and writes:
        _hold_the_rest(hub, opened, plan)
    if opened.may_write or not go_live:
        return opened
    pushes = [kind for kind, subscription in opened.subscriptions.items() if subscription.pushes]
    scan_owed(hub, opened, pushes)

    def work(session: Session) -> None:
        _hold(session, opened.id, Link.kind.in_(pushes))
        set_state(session, opened.id, ConnectionState.ACTIVE)
        get_connection(session, opened.id).pulled_at = clock.now()  # what was planned is read by the plan first

    hub.transact(work, actor=actor)
    return open_connection(hub, opened.id)


def _hold_the_rest(hub: Hub, opened: Opened, plan: Plan) -> None:
    """Hold what would go out by the plan and was not chosen; what nothing is owed of yet is owed first."""
    scan_owed(hub, opened, [kind for kind in plan.kinds if opened.subscriptions[kind].pushes])
    left = Items(hub, plan.id, (PlanItem.direction == "push", PlanItem.status == "planned"))
    for block in blocks(left, BLOCK):
        keys = [(item.kind, item.record_id, item.part) for item in block]
        is_left = tuple_(Link.kind, Link.record_id, Link.part).in_(keys)
        hub.transact(partial(_hold, connection_id=opened.id, which=is_left))


def _hold(session: Session, connection_id: UUID, which: ColumnElement[bool]) -> None:
    session.execute(
        update(Link)
        .where(Link.connection_id == connection_id, Link.wanted > Link.done, Link.attempt_id.is_(None), which)
        .values(held=True)
        .execution_options(synchronize_session=False)
    )


def _blocks(course: _Course, direction: str, kind: str) -> Iterator[Sequence[PlanItem]]:
    """What was chosen of one stream, in the order of the plan."""
    query = chosen(course.plan.id, PlanItem).where(PlanItem.direction == direction, PlanItem.kind == kind)
    block: Sequence[PlanItem] = ()
    while not block or len(block) == BLOCK:
        further = query.where(PlanItem.id > block[-1].id) if block else query
        with course.hub.read() as session:
            block = session.scalars(further.order_by(PlanItem.id).limit(BLOCK)).all()
        if not block or not course.may_go_on:
            return
        yield block


def _mark_outcomes(session: Session, outcomes: Mapping[UUID, tuple[str, str]]) -> Counter[str]:
    """Write on each item what became of it: its status, and why."""
    rows = [{"id": item_id, "status": status, "note": note} for item_id, (status, note) in outcomes.items()]
    if rows:
        session.execute(update(PlanItem), rows)
    return Counter(status for status, _ in outcomes.values())


# Going out ------------------------------------------------------------------------------------------------------------


def _send(course: _Course) -> None:
    """Release and send what was chosen, parents first."""
    for kind in course.plan.kinds:
        for block in _blocks(course, "push", kind):
            with said(course.hub, course.opened, course.run):
                _send_block(course, course.opened.stream(kind), block)
            course.outcomes += course.hub.transact(partial(_sent, course=course, block=block))


def _send_block(course: _Course, stream: Stream, block: Sequence[PlanItem]) -> None:
    hub, opened = course.hub, course.opened
    updates = [str(item.remote_id) for item in block if item.action == "update"]
    versions = versions_there(opened, stream.kind, updates) if stream.pulls and updates else {}
    claimed = hub.transact(lambda session: _released(session, course, stream, block))
    if claimed:
        push_block(hub, opened, stream, claimed, course.run, _OnlyAsPlanned(course, block, versions))


def _released(session: Session, course: _Course, stream: Stream, block: Sequence[PlanItem]) -> list[Link]:
    """Let the links of these go, into our own hands at once; what cannot go now stays as it was.

    Records that are there only because others need them get their links now.
    """
    opened = course.opened
    if not may_write(course.hub, session, opened.id):
        return []
    keys = [(item.record_id, item.part) for item in block]
    mine = (Link.connection_id == opened.id, Link.kind == stream.kind, tuple_(Link.record_id, Link.part).in_(keys))
    known = {(row.record_id, row.part) for row in session.execute(select(Link.record_id, Link.part).where(*mine))}
    missing = [record_id for record_id, part in keys if record_id and not part and (record_id, part) not in known]
    if missing:
        owe(session, opened.subscriptions[stream.kind], missing, needed=True)
    held = set(session.scalars(select(Link.id).where(*mine, Link.held)))
    this = update(Link).execution_options(synchronize_session=False)
    if course.plan.anew:
        _start_anew(session, course.plan, block, mine)
    session.execute(this.where(*mine).values(held=False, due_at=None))
    due = select(Link.id).where(*mine, is_due()).order_by(Link.id)
    links = lease(session, session.scalars(due.with_for_update(skip_locked=True)).all())
    session.execute(this.where(Link.id.in_(held - {link.id for link in links})).values(held=True))
    return links


def _start_anew(session: Session, plan: Plan, block: Sequence[PlanItem], mine: tuple[ColumnElement[bool], ...]) -> None:
    """Let these go out in full, as if nothing had been sent of them; what is gone over there is created again.

    Not what was delivered since the plan was made: carried out once more after a crash, it sends nothing twice.
    """
    is_free = (Link.attempt_id.is_(None), or_(Link.lease_until.is_(None), Link.lease_until <= database_now()))
    untouched = or_(Link.delivered_at.is_(None), Link.delivered_at < plan.created_at)
    this = update(Link).where(*mine, *is_free, untouched).execution_options(synchronize_session=False)
    session.execute(this.values(sent=None, wanted=case((Link.wanted == Link.done, Link.wanted + 1), else_=Link.wanted)))
    gone = [item.remote_id for item in block if item.action == "create" and item.remote_id]
    unlinked = {"remote_id": None, "remote_version": None, "seen": None, "agreed": None}
    session.execute(this.where(Link.remote_id.in_(gone)).values(fence=Link.fence + 1, **unlinked))


class _OnlyAsPlanned:
    """What of a prepared block may be sent: what is as the plan shows it. The rest is stale, and is held.

    Asked before the look over there, and once more after it, when what should have been found there is still to be
    created.
    """

    def __init__(self, course: _Course, block: Sequence[PlanItem], versions: Mapping[str, str]) -> None:
        self.course = course
        self.items = {(item.record_id, item.part): item for item in block}
        self.versions = versions
        self.seen: set[UUID] = set()

    def __call__(self, prepared: Sequence[Prepared]) -> list[Prepared]:
        bodies = [self._item(one).body for one in prepared]
        with self.course.hub.read() as session:
            there = _new_ids(session, self.course.opened.id, bodies)
        kept = [one for one in prepared if self._is_as_planned(one, there)]
        self.seen |= {one.link.id for one in kept}
        stale = [one for one in prepared if one not in kept]
        if stale:
            self.course.hub.transact(lambda session: self._give_back(session, stale))
        for one in stale:
            self.course.stale.add(self._item(one).id)
            self.course.run.waiting[one.link.id] = Item(
                one.link.kind, "push", Status.DEFERRED, one.label, one.link.record_id, one.link.remote_id, _STALE
            )
        return kept

    def _is_as_planned(self, one: Prepared, there: Mapping[str, str]) -> bool:
        item, link = self._item(one), one.link
        if item.action == "adopt":
            return item.revision == one.revision and link.id not in self.seen
        version = self.versions.get(str(link.remote_id), link.remote_version)
        if item.revision != one.revision or (one.op == Op.UPDATE and item.remote_version != version):
            return False
        return bool(_filled(item.body, there) == one.body)

    @staticmethod
    def _give_back(session: Session, stale: Sequence[Prepared]) -> None:
        for one in stale:
            write(session, one.link, held=True, lease_until=None)

    def _item(self, one: Prepared) -> PlanItem:
        return self.items[one.link.record_id, one.link.part]


def _new_ids(session: Session, connection_id: UUID, bodies: Sequence[Any]) -> dict[str, str]:
    """What the records that the plan creates itself are called over there by now, by their placeholders."""
    refs = [ref_of(text) for body in bodies for text in new_in(body)]
    found = remote_ids_of(session, connection_id, refs)
    return {placeholder(ref): remote_id for ref, remote_id in found.items()}


def _filled(value: Any, there: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return there.get(value, value)
    if isinstance(value, dict):
        return {name: _filled(item, there) for name, item in value.items()}
    return [_filled(item, there) for item in value] if isinstance(value, list) else value


def _sent(session: Session, *, course: _Course, block: Sequence[PlanItem]) -> Counter[str]:
    """What became of a block: by the run, or, where it did nothing with a record, by how its link stands."""
    ids = [item.record_id for item in block]
    told = {
        (row.kind, row.record_id): row
        for row in session.scalars(
            select(RunItem)
            .where(RunItem.run_id == course.run.id, RunItem.direction == "push", RunItem.record_id.in_(ids))
            .order_by(RunItem.id)
        )
    }
    kind = block[0].kind
    links = {
        (link.record_id, link.part): link
        for link in session.scalars(
            select(Link).where(Link.connection_id == course.opened.id, Link.kind == kind, Link.record_id.in_(ids))
        )
    }
    outcomes: dict[UUID, tuple[str, str]] = {}
    for item in block:
        link = links.get((item.record_id, item.part))
        if item.id in course.stale:
            outcomes[item.id] = ("stale", _STALE)
        elif (row := told.get((item.kind, item.record_id))) is not None:
            outcomes[item.id] = (row.outcome, row.reason)
        elif link is not None and (put_off := course.run.waiting.get(link.id)) is not None:
            outcomes[item.id] = (str(put_off.status), put_off.reason)
        elif link is not None and course.may_go_on:
            outcomes[item.id] = _standing(link, item)
    return _mark_outcomes(session, outcomes)


def _standing(link: Link, item: PlanItem) -> tuple[str, str]:
    """What has become of a record that this run had nothing to do with."""
    if link.parked or link.ignored:
        return "rejected", str(link.parked or link.ignored)
    if link.wanted > link.done:
        return "deferred", _AT_WORK
    return ("done", _DONE) if link.revision == item.revision else ("stale", _STALE)


# Coming in ------------------------------------------------------------------------------------------------------------


def _take_in(course: _Course) -> None:
    """Fetch what was chosen once more and merge what is as it was planned, parents first."""
    hub, opened = course.hub, course.opened
    for kind in course.plan.kinds:
        stream = opened.stream(kind)
        for block in _blocks(course, "pull", kind):
            for start in range(0, len(block), FETCHED_AT_ONCE):
                with said(hub, opened, course.run):
                    _merge_block(course, stream, block[start : start + FETCHED_AT_ONCE])


def _merge_block(course: _Course, stream: Stream, block: Sequence[PlanItem]) -> None:
    hub, opened, run = course.hub, course.opened, course.run
    with hub.read() as session:
        asked_at = session.execute(select(database_now())).scalar_one()
    with opened.breaker.call():
        page = opened.connector.fetch(stream.kind, [str(item.remote_id) for item in block])
    shown = {change.remote_id: change for change in page.changes}

    def work(session: Session) -> tuple[list[Item], Counter[str]]:
        changes = _as_they_were(session, course, stream, block, shown, asked_at)
        merged = merge(session, opened, stream, list(changes.values()), asked_at=asked_at)
        stale = [item for item in block if item.remote_id not in changes]
        items = [*merged, *(_left_out(item) for item in stale)]
        run.count_arrived(session, items)
        became = {item.remote_id: (str(item.status), item.reason) for item in merged}
        outcomes = {item.id: became.get(item.remote_id, ("unchanged", "")) for item in block}
        outcomes |= {item.id: ("stale", _STALE) for item in stale}
        return items, _mark_outcomes(session, outcomes)

    items, counted = hub.transact(work, actor=f"connection:{opened.name}", origin=opened.id)
    course.outcomes += counted
    run.postpone(items)


def _as_they_were(
    session: Session,
    course: _Course,
    stream: Stream,
    block: Sequence[PlanItem],
    shown: Mapping[str, Change],
    asked_at: datetime,
) -> dict[str | None, Change]:
    """The changes that do now what the plan shows: both sides are as they were, and so is what merging them makes."""
    revisions = revisions_of(session, stream.kind, [item.record_id for item in block])
    changes: dict[str | None, Change] = {}
    for item in block:
        remote_id = str(item.remote_id)
        change = shown.get(remote_id)
        if item.action == "delete" and change is None:
            change = Change(stream.kind, remote_id, {}, label=item.label, deleted=True)
        is_same_there = change is not None and (change.version or None) in (item.remote_version, None)
        if change is not None and is_same_there and revisions.get(item.record_id) == item.revision:
            changes[remote_id] = change
    planned = {item.remote_id: (item.action, item.differences) for item in block}
    rehearsed = rehearse(session, course.opened, stream, list(changes.values()), asked_at, course.plan.id)
    now = {item.remote_id: (item.action, freeze(item.differences)) for item in rehearsed}
    return {remote_id: change for remote_id, change in changes.items() if now.get(remote_id) == planned[remote_id]}


def _left_out(item: PlanItem) -> Item:
    return Item(item.kind, "pull", Status.DEFERRED, item.label, item.record_id, item.remote_id, reason=_STALE)
