"""What the page of one invoice shows."""

from __future__ import annotations

from typing import Any, TypeAlias
from uuid import UUID

from flask import url_for
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.clients.service import get_client
from hub.core.companies.models import Company
from hub.core.invoicing.models import Invoice, InvoiceStatus
from hub.core.outbox import Link
from hub.core.payments.models import Payment, PaymentAllocation
from hub.core.projects.models import Project
from hub.core.records import InvoiceRecord
from hub.core.services.models import Service
from hub.sync.models import Connection
from hub.web.current import current_hub, current_user
from hub.web.invoice_states import invoice_state, today_of
from hub.web.record_history import history_of, timeline_address
from hub.web.record_lineage import lineage_of
from hub.web.record_standing import systems_of

Context: TypeAlias = dict[str, Any]


def invoice_page(session: Session, invoice: Invoice) -> Context:
    """The context of pages/invoice.html."""
    record = invoice.to_record()
    is_draft = invoice.status == InvoiceStatus.DRAFT
    problems = _problems(record) if is_draft else []
    unsent = "It is sent once it is issued." if is_draft else "The connection does not take this invoice."
    return {
        "invoice": _document(session, invoice, record),
        "problems": problems,
        "payments": [] if is_draft else _payments(session, invoice.id),
        "systems": systems_of(session, "invoices", invoice.id, unsent=unsent),
        "lineage": _lineage(session, invoice),
        "history": history_of(session, "invoices", invoice.id),
        "timeline": timeline_address("invoices", invoice.id),
        "actions": _draft_actions(invoice.id, problems) if is_draft else _issued_actions(invoice),
    }


def _document(session: Session, invoice: Invoice, record: InvoiceRecord) -> Context:
    project = session.get(Project, invoice.project_id) if invoice.project_id else None
    names = _service_names(session, {line.service_id for line in record.lines})
    client = get_client(session, invoice.client_id)
    is_draft = invoice.status == InvoiceStatus.DRAFT  # the address is frozen when it is issued
    return {
        **{name: getattr(record, name) for name in record.__slots__},
        "number": invoice.number,
        "bill_to": client.to_record().address if is_draft else record.bill_to,
        "bill_to_email": client.email if is_draft else record.bill_to_email,
        "status": invoice_state(invoice, today_of(session)),
        "company_name": session.get_one(Company, invoice.company_id).name,
        "project_name": project.name if project else "",
        "open": invoice.total - invoice.paid,
        "lines": [_line(line, names) for line in record.lines],
    }


def _line(line: Any, names: dict[UUID, str]) -> Context:
    return {**{name: getattr(line, name) for name in line.__slots__}, "service_name": names.get(line.service_id, "")}


def _service_names(session: Session, ids: set[UUID]) -> dict[UUID, str]:
    return dict(session.execute(select(Service.id, Service.name).where(Service.id.in_(ids))).all())


def _problems(record: InvoiceRecord) -> list[str]:
    """What plugins have against issuing it, as they would say when it is issued."""
    return current_hub().plugins.hooks.check("check_invoice", invoice=record)


def _payments(session: Session, invoice_id: UUID) -> list[Context]:
    """What was paid of it, and where that was entered."""
    query = (
        select(Payment, PaymentAllocation.amount, Connection.name)
        .join(PaymentAllocation, PaymentAllocation.payment_id == Payment.id)
        .outerjoin(Link, (Link.record_id == Payment.id) & (Link.kind == "payments"))
        .outerjoin(Connection, Connection.id == Link.connection_id)
        .where(PaymentAllocation.invoice_id == invoice_id)
        .order_by(Payment.received_on, Payment.id)
    )
    found: dict[UUID, Context] = {}
    for payment, amount, connection in session.execute(query):
        shown = found.setdefault(payment.id, _payment(payment, amount))
        shown["source"] = ", ".join(filter(None, (shown["source"], connection)))
    return list(found.values())


def _payment(payment: Payment, amount: Any) -> Context:
    return {
        "received_on": payment.received_on,
        "amount": amount,
        "currency": payment.currency,
        "reference": payment.reference,
        "source": "",
    }


def _lineage(session: Session, invoice: Invoice) -> list[Context]:
    """The way up to the project, and on to this invoice."""
    label = invoice.number or "Draft"
    own = lineage_of(session, "invoices", invoice.id, label)
    project = session.get(Project, invoice.project_id) if invoice.project_id else None
    if own or project is None:
        return own
    address = url_for("pages.project", project_id=project.id)
    before = lineage_of(session, "projects", project.id, project.name)
    before = before[: next((i for i, place in enumerate(before) if place.get("current")), 0)]
    here = {"kind": "Invoice", "label": label, "current": True}
    return [*before, {"kind": "Project", "label": project.name, "href": address}, here]


def _draft_actions(invoice_id: UUID, problems: list[str]) -> list[Context]:
    actions: list[Context] = []
    if current_user().may("invoices.issue"):
        issue: Context = {"label": "Issue", "href": url_for("pages.issue", invoice_id=invoice_id), "icon": "send"}
        why = "See below what stands against it." if problems else ""
        actions.append({**issue, "method": "post", "style": "primary", "why": why})
    if current_user().may("invoices.write"):
        address = url_for("pages.delete_invoice", invoice_id=invoice_id)
        actions.append({"label": "Delete draft", "href": address, "icon": "trash", "style": "danger"})
    return actions


def _issued_actions(invoice: Invoice) -> list[Context]:
    if not current_user().may("payments.write") or invoice.paid >= invoice.total:
        return []
    address = url_for("pages.record_payment", invoice_id=invoice.id)
    return [{"label": "Record a payment", "href": address, "icon": "cash"}]
