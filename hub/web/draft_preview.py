"""What drafting would make of approved time now: the groups, their hours, and their amounts at the rates of now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.clients.models import Client
from hub.core.invoicing.rules import line_net
from hub.core.money import ZERO
from hub.core.people.models import Person
from hub.core.projects.models import Project, Task
from hub.core.rates.models import RateCard
from hub.core.rates.rules import Work
from hub.core.rates.service import price_of
from hub.core.timesheets.models import TimeEntry, TimeStatus
from hub.core.timesheets.rules import hours_of
from hub.core.timesheets.service import counts


class _Entry(NamedTuple):
    company_id: UUID
    client_id: UUID
    project_id: UUID
    task_id: UUID
    person_id: UUID
    worked_on: date
    currency: str
    seconds: int
    client_name: str
    project_name: str
    task_name: str
    person_name: str

    def work(self) -> Work:
        return Work(*self[:7])


@dataclass(slots=True)
class _Draft:
    """One invoice that would be drafted. quantities: hours by task and rate, as the lines would hold them."""

    client_name: str
    project_name: str
    currency: str
    entries: int = 0
    seconds: int = 0
    quantities: dict[tuple[UUID, Decimal], Decimal] = field(default_factory=dict)
    missing: str = ""

    def shown(self) -> dict[str, Any]:
        net = sum((line_net(hours, rate, self.currency) for (_, rate), hours in self.quantities.items()), ZERO)
        return {
            "client_name": self.client_name,
            "project_name": self.project_name,
            "entries": self.entries,
            "seconds": self.seconds,
            "amount": None if self.missing else net,
            "currency": self.currency,
            "text": self.missing,
        }


def draft_preview(session: Session, by: Sequence[str], until: date) -> list[dict[str, Any]]:
    """The invoices that drafting by these would make, without tax; one with an unpriced entry has no amount."""
    cards = session.scalars(select(RateCard)).all()
    prices: dict[Work, Decimal | None] = {}
    drafts: dict[tuple[Any, ...], _Draft] = {}
    for entry in _entries(session, until):
        work = entry.work()
        if work not in prices:
            price = price_of(session, work, cards)
            prices[work] = price.rate if price is not None else None
        _add(drafts.setdefault(_key(entry, by), _empty(entry, by)), entry, prices[work])
    return [draft.shown() for draft in drafts.values()]


def _entries(session: Session, until: date) -> Iterable[_Entry]:
    query = (
        select(
            Project.company_id,
            Project.client_id,
            Project.id,
            TimeEntry.task_id,
            TimeEntry.person_id,
            TimeEntry.worked_on,
            Project.currency,
            TimeEntry.seconds,
            Client.name,
            Project.name,
            Task.name,
            Person.name,
        )
        .join(Project, Project.id == TimeEntry.project_id)
        .join(Client, Client.id == Project.client_id)
        .join(Task, Task.id == TimeEntry.task_id)
        .join(Person, Person.id == TimeEntry.person_id)
        .where(TimeEntry.status == TimeStatus.APPROVED, TimeEntry.billable, TimeEntry.worked_on <= until, counts())
        .order_by(Client.name, Project.name, TimeEntry.worked_on, TimeEntry.id)
    )
    return (_Entry._make(row) for row in session.execute(query))


def _key(entry: _Entry, by: Sequence[str]) -> tuple[Any, ...]:
    return (
        entry.company_id,
        entry.client_id,
        entry.currency,
        entry.project_id if "project" in by else None,
        (entry.worked_on.year, entry.worked_on.month) if "month" in by else None,
    )


def _empty(entry: _Entry, by: Sequence[str]) -> _Draft:
    month = f"{entry.worked_on:%B %Y}" if "month" in by else ""
    named = " · ".join(filter(None, (entry.project_name if "project" in by else "", month)))
    return _Draft(entry.client_name, named, entry.currency)


def _add(draft: _Draft, entry: _Entry, rate: Decimal | None) -> None:
    draft.entries += 1
    draft.seconds += entry.seconds
    if rate is not None:
        key = (entry.task_id, rate)
        draft.quantities[key] = draft.quantities.get(key, ZERO) + hours_of(entry.seconds)
    elif not draft.missing:
        draft.missing = f"No {entry.currency} rate for {entry.person_name} on {entry.task_name}: it is left out."
