"""A small firm in a hub on the bench: its records, made and changed by the hub's own services."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy.orm import Session

from hub.bootstrap import Hub
from hub.core.clients.service import change_client, create_client
from hub.core.companies.service import set_company
from hub.core.invoicing.drafts import billable_groups, draft_invoice
from hub.core.invoicing.service import issue_invoice
from hub.core.people.service import create_person
from hub.core.projects.service import change_project, create_project, create_task
from hub.core.rates.service import add_rate
from hub.core.services.service import change_service, create_service
from hub.core.timesheets.service import record_time, submit_and_approve
from hub.testing.conformance.rules import NotShown

T = TypeVar("T")

_SYLLABLES = ["ka", "lo", "mi", "tu", "re", "sa", "vo", "ne", "di", "pu", "za", "ge", "fo", "hi", "bu", "xe"]
_numbers = itertools.count(1)


def a_name() -> str:
    """A name unlike all others, so that first matching takes no two for the same."""
    letters = hashlib.sha256(str(next(_numbers)).encode()).hexdigest()
    spoken = "".join(_SYLLABLES[int(letter, 16)] for letter in letters[:9])
    return f"{spoken[:8].capitalize()} {spoken[8:].capitalize()}"


class Firm:
    """Makes and changes records."""

    KINDS = ("clients", "services", "projects", "invoices")
    PARENTS = {"projects": "clients", "invoices": "clients"}

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._company: UUID | None = None
        self._work: tuple[UUID, UUID] | None = None

    def make(self, kind: str, *, name: str = "", **values: Any) -> UUID:
        """A new record that is sent to whoever is connected. Returns its id."""
        makers: dict[str, Callable[..., UUID]] = {
            "clients": self._client,
            "services": lambda name: self._do(lambda session: create_service(session, name=name).id),
            "projects": self._project,
            "invoices": self._invoice,
        }
        if kind not in makers:
            raise NotShown(f"the kit cannot make {kind} in a hub yet")
        return makers[kind](name=name or a_name(), **values)

    def change(self, kind: str, record_id: UUID) -> str:
        """Give it another name. Returns the name."""
        changers: dict[str, Callable[..., Any]] = {
            "clients": change_client,
            "services": change_service,
            "projects": change_project,
        }
        if kind not in changers:
            raise NotShown(f"{kind} are not changed in a hub")
        name = a_name()
        self._do(lambda session: changers[kind](session, record_id, name=name) and None)
        return name

    def can_change(self, kind: str) -> bool:
        return kind in ("clients", "services", "projects")

    def _client(self, name: str) -> UUID:
        email = f"office@{name.replace(' ', '-').lower()}.example"
        return self._do(lambda session: create_client(session, name=name, email=email, currency="GBP").id)

    def _project(self, name: str, client_id: UUID | None = None) -> UUID:
        self._open()
        client_id = client_id or self.make("clients")
        return self._do(lambda session: create_project(session, client_id=client_id, name=name).id)

    def _invoice(self, name: str, seconds: tuple[int, ...] = (5_400, 1_200)) -> UUID:
        """An issued invoice to a client of this name, a line for each block of work: 80.00 GBP an hour, 20 % tax."""
        self._open()
        client_id = self._client(name)
        project_id = self._project(a_name(), client_id)
        assert self._work is not None
        person_id, _ = self._work

        def work(session: Session) -> UUID:
            for number, length in enumerate(seconds):
                task = create_task(session, project_id=project_id, name=f"Part {number + 1}")
                entry = record_time(
                    session, task_id=task.id, person_id=person_id, worked_on=date(2026, 1, 5), seconds=length
                )
                submit_and_approve(session, [entry.id])
            group = next(each for each in billable_groups(session, ["project"]) if each.project_id == project_id)
            draft = draft_invoice(session, group)
            assert draft is not None
            return issue_invoice(session, draft.id).id

        return self._do(work)

    def _open(self) -> None:
        if self._work is not None:
            return

        def work(session: Session) -> tuple[UUID, UUID]:
            company = set_company(session, name="Firm", country="GB", currency="GBP", tax_rate=Decimal(20))
            add_rate(session, rate=Decimal(80), currency="GBP")
            return create_person(session, name="Ann").id, company.id

        self._work = self._do(work)

    def _do(self, work: Callable[[Session], T]) -> T:
        return self._hub.transact(work)
