"""Projects: the list with what is used of each budget, and one project."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session, lazyload

from hub.core.clients.models import Client
from hub.core.invoicing.models import Invoice, InvoiceStatus
from hub.core.money import ZERO
from hub.core.people.models import Person
from hub.core.projects.models import Project, ProjectStatus, Task
from hub.core.projects.service import get_project
from hub.core.services.models import Service
from hub.core.timesheets.models import TimeEntry
from hub.core.timesheets.service import counts
from hub.web.current import current_user, reading
from hub.web.invoice_states import invoice_row, today_of
from hub.web.listing import query_text
from hub.web.pages.blueprint import pages
from hub.web.record_history import history_of, timeline_address
from hub.web.record_lineage import lineage_of
from hub.web.record_standing import systems_of
from hub.web.session import render
from hub.web.sorted_listing import how_many, sorted_listing
from hub.web.work_value import Work, work_of_projects

_NEWEST = 10
_MOST = 50


@pages.get("/projects", permission="projects.read")
def projects() -> ResponseReturnValue:
    """All projects, by name."""
    filters = {"q": query_text("q"), "status": query_text("status")}
    with reading() as session:
        statement = _found(filters)
        page = sorted_listing(session, statement, Project, func.lower(Project.name))
        shown, note = _rows(session, page.rows), how_many(session, statement, "project", "projects")
    return render(
        "pages/projects.html",
        projects=shown,
        filters=filters,
        previous=page.previous,
        next=page.next,
        note=note,
        actions=_actions(),
    )


@pages.get("/projects/<uuid:project_id>", permission="projects.read")
def project(project_id: UUID) -> ResponseReturnValue:
    """One project: what is used, its tasks, team, invoices, and where it came from."""
    with reading() as session:
        return render("pages/project.html", **_project_page(session, get_project(session, project_id)))


def _found(filters: dict[str, str]) -> Select[Any]:
    statement = select(Project)
    if filters["status"] in set(ProjectStatus):
        statement = statement.where(Project.status == filters["status"])
    if filters["q"]:
        columns = (Project.name, Project.code, Client.name)
        statement = statement.join(Client, Client.id == Project.client_id)
        statement = statement.where(or_(*(column.icontains(filters["q"], autoescape=True) for column in columns)))
    return statement


def _rows(session: Session, found: Sequence[Project]) -> list[dict[str, Any]]:
    names = _client_names(session, [each.client_id for each in found])
    work = work_of_projects(session, found)
    return [_row(each, names[each.client_id], work[each.id]) for each in found]


def _row(project: Project, client_name: str, work: Work) -> dict[str, Any]:
    sees_money = current_user().may("rates.read")
    return {
        "id": project.id,
        "name": project.name,
        "code": project.code,
        "client_id": project.client_id,
        "client_name": client_name,
        "status": project.status,
        "starts_on": project.starts_on,
        "ends_on": project.ends_on,
        "currency": project.currency,
        "budget": project.budget if sees_money else None,
        "used": work.value if sees_money else None,
        "seconds": work.seconds,
    }


def _client_names(session: Session, ids: Sequence[UUID]) -> dict[UUID, str]:
    return dict(session.execute(select(Client.id, Client.name).where(Client.id.in_(ids))).all())


def _project_page(session: Session, found: Project) -> dict[str, Any]:
    sees_money = current_user().may("rates.read")
    work = work_of_projects(session, [found])[found.id]
    return {
        "project": _row(found, _client_names(session, [found.client_id])[found.client_id], work),
        "used": _used(session, found, work) if sees_money else None,
        "approved_seconds": work.approved_seconds,
        "tasks": _tasks(session, found.id),
        "team": _team(session, found.id) if current_user().may("time.read") else [],
        "invoices": _invoices(session, found.id) if current_user().may("invoices.read") else None,
        "lineage": lineage_of(session, "projects", found.id, found.name),
        "systems": systems_of(session, "projects", found.id, unsent="It is sent with the next run."),
        "history": history_of(session, "projects", found.id),
        "timeline": timeline_address("projects", found.id),
        "actions": [],
    }


def _used(session: Session, found: Project, work: Work) -> dict[str, Any]:
    billed = select(func.sum(Invoice.net)).where(
        Invoice.project_id == found.id, Invoice.status != InvoiceStatus.DRAFT, Invoice.currency == found.currency
    )
    return {
        "seconds": work.approved_seconds,
        "value": work.value,
        "billed": session.scalar(billed) or ZERO,
        "unbilled": work.unbilled,
    }


def _tasks(session: Session, project_id: UUID) -> list[dict[str, Any]]:
    """The tasks with the most time first."""
    seconds = func.coalesce(func.sum(TimeEntry.seconds), 0)
    query = (
        select(Task.name, Service.name, Task.billable, seconds)
        .outerjoin(Service, Service.id == Task.service_id)
        .outerjoin(TimeEntry, (TimeEntry.task_id == Task.id) & counts())
        .where(Task.project_id == project_id)
        .group_by(Task.id, Task.name, Service.name, Task.billable)
        .order_by(seconds.desc(), Task.name)
        .limit(_MOST)
    )
    names = ("name", "service", "billable", "seconds")
    return [dict(zip(names, row, strict=True)) for row in session.execute(query)]


def _team(session: Session, project_id: UUID) -> list[dict[str, Any]]:
    """Who worked on it, the most first."""
    seconds = func.sum(TimeEntry.seconds)
    query = (
        select(Person.name, seconds)
        .join(TimeEntry, TimeEntry.person_id == Person.id)
        .where(TimeEntry.project_id == project_id, counts())
        .group_by(Person.id, Person.name)
        .order_by(seconds.desc(), Person.name)
        .limit(_MOST)
    )
    return [{"name": name, "seconds": total} for name, total in session.execute(query)]


def _invoices(session: Session, project_id: UUID) -> list[dict[str, Any]]:
    query = select(Invoice).where(Invoice.project_id == project_id).options(lazyload(Invoice.lines))
    today = today_of(session)
    newest = query.order_by(Invoice.dated_on.desc(), Invoice.id.desc()).limit(_NEWEST)
    return [invoice_row(each, today) for each in session.scalars(newest)]


def _actions() -> list[dict[str, Any]]:
    if not current_user().may("imports.write"):
        return []
    return [{"label": "Import", "href": url_for("pages.imports"), "icon": "file-import"}]
