"""Where imported time belongs: the client, project, task and person of a row, found by name or made.

A client is the one of that name, else the one whose name differs in legal form or accents only. A project is the
client's of that name; codes tell projects of one name apart, but never stand for a project alone, since many firms
give one code to all projects of a client. A task is the project's of that name. A person is found by the number where
their time comes from, else by name. Case does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.clients.models import Client
from hub.core.clients.rules import normalised_name
from hub.core.clients.service import create_client
from hub.core.database import uuid7
from hub.core.errors import RuleBroken
from hub.core.people.models import Person
from hub.core.people.service import create_person
from hub.core.projects.models import Project, Task
from hub.core.projects.service import create_project, create_tasks
from hub.imports.time_rows import TimeRow

_FIRST: Final = "create it first, or import with --create"


class NoPlace(Exception):
    """A row names something that is not there. field: which; the text is the reason, for people."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


class Index:
    """Ids by key. What a transaction adds can be taken back, because transactions are tried again."""

    def __init__(self) -> None:
        self._ids: dict[Hashable, tuple[UUID, ...]] = {}
        self._before: list[tuple[Hashable, tuple[UUID, ...]]] = []

    def __getitem__(self, key: Hashable) -> tuple[UUID, ...]:
        return self._ids.get(key, ())

    def load(self, key: Hashable, record_id: UUID) -> None:
        """Add what stands in the database already."""
        self._ids[key] = (*self[key], record_id)

    def add(self, key: Hashable, record_id: UUID) -> None:
        self._before.append((key, self[key]))
        self.load(key, record_id)

    def keep(self) -> None:
        self._before.clear()

    def take_back(self) -> None:
        for key, ids in reversed(self._before):
            self._ids[key] = ids
        self._before.clear()


class Places:
    """Finds where rows belong. create: make what is missing. writes: False in a dry run, which only acts as if."""

    def __init__(self, session: Session, *, create: bool, writes: bool, company_id: UUID | None = None) -> None:
        self._create, self._writes, self._company_id = create, writes, company_id
        self._clients, self._clients_alike = Index(), Index()
        self._projects = Index()
        self._codes: dict[UUID, str] = {}
        self._tasks, self._people_by_number, self._people = Index(), Index(), Index()
        self._projects_with_tasks: set[UUID] = set()
        self._load(session)

    def begin(self) -> None:
        """Forget what an earlier try of this transaction made."""
        for index in self._indexes():
            index.take_back()

    def keep(self) -> None:
        """The transaction is committed: what it made is there."""
        for index in self._indexes():
            index.keep()

    def project(self, session: Session, row: TimeRow) -> UUID:
        """The project a row belongs to; unless tasks are made, it has the row's task. Raises NoPlace."""
        project_id = self._project(session, row, self._client(session, row))
        self._load_tasks(session, project_id)
        if not self._create and not self._tasks[project_id, row.task.casefold()]:
            raise NoPlace("task", f"is no task of the project {row.project}; {_FIRST}")
        return project_id

    def make_tasks(self, session: Session, rows: Iterable[tuple[UUID, TimeRow]]) -> None:
        """Make the tasks that the rows of these projects name and that are not there yet, at once for each project."""
        missing: dict[UUID, dict[str, str]] = {}
        for project_id, row in rows:
            if not self._tasks[project_id, row.task.casefold()]:
                missing.setdefault(project_id, {}).setdefault(row.task.casefold(), row.task)
        for project_id, names in missing.items():
            made = create_tasks(session, project_id, list(names.values())) if self._writes else ()
            ids = [task.id for task in made] or [uuid7() for _ in names]
            for key, task_id in zip(names, ids, strict=True):
                self._tasks.add((project_id, key), task_id)

    def task(self, project_id: UUID, row: TimeRow) -> UUID:
        """The task of a row whose project has it."""
        return self._tasks[project_id, row.task.casefold()][0]

    def person(self, session: Session, row: TimeRow) -> UUID:
        """The person a row belongs to. Raises NoPlace."""
        if self._people_by_number[row.person]:
            return self._people_by_number[row.person][0]
        key = row.person.casefold()
        if self._people[key]:
            return self._only("person", self._people[key], "people")
        number = row.person if any(letter.isdigit() for letter in row.person) else None
        person_id = self._made(
            "person", "is no person here", lambda: create_person(session, name=row.person, external_id=number)
        )
        self._people.add(key, person_id)
        return person_id

    def _client(self, session: Session, row: TimeRow) -> UUID:
        key, alike = row.client.casefold(), normalised_name(row.client)
        found = self._clients[key] or self._clients_alike[alike]
        if found:
            return self._only("client", found, "clients")
        client_id = self._made(
            "client",
            "is no client here",
            lambda: create_client(session, name=row.client, currency=row.currency or None),
        )
        self._clients.add(key, client_id)
        self._clients_alike.add(alike, client_id)
        return client_id

    def _project(self, session: Session, row: TimeRow, client_id: UUID) -> UUID:
        key = (client_id, row.project.casefold())
        code = row.project_code.casefold()
        codes = {project_id: self._codes.get(project_id, "") for project_id in self._projects[key]}
        found = [project_id for project_id, known in codes.items() if known == code] or [
            project_id for project_id, known in codes.items() if not (known and code)
        ]
        if found:
            return self._only("project", tuple(found), "projects")
        values = {"currency": row.currency} if row.currency else {}
        project_id = self._made(
            "project",
            f"is no project of the client {row.client}",
            lambda: create_project(
                session,
                client_id=client_id,
                name=row.project,
                code=row.project_code,
                company_id=self._company_id,
                **values,
            ),
        )
        self._projects.add(key, project_id)
        self._codes[project_id] = code
        return project_id

    def _made(self, field: str, missing: str, make: Callable[[], Any]) -> UUID:
        if not self._create:
            raise NoPlace(field, f"{missing}; {_FIRST}")
        if not self._writes:
            return uuid7()
        try:
            made_id: UUID = make().id
        except RuleBroken as refused:
            raise NoPlace(field, f"cannot be created: {refused}") from refused
        return made_id

    def _only(self, field: str, found: tuple[UUID, ...], what: str) -> UUID:
        if len(found) > 1:
            raise NoPlace(field, f"is the name of {len(found)} {what}; rename all but one")
        return found[0]

    def _load(self, session: Session) -> None:
        for client_id, name, match_name in session.execute(select(Client.id, Client.name, Client.match_name)):
            self._clients.load(name.casefold(), client_id)
            self._clients_alike.load(match_name, client_id)
        projects = select(Project.id, Project.client_id, Project.name, Project.code).order_by(Project.id)
        for project_id, client_id, name, code in session.execute(projects):
            self._projects.load((client_id, name.casefold()), project_id)
            self._codes[project_id] = code.casefold()
        for person_id, name, number in session.execute(select(Person.id, Person.name, Person.external_id)):
            self._people.load(name.casefold(), person_id)
            if number:
                self._people_by_number.load(number, person_id)

    def _load_tasks(self, session: Session, project_id: UUID) -> None:
        if project_id in self._projects_with_tasks:
            return
        self._projects_with_tasks.add(project_id)
        tasks = select(Task.id, Task.name).where(Task.project_id == project_id).order_by(Task.id)
        for task_id, name in session.execute(tasks):
            self._tasks.load((project_id, name.casefold()), task_id)

    def _indexes(self) -> tuple[Index, ...]:
        return (
            self._clients,
            self._clients_alike,
            self._projects,
            self._tasks,
            self._people,
        )
