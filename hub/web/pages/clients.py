"""Clients: the list, one of them, and the form that adds or changes one."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from flask import url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from hub.core.clients.models import Client, Contact
from hub.core.clients.service import archive_client, change_client, create_client, get_client
from hub.core.errors import RuleBroken
from hub.core.invoicing.models import Invoice, InvoiceStatus
from hub.core.projects.models import Project
from hub.web.current import current_user, reading, transact
from hub.web.form_revision import check_revision, revision_to_show
from hub.web.form_values import form_errors, posted_text
from hub.web.invoice_states import invoice_row, today_of
from hub.web.listing import query_text
from hub.web.pages.blueprint import pages
from hub.web.record_history import history_of, timeline_address
from hub.web.record_standing import states_of, systems_of
from hub.web.session import flash, redirect_to, render
from hub.web.sorted_listing import how_many, sorted_listing

_FIELDS = (
    "name",
    "legal_name",
    "currency",
    "tax_id",
    "email",
    "phone",
    "website",
    "street",
    "city",
    "region",
    "postcode",
    "country",
)
_NEWEST = 10


@pages.get("/clients", permission="clients.read")
def clients() -> ResponseReturnValue:
    """All clients, by name."""
    filters = {"q": query_text("q"), "show": query_text("show") or "active"}
    with reading() as session:
        statement = _found(filters)
        page = sorted_listing(session, statement, Client, func.lower(Client.name))
        shown, note = _rows(session, page.rows), how_many(session, statement, "client", "clients")
    return render(
        "pages/clients.html",
        clients=shown,
        filters=filters,
        previous=page.previous,
        next=page.next,
        note=note,
        actions=_add_action(),
    )


@pages.get("/clients/<uuid:client_id>", permission="clients.read")
def client(client_id: UUID) -> ResponseReturnValue:
    """One client with its projects, invoices and contacts."""
    with reading() as session:
        return render("pages/client.html", **_client_page(session, get_client(session, client_id)))


@pages.get("/clients/add", permission="clients.write")
def add_client() -> ResponseReturnValue:
    """The form for a new client."""
    return _form(None, {}, {})


@pages.post("/clients/add", permission="clients.write", endpoint="add_client_sent")
def add_client_sent() -> ResponseReturnValue:
    """Add a client."""
    values = _posted()
    try:
        client_id = transact(lambda session: create_client(session, **values).id)
    except RuleBroken as refused:
        return _form(None, values, form_errors(refused)), 422
    flash("good", f"{values['name']} is added.")
    return redirect_to("pages.client", client_id=client_id)


@pages.get("/clients/<uuid:client_id>/edit", permission="clients.write")
def edit_client(client_id: UUID) -> ResponseReturnValue:
    """The form to change a client."""
    with reading() as session:
        found = get_client(session, client_id)
    values = {name: getattr(found, name) for name in (*_FIELDS, "tax_exempt")}
    return _form(client_id, values, {}, found.revision)


@pages.post("/clients/<uuid:client_id>/edit", permission="clients.write", endpoint="edit_client_sent")
def edit_client_sent(client_id: UUID) -> ResponseReturnValue:
    """Change a client."""
    values = _posted()
    try:
        transact(lambda session: _change(session, client_id, values))
    except RuleBroken as refused:
        return _form(client_id, values, form_errors(refused), revision_to_show(refused)), 422
    flash("good", f"{values['name']} is changed.")
    return redirect_to("pages.client", client_id=client_id)


@pages.post("/clients/<uuid:client_id>/archive", permission="clients.write")
def archive_client_sent(client_id: UUID) -> ResponseReturnValue:
    """Take a client out of use, or back into it."""
    archived = posted_text("archived") == "yes"
    name = transact(lambda session: archive_client(session, client_id, archived=archived).name)
    flash("good", f"{name} is archived." if archived else f"{name} is in use again.")
    return redirect_to("pages.client", client_id=client_id)


def _posted() -> dict[str, Any]:
    values: dict[str, Any] = {name: posted_text(name) for name in _FIELDS}
    return {**values, "currency": values["currency"] or None, "tax_exempt": posted_text("tax_exempt") == "true"}


def _change(session: Session, client_id: UUID, values: dict[str, Any]) -> None:
    check_revision(session, get_client(session, client_id))
    change_client(session, client_id, **values)


def _form(client_id: UUID | None, values: dict[str, Any], errors: dict[str, str], revision: str | int = "") -> str:
    here = url_for("pages.add_client") if client_id is None else url_for("pages.edit_client", client_id=client_id)
    back = url_for("pages.clients") if client_id is None else url_for("pages.client", client_id=client_id)
    return render(
        "pages/client_form.html",
        is_new=client_id is None,
        values=values,
        errors=errors,
        revision=revision,
        href=here,
        back=back,
    )


def _found(filters: dict[str, str]) -> Select[Any]:
    archived = Client.archived_at.is_not(None) if filters["show"] == "archived" else Client.archived_at.is_(None)
    statement = select(Client).where(archived)
    if not filters["q"]:
        return statement
    columns = (Client.name, Client.legal_name, Client.email, Client.tax_id)
    return statement.where(or_(*(column.icontains(filters["q"], autoescape=True) for column in columns)))


def _rows(session: Session, found: Sequence[Client]) -> list[dict[str, Any]]:
    ids = [each.id for each in found]
    projects, owed, systems = (
        _project_counts(session, ids),
        _open_amounts(session, ids),
        states_of(session, "clients", ids),
    )
    return [
        {
            "id": each.id,
            "name": each.name,
            "legal_name": each.legal_name,
            "currency": each.currency,
            "country": each.country,
            "projects": projects.get(each.id, 0),
            "open": owed.get(each.id, []),
            "archived": each.archived_at is not None,
            "systems": systems.get(each.id, []),
        }
        for each in found
    ]


def _project_counts(session: Session, ids: Sequence[UUID]) -> dict[UUID, int]:
    query = select(Project.client_id, func.count()).where(Project.client_id.in_(ids)).group_by(Project.client_id)
    return dict(session.execute(query).all())


def _open_amounts(session: Session, ids: Sequence[UUID]) -> dict[UUID, list[tuple[Decimal, str]]]:
    """What each client owes by currency; nothing for who may not see invoices."""
    if not current_user().may("invoices.read"):
        return {}
    query = (
        select(Invoice.client_id, func.sum(Invoice.total), func.sum(Invoice.paid), Invoice.currency)
        .where(Invoice.client_id.in_(ids), Invoice.status == InvoiceStatus.ISSUED)
        .group_by(Invoice.client_id, Invoice.currency)
        .order_by(Invoice.currency)
    )
    found: dict[UUID, list[tuple[Decimal, str]]] = {}
    for client_id, total, paid, currency in session.execute(query):
        found.setdefault(client_id, []).append((total - paid, currency))
    return found


def _client_page(session: Session, found: Client) -> dict[str, Any]:
    record = found.to_record()
    sees_money = current_user().may("invoices.read")
    return {
        "client": record,
        "contacts": [_contact(each) for each in _contacts(session, found.id)],
        "projects": _projects(session, found.id, with_money=sees_money),
        "invoices": _invoices(session, found.id) if sees_money else None,
        "systems": systems_of(session, "clients", found.id, unsent="It is sent with the next run."),
        "history": history_of(session, "clients", found.id),
        "timeline": timeline_address("clients", found.id),
        "actions": _actions(found),
    }


def _contacts(session: Session, client_id: UUID) -> Sequence[Contact]:
    query = select(Contact).where(Contact.client_id == client_id).order_by(Contact.last_name, Contact.id).limit(50)
    return session.scalars(query).all()


def _contact(contact: Contact) -> dict[str, str]:
    name = f"{contact.first_name} {contact.last_name}".strip()
    return {"name": name, "job_title": contact.job_title, "email": contact.email, "phone": contact.phone}


def _projects(session: Session, client_id: UUID, *, with_money: bool) -> list[dict[str, Any]]:
    billed = (
        select(Invoice.project_id, func.sum(Invoice.net).label("net"))
        .where(Invoice.client_id == client_id, Invoice.status != InvoiceStatus.DRAFT)
        .group_by(Invoice.project_id)
        .subquery()
    )
    query = select(Project, billed.c.net).outerjoin(billed, billed.c.project_id == Project.id)
    rows = session.execute(query.where(Project.client_id == client_id).order_by(Project.id.desc()).limit(50))
    return [
        {
            "id": project.id,
            "name": project.name,
            "code": project.code,
            "status": project.status,
            "currency": project.currency,
            "budget": project.budget if with_money else None,
            "billed": net if with_money else None,
        }
        for project, net in rows
    ]


def _invoices(session: Session, client_id: UUID) -> list[dict[str, Any]]:
    query = select(Invoice).where(Invoice.client_id == client_id).order_by(Invoice.dated_on.desc(), Invoice.id.desc())
    today = today_of(session)
    return [invoice_row(each, today) for each in session.scalars(query.limit(_NEWEST))]


def _add_action() -> list[dict[str, Any]]:
    if not current_user().may("clients.write"):
        return []
    return [{"label": "Add a client", "href": url_for("pages.add_client"), "icon": "plus", "style": "primary"}]


def _actions(found: Client) -> list[dict[str, Any]]:
    if not current_user().may("clients.write"):
        return []
    archived = found.archived_at is not None
    return [
        {"label": "Edit", "href": url_for("pages.edit_client", client_id=found.id), "icon": "pencil"},
        {
            "label": "Use again" if archived else "Archive",
            "href": url_for("pages.archive_client_sent", client_id=found.id),
            "method": "post",
            "icon": "archive",
            "fields": {"archived": "no" if archived else "yes"},
        },
    ]
