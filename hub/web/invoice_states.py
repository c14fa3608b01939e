"""How invoices are shown on every page."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core import clock
from hub.core.companies.models import Company
from hub.core.invoicing.models import Invoice, InvoiceStatus


def today_of(session: Session) -> date:
    """The day it is at the firm: in the time zone of its first company."""
    return clock.today(session.scalar(select(Company.time_zone).order_by(Company.id).limit(1)) or "UTC")


def invoice_state(invoice: Invoice, today: date) -> str:
    """The badge of an invoice: what is late is overdue, whatever was paid of it."""
    if invoice.status != InvoiceStatus.ISSUED:
        return str(invoice.status)
    if invoice.due_on < today:
        return "overdue"
    return "part_paid" if invoice.paid else "issued"


def invoice_row(invoice: Invoice, today: date) -> dict[str, Any]:
    """An invoice as the lists show it."""
    is_draft = invoice.status == InvoiceStatus.DRAFT
    return {
        "id": invoice.id,
        "number": invoice.number,
        "status": invoice_state(invoice, today),
        "client_name": invoice.client_name,
        "dated_on": invoice.dated_on,
        "due_on": invoice.due_on,
        "currency": invoice.currency,
        "total": invoice.total,
        "open": None if is_draft else invoice.total - invoice.paid,
    }
