"""Dry runs: what a run would do on both sides, worked out by the engine's own steps, and written down instead of done.

Nothing changes on either side, and no cursor moves. A plan is kept in its table block by block as it is worked out, so
that its size does not matter; it is complete once it has a digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from hub.core import clock
from hub.core.clock import database_now
from hub.core.database import uuid7
from hub.core.errors import HubError, NotFound, PluginFault, RuleBroken
from hub.core.frozen import freeze
from hub.sync.claim import LEASE_S, beating
from hub.sync.connections import Opened, get_connection, open_connection
from hub.sync.cycle import streams_of
from hub.sync.models import Plan, PlanItem, PlanState
from hub.sync.plan_incoming import incoming
from hub.sync.plan_outgoing import BLOCK, FETCHED_AT_ONCE, outgoing

if TYPE_CHECKING:
    from hub.bootstrap import Hub

log = structlog.get_logger("hub.sync")

Anew = Mapping[str, Mapping[UUID, bool]]
"""Records to go out in full, by stream: each with whether it is gone over there, so that it is created again."""
LIFE = timedelta(hours=24)
KEPT = timedelta(days=30)
"""How long after it expired a plan that nobody applied is kept."""
APPLICABLE = ("create", "update", "adopt", "delete", "conflict")
"""What applying a plan can do; the rest is for a person, or waits."""
_PAGE = 200
_FORGOTTEN_AT_ONCE = 1000
_DIGESTED = (
    *("direction", "kind", "action", "label", "record_id", "part", "remote_id"),
    *("revision", "remote_version", "differences", "body"),
)


@dataclass(frozen=True, slots=True)
class Items:
    """The items of a plan in their order, read in pages each time they are gone through."""

    hub: Hub
    plan_id: UUID
    clauses: tuple[ColumnElement[bool], ...] = ()

    def __iter__(self) -> Iterator[PlanItem]:
        query = select(PlanItem).where(PlanItem.plan_id == self.plan_id, *self.clauses).order_by(PlanItem.id)
        page: Sequence[PlanItem] = ()
        while not page or len(page) == _PAGE:
            further = query.where(PlanItem.id > page[-1].id) if page else query
            with self.hub.read() as session:
                page = session.scalars(further.limit(_PAGE)).all()
            yield from page
            if not page:
                return


def load_plan(hub: Hub, plan_id: UUID) -> tuple[Plan, Items]:
    """A plan with its items. Raises NotFound."""
    with hub.read() as session:
        return get_plan(session, plan_id), Items(hub, plan_id)


def get_plan(session: Session, plan_id: UUID) -> Plan:
    """Raises NotFound."""
    plan = session.get(Plan, plan_id)
    if plan is None:
        raise NotFound(f"There is no plan with id {plan_id}. Make one with `hub sync NAME --dry-run`.")
    return plan


def make_plan(
    hub: Hub,
    connection_id: UUID,
    *,
    kinds: Sequence[str] | None = None,
    direction: str | None = None,
    anew: Anew | None = None,
    actor: str = "system",
) -> UUID:
    """Work out what a run would do now, and keep it for a day. Returns its id. Raises NotFound, ConnectorError."""
    plan_id = ask_for_plan(hub, connection_id, kinds=kinds, direction=direction, anew=anew, actor=actor).id
    work_out(hub, plan_id)
    return plan_id


def ask_for_plan(
    hub: Hub,
    connection_id: UUID,
    *,
    kinds: Sequence[str] | None = None,
    direction: str | None = None,
    anew: Anew | None = None,
    queued: bool = False,
    actor: str = "system",
) -> Plan:
    """A plan that is still to be worked out; queued: by the workers. Raises NotFound.

    anew: only these records of ours, each to go out in full.
    """
    opened = open_connection(hub, connection_id)
    wanted = {*chain(*streams_of(opened, kinds, "push" if anew else direction))}

    def work(session: Session) -> Plan:
        connection = get_connection(session, connection_id)
        plan = Plan(
            id=uuid7(),
            connection_id=connection_id,
            kinds=[kind for kind in opened.subscriptions if kind in wanted],
            direction=direction or "",
            anew=anew and {kind: {str(id): is_gone for id, is_gone in of.items()} for kind, of in anew.items()},
            account_id=connection.account_id,
            environment=connection.environment,
            wish={"make": True} if queued else None,
            expires_at=clock.now() + LIFE,
            actor=actor,
        )
        session.add(plan)
        return plan

    return hub.transact(work, actor=actor)


def work_out(hub: Hub, plan_id: UUID) -> None:
    """Make a plan that was asked for. Raises what kept it from being made; the plan says it too."""
    with at_work(hub, plan_id), _failing_well(hub, plan_id):
        plan, _ = load_plan(hub, plan_id)
        opened = open_connection(hub, plan.connection_id)
        _forget(hub, PlanItem.plan_id == plan_id)  # what was left by a process that ended
        pulls, pushes = streams_of(opened, plan.kinds, "push" if plan.anew else plan.direction or None)
        for block in chain(incoming(hub, opened, pulls, plan_id), outgoing(hub, opened, pushes, plan_id, plan.anew)):
            _keep(hub, plan_id, block)
        _complete(hub, opened, plan_id)
    _forget_old(hub, plan.connection_id)


@contextmanager
def at_work(hub: Hub, plan_id: UUID) -> Iterator[None]:
    """Be the only one that makes or applies a plan. Raises NotFound, and RuleBroken while another does."""
    with hub.read() as session:
        get_plan(session, plan_id)
    this = update(Plan).where(Plan.id == plan_id).execution_options(synchronize_session=False)
    leased = this.values(lease_until=database_now(plus_s=LEASE_S))

    def stay(session: Session) -> None:
        session.execute(leased)

    free = or_(Plan.lease_until.is_(None), Plan.lease_until <= database_now())
    if not hub.transact(lambda session: getattr(session.execute(leased.where(free)), "rowcount", 0)):
        raise RuleBroken("Somebody is at work on this plan at this moment. Look at it again soon.", code="plan-at-work")
    try:
        with beating(hub, stay, LEASE_S):
            yield
    finally:
        hub.transact(lambda session: session.execute(this.values(lease_until=None)) and None)


def work_on_plan(hub: Hub, plan_id: UUID) -> None:
    """What was asked of the workers: make the plan, or apply it. What goes wrong is said by the plan."""
    from hub.sync.apply import carry_out

    with hub.read() as session:
        plan = session.get(Plan, plan_id)
    if plan is None or plan.wish is None:
        return
    try:
        (work_out if plan.state == PlanState.MAKING else carry_out)(hub, plan_id)
    except HubError as failure:
        log.info("a plan could not be worked on", plan=str(plan_id), reason=str(failure))


def unfinished_plans(session: Session) -> Sequence[UUID]:
    """The plans that the workers have to make or apply, and nobody is at work on."""
    free = or_(Plan.lease_until.is_(None), Plan.lease_until <= database_now())
    return session.scalars(select(Plan.id).where(Plan.wish.is_not(None), free).order_by(Plan.id).limit(_PAGE)).all()


def blocks(items: Iterable[PlanItem], size: int) -> Iterator[list[PlanItem]]:
    """The items in their order, so many at a time."""
    rest = iter(items)
    while block := list(islice(rest, size)):
        yield block


def digest_of(items: Items) -> str:
    """A hash over what the items of a plan would do, in their order."""
    digest = hashlib.sha256()
    for item in items:
        told = [freeze(getattr(item, name)) for name in _DIGESTED]
        digest.update(json.dumps(told, sort_keys=True).encode())
    return digest.hexdigest()


@contextmanager
def _failing_well(hub: Hub, plan_id: UUID) -> Iterator[None]:
    """Write what goes wrong on the plan. A fault of the connector itself is told as one."""
    try:
        yield
    except (HubError, SQLAlchemyError) as failure:
        reason = str(failure) if isinstance(failure, HubError) else "The database failed; the details are in the log."
        _fail(hub, plan_id, reason)
        raise
    except Exception as failure:
        log.error("connector failed", plan=str(plan_id), error=repr(failure), exc_info=failure)
        reason = f"The connector failed with {type(failure).__name__}; the details are in the log."
        _fail(hub, plan_id, reason)
        raise PluginFault(reason) from failure


def _fail(hub: Hub, plan_id: UUID, reason: str) -> None:
    failed = update(Plan).where(Plan.id == plan_id).values(state=PlanState.FAILED, reason=reason, wish=None)
    hub.transact(lambda session: session.execute(failed) and None)


# Keeping it -----------------------------------------------------------------------------------------------------------


def _keep(hub: Hub, plan_id: UUID, block: Sequence[PlanItem]) -> None:
    """Some more items. A record over there that was shown once before in other words is now as it was shown last."""

    def work(session: Session) -> None:
        shown = {(item.kind, item.remote_id) for item in block if item.direction == "pull"}
        for kind in {kind for kind, _ in shown}:
            remote_ids = [remote_id for of, remote_id in shown if of == kind]
            earlier = (PlanItem.plan_id == plan_id, PlanItem.direction == "pull", PlanItem.kind == kind)
            session.execute(delete(PlanItem).where(*earlier, PlanItem.remote_id.in_(remote_ids)))
        for item in block:
            item.plan_id = plan_id
            session.add(item)

    if block:
        hub.transact(work)


def _complete(hub: Hub, opened: Opened, plan_id: UUID) -> None:
    digest = digest_of(Items(hub, plan_id))

    def work(session: Session) -> None:
        counts = _counts(session, plan_id)
        plan = get_plan(session, plan_id)
        plan.counts, plan.totals, plan.calls = counts, _totals(session, plan_id), _calls(opened, counts)
        plan.digest, plan.state, plan.reason, plan.wish = digest, PlanState.READY, "", None
        plan.expires_at = clock.now() + LIFE

    hub.transact(work)


def _counts(session: Session, plan_id: UUID) -> dict[str, Any]:
    columns = (PlanItem.direction, PlanItem.kind, PlanItem.action)
    counts: dict[str, Any] = {}
    rows = session.execute(select(*columns, func.count()).where(PlanItem.plan_id == plan_id).group_by(*columns))
    for direction, kind, action, number in sorted((row[0], row[1], row[2], row[3]) for row in rows):
        counts.setdefault(direction, {}).setdefault(kind, {})[action] = number
    return counts


def _totals(session: Session, plan_id: UUID) -> dict[str, str]:
    """The documents that would go out, by currency."""
    rows = session.execute(
        select(PlanItem.currency, func.sum(PlanItem.amount))
        .where(PlanItem.plan_id == plan_id, PlanItem.direction == "push", PlanItem.action.in_(("create", "update")))
        .where(PlanItem.amount.is_not(None))
        .group_by(PlanItem.currency)
    )
    totals = {str(row[0]): str(row[1]) for row in rows}
    return dict(sorted(totals.items()))


def _calls(opened: Opened, counts: dict[str, Any]) -> int:
    """About how many calls applying it takes: full batches, the looks before creates and updates, and the reads."""
    calls = 0
    for kind, actions in counts.get("push", {}).items():
        stream = opened.stream(kind)
        created, updated, adopted = (actions.get(name, 0) for name in ("create", "update", "adopt"))
        calls += -(-(created + updated) // min(stream.batch_size, BLOCK))
        calls += -(-(created + adopted) // BLOCK) if stream.find_first else 0
        calls += -(-updated // FETCHED_AT_ONCE) if stream.pulls else 0
    for actions in counts.get("pull", {}).values():
        calls += -(-sum(number for action, number in actions.items() if action in APPLICABLE) // FETCHED_AT_ONCE)
    return calls


# Forgetting it --------------------------------------------------------------------------------------------------------


def _forget_old(hub: Hub, connection_id: UUID) -> None:
    """Plans that expired long ago and that nobody applied."""
    old = (Plan.connection_id == connection_id, Plan.applied_at.is_(None), Plan.expires_at < clock.now() - KEPT)
    with hub.read() as session:
        ids = session.scalars(select(Plan.id).where(*old)).all()
    for plan_id in ids:
        _forget(hub, PlanItem.plan_id == plan_id)
        hub.transact(partial(_delete, plan_id))


def _delete(plan_id: UUID, session: Session) -> None:
    session.execute(delete(Plan).where(Plan.id == plan_id))


def _forget(hub: Hub, which: ColumnElement[bool]) -> None:
    some = select(PlanItem.id).where(which).limit(_FORGOTTEN_AT_ONCE).scalar_subquery()
    statement = delete(PlanItem).where(PlanItem.id.in_(some)).execution_options(synchronize_session=False)
    while hub.transact(lambda session: getattr(session.execute(statement), "rowcount", 0)):
        pass
