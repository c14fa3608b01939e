"""Payments: entering them, allocating them, and what that makes of the invoices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub.core import audit, clock
from hub.core.clients.service import get_client
from hub.core.errors import NotFound, RuleBroken
from hub.core.invoicing.models import Invoice, InvoiceStatus
from hub.core.invoicing.service import set_paid
from hub.core.kinds import HubDocument
from hub.core.money import ZERO, currency_code, exponent, money_text, rounded
from hub.core.outbox import announce
from hub.core.payments.models import Payment, PaymentAllocation
from hub.core.records import PaymentRecord


def record_payment(
    session: Session,
    *,
    client_id: UUID,
    currency: str,
    amount: Decimal,
    received_on: date,
    reference: str = "",
    allocations: Iterable[Mapping[str, Any]] = (),
    from_books: bool = False,
) -> Payment:
    """Money that came in, and the invoices it pays: [{"invoice_id", "amount"}]. Raises NotFound, RuleBroken.

    from_books: as another system has it, which is not argued with: one client may pay for another, and what is
    allocated beyond an invoice's total stays with the payment.
    """
    _check_amount(amount, currency_code(currency))
    payment = Payment(
        client_id=get_client(session, client_id).id,
        currency=currency_code(currency),
        amount=amount,
        received_on=received_on,
        reference=reference.strip(),
    )
    session.add(payment)
    _allocate(session, payment, allocations, from_books=from_books)
    announce(session, "payments", [payment.id], event="payment_received")
    return payment


def change_payment(session: Session, payment_id: UUID, *, from_books: bool = False, **values: Any) -> Payment:
    """Change what is given; new allocations replace the old ones, and every invoice concerned is looked at again."""
    payment = session.get(Payment, payment_id, with_for_update=True)
    if payment is None:
        raise NotFound(f"There is no payment with id {payment_id}.")
    _check_amount(values.get("amount", payment.amount), payment.currency)
    for name in ("amount", "received_on", "reference"):
        if name in values:
            setattr(payment, name, values[name])
    before = {item.invoice_id: item.amount for item in payment.allocations}
    kept = [{"invoice_id": invoice_id, "amount": amount} for invoice_id, amount in before.items()]
    _allocate(session, payment, values.get("allocations", kept), from_books=from_books)
    after = {item.invoice_id: item.amount for item in payment.allocations}
    if after != before:
        payment.updated_at = clock.now()  # what a payment pays is part of it: its revision grows with it
        told = [{str(invoice_id): str(amount) for invoice_id, amount in each.items()} for each in (before, after)]
        audit.note(session, "allocate", Payment.__tablename__, payment.id, allocations=told)
    announce(session, "payments", [payment.id])
    return payment


def withdraw_payment(session: Session, payment_id: UUID) -> None:
    """The payment was deleted where it was entered: it pays nothing any more, and its invoices are open again."""
    change_payment(session, payment_id, allocations=[], amount=ZERO, from_books=True)


def load_payments(session: Session, ids: Sequence[UUID]) -> list[PaymentRecord]:
    return [payment.to_record() for payment in session.scalars(select(Payment).where(Payment.id.in_(ids)))]


def apply_payment_change(session: Session, payment_id: UUID | None, values: Mapping[str, Any]) -> UUID:
    """Write what another system says about a payment."""
    known = dict(values)
    if "amount" in known:
        known["amount"] = Decimal(known["amount"])
    if "received_on" in known:
        known["received_on"] = date.fromisoformat(str(known["received_on"]))
    if "allocations" in known:
        known["allocations"] = [
            {"invoice_id": item["invoice_id"], "amount": Decimal(item["amount"])}
            for item in known["allocations"]
            if item["invoice_id"] is not None
        ]
    if payment_id is None:
        return record_payment(session, **known, from_books=True).id
    return change_payment(session, payment_id, **known, from_books=True).id


def payment_documents(
    session: Session, ids: Sequence[UUID] | None, from_on: date | None, to_on: date | None
) -> list[HubDocument]:
    """Payments as reconciliation compares them."""
    query = select(Payment).order_by(Payment.received_on, Payment.id)
    if ids is not None:
        query = query.where(Payment.id.in_(ids))
    if from_on is not None:
        query = query.where(Payment.received_on >= from_on)
    if to_on is not None:
        query = query.where(Payment.received_on <= to_on)
    return [
        HubDocument(
            record_id=payment.id,
            number=payment.reference,
            dated_on=payment.received_on,
            currency=payment.currency,
            total=payment.amount,
            tax=ZERO,
            open=payment.amount - sum((item.amount for item in payment.allocations), ZERO),
            label=payment.reference,
            client_id=payment.client_id,
        )
        for payment in session.scalars(query)
    ]


def _allocate(
    session: Session, payment: Payment, allocations: Iterable[Mapping[str, Any]], *, from_books: bool
) -> None:
    wanted: dict[UUID, Decimal] = {}
    for item in allocations:
        _check_amount(item["amount"], payment.currency, "allocations")
        wanted[item["invoice_id"]] = wanted.get(item["invoice_id"], ZERO) + item["amount"]
    if sum(wanted.values(), ZERO) > payment.amount:
        raise RuleBroken(
            f"{sum(wanted.values(), ZERO)} is allocated, but only {payment.amount} was paid.",
            fields={"allocations": "add up to more than the payment"},
        )
    concerned = sorted(set(wanted) | {item.invoice_id for item in payment.allocations})
    invoices = {
        invoice.id: invoice
        for invoice in session.scalars(
            select(Invoice).where(Invoice.id.in_(concerned)).order_by(Invoice.id).with_for_update()
        )
    }
    others = _paid_by_others(session, payment, list(wanted))
    for invoice_id, amount in wanted.items():
        invoice = _payable(invoices.get(invoice_id), invoice_id, payment)
        open_amount = max(ZERO, invoice.total - others.get(invoice_id, ZERO))
        if from_books:
            wanted[invoice_id] = min(amount, open_amount)
        else:
            _refuse_too_much(invoice, payment, amount, open_amount)
    kept = {item.invoice_id: item for item in payment.allocations}
    payment.allocations = [
        _allocated(kept.get(invoice_id), invoice_id, amount) for invoice_id, amount in wanted.items() if amount > 0
    ]
    session.flush()
    _settle(session, list(invoices.values()))


def _paid_by_others(session: Session, payment: Payment, invoice_ids: Sequence[UUID]) -> dict[UUID, Decimal]:
    """What other payments pay of these invoices."""
    rows = session.execute(
        select(PaymentAllocation.invoice_id, func.sum(PaymentAllocation.amount))
        .where(PaymentAllocation.invoice_id.in_(invoice_ids), PaymentAllocation.payment_id != payment.id)
        .group_by(PaymentAllocation.invoice_id)
    )
    return {row[0]: row[1] for row in rows}


def _refuse_too_much(invoice: Invoice, payment: Payment, amount: Decimal, open_amount: Decimal) -> None:
    if invoice.client_id != payment.client_id:
        raise RuleBroken(
            f"Invoice {invoice.number} is another client's.", fields={"allocations": "must be invoices of the client"}
        )
    if amount > open_amount:
        raise RuleBroken(
            f"Of invoice {invoice.number} {money_text(open_amount, invoice.currency)} {invoice.currency} is open, so "
            f"{money_text(amount, invoice.currency)} is too much.",
            fields={"allocations": "are more than what is open"},
        )


def _check_amount(amount: Decimal, currency: str, field: str = "amount") -> None:
    if amount < 0:
        raise RuleBroken(f"An amount of {amount} is below zero.", fields={field: "must not be negative"})
    if amount != rounded(amount, exponent(currency)):
        raise RuleBroken(
            f"{amount} is finer than {currency} has it.", fields={field: f"has more than {exponent(currency)} decimals"}
        )


def _allocated(item: PaymentAllocation | None, invoice_id: UUID, amount: Decimal) -> PaymentAllocation:
    if item is None:
        return PaymentAllocation(invoice_id=invoice_id, amount=amount)
    item.amount = amount
    return item


def _payable(invoice: Invoice | None, invoice_id: UUID, payment: Payment) -> Invoice:
    if invoice is None:
        raise NotFound(f"There is no invoice with id {invoice_id}.")
    if invoice.status == InvoiceStatus.DRAFT:
        raise RuleBroken("A draft cannot be paid: issue it first.", code="invoice-is-draft")
    if invoice.currency != payment.currency:
        raise RuleBroken(
            f"Invoice {invoice.number} is in {invoice.currency}, the payment in {payment.currency}.",
            fields={"currency": f"must be {invoice.currency}"},
        )
    return invoice


def _settle(session: Session, invoices: Sequence[Invoice]) -> None:
    """Make what is paid of each invoice the sum of its allocations, and tell which are paid in full now."""
    rows = session.execute(
        select(PaymentAllocation.invoice_id, func.sum(PaymentAllocation.amount))
        .where(PaymentAllocation.invoice_id.in_([invoice.id for invoice in invoices]))
        .group_by(PaymentAllocation.invoice_id)
    )
    paid: dict[UUID, Decimal] = {row[0]: row[1] for row in rows}
    newly_paid = [invoice.id for invoice in invoices if set_paid(invoice, paid.get(invoice.id, ZERO))]
    others = [invoice.id for invoice in invoices if invoice.id not in newly_paid]
    announce(session, "invoices", newly_paid, event="invoice_paid")
    announce(session, "invoices", others)
