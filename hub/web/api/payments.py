"""/payments: money received, and what it pays."""

from __future__ import annotations

from uuid import UUID

from flask import Response
from marshmallow import Schema, fields, validate
from sqlalchemy import select

from hub.core.payments.models import Payment
from hub.core.payments.service import change_payment, record_payment
from hub.web.api.fields import Amount, ListQuery, Part, RecordOutput, text
from hub.web.api.rest import ApiBlueprint, Values, answer, answer_page, filtered, row

blueprint = ApiBlueprint("payments", "Money received, and what it pays.", prefix="/payments")


class AllocationInput(Schema):
    """How much of the payment pays which invoice."""

    invoice_id = fields.UUID(required=True)
    amount = Amount(required=True)


class PaymentChange(Schema):
    """What can be changed of a payment; allocations replace the former ones."""

    amount = Amount()
    received_on = fields.Date()
    reference = text()
    allocations = fields.List(fields.Nested(AllocationInput), validate=validate.Length(max=200))


class PaymentInput(PaymentChange):
    """Money that came in. What is allocated to no invoice is the client's credit."""

    client_id = fields.UUID(required=True)
    currency = text(3, least=3, required=True, metadata={"example": "EUR"})
    amount = Amount(required=True)
    received_on = fields.Date(required=True)


class AllocationOutput(Schema):
    """How much of the payment pays which invoice."""

    invoice_id = fields.UUID(required=True)
    amount = Amount(required=True)


def _allocations(payment: Payment) -> list[Values]:
    return [
        {"invoice_id": item.invoice_id, "amount": item.amount, "currency": payment.currency}
        for item in payment.allocations
    ]


class PaymentOutput(RecordOutput):
    """Money received."""

    client_id = fields.UUID(required=True)
    currency = fields.String(required=True)
    amount = Amount(required=True)
    received_on = fields.Date(required=True)
    reference = fields.String(required=True)
    allocations = Part(AllocationOutput, _allocations, many=True)


class PaymentQuery(ListQuery):
    """Filters."""

    client_id = fields.UUID()
    reference = fields.String()


@blueprint.get("", permission="invoices.read", query=PaymentQuery, output=PaymentOutput, paged=True)
def list_payments(query: Values) -> Response:
    """Payments, the newest first."""
    columns = {"client_id": Payment.client_id, "reference": Payment.reference, "updated_after": Payment.updated_at}
    return answer_page(filtered(select(Payment), query, columns), newest_first=True)


@blueprint.post("", permission="payments.write", body=PaymentInput, output=PaymentOutput)
def create_payment(body: Values) -> Response:
    """Enter a payment."""
    return answer(lambda session: record_payment(session, **body))


@blueprint.get("/<uuid:payment_id>", permission="invoices.read", output=PaymentOutput)
def get_payment(payment_id: UUID) -> Response:
    """One payment."""
    return answer(row(Payment, payment_id))


@blueprint.patch("/<uuid:payment_id>", permission="payments.write", body=PaymentChange, output=PaymentOutput)
def change_a_payment(payment_id: UUID, body: Values) -> Response:
    """Change what is given."""
    return answer(lambda session: change_payment(session, payment_id, **body), of=row(Payment, payment_id))
