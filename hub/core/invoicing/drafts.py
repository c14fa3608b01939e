"""Drafting invoices from approved, billable time that is on no invoice yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from hub.core.clients.models import Client
from hub.core.companies.models import Company
from hub.core.database import circumstances, uuid7
from hub.core.errors import RuleBroken
from hub.core.invoicing.models import Invoice, InvoiceLine, InvoiceStatus, LineEntry
from hub.core.invoicing.rules import GROUPINGS, last_day_of_month, line_net, period_of, totals_of
from hub.core.money import ZERO
from hub.core.outbox import announce
from hub.core.people.models import Person
from hub.core.projects.models import Project, Task
from hub.core.rates.models import RateCard
from hub.core.rates.rules import Price, Work
from hub.core.rates.service import price_of
from hub.core.records import InvoiceLineRecord
from hub.core.services.models import Service
from hub.core.services.service import hours_service
from hub.core.timesheets.models import TimeEntry, TimeStatus
from hub.core.timesheets.rules import hours_of
from hub.core.timesheets.service import counts


class Group(NamedTuple):
    """What one draft is for. project_id and month are set when drafts are made by them; month is its first day."""

    company_id: UUID
    client_id: UUID
    currency: str
    project_id: UUID | None
    month: date | None


@dataclass(frozen=True, slots=True)
class Billable:
    """One entry to be billed, with what pricing and grouping need of its surroundings."""

    entry_id: UUID
    seconds: int
    worked_on: date
    person_id: UUID
    person_name: str
    task_id: UUID
    task_name: str
    service_id: UUID | None
    project_id: UUID
    project_name: str
    client_id: UUID
    company_id: UUID
    currency: str

    def group(self, by: Sequence[str]) -> Group:
        return Group(
            self.company_id,
            self.client_id,
            self.currency,
            self.project_id if "project" in by else None,
            self.worked_on.replace(day=1) if "month" in by else None,
        )

    def work(self) -> Work:
        return Work(
            company_id=self.company_id,
            client_id=self.client_id,
            project_id=self.project_id,
            task_id=self.task_id,
            person_id=self.person_id,
            worked_on=self.worked_on,
            currency=self.currency,
        )


def billable_groups(session: Session, by: Sequence[str], *, until: date | None = None) -> list[Group]:
    """The drafts that could be made now, oldest month first. Raises RuleBroken for an unknown grouping."""
    unknown = [name for name in by if name not in GROUPINGS]
    if unknown:
        raise RuleBroken(f"Invoices cannot be drafted by “{unknown[0]}”.", fields={"by": f"use {', '.join(GROUPINGS)}"})
    found = {row.group(by) for row in _billable(session, until=until)}
    return sorted(found, key=lambda group: (group.month or date.max, str(group.client_id), str(group.project_id)))


def draft_invoice(
    session: Session, group: Group, *, dated_on: date | None = None, until: date | None = None
) -> Invoice | None:
    """One draft of all that is billable of a group, a line per task and rate; None when there is nothing.

    dated_on: unless given, the last day of the month of the last work. An entry without a rate stops it, by name:
    no rate is an error, never nothing. Raises RuleBroken.
    """
    rows = _billable(session, group=group, until=until)
    if not rows:
        return None
    company, client = session.get_one(Company, group.company_id), session.get_one(Client, group.client_id)
    prices = _price(session, rows)
    period = period_of(row.worked_on for row in rows)
    day = dated_on or last_day_of_month(period[1])
    invoice = Invoice(
        company_id=company.id,
        client_id=client.id,
        project_id=group.project_id,
        status=InvoiceStatus.DRAFT,
        dated_on=day,
        due_on=day + timedelta(days=company.payment_days),
        period_from=period[0],
        period_to=period[1],
        currency=group.currency,
        client_name=client.legal_name or client.name,
        net=ZERO,
        tax=ZERO,
        total=ZERO,
    )
    lines, members = _lines(session, rows, prices, group, company, client)
    invoice.lines = [_line(record) for record in _shaped(session, lines, group.currency)]
    totals = totals_of(invoice.lines, group.currency)
    invoice.net, invoice.tax, invoice.total = totals.net, totals.tax, totals.total
    session.add(invoice)
    session.flush()
    _bind(session, members, prices)
    return invoice


def _billable(session: Session, *, group: Group | None = None, until: date | None = None) -> list[Billable]:
    query = (
        select(
            TimeEntry.id,
            TimeEntry.seconds,
            TimeEntry.worked_on,
            TimeEntry.person_id,
            Person.name,
            Task.id,
            Task.name,
            Task.service_id,
            Project.id,
            Project.name,
            Project.client_id,
            Project.company_id,
            Project.currency,
        )
        .join(Task, Task.id == TimeEntry.task_id)
        .join(Project, Project.id == TimeEntry.project_id)
        .join(Person, Person.id == TimeEntry.person_id)
        .where(TimeEntry.status == TimeStatus.APPROVED, TimeEntry.billable, counts())
        .order_by(Project.name, Task.name, Task.id, TimeEntry.worked_on, TimeEntry.id)
    )
    if until is not None:
        query = query.where(TimeEntry.worked_on <= until)
    if group is not None:
        query = query.where(
            Project.company_id == group.company_id,
            Project.client_id == group.client_id,
            Project.currency == group.currency,
        )
        if group.project_id is not None:
            query = query.where(Project.id == group.project_id)
        if group.month is not None:
            query = query.where(TimeEntry.worked_on.between(group.month, last_day_of_month(group.month)))
        query = query.with_for_update(of=TimeEntry)
    return [Billable(*tuple(row)) for row in session.execute(query)]


def _price(session: Session, rows: Sequence[Billable]) -> dict[UUID, Price]:
    cards = session.scalars(select(RateCard).where(RateCard.currency == rows[0].currency)).all()
    known: dict[Work, Price | None] = {}
    prices: dict[UUID, Price] = {}
    for row in rows:
        work = row.work()
        if work not in known:
            known[work] = price_of(session, work, cards)
        price = known[work]
        if price is None:
            raise RuleBroken(
                f"There is no {row.currency} rate for {row.person_name} on “{row.project_name} / {row.task_name}” "
                f"on {row.worked_on}. Add one with `hub rate add`.",
                code="no-rate",
            )
        prices[row.entry_id] = price
    return prices


def _lines(
    session: Session,
    rows: Sequence[Billable],
    prices: dict[UUID, Price],
    group: Group,
    company: Company,
    client: Client,
) -> tuple[list[InvoiceLineRecord], dict[UUID, list[Billable]]]:
    """A line per task and rate: the hours of its entries, each as billed, are added, then multiplied once."""
    fallback = hours_service(session)
    services = {service.id: service for service in session.scalars(select(Service))}
    lines: list[InvoiceLineRecord] = []
    members: dict[UUID, list[Billable]] = {}
    by_task_and_rate = sorted(rows, key=lambda row: (row.project_name, row.task_name, str(row.task_id)))
    keyed = groupby(by_task_and_rate, key=lambda row: (row.task_id, prices[row.entry_id].rate))
    merged: dict[tuple[UUID, Decimal], list[Billable]] = {}
    for key, some in keyed:
        merged.setdefault(key, []).extend(some)
    for (_, rate), entries in merged.items():
        service = services.get(entries[0].service_id) if entries[0].service_id else fallback
        service = service or fallback
        quantity = sum((hours_of(row.seconds) for row in entries), ZERO)
        tax_rate = ZERO if client.tax_exempt else company.tax_rate if service.tax_rate is None else service.tax_rate
        named = entries[0].task_name if group.project_id else f"{entries[0].project_name}: {entries[0].task_name}"
        line = InvoiceLineRecord(
            id=uuid7(),
            position=len(lines) + 1,
            service_id=service.id,
            description=named,
            quantity=quantity,
            unit=service.unit,
            rate=rate,
            net=line_net(quantity, rate, group.currency),
            tax_rate=tax_rate,
        )
        lines.append(line)
        members[line.id] = entries
    return lines, members


def _shaped(session: Session, lines: list[InvoiceLineRecord], currency: str) -> list[InvoiceLineRecord]:
    hooks = circumstances(session).hooks
    if hooks is None:
        return lines
    shaped: list[InvoiceLineRecord] = hooks.pipeline("shape_invoice_lines", "lines", lines, currency=currency)
    return shaped


def _line(record: InvoiceLineRecord) -> InvoiceLine:
    return InvoiceLine(
        id=record.id,
        position=record.position,
        service_id=record.service_id,
        description=record.description,
        quantity=record.quantity,
        unit=record.unit,
        rate=record.rate,
        net=record.net,
        tax_rate=record.tax_rate,
    )


def _bind(session: Session, members: dict[UUID, list[Billable]], prices: dict[UUID, Price]) -> None:
    """Note which entry is on which line at which rate; it is billed now and on no other line."""
    entries = [
        {"id": uuid7(), "line_id": line_id, "time_entry_id": row.entry_id, "hours": hours_of(row.seconds)}
        for line_id, rows in members.items()
        for row in rows
    ]
    session.execute(insert(LineEntry), entries)
    for entry in session.scalars(select(TimeEntry).where(TimeEntry.id.in_(prices)).order_by(TimeEntry.id)):
        price = prices[entry.id]
        entry.status, entry.rate, entry.rate_trace = TimeStatus.BILLED, price.rate, price.trace
    announce(session, "time_entries", prices)
