"""Projects and tasks: creating and changing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from hub.core.clients.service import get_client
from hub.core.companies.service import only_company
from hub.core.errors import NotFound, RuleBroken
from hub.core.kinds import EVERY, Candidate
from hub.core.money import currency_code
from hub.core.outbox import announce
from hub.core.projects.models import Project, ProjectStatus, Task
from hub.core.records import ProjectRecord, TaskRecord
from hub.core.services.service import get_service

_FIELDS = ("name", "code", "status", "starts_on", "ends_on", "currency", "budget")


def create_project(
    session: Session, *, client_id: UUID, name: str, company_id: UUID | None = None, **values: Any
) -> Project:
    """A new project of a client. Its currency is the one given, else the client's, else the company's."""
    company = only_company(session, company_id)
    client = get_client(session, client_id)
    project = Project(company_id=company.id, client_id=client.id, name="", currency=client.currency or company.currency)
    _write(project, {"name": name, **values})
    session.add(project)
    announce(session, "projects", [project.id], event="project_changed")
    return project


def change_project(session: Session, project_id: UUID, **values: Any) -> Project:
    """Change what is given. Raises NotFound, RuleBroken."""
    project = get_project(session, project_id)
    if "client_id" in values:
        project.client_id = get_client(session, values["client_id"]).id
    _write(project, values)
    if session.is_modified(project):
        announce(session, "projects", [project.id], event="project_changed")
    return project


def get_project(session: Session, project_id: UUID) -> Project:
    project = session.get(Project, project_id)
    if project is None:
        raise NotFound(f"There is no project with id {project_id}.")
    return project


def load_projects(session: Session, ids: Sequence[UUID]) -> list[ProjectRecord]:
    return [project.to_record() for project in session.scalars(select(Project).where(Project.id.in_(ids)))]


def apply_project_change(session: Session, project_id: UUID | None, values: Mapping[str, Any]) -> UUID:
    """Write what another system says about a project."""
    if project_id is None:
        return create_project(session, **values).id
    return change_project(session, project_id, **values).id


def match_projects(
    session: Session, wanted: Sequence[Mapping[str, Any]], free: ColumnElement[bool] = EVERY
) -> list[list[Candidate]]:
    """A project of the same client with the same name may be the same; a person says so. free: which may be."""
    clients = {values["client_id"] for values in wanted if values.get("client_id")}
    projects = session.scalars(select(Project).where(Project.client_id.in_(clients), free)).all() if clients else []
    return [
        [
            Candidate(project.id, project.name, 100, False, "the same name at the same client")
            for project in projects
            if project.client_id == values.get("client_id")
            and project.name.casefold() == str(values.get("name") or "").strip().casefold()
        ]
        for values in wanted
    ]


def create_task(
    session: Session, *, project_id: UUID, name: str, service_id: UUID | None = None, billable: bool = True
) -> Task:
    """A new task of a project. Raises RuleBroken when the project has one of this name."""
    return create_tasks(session, project_id, [name], service_id=service_id, billable=billable)[0]


def create_tasks(
    session: Session, project_id: UUID, names: Sequence[str], *, service_id: UUID | None = None, billable: bool = True
) -> list[Task]:
    """New tasks of a project, in the order of their names. Raises RuleBroken when one has the name already."""
    get_project(session, project_id)
    if service_id is not None:
        get_service(session, service_id)
    names = [name.strip() for name in names]
    if not all(names):
        raise RuleBroken("A task needs a name.", fields={"name": "must not be empty"})
    wanted = [(project_id, name) for name in names]
    return create_tasks_of_projects(session, wanted, service_id=service_id, billable=billable)


def create_tasks_of_projects(
    session: Session, wanted: Sequence[tuple[UUID, str]], *, service_id: UUID | None = None, billable: bool = True
) -> list[Task]:
    """New tasks, in this order, as (project that exists, name). Raises RuleBroken when one has the name already."""
    projects, names = {project_id for project_id, _ in wanted}, {name for _, name in wanted}
    alike = select(Task.project_id, Task.name).where(Task.project_id.in_(projects), Task.name.in_(names))
    taken = {(row.project_id, row.name) for row in session.execute(alike)}.intersection(wanted)
    if taken:
        (_, name) = min(taken, key=str)
        raise RuleBroken(f"The project has a task called “{name}” already.", fields={"name": "is taken"})
    tasks = [
        Task(project_id=project_id, name=name, service_id=service_id, billable=billable) for project_id, name in wanted
    ]
    session.add_all(tasks)
    announce(session, "tasks", [task.id for task in tasks])
    return tasks


def get_tasks(session: Session, ids: Collection[UUID]) -> dict[UUID, Task]:
    """Tasks by id. Raises NotFound for one that does not exist."""
    found = {task.id: task for task in session.scalars(select(Task).where(Task.id.in_(ids)))}
    for task_id in ids:
        if task_id not in found:
            raise NotFound(f"There is no task with id {task_id}.")
    return found


def load_tasks(session: Session, ids: Sequence[UUID]) -> list[TaskRecord]:
    return [task.to_record() for task in session.scalars(select(Task).where(Task.id.in_(ids)))]


def _write(project: Project, values: Mapping[str, Any]) -> None:
    for name in _FIELDS:
        if name in values:
            setattr(project, name, _VALUES.get(name, _as_it_is)(values[name]))
    if not project.name:
        raise RuleBroken("A project needs a name.", fields={"name": "must not be empty"})


def _as_it_is(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _day(value: Any) -> date | None:
    return date.fromisoformat(value) if isinstance(value, str) and value else value or None


def _money(value: Any) -> Decimal | None:
    return None if value is None or value == "" else Decimal(value)


def _status(value: Any) -> str:
    if value not in set(ProjectStatus):
        raise RuleBroken(
            f"“{value}” is no status of a project.", fields={"status": f"use one of {', '.join(ProjectStatus)}"}
        )
    return str(value)


_VALUES: dict[str, Callable[[Any], Any]] = {
    "starts_on": _day,
    "ends_on": _day,
    "budget": _money,
    "status": _status,
    "currency": lambda value: currency_code(str(value)),
}
