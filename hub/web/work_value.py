"""What the time on projects amounts to: hours, and their value at the rates of the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub.core.invoicing.models import LineEntry
from hub.core.invoicing.rules import line_net
from hub.core.money import ZERO
from hub.core.projects.models import Project
from hub.core.rates.models import RateCard
from hub.core.rates.rules import Price
from hub.core.rates.rules import Work as Priced
from hub.core.rates.service import price_of
from hub.core.timesheets.models import TimeEntry, TimeStatus
from hub.core.timesheets.rules import hours_of
from hub.core.timesheets.service import counts

_APPROVED = (TimeStatus.APPROVED, TimeStatus.BILLED)


@dataclass(slots=True)
class Work:
    """The time of one project. value, unbilled: of approved billable time, in the project's currency.

    Time without a rate is worth nothing here; drafting an invoice names it.
    """

    seconds: int = 0
    approved_seconds: int = 0
    value: Decimal = ZERO
    unbilled: Decimal = ZERO


def work_of_projects(session: Session, projects: Sequence[Project]) -> dict[UUID, Work]:
    """The work of each of these projects, in three queries."""
    found = {project.id: Work() for project in projects}
    query = (
        select(TimeEntry.project_id, TimeEntry.status, func.sum(TimeEntry.seconds))
        .where(TimeEntry.project_id.in_(found), counts())
        .group_by(TimeEntry.project_id, TimeEntry.status)
    )
    for project_id, status, seconds in session.execute(query):
        found[project_id].seconds += seconds
        found[project_id].approved_seconds += seconds if status in _APPROVED else 0
    _add_billed(session, found)
    _add_unbilled(session, {project.id: project for project in projects}, found)
    return found


def _add_billed(session: Session, found: dict[UUID, Work]) -> None:
    """What is on invoices was priced when it was drafted."""
    hours = func.sum(LineEntry.hours)
    query = (
        select(TimeEntry.project_id, TimeEntry.rate, hours)
        .join(LineEntry, LineEntry.time_entry_id == TimeEntry.id)
        .where(TimeEntry.project_id.in_(found), TimeEntry.rate.is_not(None))
        .group_by(TimeEntry.project_id, TimeEntry.rate)
    )
    for project_id, rate, quantity in session.execute(query):
        found[project_id].value += (rate or ZERO) * quantity


def _add_unbilled(session: Session, projects: dict[UUID, Project], found: dict[UUID, Work]) -> None:
    """What is approved and on no invoice is priced as a draft made now would be: a line per task and rate."""
    dimensions = (TimeEntry.project_id, TimeEntry.task_id, TimeEntry.person_id, TimeEntry.worked_on)
    query = (
        select(*dimensions, TimeEntry.seconds, func.count())
        .where(TimeEntry.project_id.in_(projects), TimeEntry.status == TimeStatus.APPROVED, TimeEntry.billable)
        .where(counts())
        .group_by(*dimensions, TimeEntry.seconds)
    )
    rows = session.execute(query).all()
    cards = session.scalars(select(RateCard)).all() if rows else []
    prices: dict[Priced, Price | None] = {}
    quantities: dict[tuple[UUID, UUID, Decimal], Decimal] = {}
    for project_id, task_id, person_id, worked_on, seconds, entries in rows:
        project = projects[project_id]
        work = Priced(
            project.company_id, project.client_id, project_id, task_id, person_id, worked_on, project.currency
        )
        if work not in prices:
            prices[work] = price_of(session, work, cards)
        price = prices[work]
        if price is not None:
            line = (project_id, task_id, price.rate)
            quantities[line] = quantities.get(line, ZERO) + entries * hours_of(seconds)
    for (project_id, _, rate), hours in quantities.items():
        amount = line_net(hours, rate, projects[project_id].currency)
        found[project_id].value += amount
        found[project_id].unbilled += amount
