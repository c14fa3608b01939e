"""What a sync would do: asked for on a connection's page, shown field by field, applied whole or in part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from hub.core import clock
from hub.core.errors import NotFound, RuleBroken
from hub.sync.choose import can_be_applied
from hub.sync.connections import connection_named
from hub.sync.guards import Excess, excesses
from hub.sync.models import Connection, ConnectionState, Plan, PlanItem, PlanState
from hub.sync.plan import APPLICABLE
from hub.sync.plan_text import field_changes, new_labels
from hub.web.connection_states import kind_title
from hub.web.current import current_user, reading
from hub.web.display import money
from hub.web.listing import listing, query_text
from hub.web.pages.blueprint import pages
from hub.web.pages.runs import record_href
from hub.web.planning import have_applied, have_planned
from hub.web.session import flash, redirect_to, render

_ACTIONS = {
    "create": "Create",
    "update": "Update",
    "delete": "Delete",
    "adopt": "Take as the same",
    "conflict": "Conflict",
    "ask": "To be matched",
    "wait": "Waits",
    "refuse": "Refused",
}
_OPEN_UP_TO = 6
"""Fields that are shown at once; of more, how many there are."""


@pages.post("/connections/<name>/plans", permission="connections.sync")
def plan_connection(name: str) -> ResponseReturnValue:
    """Have it worked out what a sync would do now."""
    with reading() as session:
        found = connection_named(session, name)
    return redirect_to("pages.plan", plan_id=have_planned(found.id).id)


@pages.get("/connections/<name>/plans", permission="connections.read")
def plans(name: str) -> ResponseReturnValue:
    """The plans of a connection, the newest first."""
    with reading() as session:
        found = connection_named(session, name)
        page = listing(session, select(Plan).where(Plan.connection_id == found.id), Plan.id, newest_first=True)
    return render(
        "pages/plans.html",
        connection=name,
        plans=[{**_shown(each, name), "text": _in_short(each)} for each in page.rows],
        previous=page.previous,
        next=page.next,
        actions=_new_plan(name),
    )


@pages.get("/plans/<uuid:plan_id>", permission="connections.read")
def plan(plan_id: UUID) -> ResponseReturnValue:
    """One plan: what it comes to, and each change field by field."""
    filters = {name: query_text(name) for name in ("action", "stream", "status")}
    with reading() as session:
        found, connection = _plan(session, plan_id)
        page = listing(session, _filtered(plan_id, filters), PlanItem.id)
        new = new_labels(session, plan_id, page.rows)
        is_open = session.scalar(select(PlanItem.id).where(*can_be_applied(plan_id)).limit(1)) is not None
        statuses = session.execute(
            select(PlanItem.status, func.count())
            .where(PlanItem.plan_id == plan_id, PlanItem.status != "planned")
            .group_by(PlanItem.status)
        )
        outcomes = sorted((status, number) for status, number in statuses)
    why = _why_not(found, is_open=is_open)
    may = current_user().may("connections.sync")
    return render(
        "pages/plan.html",
        plan={**_shown(found, connection.name), "in_part": found.applied_at is not None and is_open},
        connection={"name": connection.name, "account": connection.account_name or connection.name},
        numbers=_numbers(found),
        totals=_totals(found),
        outcomes=outcomes,
        items=[_item(each, new, may_choose=may and not why) for each in page.rows],
        filters=filters,
        choices=_choices(found, outcomes),
        apply_href=url_for("pages.apply_plan", plan_id=plan_id) if may and not why else "",
        why=why,
        previous=page.previous,
        next=page.next,
        actions=_new_plan(connection.name),
    )


@pages.post("/plans/<uuid:plan_id>/apply", permission="connections.sync")
def apply_plan(plan_id: UUID) -> ResponseReturnValue:
    """Say what applying the plan, or the ticked part of it, does; then, confirmed, have it done."""
    form, chosen = request.form, _ticked()
    with reading() as session:
        _, connection = _plan(session, plan_id)
        excess = _excess(session, connection, plan_id, chosen)
        number = session.scalar(select(func.count()).where(*_which(plan_id, chosen))) or 0
        goes_live = _goes_live(session, connection, plan_id, chosen)
    if form.get("which") == "ticked" and not chosen:
        flash("warn", "Tick what is to be applied first.")
        return redirect_to("pages.plan", plan_id=plan_id)
    if not number:
        return _nothing_left(plan_id)
    if not form.get("confirmed"):
        return _confirm(plan_id, connection, chosen, excess, number, goes_live=goes_live)
    if excess and form.get("typed", "").strip() != connection.name:
        error = f"Type {connection.name} to apply it."
        return _confirm(plan_id, connection, chosen, excess, number, goes_live=goes_live, error=error), 422
    try:
        only = list(map(str, chosen))
        have_applied(plan_id, only=only, go_live=goes_live, beyond_guards=bool(excess))
    except RuleBroken as refused:
        flash("bad", str(refused))
    return redirect_to("pages.plan", plan_id=plan_id)


def _plan(session: Session, plan_id: UUID) -> tuple[Plan, Connection]:
    found = session.get(Plan, plan_id)
    connection = session.get(Connection, found.connection_id) if found is not None else None
    if found is None or connection is None:
        raise NotFound("There is no such plan.")
    return found, connection


# What is shown --------------------------------------------------------------------------------------------------------


def _shown(found: Plan, connection: str) -> dict[str, Any]:
    expired = found.state == PlanState.READY and found.expires_at <= clock.now()
    state = (
        "expired"
        if expired
        else {PlanState.READY: "applied" if found.applied_at else "ready"}.get(PlanState(found.state), found.state)
    )
    return {
        "id": found.id,
        "href": url_for("pages.plan", plan_id=found.id),
        "state": state,
        "busy": found.state in (PlanState.MAKING, PlanState.APPLYING),
        "reason": found.reason,
        "calls": found.calls,
        "digest": found.digest,
        "created_at": found.created_at,
        "expires_at": found.expires_at,
        "applied_at": found.applied_at,
        "run_href": url_for("pages.run", run_id=found.run_id) if found.run_id else "",
        "connection": connection,
    }


def _in_short(found: Plan) -> str:
    """A plan in one line."""
    counted: dict[str, int] = {}
    for kinds in found.counts.values():
        for actions in kinds.values():
            for action, number in actions.items():
                counted[action] = counted.get(action, 0) + number
    parts = [f"{_ACTIONS[action].lower()} {counted[action]:,}" for action in _ACTIONS if action in counted]
    return ", ".join(parts) or ("nothing to do" if found.digest else "")


def _numbers(found: Plan) -> list[dict[str, Any]]:
    """A row for each direction and stream: how many of each action."""
    return [
        {
            "way": direction,
            "stream": kind_title(kind),
            "counts": [actions.get(action, 0) for action in ("create", "update", "delete", "adopt", "conflict")],
            "left": sum(number for action, number in actions.items() if action not in APPLICABLE),
        }
        for direction in ("pull", "push")
        for kind in found.kinds
        if (actions := found.counts.get(direction, {}).get(kind))
    ]


def _totals(found: Plan) -> str:
    return ", ".join(money(Decimal(total), currency) for currency, total in found.totals.items())


def _item(item: PlanItem, new: Mapping[str, str], *, may_choose: bool) -> dict[str, Any]:
    rows = field_changes(item, new)
    can_be = item.action in APPLICABLE and item.status in ("planned", "deferred", "uncertain")
    return {
        "id": item.id,
        "label": item.label or item.remote_id or "Without a name",
        "href": record_href(item.kind, item.record_id),
        "stream": kind_title(item.kind),
        "way": item.direction,
        "action": item.action,
        "reason": item.reason,
        "field": item.field,
        "amount": money(item.amount, item.currency) if item.amount is not None and item.currency else "",
        "rows": rows,
        "open": len(rows) <= _OPEN_UP_TO,
        "status": {"planned": "", "stale": "changed_since"}.get(item.status, item.status),
        "note": item.note,
        "can_choose": may_choose and can_be,
    }


def _filtered(plan_id: UUID, filters: Mapping[str, str]) -> Select[Any]:
    statement = select(PlanItem).where(PlanItem.plan_id == plan_id)
    for name, column in (("action", PlanItem.action), ("stream", PlanItem.kind), ("status", PlanItem.status)):
        if filters[name]:
            statement = statement.where(column == filters[name])
    return statement


def _choices(found: Plan, outcomes: Sequence[tuple[str, int]]) -> dict[str, list[tuple[str, str]]]:
    """What one can filter by: what the plan has."""
    there = {action for kinds in found.counts.values() for actions in kinds.values() for action in actions}
    return {
        "action": [(action, title) for action, title in _ACTIONS.items() if action in there],
        "stream": [(kind, kind_title(kind)) for kind in found.kinds],
        "status": [(status, status.capitalize()) for status, _ in outcomes],
    }


def _new_plan(name: str) -> list[dict[str, Any]]:
    if not current_user().may("connections.sync"):
        return []
    href = url_for("pages.plan_connection", name=name)
    return [{"label": "Look again", "href": href, "method": "post", "icon": "refresh", "style": "default"}]


# Applying it ----------------------------------------------------------------------------------------------------------


def _why_not(found: Plan, *, is_open: bool) -> str:
    """Why the plan cannot be applied now; empty if it can."""
    if found.state != PlanState.READY or not found.digest:
        return "It is not ready."
    if found.expires_at <= clock.now():
        return "It has expired: look again."
    return "" if is_open else "There is nothing to apply in it."


def _ticked() -> list[UUID]:
    """The items that were ticked on the page, or that the question before carried along; none for all of them."""
    if request.form.get("which") == "all":
        return []
    texts = [*request.form.getlist("item"), *request.form.get("items", "").split()]
    try:
        return [UUID(text) for text in texts]
    except ValueError:
        raise RuleBroken("This is no item of a plan.", fields={"item": "is none"}) from None


def _which(plan_id: UUID, chosen: Sequence[UUID]) -> tuple[Any, ...]:
    return (*can_be_applied(plan_id), *((PlanItem.id.in_(chosen),) if chosen else ()))


def _excess(session: Session, connection: Connection, plan_id: UUID, chosen: Sequence[UUID]) -> list[Excess]:
    return excesses(session, connection.id, *_which(plan_id, chosen))


def _goes_live(session: Session, connection: Connection, plan_id: UUID, chosen: Sequence[UUID]) -> bool:
    """Whether applying this means that the connection writes, or wakes, from then on."""
    if connection.state == ConnectionState.PAUSED:
        return True
    is_pushed = select(PlanItem.id).where(*_which(plan_id, chosen), PlanItem.direction == "push")
    return connection.state == ConnectionState.READ_ONLY and session.scalar(is_pushed.limit(1)) is not None


def _nothing_left(plan_id: UUID) -> ResponseReturnValue:
    flash("info", "There is nothing left to apply in this plan.")
    return redirect_to("pages.plan", plan_id=plan_id)


def _confirm(
    plan_id: UUID,
    connection: Connection,
    chosen: Sequence[UUID],
    excess: Sequence[Excess],
    number: int,
    *,
    goes_live: bool,
    error: str = "",
) -> str:
    what = "One change" if number == 1 else f"{number:,} changes"
    consequences = ["What has changed on either side since the plan was made is left out as stale."]
    if chosen:
        consequences.append("What these need goes with them. What else would go out is held until another plan has it.")
    if goes_live:
        consequences.append(
            f"{connection.name} writes from now on. "
            "What was owed until now and is not chosen is held until another plan has it."
        )
    consequences += [f"It would {each}." for each in excess]
    return render(
        "confirm.html",
        title="Apply the plan?" if not chosen else "Apply a part of the plan?",
        text=f"{what} will be made, here and in {connection.account_name or connection.name}, as the plan shows them.",
        consequences=consequences,
        href=url_for("pages.apply_plan", plan_id=plan_id),
        fields={"confirmed": "yes", "items": " ".join(map(str, chosen))},
        button="Apply and let it write" if goes_live else "Apply",
        danger=bool(excess),
        back=url_for("pages.plan", plan_id=plan_id),
        typed=connection.name if excess else "",
        error=error,
    )
