"""Looking for a client, a project or an invoice; and the keys that save a click."""

from __future__ import annotations

from typing import Any, Final

from flask import url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, lazyload

from hub.core.clients.models import Client, Contact
from hub.core.invoicing.models import Invoice
from hub.core.projects.models import Project
from hub.web.current import current_user, reading
from hub.web.display import day, money
from hub.web.invoice_states import invoice_state, today_of
from hub.web.listing import query_text
from hub.web.pages.blueprint import pages
from hub.web.session import render

_MOST: Final = 10


@pages.get("/search", permission="*")
def search() -> ResponseReturnValue:
    """What is called like this, among what the user may see."""
    query = query_text("q")
    if not query:
        return render("pages/search.html", query="", groups=[])
    with reading() as session:
        groups = [_clients(session, query), _projects(session, query), _invoices(session, query)]
    return render("pages/search.html", query=query, groups=[group for group in groups if group["hits"]])


@pages.get("/shortcuts", permission="*")
def shortcuts() -> ResponseReturnValue:
    """The keys that save a click."""
    return render("pages/shortcuts.html")


def _clients(session: Session, query: str) -> dict[str, Any]:
    hits: list[dict[str, Any]] = []
    if current_user().may("clients.read"):
        contacts = select(Contact.client_id).where(or_(*_like(query, Contact.last_name, Contact.email)))
        columns = (Client.name, Client.legal_name, Client.email, Client.tax_id, Client.website)
        found = select(Client).where(or_(*_like(query, *columns), Client.id.in_(contacts)))
        hits = [_client(each) for each in session.scalars(found.order_by(Client.name, Client.id).limit(_MOST))]
    return {"label": "Clients", "icon": "building", "hits": hits}


def _client(client: Client) -> dict[str, Any]:
    note = " · ".join(filter(None, (client.legal_name, client.city, client.country)))
    address = url_for("pages.client", client_id=client.id)
    return {"label": client.name, "note": note, "href": address, "status": "archived" if client.archived_at else None}


def _projects(session: Session, query: str) -> dict[str, Any]:
    hits: list[dict[str, Any]] = []
    if current_user().may("projects.read"):
        found = select(Project, Client.name).join(Client, Client.id == Project.client_id)
        found = found.where(or_(*_like(query, Project.name, Project.code)))
        rows = session.execute(found.order_by(Project.name, Project.id).limit(_MOST))
        hits = [_project(project, client_name) for project, client_name in rows]
    return {"label": "Projects", "icon": "briefcase", "hits": hits}


def _project(project: Project, client_name: str) -> dict[str, Any]:
    note = " · ".join(filter(None, (client_name, project.code)))
    address = url_for("pages.project", project_id=project.id)
    return {"label": project.name, "note": note, "href": address, "status": project.status}


def _invoices(session: Session, query: str) -> dict[str, Any]:
    hits: list[dict[str, Any]] = []
    if current_user().may("invoices.read"):
        found: Select[Any] = select(Invoice).options(lazyload(Invoice.lines))
        found = found.where(or_(*_like(query, Invoice.number, Invoice.po_reference)))
        today = today_of(session)
        newest = found.order_by(Invoice.dated_on.desc(), Invoice.id.desc()).limit(_MOST)
        hits = [_invoice(each, invoice_state(each, today)) for each in session.scalars(newest)]
    return {"label": "Invoices", "icon": "file-invoice", "hits": hits}


def _invoice(invoice: Invoice, state: str) -> dict[str, Any]:
    note = f"{invoice.client_name} · {day(invoice.dated_on)} · {money(invoice.total, invoice.currency)}"
    address = url_for("pages.invoice", invoice_id=invoice.id)
    return {"label": invoice.number or "Draft", "note": note, "href": address, "status": state}


def _like(query: str, *columns: InstrumentedAttribute[Any]) -> list[Any]:
    return [column.icontains(query, autoescape=True) for column in columns]
