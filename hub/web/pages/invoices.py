"""Invoices: the list, one of them, and what finance does with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import Session, lazyload

from hub.core.errors import RuleBroken
from hub.core.invoicing.models import Invoice, InvoiceStatus
from hub.core.invoicing.service import delete_draft, get_invoice, issue_invoice
from hub.core.projects.models import Project
from hub.web.current import current_user, reading, transact
from hub.web.invoice_page import invoice_page
from hub.web.invoice_states import invoice_row, today_of
from hub.web.invoice_totals import invoice_totals
from hub.web.listing import query_day, query_text
from hub.web.pages.blueprint import pages
from hub.web.record_standing import states_of
from hub.web.session import flash, redirect_to, render
from hub.web.sorted_listing import how_many, sorted_listing


@pages.get("/invoices", permission="invoices.read")
def invoices() -> ResponseReturnValue:
    """All invoices, the newest date first, with what is open and late."""
    filters = {name: query_text(name) for name in ("q", "status", "from", "to", "client")}
    with reading() as session:
        statement = _found(session, filters)
        page = sorted_listing(session, statement, Invoice, Invoice.dated_on, descending=True)
        shown, note = _rows(session, page.rows), how_many(session, statement, "invoice", "invoices")
        totals = invoice_totals(session)
    return render(
        "pages/invoices.html",
        invoices=shown,
        totals=totals,
        filters=filters,
        previous=page.previous,
        next=page.next,
        note=note,
        actions=_actions(),
    )


@pages.get("/invoices/<uuid:invoice_id>", permission="invoices.read")
def invoice(invoice_id: UUID) -> ResponseReturnValue:
    """One invoice: the document, payments, where it stands, and its history."""
    with reading() as session:
        return render("pages/invoice.html", **invoice_page(session, get_invoice(session, invoice_id)))


@pages.post("/invoices/<uuid:invoice_id>/issue", permission="invoices.issue")
def issue(invoice_id: UUID) -> ResponseReturnValue:
    """Give a draft its number; what stands against it is shown on its page."""
    try:
        number = transact(lambda session: issue_invoice(session, invoice_id).number)
    except RuleBroken as refused:
        flash("bad", str(refused))
    else:
        flash("good", f"Invoice {number} is issued.")
    return redirect_to("pages.invoice", invoice_id=invoice_id)


@pages.get("/invoices/<uuid:invoice_id>/delete", permission="invoices.write")
def delete_invoice(invoice_id: UUID) -> ResponseReturnValue:
    """Ask before a draft is thrown away."""
    with reading() as session:
        draft = get_invoice(session, invoice_id)
    return render(
        "confirm.html",
        title="Delete this draft?",
        text=f"The draft for {draft.client_name} goes; its time is approved and can be billed again.",
        href=url_for("pages.delete_invoice_sent", invoice_id=invoice_id),
        button="Delete draft",
        danger=True,
        back=url_for("pages.invoice", invoice_id=invoice_id),
    )


@pages.post("/invoices/<uuid:invoice_id>/delete", permission="invoices.write", endpoint="delete_invoice_sent")
def delete_invoice_sent(invoice_id: UUID) -> ResponseReturnValue:
    """Throw a draft away."""
    transact(lambda session: delete_draft(session, invoice_id))
    flash("good", "The draft is deleted; its time can be billed again.")
    return redirect_to("pages.invoices")


def _found(session: Session, filters: dict[str, str]) -> Select[Any]:
    statement = select(Invoice).where(*_in_status(session, filters["status"])).options(lazyload(Invoice.lines))
    if filters["q"]:
        columns = (Invoice.number, Invoice.client_name, Invoice.po_reference)
        statement = statement.where(or_(*(column.icontains(filters["q"], autoescape=True) for column in columns)))
    if filters["client"]:
        statement = statement.where(Invoice.client_id == _client(filters["client"]))
    from_on, to_on = query_day("from"), query_day("to")
    if from_on is not None:
        statement = statement.where(Invoice.dated_on >= from_on)
    return statement if to_on is None else statement.where(Invoice.dated_on <= to_on)


def _in_status(session: Session, status: str) -> list[ColumnElement[bool]]:
    if status == "overdue":
        return [Invoice.status == InvoiceStatus.ISSUED, Invoice.due_on < today_of(session)]
    return [Invoice.status == status] if status in set(InvoiceStatus) else []


def _client(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise RuleBroken(f"“{text}” is no client.", fields={"client": "is none"}) from None


def _rows(session: Session, found: Sequence[Invoice]) -> list[dict[str, Any]]:
    today, systems = today_of(session), states_of(session, "invoices", [each.id for each in found])
    ids = {each.project_id for each in found if each.project_id}
    names = dict(session.execute(select(Project.id, Project.name).where(Project.id.in_(ids))).all())
    return [
        {
            **invoice_row(each, today),
            "project_name": names[each.project_id] if each.project_id else "",
            "systems": systems.get(each.id, []),
        }
        for each in found
    ]


def _actions() -> list[dict[str, Any]]:
    if not current_user().may("invoices.write"):
        return []
    address = url_for("pages.draft_invoices")
    return [{"label": "Draft from approved time", "href": address, "icon": "plus", "style": "primary"}]
