"""Wanting a plan, or a chosen part of it: what is to be done is written down, and nothing is done yet.

The plan must be complete, unexpired, made against the account that the connection has now, and within the guards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from hub.core import audit, clock
from hub.core.errors import NotFound, RuleBroken
from hub.sync.connections import get_connection, refuse_unlooked
from hub.sync.guards import Excess, excesses
from hub.sync.models import Connection, ConnectionState, Plan, PlanItem, PlanState
from hub.sync.plan import APPLICABLE, Items, digest_of, get_plan, load_plan
from hub.sync.plan_outgoing import BLOCK

if TYPE_CHECKING:
    from hub.bootstrap import Hub

CHOSEN = "chosen"
OPEN = ("planned", CHOSEN, "deferred", "uncertain")
"""The statuses of items that can be applied (again)."""


def choose(
    hub: Hub,
    plan_id: UUID,
    *,
    only: Sequence[str] = (),
    go_live: bool = False,
    beyond_guards: bool = False,
    actor: str = "system",
) -> None:
    """Note that a plan is to be applied, and what of it. The caller is the one at work on it (`at_work`).

    only: ids, record ids or labels of the items to choose; what they need comes with them. go_live: let a connection
    that only reads, or rests, write from now on. beyond_guards: also more updates or deletes than the guards allow.
    Raises NotFound, RuleBroken.
    """
    plan, items = load_plan(hub, plan_id)
    _refuse_incomplete(plan, items)

    def work(session: Session) -> None:
        plan = get_plan(session, plan_id)
        _refuse_unusable(session, plan)
        _mark(session, plan_id, only)
        directions = set(session.scalars(chosen(plan_id, PlanItem.direction).distinct()))
        connection = get_connection(session, plan.connection_id)
        refuse_unready(plan, connection, writes="push" in directions, go_live=go_live)
        is_chosen = (PlanItem.plan_id == plan_id, PlanItem.status == CHOSEN)
        if not beyond_guards and (found := excesses(session, connection.id, *is_chosen)):
            raise RuleBroken(_guarded(found), code="plan-guarded")
        plan.state, plan.reason = PlanState.APPLYING, ""
        plan.wish = {"go_live": go_live, "actor": actor}
        plan.applied_at = clock.now()
        audit.note(
            session,
            "apply",
            "plan",
            plan_id,
            connection=connection.name,
            digest=plan.digest,
            items=session.scalar(chosen(plan_id, func.count())),
            go_live=go_live,
            beyond_guards=beyond_guards,
        )

    hub.transact(work, actor=actor)


def _refuse_incomplete(plan: Plan, items: Items) -> None:
    if plan.state == PlanState.FAILED:
        raise RuleBroken(f"This plan could not be made: {plan.reason}", code="plan-incomplete")
    if not plan.digest or digest_of(items) != plan.digest:
        raise RuleBroken("This plan is not complete. Make a new one.", code="plan-incomplete")


def _refuse_unusable(session: Session, plan: Plan) -> None:
    if plan.expires_at <= clock.now():
        raise RuleBroken("This plan has expired. Make a new one.", code="plan-expired")
    if session.scalar(select(PlanItem.id).where(*can_be_applied(plan.id)).limit(1)) is None:
        raise RuleBroken("There is nothing left to apply in this plan.", code="plan-applied")


def refuse_unready(plan: Plan, connection: Connection, *, writes: bool, go_live: bool) -> None:
    """A plan is for the account that it was made against, and for a connection that may do what it shows."""
    name = connection.name
    if (plan.account_id, plan.environment) != (connection.account_id, connection.environment):
        raise RuleBroken(
            f"This plan was made against {plan.account_id} ({plan.environment or 'unknown'}), and {name} is "
            f"{connection.account_id} ({connection.environment or 'unknown'}) now. Make a new one.",
            code="plan-for-another-account",
        )
    if connection.state == ConnectionState.NEEDS_ATTENTION:
        raise RuleBroken(
            f"The connection {name} needs attention first. Test it: `hub connection check {name}`.",
            code="connection-not-ready",
        )
    if go_live:
        refuse_unlooked(connection)
    rests = connection.state == ConnectionState.PAUSED
    if not go_live and (rests or (writes and connection.state != ConnectionState.ACTIVE)):
        raise RuleBroken(
            f"The connection {name} does not write ({connection.state}). With --go-live it does from now on; what is "
            "owed and not chosen is held.",
            code="connection-not-ready",
        )


def _guarded(found: Sequence[Excess]) -> str:
    listed = "; and it would ".join(map(str, found))
    return f"The plan would {listed}. If that is right, apply it with --beyond-guards."


def _mark(session: Session, plan_id: UUID, only: Sequence[str]) -> None:
    """Note the items that were chosen, with those that they need; what was chosen before counts no more."""
    every = update(PlanItem).execution_options(synchronize_session=False)
    session.execute(
        every.where(PlanItem.plan_id == plan_id, PlanItem.status == CHOSEN).values(status="planned", note="")
    )
    if not only:
        session.execute(every.where(*can_be_applied(plan_id)).values(status=CHOSEN, note=""))
        return
    ahead = _named(session, plan_id, only)
    found: set[UUID] = set()
    while ahead:
        found |= {item.id for item in ahead}
        needs = {(need[0], need[1]) for item in ahead for need in item.needs}
        ahead = [item for item in _needed(session, plan_id, sorted(needs)) if item.id not in found]
    ids = sorted(found)
    for start in range(0, len(ids), BLOCK):
        these = ids[start : start + BLOCK]
        session.execute(every.where(PlanItem.id.in_(these)).values(status=CHOSEN, note=""))


def _named(session: Session, plan_id: UUID, only: Sequence[str]) -> list[PlanItem]:
    """The items with these ids, record ids or labels. Raises NotFound for one that no item has."""
    found: dict[UUID, PlanItem] = {}
    unknown = set(only)
    for start in range(0, len(only), BLOCK):
        names = list(only[start : start + BLOCK])
        ids = [item for item in map(_as_id, names) if item is not None]
        has_name = or_(
            PlanItem.label.in_(names),
            PlanItem.remote_id.in_(names),
            PlanItem.id.in_(ids),
            PlanItem.record_id.in_(ids),
        )
        for item in session.scalars(select(PlanItem).where(*can_be_applied(plan_id), has_name)):
            found[item.id] = item
            unknown -= {item.label, item.remote_id, str(item.id), str(item.record_id)}
    if unknown:
        raise NotFound(f"The plan has nothing to apply called {', '.join(sorted(unknown))}.")
    return list(found.values())


def _as_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _needed(session: Session, plan_id: UUID, needs: Sequence[tuple[str, str]]) -> Iterator[PlanItem]:
    """The items that create these records: ours by id, theirs by remote id."""
    for start in range(0, len(needs), BLOCK):
        names = [name for _, name in needs[start : start + BLOCK]]
        ids = [item for item in map(_as_id, names) if item is not None]
        is_one = or_(
            (PlanItem.direction == "push") & PlanItem.record_id.in_(ids),
            (PlanItem.direction == "pull") & PlanItem.remote_id.in_(names),
        )
        for item in session.scalars(select(PlanItem).where(*can_be_applied(plan_id), is_one)):
            if (item.kind, str(item.record_id if item.direction == "push" else item.remote_id)) in needs:
                yield item


def can_be_applied(plan_id: UUID) -> tuple[Any, ...]:
    """What of a plan can be applied (again)."""
    return (PlanItem.plan_id == plan_id, PlanItem.status.in_(OPEN), PlanItem.action.in_(APPLICABLE))


def chosen(plan_id: UUID, *columns: Any) -> Any:
    """A query for what was chosen of a plan."""
    return select(*columns).where(PlanItem.plan_id == plan_id, PlanItem.status == CHOSEN)
