"""What goes in and out of the partner API. The names of fields are those of the deal's columns and of its record."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from hub.sdk.web import Amount
from plugins.partner_portal.requirements import DEAL_TYPES, HELP, INVOLVEMENTS, RECURRENCES, STAGES
from plugins.partner_portal.rules import LOSS_REASONS, REJECTION_REASONS, Action, State


def _text(description: str = "", **more: Any) -> fields.String:
    return fields.String(allow_none=True, metadata={"description": description, **more})


def _choice(options: tuple[str, ...]) -> fields.String:
    return fields.String(allow_none=True, validate=validate.OneOf(options))


class DealInput(Schema):
    """A deal as a partner describes it. A draft may leave out anything; null empties a field."""

    external_id = _text("The deal's id in your own system; unique among your deals.", example="OPP-4711")
    title = _text(example="ERP roll-out for three sites")
    customer_name = _text("The legal name, as in the register of companies.", example="Acme GmbH")
    customer_website = _text("https or the bare host.", example="acme.de")
    no_website_reason = _text("Instead of the website, where there is none.")
    customer_country = _text("ISO 3166-1 alpha-2.", example="DE")
    customer_region = _text()
    customer_city = _text()
    customer_postcode = _text(example="10115")
    customer_street = _text()
    customer_tax_id = _text("Checked by the rules of the country; never shown to other partners.")
    customer_duns = _text("Nine digits.")
    contact_name = _text(example="Jo Doe")
    contact_email = _text(example="jo@acme.de")
    contact_phone = _text()
    contact_role = _text()
    consent_to_contact = fields.Boolean(allow_none=True, metadata={"description": "May we contact the customer?"})
    business_problem = _text("20 to 2000 characters.", example="Three ledgers that never agree.")
    products = fields.List(fields.String(), allow_none=True, metadata={"description": "Codes of product families."})
    deal_type = _choice(DEAL_TYPES)
    amount = Amount(allow_none=True, metadata={"description": "Without tax, in `currency`.", "example": "25000.00"})
    currency = _text("ISO 4217.", example="EUR")
    recurrence = _choice(RECURRENCES)
    target_close_on = fields.Date(allow_none=True)
    stage = _choice(STAGES)
    involvement = _choice(INVOLVEMENTS)
    help_needed = fields.List(
        fields.String(validate=validate.OneOf(HELP)), allow_none=True, validate=validate.Length(max=len(HELP))
    )


class ConflictOutput(Schema):
    """What stands in a deal's way. Who holds the other claim is not said."""

    code = fields.String(metadata={"example": "conflict.registered"})
    until = fields.Date(allow_none=True, metadata={"description": "The last day of the other's protection."})
    own_deal_id = fields.UUID(allow_none=True, metadata={"description": "Your own deal that is in the way."})


class DealOutput(DealInput):
    """A deal as its partner sees it."""

    id = fields.UUID()
    revision = fields.Integer(metadata={"description": "Grows with each change; it is the ETag."})
    number = fields.String(metadata={"example": "D-00001"})
    state = fields.String(validate=validate.OneOf([state.value for state in State]))
    allowed_actions = fields.List(fields.String(validate=validate.OneOf([action.value for action in Action])))
    editable_fields = fields.List(fields.String())
    partner_name = fields.String()
    clock = fields.String(metadata={"example": "Decision due in 1 day 3 h"})
    next_step = fields.String()
    submitted_at = fields.AwareDateTime(allow_none=True)
    decision_due_at = fields.AwareDateTime(allow_none=True)
    decided_at = fields.AwareDateTime(allow_none=True)
    rejection_reason = fields.String(allow_none=True, validate=validate.OneOf(list(REJECTION_REASONS)))
    rejection_text = fields.String()
    approved_on = fields.Date(allow_none=True)
    protected_until = fields.Date(allow_none=True)
    closed_at = fields.AwareDateTime(allow_none=True)
    loss_reason = fields.String(allow_none=True, validate=validate.OneOf(list(LOSS_REASONS)))
    conflicts = fields.List(fields.Nested(ConflictOutput))
    created_at = fields.AwareDateTime()
    updated_at = fields.AwareDateTime()


class ReviewConflictOutput(Schema):
    """What stands in a deal's way, as the approver sees it."""

    code = fields.String()
    blocks = fields.Boolean()
    deal_id = fields.UUID()
    number = fields.String()
    partner_name = fields.String()
    state = fields.String()
    protected_until = fields.Date(allow_none=True)
    products = fields.List(fields.String(), metadata={"description": "The product families both name."})
    evidence = fields.List(fields.String(), metadata={"description": "Which facts agree: domain, tax_id, ..."})


class ReviewOutput(DealOutput):
    """A deal as the approver sees it."""

    conflicts = fields.List(fields.Nested(ReviewConflictOutput))


class RejectInput(Schema):
    """Why a deal is turned down. text: for the partner to read; needed with the reason `other`."""

    reason = fields.String(required=True, validate=validate.OneOf(list(REJECTION_REASONS)))
    text = fields.String(load_default="", validate=validate.Length(max=2000))


class LossInput(Schema):
    """Why a deal was lost."""

    reason = fields.String(required=True, validate=validate.OneOf(list(LOSS_REASONS)))


class PrecheckInput(Schema):
    """Which customer, for which product families."""

    customer_name = fields.String(required=True, validate=validate.Length(min=2, max=200))
    customer_country = fields.String(required=True, validate=validate.Length(equal=2))
    customer_website = fields.String(load_default="")
    customer_postcode = fields.String(load_default="")
    customer_city = fields.String(load_default="")
    customer_tax_id = fields.String(load_default="")
    customer_duns = fields.String(load_default="")
    products = fields.List(fields.String(), required=True, validate=validate.Length(min=1, max=10))


class PrecheckOutput(Schema):
    """clear: nobody else holds this customer. possible: a person would have to look. taken: another partner does."""

    answer = fields.String(validate=validate.OneOf(["clear", "possible", "taken"]))
    own_deal_ids = fields.List(fields.UUID(), metadata={"description": "Your own deals with this customer."})


class DealQuery(Schema):
    """Filters of the list."""

    state = fields.String(validate=validate.OneOf([state.value for state in State]))
    external_id = fields.String()
    updated_after = fields.AwareDateTime()


class FamilyOutput(Schema):
    """A product family that can be registered."""

    code = fields.String()
    name = fields.String()
