"""Applying a plan: exactly what it shows, or a chosen part of it, through the same steps as every other run.

What has changed on either side since is left out as stale. What goes out and was not chosen stays held, until another
plan that shows it is applied.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, tuple_, update
from sqlalchemy.orm import Session

from hub.core import audit, clock
from hub.core.clock import database_now
from hub.core.errors import NotFound, RuleBroken
from hub.core.outbox import Link, owe
from hub.sync.claim import claim, write
from hub.sync.connections import Opened, get_connection, open_connection, set_state
from hub.sync.connector import Change, Status, Stream
from hub.sync.cycle import scan_owed
from hub.sync.merge import merge
from hub.sync.models import ConnectionState, Plan, PlanItem, RunItem
from hub.sync.plan import APPLICABLE, BLOCK, blocks, digest_of, new_in, placeholder, ref_of
from hub.sync.prepare import Prepared, remote_ids_of
from hub.sync.push import push_block
from hub.sync.runs import Item, RunLog, RunSummary

if TYPE_CHECKING:
    from hub.bootstrap import Hub

MOST_UPDATES, MOST_DELETES, ALWAYS_ALLOWED = 0.30, 0.02, 5
"""The guards: the share of a stream's links that one plan may update or delete, and how many it may in any case."""
_STALE = "It has changed since the plan was made."


@dataclass(frozen=True, slots=True)
class Applied:
    """The run that applied a plan, and what became of the items that were chosen, counted."""

    run: RunSummary
    outcomes: Mapping[str, int]

    @property
    def ok(self) -> bool:
        return self.run.ok and not self.outcomes.get("stale")


def apply_plan(
    hub: Hub,
    plan_id: UUID,
    *,
    only: Sequence[str] = (),
    go_live: bool = False,
    beyond_guards: bool = False,
    actor: str = "system",
) -> Applied:
    """Do what a plan shows. only: ids, record ids or labels of the items to choose; what they need comes with them.

    go_live: let a connection that only reads, or rests, write from now on. beyond_guards: also more updates or deletes
    than the guards allow. Raises NotFound, RuleBroken.
    """
    plan, items = load_plan(hub, plan_id)
    _refuse_unusable(plan, items)
    opened = open_connection(hub, plan.connection_id)
    chosen = _chosen(items, only)
    if not beyond_guards:
        _guard(hub, opened, chosen)
    outgoing = [item for item in chosen if item.direction == "push"]
    chosen_ids = {item.id for item in chosen}
    left = [item for item in items if item.direction == "push" and item.id not in chosen_ids]
    opened = _ready(hub, plan, opened, left, go_live=go_live, writes=bool(outgoing), actor=actor)
    run = RunLog(hub, opened, "both", "plan", actor, plan.kinds)
    run.open()
    with run.closing():
        stale = _take_in(hub, opened, run, [item for item in chosen if item.direction == "pull"])
        stale |= _send(hub, opened, run, plan, outgoing)
    summary = run.finish()
    return Applied(summary, _note_outcomes(hub, plan, chosen, summary, stale))


def load_plan(hub: Hub, plan_id: UUID) -> tuple[Plan, Sequence[PlanItem]]:
    """A plan with its items, in their order. Raises NotFound."""
    with hub.read() as session:
        plan = session.get(Plan, plan_id)
        if plan is None:
            raise NotFound(f"There is no plan with id {plan_id}. Make one with `hub sync NAME --dry-run`.")
        return plan, session.scalars(select(PlanItem).where(PlanItem.plan_id == plan_id).order_by(PlanItem.id)).all()


def _refuse_unusable(plan: Plan, items: Sequence[PlanItem]) -> None:
    if digest_of(items) != plan.digest:
        raise RuleBroken("This plan is not complete. Make a new one.", code="plan-incomplete")
    if plan.expires_at <= clock.now():
        raise RuleBroken("This plan has expired. Make a new one.", code="plan-expired")
    if not any(item.status == "planned" and item.action in APPLICABLE for item in items):
        raise RuleBroken("There is nothing left to apply in this plan.", code="plan-applied")


def _chosen(items: Sequence[PlanItem], only: Sequence[str]) -> list[PlanItem]:
    """The items to apply, in their order; with each those that it needs."""
    can = [item for item in items if item.status == "planned" and item.action in APPLICABLE]
    if not only:
        return can
    wanted = set(only)
    names = {item.id: {str(item.id), str(item.record_id), item.label, item.remote_id} for item in can}
    unknown = wanted - set().union(*names.values())
    if unknown:
        raise NotFound(f"The plan has nothing to apply called {', '.join(sorted(unknown))}.")
    chosen = {item.id for item in can if names[item.id] & wanted}
    by_key = {(item.kind, str(item.remote_id if item.direction == "pull" else item.record_id)): item for item in can}
    ahead = [item for item in can if item.id in chosen]
    while ahead:
        for need in ahead.pop().needs:
            parent = by_key.get((need[0], need[1]))
            if parent is not None and parent.id not in chosen:
                chosen.add(parent.id)
                ahead.append(parent)
    return [item for item in can if item.id in chosen]


def _guard(hub: Hub, opened: Opened, chosen: Sequence[PlanItem]) -> None:
    """Stop before the first write where a plan does far more than plans usually do."""
    counted = Counter((item.kind, item.action) for item in chosen)
    with hub.read() as session:
        rows = session.execute(
            select(Link.kind, func.count())
            .where(Link.connection_id == opened.id, Link.remote_id.is_not(None))
            .group_by(Link.kind)
        )
        linked: dict[str, int] = {row[0]: row[1] for row in rows}
    for (kind, action), number in sorted(counted.items()):
        share = {"update": MOST_UPDATES, "conflict": MOST_UPDATES, "delete": MOST_DELETES}.get(action)
        most = max(ALWAYS_ALLOWED, share * linked.get(kind, 0)) if share is not None else number
        if number > most:
            raise RuleBroken(
                f"The plan would {action} {number:,} of {linked.get(kind, 0):,} {kind}, more than the guard of "
                f"{int(most):,}. If that is right, apply it with --beyond-guards.",
                code="plan-guarded",
            )


def _ready(
    hub: Hub, plan: Plan, opened: Opened, left: Sequence[PlanItem], *, go_live: bool, writes: bool, actor: str
) -> Opened:
    """Hold back what the plan shows and was not chosen; all that is owed, before a connection begins to write."""
    if opened.state == ConnectionState.NEEDS_ATTENTION:
        raise RuleBroken(
            f"The connection {opened.name} needs attention first. Test it: `hub connection check {opened.name}`.",
            code="connection-not-ready",
        )
    if writes and not opened.may_write and not go_live:
        raise RuleBroken(
            f"The connection {opened.name} does not write ({opened.state}). With --go-live it does from now on; what "
            "the plan shows and is not chosen stays held.",
            code="connection-not-ready",
        )
    if not writes:
        return opened
    pushes = [kind for kind in plan.kinds if opened.subscriptions[kind].pushes]
    scan_owed(hub, opened, pushes)
    for block in blocks(left, BLOCK):
        keys = [(item.kind, item.record_id, item.part) for item in block]
        is_left = tuple_(Link.kind, Link.record_id, Link.part).in_(keys)
        hub.transact(lambda session, is_left=is_left: _hold(session, opened.id, is_left))  # type: ignore[misc]

    def work(session: Session) -> None:
        if not opened.may_write:
            _hold(session, opened.id, Link.kind.in_(pushes))
        session.execute(update(Plan).where(Plan.id == plan.id).values(applied_at=clock.now()))
        audit.note(session, "apply", "plan", plan.id, connection=opened.name, digest=plan.digest)
        if not opened.may_write:
            set_state(session, opened.id, ConnectionState.ACTIVE)
            get_connection(session, opened.id).pulled_at = clock.now()  # what was planned is read by the plan first

    hub.transact(work, actor=actor)
    return open_connection(hub, opened.id)


def _hold(session: Session, connection_id: UUID, which: ColumnElement[bool]) -> None:
    session.execute(
        update(Link)
        .where(Link.connection_id == connection_id, Link.wanted > Link.done, Link.attempt_id.is_(None), which)
        .values(held=True)
        .execution_options(synchronize_session=False)
    )


# Going out ------------------------------------------------------------------------------------------------------------


def _send(hub: Hub, opened: Opened, run: RunLog, plan: Plan, chosen: Sequence[PlanItem]) -> set[UUID]:
    """Release and send what was chosen, parents first. Returns the items that are stale."""
    stale: set[UUID] = set()
    for kind in plan.kinds:
        mine = [item for item in chosen if item.kind == kind]
        for block in blocks(mine, BLOCK):
            if run.failure or run.resumes_at:
                return stale
            stale |= _send_block(hub, opened, opened.stream(kind), run, block)
    return stale


def _send_block(hub: Hub, opened: Opened, stream: Stream, run: RunLog, block: Sequence[PlanItem]) -> set[UUID]:
    by_key = {(item.record_id, item.part): item for item in block}
    ids = hub.transact(lambda session: _released(session, opened, stream, block))
    stale: set[UUID] = set()

    def only(prepared: Sequence[Prepared]) -> list[Prepared]:
        with hub.read() as session:
            there = _new_ids(session, opened.id, [by_key[p.link.record_id, p.link.part].body for p in prepared])
        kept: list[Prepared] = []
        for one in prepared:
            item = by_key[one.link.record_id, one.link.part]
            if _is_as_planned(item, one, there):
                kept.append(one)
            else:
                stale.add(item.id)
                hub.transact(lambda session, one=one: write(session, one.link, held=True, lease_until=None))  # type: ignore[misc]
                reason = _STALE
                run.waiting[one.link.id] = Item(
                    stream.kind, "push", Status.DEFERRED, one.label, one.link.record_id, one.link.remote_id, reason
                )
        return kept

    while not run.failure and not run.resumes_at and (links := claim(hub, opened.id, stream.kind, only=ids)):
        push_block(hub, opened, stream, links, run, only)
    return stale


def _released(session: Session, opened: Opened, stream: Stream, block: Sequence[PlanItem]) -> list[UUID]:
    """Let the links of these go; records that are there only because others need them get theirs now."""
    keys = [(item.record_id, item.part) for item in block]
    mine = (Link.connection_id == opened.id, Link.kind == stream.kind, tuple_(Link.record_id, Link.part).in_(keys))
    known = {(row.record_id, row.part) for row in session.execute(select(Link.record_id, Link.part).where(*mine))}
    missing = [record_id for record_id, part in keys if (record_id, part) not in known and record_id and not part]
    if missing:
        owe(session, opened.subscriptions[stream.kind], missing, needed=True)
    session.execute(
        update(Link).where(*mine).values(held=False, due_at=None).execution_options(synchronize_session=False)
    )
    return list(session.scalars(select(Link.id).where(*mine)))


def _new_ids(session: Session, connection_id: UUID, bodies: Sequence[Any]) -> dict[str, str]:
    """What the records that the plan creates itself are called over there by now, by their placeholders."""
    refs = [ref_of(text) for body in bodies for text in new_in(body)]
    found = remote_ids_of(session, connection_id, refs)
    return {placeholder(ref): remote_id for ref, remote_id in found.items()}


def _is_as_planned(item: PlanItem, prepared: Prepared, there: Mapping[str, str]) -> bool:
    link = prepared.link
    as_then = (item.revision, item.remote_version) == (prepared.revision, link.remote_version)
    return as_then and (item.body is None or _filled(item.body, there) == prepared.body)


def _filled(value: Any, there: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return there.get(value, value)
    if isinstance(value, dict):
        return {name: _filled(item, there) for name, item in value.items()}
    return [_filled(item, there) for item in value] if isinstance(value, list) else value


# Coming in ------------------------------------------------------------------------------------------------------------


def _take_in(hub: Hub, opened: Opened, run: RunLog, chosen: Sequence[PlanItem]) -> set[UUID]:
    """Fetch what was chosen once more and merge what is as it was planned, parents first. Returns the stale items."""
    stale: set[UUID] = set()
    for kind in dict.fromkeys(item.kind for item in chosen):
        stream = opened.stream(kind)
        for block in blocks([item for item in chosen if item.kind == kind], BLOCK):
            with hub.read() as session:
                asked_at = session.execute(select(database_now())).scalar_one()
            with opened.breaker.call():
                page = opened.connector.fetch(kind, [str(item.remote_id) for item in block])
            stale |= _merge_block(hub, opened, stream, run, block, {c.remote_id: c for c in page.changes}, asked_at)
    return stale


def _merge_block(
    hub: Hub,
    opened: Opened,
    stream: Stream,
    run: RunLog,
    block: Sequence[PlanItem],
    shown: Mapping[str, Change],
    asked_at: Any,
) -> set[UUID]:
    def work(session: Session) -> tuple[list[Item], set[UUID]]:
        model = hub.kinds[stream.kind].model
        ids = [item.record_id for item in block if item.record_id]
        revisions = {
            row.id: row.revision for row in session.execute(select(model.id, model.revision).where(model.id.in_(ids)))
        }
        changes, stale, items = [], set(), []
        for item in block:
            change = shown.get(str(item.remote_id))
            if item.action == "delete" and change is None:
                change = Change(stream.kind, str(item.remote_id), {}, label=item.label, deleted=True)
            same_there = change is not None and (change.version or None) in (item.remote_version, None)
            same_here = item.record_id is None or revisions.get(item.record_id) == item.revision
            if change is not None and same_there and same_here:
                changes.append(change)
            else:
                stale.add(item.id)
                reason = _STALE
                items.append(
                    Item(
                        stream.kind, "pull", Status.DEFERRED, item.label, item.record_id, item.remote_id, reason=reason
                    )
                )
        items = [*merge(session, opened, stream, changes, asked_at=asked_at), *items]
        run.count_arrived(session, items)
        return items, stale

    items, stale = hub.transact(work, actor=f"connection:{opened.name}", origin=opened.id)
    run.postpone(items)
    return stale


# What came of it ------------------------------------------------------------------------------------------------------


def _note_outcomes(
    hub: Hub, plan: Plan, chosen: Sequence[PlanItem], summary: RunSummary, stale: set[UUID]
) -> dict[str, int]:
    """Write on each item what became of it."""
    counted: Counter[str] = Counter()
    for block in blocks(chosen, BLOCK):

        def work(session: Session, block: Sequence[PlanItem] = block) -> Counter[str]:
            ids = [item.record_id for item in block if item.record_id]
            remote_ids = [item.remote_id for item in block if item.remote_id]
            rows = session.scalars(
                select(RunItem).where(
                    RunItem.run_id == summary.id,
                    RunItem.record_id.in_(ids) | RunItem.remote_id.in_(remote_ids),
                )
            ).all()
            by_record = {(row.direction, row.kind, row.record_id): row.outcome for row in rows}
            by_remote = {(row.direction, row.kind, row.remote_id): row.outcome for row in rows}
            outcomes: Counter[str] = Counter()
            for item in block:
                keys = (item.direction, item.kind)
                outcome = by_record.get((*keys, item.record_id)) if item.direction == "push" else None
                outcome = outcome or by_remote.get((*keys, item.remote_id)) or "left"
                status = "stale" if item.id in stale else outcome
                # What could not be done yet can be applied again.
                left = "planned" if status in ("deferred", "uncertain", "left") else status
                session.execute(update(PlanItem).where(PlanItem.id == item.id).values(status=left))
                outcomes[status] += 1
            return outcomes

        counted += hub.transact(work)
    return dict(counted)
