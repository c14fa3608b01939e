"""/rate-cards: what an hour costs the client."""

from __future__ import annotations

from uuid import UUID

from flask import Response
from marshmallow import Schema, fields
from sqlalchemy import select

from hub.core.rates.models import RateCard
from hub.core.rates.service import add_rate, end_rate, replace_rate
from hub.web.api.fields import ListQuery, Rate, RecordOutput, text
from hub.web.api.rest import ApiBlueprint, Values, answer, answer_page, filtered, row

blueprint = ApiBlueprint("rate cards", "What an hour costs the client.", prefix="/rate-cards")


class RateCardInput(Schema):
    """A rate per hour, for whatever is named; what is not named, all."""

    rate = Rate(required=True, metadata={"example": "120.00"})
    currency = text(3, least=3, required=True, metadata={"example": "EUR"})
    company_id = fields.UUID(allow_none=True)
    client_id = fields.UUID(allow_none=True)
    project_id = fields.UUID(allow_none=True)
    task_id = fields.UUID(allow_none=True)
    person_id = fields.UUID(allow_none=True)
    valid_from = fields.Date(allow_none=True)
    valid_to = fields.Date(allow_none=True)


class RateEndInput(Schema):
    """The last day a rate applies; null: it has no end."""

    valid_to = fields.Date(required=True, allow_none=True)


class RateReplacementInput(Schema):
    """Another rate for the same work, and its first day."""

    rate = Rate(required=True, metadata={"example": "125.00"})
    valid_from = fields.Date(required=True)


class RateCardOutput(RecordOutput):
    """A rate per hour."""

    rate = Rate(required=True)
    currency = fields.String(required=True)
    company_id = fields.UUID(required=True, allow_none=True)
    client_id = fields.UUID(required=True, allow_none=True)
    project_id = fields.UUID(required=True, allow_none=True)
    task_id = fields.UUID(required=True, allow_none=True)
    person_id = fields.UUID(required=True, allow_none=True)
    valid_from = fields.Date(required=True)
    valid_to = fields.Date(required=True, allow_none=True)


class RateCardQuery(ListQuery):
    """Filters."""

    client_id = fields.UUID()
    project_id = fields.UUID()
    person_id = fields.UUID()
    currency = fields.String()


@blueprint.get("", permission="rates.read", query=RateCardQuery, output=RateCardOutput, paged=True)
def list_rate_cards(query: Values) -> Response:
    """Rates, the oldest first."""
    columns = {name: getattr(RateCard, name) for name in ("client_id", "project_id", "person_id", "currency")}
    return answer_page(filtered(select(RateCard), query, {**columns, "updated_after": RateCard.updated_at}))


@blueprint.post("", permission="rates.write", body=RateCardInput, output=RateCardOutput)
def create_rate_card(body: Values) -> Response:
    """Add a rate; what was priced before keeps its price."""
    return answer(lambda session: add_rate(session, **body))


@blueprint.get("/<uuid:rate_card_id>", permission="rates.read", output=RateCardOutput)
def get_rate_card(rate_card_id: UUID) -> Response:
    """One rate."""
    return answer(row(RateCard, rate_card_id))


@blueprint.patch("/<uuid:rate_card_id>", permission="rates.write", body=RateEndInput, output=RateCardOutput)
def end_rate_card(rate_card_id: UUID, body: Values) -> Response:
    """End a rate; what was priced before keeps its price."""
    return answer(lambda session: end_rate(session, rate_card_id, **body), of=row(RateCard, rate_card_id))


@blueprint.post(
    "/<uuid:rate_card_id>/replace", permission="rates.write", body=RateReplacementInput, output=RateCardOutput
)
def replace_rate_card(rate_card_id: UUID, body: Values) -> Response:
    """Another rate for the same work from a day on; the old one ends the day before. Answers with the new one."""
    return answer(lambda session: replace_rate(session, rate_card_id, **body), of=row(RateCard, rate_card_id))
