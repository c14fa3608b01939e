"""From approved time to an issued invoice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from hub.core import clock
from hub.core.clients.service import get_client
from hub.core.companies.service import lock_series
from hub.core.database import circumstances
from hub.core.errors import NotFound, RuleBroken
from hub.core.invoicing.models import Invoice, InvoiceLine, InvoiceStatus, LineEntry
from hub.core.invoicing.rules import totals_of
from hub.core.kinds import HubDocument
from hub.core.money import ZERO
from hub.core.outbox import announce
from hub.core.records import InvoiceRecord
from hub.core.timesheets.models import TimeEntry, TimeStatus


def issue_invoice(session: Session, invoice_id: UUID, *, on: date | None = None) -> Invoice:
    """Give a draft its number and freeze it, and announce it. on: another date than the draft's.

    Plugins may say why not: accounting knows its closed periods. The number is taken after everything that can fail,
    in this same transaction, so that none is ever lost. Raises NotFound, RuleBroken.
    """
    series = lock_series(session, _company_of(session, invoice_id), "invoice")  # before the invoice: one order
    invoice = _locked(session, invoice_id)
    if invoice.status != InvoiceStatus.DRAFT:
        raise RuleBroken(f"Invoice {invoice.number} is {invoice.status}; only a draft can be issued.")
    if not invoice.lines:
        raise RuleBroken("An invoice without lines cannot be issued.")
    _date(invoice, on)
    _freeze_client(session, invoice)
    objections = _objections(session, invoice)
    if objections:
        raise RuleBroken("This invoice cannot be issued: " + " ".join(objections), code="invoice-refused")
    invoice.number = series.take()
    invoice.status, invoice.issued_at = InvoiceStatus.ISSUED, clock.now()
    announce(session, "invoices", [invoice.id], event="invoice_issued")
    if invoice.total == ZERO and set_paid(invoice, ZERO):  # nothing is open, and no payment would ever say so
        announce(session, "invoices", [invoice.id], event="invoice_paid")
    return invoice


def delete_draft(session: Session, invoice_id: UUID) -> None:
    """Throw a draft away; its time can be billed again. Raises RuleBroken once it is issued."""
    invoice = _locked(session, invoice_id)
    if invoice.status != InvoiceStatus.DRAFT:
        raise RuleBroken(f"Invoice {invoice.number} is issued; it can only be cancelled by a credit note.")
    lines = select(InvoiceLine.id).where(InvoiceLine.invoice_id == invoice.id)
    bound = select(LineEntry.time_entry_id).where(LineEntry.line_id.in_(lines))
    entries = session.scalars(select(TimeEntry).where(TimeEntry.id.in_(bound)).order_by(TimeEntry.id)).all()
    for entry in entries:
        entry.status = TimeStatus.APPROVED
    announce(session, "time_entries", [entry.id for entry in entries])
    session.execute(delete(LineEntry).where(LineEntry.line_id.in_(lines)).execution_options(synchronize_session=False))
    session.delete(invoice)


def get_invoice(session: Session, invoice_id: UUID) -> Invoice:
    invoice = session.get(Invoice, invoice_id)
    if invoice is None:
        raise NotFound(f"There is no invoice with id {invoice_id}.")
    return invoice


def load_invoices(session: Session, ids: Sequence[UUID]) -> list[InvoiceRecord]:
    return [invoice.to_record() for invoice in session.scalars(select(Invoice).where(Invoice.id.in_(ids)))]


def draft_ids(session: Session) -> Sequence[UUID]:
    """All drafts, in the order they are to be numbered: by date, then client."""
    return session.scalars(
        select(Invoice.id)
        .where(Invoice.status == InvoiceStatus.DRAFT)
        .order_by(Invoice.dated_on, Invoice.client_name, Invoice.id)
    ).all()


def invoice_documents(
    session: Session, ids: Sequence[UUID] | None, from_on: date | None, to_on: date | None
) -> list[HubDocument]:
    """Issued invoices as reconciliation compares them."""
    query = select(Invoice).where(Invoice.status != InvoiceStatus.DRAFT).order_by(Invoice.dated_on, Invoice.number)
    if ids is not None:
        query = query.where(Invoice.id.in_(ids))
    if from_on is not None:
        query = query.where(Invoice.dated_on >= from_on)
    if to_on is not None:
        query = query.where(Invoice.dated_on <= to_on)
    return [
        HubDocument(
            record_id=invoice.id,
            number=invoice.number or "",
            dated_on=invoice.dated_on,
            currency=invoice.currency,
            total=invoice.total,
            tax=invoice.tax,
            open=invoice.total - invoice.paid,
            label=invoice.client_name,
            client_id=invoice.client_id,
        )
        for invoice in session.scalars(query)
    ]


def set_paid(invoice: Invoice, paid: Decimal) -> bool:
    """Note what payments cover of an invoice. Returns whether that pays it in full for the first time."""
    was_paid = invoice.status == InvoiceStatus.PAID
    invoice.paid = paid
    invoice.status = InvoiceStatus.PAID if paid >= invoice.total else InvoiceStatus.ISSUED
    return invoice.status == InvoiceStatus.PAID and not was_paid


def write_totals(invoice: Invoice) -> None:
    """Make the totals those of the lines."""
    totals = totals_of(invoice.lines, invoice.currency)
    invoice.net, invoice.tax, invoice.total = totals.net, totals.tax, totals.total


def _company_of(session: Session, invoice_id: UUID) -> UUID:
    company_id = session.scalar(select(Invoice.company_id).where(Invoice.id == invoice_id))
    if company_id is None:
        raise NotFound(f"There is no invoice with id {invoice_id}.")
    return company_id


def _locked(session: Session, invoice_id: UUID) -> Invoice:
    invoice = session.get(Invoice, invoice_id, with_for_update=True)
    if invoice is None:
        raise NotFound(f"There is no invoice with id {invoice_id}.")
    return invoice


def _date(invoice: Invoice, on: date | None) -> None:
    if on is not None and on != invoice.dated_on:
        invoice.due_on = on + timedelta(days=(invoice.due_on - invoice.dated_on).days)
        invoice.dated_on = on


def _freeze_client(session: Session, invoice: Invoice) -> None:
    client = get_client(session, invoice.client_id).to_record()
    invoice.client_name, invoice.bill_to_email = client.legal_name, client.email
    for name in ("street", "city", "region", "postcode", "country"):
        setattr(invoice, name, getattr(client.address, name))


def _objections(session: Session, invoice: Invoice) -> Sequence[str]:
    hooks = circumstances(session).hooks
    if hooks is None:
        return ()
    found: Sequence[str] = hooks.check("check_invoice", invoice=invoice.to_record())
    return found
