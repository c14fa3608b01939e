"""/plans: what a sync would do, made and applied by the workers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from flask import Response
from marshmallow import Schema, fields, validate
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.money import money_text
from hub.sync.models import Plan, PlanItem, PlanState
from hub.sync.plan import get_plan
from hub.web.api.fields import choice, text
from hub.web.api.rest import ApiBlueprint, Values, answer, answer_after, answer_page, filtered, row
from hub.web.current import reading
from hub.web.planning import have_applied, have_planned

blueprint = ApiBlueprint("plans", "What a sync would do on both sides, to look at and to apply.", prefix="/plans")

ACTIONS: Final = ("create", "update", "delete", "adopt", "conflict", "ask", "wait", "refuse")


class PlanInput(Schema):
    """What to plan: what a run would do now. kinds: these streams only."""

    connection_id = fields.UUID(required=True)
    kinds = fields.List(fields.String(), validate=validate.Length(min=1, max=50))
    direction = choice(("push", "pull"))


class PlanOutput(Schema):
    """What a sync would do. state: making until the workers have worked it out, applying while they apply it.

    counts: by direction (push: over there, pull: here), stream and action. totals: of the documents that would go out,
    by currency. calls: about how many calls applying it takes. run_id: the run that applied it last.
    """

    id = fields.UUID(required=True)
    connection_id = fields.UUID(required=True)
    kinds = fields.List(fields.String(), required=True)
    direction = fields.String(required=True)
    state = choice(PlanState, required=True)
    reason = fields.String(required=True)
    account_id = fields.String(required=True, allow_none=True)
    environment = fields.String(required=True)
    digest = fields.String(required=True)
    counts = fields.Dict(required=True)
    totals = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    calls = fields.Integer(required=True)
    created_at = fields.AwareDateTime(required=True)
    expires_at = fields.AwareDateTime(required=True)
    applied_at = fields.AwareDateTime(required=True, allow_none=True)
    run_id = fields.UUID(required=True, allow_none=True)
    actor = fields.String(required=True)


class PlanItemOutput(Schema):
    """One change of a plan. differences: per field what is here (hub) and there (remote). status: planned, chosen, or
    what became of it; note: why.
    """

    id = fields.UUID(required=True)
    direction = choice(("push", "pull"), required=True)
    kind = fields.String(required=True)
    action = choice(ACTIONS, required=True)
    label = fields.String(required=True)
    record_id = fields.UUID(required=True, allow_none=True)
    part = fields.String(required=True)
    remote_id = fields.String(required=True, allow_none=True)
    revision = fields.Integer(required=True, allow_none=True)
    remote_version = fields.String(required=True, allow_none=True)
    differences = fields.Dict(required=True)
    reason = fields.String(required=True)
    field = fields.String(required=True)
    amount = fields.String(required=True, allow_none=True)
    currency = fields.String(required=True, allow_none=True)
    document_on = fields.Date(required=True, allow_none=True)
    status = fields.String(required=True)
    note = fields.String(required=True)


class PlanQuery(Schema):
    """Filters."""

    connection_id = fields.UUID()
    state = choice(PlanState)


class PlanItemQuery(Schema):
    """Filters."""

    direction = choice(("push", "pull"))
    action = choice(ACTIONS)
    kind = fields.String()
    status = fields.String()


class ApplyInput(Schema):
    """How to apply a plan. only: items by id, by their record's id or by label; what they need comes with them.

    go_live: let a connection that only reads, or rests, write from now on; what is owed and not chosen is then held.
    beyond_guards: also more updates or deletes than the guards of the connection allow.
    """

    items = fields.List(
        text(500, least=1), validate=validate.Length(min=1, max=1000), data_key="only", attribute="only"
    )
    go_live = fields.Boolean(load_default=False)
    beyond_guards = fields.Boolean(load_default=False)


@blueprint.get("", permission="connections.read", query=PlanQuery, output=PlanOutput, paged=True)
def list_plans(query: Values) -> Response:
    """Plans, the newest first."""
    columns = {"connection_id": Plan.connection_id, "state": Plan.state}
    return answer_page(filtered(select(Plan), query, columns), view=_view, newest_first=True)


@blueprint.post("", permission="connections.sync", body=PlanInput, output=PlanOutput)
def create_plan(body: Values) -> Response:
    """Have a plan worked out: look at it again until its state is ready. Nothing changes on either side."""

    return answer_after(lambda: have_planned(**body), view=_view)


@blueprint.get("/<uuid:plan_id>", permission="connections.read", output=PlanOutput)
def get_a_plan(plan_id: UUID) -> Response:
    """One plan."""
    return answer(lambda session: get_plan(session, plan_id), view=_view)


@blueprint.get(
    "/<uuid:plan_id>/items", permission="connections.read", query=PlanItemQuery, output=PlanItemOutput, paged=True
)
def list_plan_items(plan_id: UUID, query: Values) -> Response:
    """The changes of a plan, in the order in which they would be done."""

    def statement(session: Session) -> Any:
        get_plan(session, plan_id)
        columns = {name: getattr(PlanItem, name) for name in ("direction", "action", "kind", "status")}
        return filtered(select(PlanItem).where(PlanItem.plan_id == plan_id), query, columns)

    return answer_page(statement, view=_item_view)


@blueprint.post("/<uuid:plan_id>/apply", permission="connections.sync", body=ApplyInput, output=PlanOutput, status=202)
def apply_a_plan(plan_id: UUID, body: Values) -> Response:
    """Have a plan, or a part of it, done by the workers: look at it again until its state is ready, then at its items.

    Going live, and going beyond the guards, needs the permission connections.write.
    """

    def work() -> Plan:
        have_applied(plan_id, **body)
        with reading() as session:
            return get_plan(session, plan_id)

    return answer_after(work, of=row(Plan, plan_id), view=_view)


def _view(session: Session, plan: Plan) -> Values:
    shown = {name: getattr(plan, name) for name in PlanOutput._declared_fields}
    return shown | {
        "totals": {currency: money_text(Decimal(total), currency) for currency, total in plan.totals.items()}
    }


def _item_view(session: Session, item: PlanItem) -> Values:
    shown = {name: getattr(item, name) for name in PlanItemOutput._declared_fields}
    amount, currency = item.amount, item.currency
    return shown | {"amount": money_text(amount, currency) if amount is not None and currency else None}
