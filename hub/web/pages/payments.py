"""Entering what was paid of an invoice, where accounting does not tell."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from hub.core.errors import RuleBroken
from hub.core.invoicing.models import Invoice, InvoiceStatus
from hub.core.invoicing.service import get_invoice
from hub.core.money import money_text
from hub.core.payments.service import record_payment as enter_payment
from hub.web.current import reading
from hub.web.display import money
from hub.web.form_values import form_errors, needed_day, posted_amount, posted_text
from hub.web.invoice_states import today_of
from hub.web.pages.blueprint import pages
from hub.web.sent_once import new_form_key, sent_once
from hub.web.session import flash, redirect_to, render


@pages.get("/invoices/<uuid:invoice_id>/payment", permission="payments.write")
def record_payment(invoice_id: UUID) -> ResponseReturnValue:
    """The form, with what is open and today."""
    with reading() as session:
        invoice = _payable(session, invoice_id)
        received_on = today_of(session).isoformat()
    amount = money_text(invoice.total - invoice.paid, invoice.currency)
    return _form(invoice, {"amount": amount, "received_on": received_on, "reference": ""}, {})


@pages.post("/invoices/<uuid:invoice_id>/payment", permission="payments.write", endpoint="record_payment_sent")
def record_payment_sent(invoice_id: UUID) -> ResponseReturnValue:
    """Enter a payment of this invoice."""
    try:
        sentence = sent_once(lambda session: _enter(session, invoice_id))
    except RuleBroken as refused:
        if not refused.fields:
            raise
        values = {name: posted_text(name) for name in ("amount", "received_on", "reference")}
        with reading() as session:
            return _form(get_invoice(session, invoice_id), values, form_errors(refused)), 422
    flash("good", sentence)
    return redirect_to("pages.invoice", invoice_id=invoice_id)


def _enter(session: Session, invoice_id: UUID) -> str:
    invoice = _payable(session, invoice_id)
    amount = posted_amount("amount", invoice.currency)
    left = invoice.total - invoice.paid
    if amount is None or amount <= 0:
        raise RuleBroken("Say how much was paid.", fields={"amount": "must be more than nothing"})
    enter_payment(
        session,
        client_id=invoice.client_id,
        currency=invoice.currency,
        amount=amount,
        received_on=needed_day("received_on"),
        reference=posted_text("reference")[:100],
        allocations=[{"invoice_id": invoice.id, "amount": min(amount, left)}],
    )
    rest = f" {money(amount - left, invoice.currency)} of it is the client's credit." if amount > left else ""
    return f"{money(amount, invoice.currency)} is entered.{rest}"


def _payable(session: Session, invoice_id: UUID) -> Invoice:
    invoice = get_invoice(session, invoice_id)
    if invoice.status == InvoiceStatus.DRAFT:
        raise RuleBroken("A draft cannot be paid: issue it first.", code="invoice-is-draft")
    if invoice.paid >= invoice.total:
        raise RuleBroken(f"Invoice {invoice.number} is paid already.", code="invoice-is-paid")
    return invoice


def _form(invoice: Invoice, values: dict[str, Any], errors: dict[str, str]) -> str:
    return render(
        "pages/payment.html",
        invoice=invoice,
        values=values,
        errors=errors,
        form_key=new_form_key(),
        href=url_for("pages.record_payment_sent", invoice_id=invoice.id),
        back=url_for("pages.invoice", invoice_id=invoice.id),
    )
