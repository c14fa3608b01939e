"""Where imported time belongs: the client, project, task and person of a row, found by name or made.

A client is the one of that name, else the one whose name differs in legal form or accents only. A project is the
client's of that name; codes tell projects of one name apart, but never stand for a project alone, since many firms
give one code to all projects of a client. A task is the project's of that name. A person is found by the number where
their time comes from, else by name. Case does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
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
from hub.core.projects.service import create_project, create_tasks_of_projects
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
        self._numbered: set[UUID] = set()
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
        values = {"currency": row.currency} if row.currency else {}
        client_id = self.client(session, row.client, **values)
        project_id = self.find_project(client_id, row.project, row.project_code)
        if project_id is None:
            if not self._create:
                raise NoPlace("project", f"is no project of the client {row.client}; {_FIRST}")
            project_id = self.make_project(session, client_id, row.project, row.project_code, **values)
        self._load_tasks(session, project_id)
        if not self._create and not self._tasks[project_id, row.task.casefold()]:
            raise NoPlace("task", f"is no task of the project {row.project}; {_FIRST}")
        return project_id

    def person(self, session: Session, row: TimeRow) -> UUID:
        """The person a row belongs to. Raises NoPlace."""
        person_id = self.find_person(row.person)
        if person_id is not None:
            return person_id
        if not self._create:
            raise NoPlace("person", f"is no person here; {_FIRST}")
        number = row.person if any(letter.isdigit() for letter in row.person) else ""
        return self.make_person(session, row.person, number)

    def client(self, session: Session, name: str, **values: Any) -> UUID:
        """The client of a name; values are for one that is made. Raises NoPlace."""
        client_id = self.find_client(name)
        if client_id is not None:
            return client_id
        if not self._create:
            raise NoPlace("client", f"is no client here; {_FIRST}")
        return self.make_client(session, name, **values)

    def make_tasks(self, session: Session, rows: Iterable[tuple[UUID, TimeRow]]) -> None:
        """Make the tasks that the rows of these projects name and that are not there yet, all at once."""
        missing: dict[tuple[UUID, str], str] = {}
        for project_id, row in rows:
            key = (project_id, row.task.casefold())
            if not self._tasks[key]:
                missing.setdefault(key, row.task)
        wanted = [(project_id, name) for (project_id, _), name in missing.items()]
        made = create_tasks_of_projects(session, wanted) if self._writes and wanted else ()
        ids = [task.id for task in made] or [uuid7() for _ in wanted]
        for key, task_id in zip(missing, ids, strict=True):
            self._tasks.add(key, task_id)

    def task(self, project_id: UUID, row: TimeRow) -> UUID:
        """The task of a row whose project has it."""
        return self._tasks[project_id, row.task.casefold()][0]

    def find_client(self, name: str) -> UUID | None:
        """Raises NoPlace when several clients have the name."""
        return _only("client", self._clients[name.casefold()] or self._clients_alike[normalised_name(name)], "clients")

    def make_client(self, session: Session, name: str, **values: Any) -> UUID:
        """Raises NoPlace for values a client cannot have."""
        client_id = self._made("client", lambda: create_client(session, name=name, **values))
        self._clients.add(name.casefold(), client_id)
        self._clients_alike.add(normalised_name(name), client_id)
        return client_id

    def find_project(self, client_id: UUID, name: str, code: str) -> UUID | None:
        """Raises NoPlace when several projects of the client fit."""
        codes = {
            project_id: self._codes.get(project_id, "") for project_id in self._projects[client_id, name.casefold()]
        }
        same = [project_id for project_id, known in codes.items() if known == code.casefold()]
        return _only("project", same or [one for one, known in codes.items() if not (known and code)], "projects")

    def make_project(self, session: Session, client_id: UUID, name: str, code: str, **values: Any) -> UUID:
        """Raises NoPlace for values a project cannot have."""
        values |= {"client_id": client_id, "name": name, "code": code, "company_id": self._company_id}
        project_id = self._made("project", lambda: create_project(session, **values))
        self._projects.add((client_id, name.casefold()), project_id)
        self._codes[project_id] = code.casefold()
        return project_id

    def find_person(self, name: str, number: str = "") -> UUID | None:
        """By number, else by name; whoever has another number is someone else. Raises NoPlace when several fit."""
        found = self._people_by_number[number or name] or [
            person_id for person_id in self._people[name.casefold()] if not (number and person_id in self._numbered)
        ]
        return _only("person", found, "people")

    def make_person(self, session: Session, name: str, number: str = "", **values: Any) -> UUID:
        """Raises NoPlace for values a person cannot have."""
        person_id = self._made(
            "person", lambda: create_person(session, name=name, external_id=number or None, **values)
        )
        self._people.add(name.casefold(), person_id)
        if number:
            self._people_by_number.add(number, person_id)
            self._numbered.add(person_id)
        return person_id

    def _made(self, field: str, make: Callable[[], Any]) -> UUID:
        if not self._writes:
            return uuid7()
        try:
            made_id: UUID = make().id
        except RuleBroken as refused:
            raise NoPlace(next(iter(refused.fields), field), f"cannot be imported: {refused}") from refused
        return made_id

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
                self._numbered.add(person_id)

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
            self._people_by_number,
        )


def _only(field: str, found: Sequence[UUID], what: str) -> UUID | None:
    if len(found) > 1:
        raise NoPlace(field, f"is the name of {len(found)} {what}; rename all but one")
    return found[0] if found else None
