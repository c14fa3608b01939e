"""/invoices: drafting from approved time, issuing, and what became of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from marshmallow import Schema, fields, validate
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.errors import RuleBroken
from hub.core.invoicing.drafts import Group, billable_groups, draft_invoice
from hub.core.invoicing.models import Invoice, InvoiceStatus
from hub.core.invoicing.rules import GROUPINGS, taxes_of
from hub.core.invoicing.service import delete_draft, issue_invoice
from hub.web.api.clients import Address
from hub.web.api.fields import Amount, ListQuery, Part, Rate, RecordOutput, choice
from hub.web.api.rest import ApiBlueprint, Values, answer, answer_page, filtered, row

blueprint = ApiBlueprint("invoices", "Drafts and issued invoices.", prefix="/invoices")

_LINE = ("id", "position", "service_id", "description", "quantity", "unit", "rate", "net", "tax_rate")


class LineOutput(Schema):
    """One line: net = quantity x rate, rounded to the currency. tax_rate: in per cent."""

    id = fields.UUID(required=True)
    position = fields.Integer(required=True)
    service_id = fields.UUID(required=True)
    description = fields.String(required=True)
    quantity = Rate(required=True)
    unit = fields.String(required=True)
    rate = Rate(required=True)
    net = Amount(required=True)
    tax_rate = Rate(required=True)


class TaxOutput(Schema):
    """Tax of all lines with one rate."""

    rate = Rate(required=True)
    base = Amount(required=True)
    tax = Amount(required=True)


def _lines(invoice: Invoice) -> list[Values]:
    return [{"currency": invoice.currency, **{name: getattr(line, name) for name in _LINE}} for line in invoice.lines]


def _taxes(invoice: Invoice) -> list[Values]:
    groups = taxes_of(invoice.lines, invoice.currency)
    return [
        {"currency": invoice.currency, "rate": group.rate, "base": group.base, "tax": group.tax} for group in groups
    ]


class InvoiceOutput(RecordOutput):
    """An invoice. A draft has no number. paid: what payments cover so far."""

    company_id = fields.UUID(required=True)
    client_id = fields.UUID(required=True)
    client_name = fields.String(required=True)
    bill_to = Part(Address, lambda invoice: invoice)
    bill_to_email = fields.String(required=True)
    project_id = fields.UUID(required=True, allow_none=True)
    number = fields.String(required=True, allow_none=True)
    status = fields.String(required=True)
    dated_on = fields.Date(required=True)
    due_on = fields.Date(required=True)
    period_from = fields.Date(required=True, allow_none=True)
    period_to = fields.Date(required=True, allow_none=True)
    currency = fields.String(required=True)
    lines = Part(LineOutput, _lines, many=True)
    taxes = Part(TaxOutput, _taxes, many=True)
    net = Amount(required=True)
    tax = Amount(required=True)
    total = Amount(required=True)
    paid = Amount(required=True)
    memo = fields.String(required=True)
    po_reference = fields.String(required=True)
    issued_at = fields.AwareDateTime(required=True, allow_none=True)


class InvoiceQuery(ListQuery):
    """Filters. dated_from and dated_to: days, both included."""

    client_id = fields.UUID()
    project_id = fields.UUID()
    status = choice(InvoiceStatus)
    number = fields.String()
    dated_from = fields.Date()
    dated_to = fields.Date()


class DraftInput(Schema):
    """What to draft: one invoice per group of approved, billable time that is on no invoice yet.

    client_id, project_id: only this one's. until: the last day of work. dated_on: unless given, the last day of the
    month of the last work.
    """

    by = fields.List(choice(GROUPINGS), load_default=lambda: ["project"], validate=validate.Length(min=1, max=3))
    client_id = fields.UUID()
    project_id = fields.UUID()
    until = fields.Date()
    dated_on = fields.Date()


class Drafts(Schema):
    """The drafts that were made."""

    data = fields.List(fields.Nested(InvoiceOutput), required=True)


class IssueInput(Schema):
    """dated_on: another date than the draft's."""

    dated_on = fields.Date()


@blueprint.get("", permission="invoices.read", query=InvoiceQuery, output=InvoiceOutput, paged=True)
def list_invoices(query: Values) -> Response:
    """Invoices, the newest first."""
    columns = {name: getattr(Invoice, name) for name in ("client_id", "project_id", "status", "number")}
    statement = filtered(select(Invoice), query, {**columns, "updated_after": Invoice.updated_at})
    if "dated_from" in query:
        statement = statement.where(Invoice.dated_on >= query["dated_from"])
    if "dated_to" in query:
        statement = statement.where(Invoice.dated_on <= query["dated_to"])
    return answer_page(statement, newest_first=True)


@blueprint.post("", permission="invoices.write", body=DraftInput, output=Drafts)
def draft_invoices(body: Values) -> Response:
    """Draft invoices from approved time, one per group."""
    return answer(lambda session: {"data": _draft(session, body)})


@blueprint.get("/<uuid:invoice_id>", permission="invoices.read", output=InvoiceOutput)
def get_an_invoice(invoice_id: UUID) -> Response:
    """One invoice with its lines."""
    return answer(row(Invoice, invoice_id))


@blueprint.post("/<uuid:invoice_id>/issue", permission="invoices.issue", body=IssueInput, output=InvoiceOutput)
def issue_an_invoice(invoice_id: UUID, body: Values) -> Response:
    """Issue a draft: it gets its number, is frozen, and is owed to accounting."""
    on = body.get("dated_on")
    return answer(lambda session: issue_invoice(session, invoice_id, on=on), of=row(Invoice, invoice_id))


@blueprint.delete("/<uuid:invoice_id>", permission="invoices.write", output=InvoiceOutput)
def delete_a_draft(invoice_id: UUID) -> Response:
    """Throw a draft away; its time can be billed again."""
    return answer(lambda session: delete_draft(session, invoice_id), of=row(Invoice, invoice_id))


def _draft(session: Session, body: Values) -> list[Any]:
    groups = [
        group for group in billable_groups(session, _grouping(body), until=body.get("until")) if _wanted(group, body)
    ]
    drafts = [draft_invoice(session, group, dated_on=body.get("dated_on"), until=body.get("until")) for group in groups]
    made = [draft for draft in drafts if draft is not None]
    if not made:
        raise RuleBroken("There is no approved, billable time that is on no invoice yet.", code="nothing-to-bill")
    return made


def _grouping(body: Values) -> list[str]:
    """Drafts of one project are made by project, whatever else they are made by."""
    by: list[str] = body["by"]
    return [*by, "project"] if "project_id" in body and "project" not in by else by


def _wanted(group: Group, body: Values) -> bool:
    return all(getattr(group, name) == body[name] for name in ("client_id", "project_id") if name in body)
