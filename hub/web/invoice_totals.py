"""What is open, late, drafted and paid, by currency: the figures above the list of invoices and on home pages."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from flask import url_for
from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from hub.core.companies.models import Company
from hub.core.invoicing.models import Invoice, InvoiceStatus
from hub.core.payments.models import Payment
from hub.web.display import money
from hub.web.invoice_states import today_of

Sums = list[tuple[Decimal, str, int]]
"""Amount, currency, and of how many documents; the firm's own currency first."""


def open_sums(session: Session) -> Sums:
    """What clients owe."""
    return _sums(session, Invoice.status == InvoiceStatus.ISSUED, paid=True)


def overdue_sums(session: Session, today: date) -> Sums:
    """What they owe and should have paid."""
    return _sums(session, Invoice.status == InvoiceStatus.ISSUED, Invoice.due_on < today, paid=True)


def draft_sums(session: Session) -> Sums:
    """What is drafted, with tax."""
    return _sums(session, Invoice.status == InvoiceStatus.DRAFT)


def billed_sums(session: Session, from_on: date, to_on: date) -> Sums:
    """What invoices dated in a period say, without tax."""
    query = select(func.sum(Invoice.net), Invoice.currency, func.count()).where(
        Invoice.status != InvoiceStatus.DRAFT, Invoice.dated_on.between(from_on, to_on)
    )
    rows = session.execute(query.group_by(Invoice.currency).order_by(*_own_first(Invoice.currency)))
    return [(amount, currency, number) for amount, currency, number in rows]


def received_sums(session: Session, from_on: date, to_on: date) -> Sums:
    """What came in in a period."""
    query = select(func.sum(Payment.amount), Payment.currency, func.count()).where(
        Payment.received_on.between(from_on, to_on)
    )
    rows = session.execute(query.group_by(Payment.currency).order_by(*_own_first(Payment.currency)))
    return [(amount, currency, number) for amount, currency, number in rows]


def invoice_totals(session: Session) -> list[dict[str, Any]]:
    """The figures above the list of invoices."""
    today = today_of(session)
    late = overdue_sums(session, today)
    return [
        _total("Open", open_sums(session), "issued"),
        _total("Overdue", late, "overdue", tone="bad" if late else ""),
        _total("Drafts", draft_sums(session), "draft"),
        _total("Received this month", received_sums(session, today.replace(day=1), today), "paid", one="payment"),
    ]


def sums_text(sums: Sums) -> str:
    """Amounts in one line: £1,200.00 and €30.00."""
    return " and ".join(money(amount, currency) for amount, currency, _ in sums) or "–"


def how_many_of(sums: Sums, one: str = "invoice") -> str:
    """3 invoices."""
    number = sum(each for _, _, each in sums)
    return f"{number:,} {one if number == 1 else f'{one}s'}"


def _total(label: str, sums: Sums, status: str, *, tone: str = "", one: str = "invoice") -> dict[str, Any]:
    return {
        "label": label,
        "amounts": [(amount, currency) for amount, currency, _ in sums],
        "href": url_for("pages.invoices", status=status),
        "tone": tone,
        "note": how_many_of(sums, one) if sums else "",
    }


def _sums(session: Session, *wanted: ColumnElement[bool], paid: bool = False) -> Sums:
    query = select(func.sum(Invoice.total), func.sum(Invoice.paid), Invoice.currency, func.count()).where(*wanted)
    rows = session.execute(query.group_by(Invoice.currency).order_by(*_own_first(Invoice.currency)))
    return [(total - settled if paid else total, currency, number) for total, settled, currency, number in rows]


def _own_first(currency: InstrumentedAttribute[str]) -> tuple[Any, ...]:
    """The order of currencies: those of the firm's companies, then the others."""
    return case((currency.in_(select(Company.currency)), 0), else_=1), currency
