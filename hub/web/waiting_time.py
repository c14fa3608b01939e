"""Submitted time, put together by person and week for whoever approves it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from flask import url_for
from sqlalchemy import ColumnElement, and_, distinct, func, or_, select
from sqlalchemy.orm import Session

from hub.core.clients.models import Client
from hub.core.errors import RuleBroken
from hub.core.people.models import Person
from hub.core.projects.models import Project, Task
from hub.core.timesheets.models import TimeEntry, TimeStatus
from hub.core.timesheets.service import counts
from hub.web.display import hours, weekday
from hub.web.week_grid import Week, week_named

_GROUPS_ON_A_PAGE: Final = 10
_LONG_DAY_S: Final = 12 * 3600


@dataclass(frozen=True, slots=True)
class Waiting:
    """One page of groups. previous, next: addresses of the pages beside it, or None."""

    groups: list[dict[str, Any]]
    previous: str | None
    next: str | None
    note: str


def submitted() -> ColumnElement[bool]:
    """Which entries wait for approval."""
    return and_(TimeEntry.status == TimeStatus.SUBMITTED, counts())


def waiting_groups(session: Session, filters: Mapping[str, str], place: str, *, without: UUID | None) -> Waiting:
    """One page, the oldest week first. place: number of groups before it. without: a person whose time is left out."""
    wanted = [submitted(), *_filtered(filters)]
    if without is not None:
        wanted.append(TimeEntry.person_id != without)
    keys = _keys(session, wanted)
    start = min(int(place), len(keys)) if place.isdecimal() else 0
    chosen = keys[start : start + _GROUPS_ON_A_PAGE]
    end = start + len(chosen)
    return Waiting(
        _groups(session, wanted, chosen),
        _address(filters, max(0, start - _GROUPS_ON_A_PAGE)) if start else None,
        _address(filters, end) if end < len(keys) else None,
        f"{start + 1}–{end} of {len(keys)} weeks" if chosen else "",
    )


def filter_choices(session: Session) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The people and the projects that have time waiting: (id, name)."""
    people = select(Person.id, Person.name).where(Person.id.in_(select(TimeEntry.person_id).where(submitted())))
    projects = select(Project.id, Project.name).where(Project.id.in_(select(TimeEntry.project_id).where(submitted())))
    return (
        [(str(each), name) for each, name in session.execute(people.order_by(Person.name))],
        [(str(each), name) for each, name in session.execute(projects.order_by(Project.name))],
    )


def waiting_counts(session: Session, *, without: UUID | None) -> tuple[int, int]:
    """How many entries of how many people wait."""
    query = select(func.count(), func.count(distinct(TimeEntry.person_id))).select_from(TimeEntry).where(submitted())
    if without is not None:
        query = query.where(TimeEntry.person_id != without)
    entries, people = session.execute(query).one()
    return entries, people


def _filtered(filters: Mapping[str, str]) -> list[ColumnElement[bool]]:
    columns = {"person": TimeEntry.person_id, "project": TimeEntry.project_id}
    return [column == _id(name, filters[name]) for name, column in columns.items() if filters[name]]


def _id(name: str, text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise RuleBroken(f"“{text}” is no {name} of the list.", fields={name: "is none"}) from None


def _keys(session: Session, wanted: Sequence[ColumnElement[bool]]) -> list[tuple[date, UUID]]:
    """Which Mondays and people there are: the weeks are told from the days here, alike for every database."""
    days = session.execute(select(TimeEntry.worked_on, TimeEntry.person_id).where(*wanted).distinct())
    return sorted({(day - timedelta(days=day.weekday()), person_id) for day, person_id in days})


def _groups(
    session: Session, wanted: Sequence[ColumnElement[bool]], chosen: Sequence[tuple[date, UUID]]
) -> list[dict[str, Any]]:
    if not chosen:
        return []
    within = or_(
        *(
            and_(TimeEntry.person_id == person_id, TimeEntry.worked_on.between(monday, Week(monday).to_on))
            for monday, person_id in chosen
        )
    )
    query = (
        select(TimeEntry, Person.name, Client.name, Project.name, Task.name)
        .join(Person, Person.id == TimeEntry.person_id)
        .join(Task, Task.id == TimeEntry.task_id)
        .join(Project, Project.id == TimeEntry.project_id)
        .join(Client, Client.id == Project.client_id)
        .where(*wanted, within)
        .order_by(TimeEntry.worked_on, Project.name, Task.name, TimeEntry.id)
    )
    rows: dict[tuple[date, UUID], list[Any]] = {key: [] for key in chosen}
    for row in session.execute(query):
        entry: TimeEntry = row[0]
        rows[week_named("", entry.worked_on).from_on, entry.person_id].append(row)
    return [_group(monday, person_id, some) for (monday, person_id), some in rows.items() if some]


def _group(monday: date, person_id: UUID, rows: Sequence[Any]) -> dict[str, Any]:
    entries: list[TimeEntry] = [row[0] for row in rows]
    week = Week(monday)
    return {
        "key": f"{week.key}.{person_id}",
        "person_name": rows[0][1],
        "week_name": f"{week.name}, {monday.year}",
        "seconds": sum(entry.seconds for entry in entries),
        "billable_seconds": sum(entry.seconds for entry in entries if entry.billable),
        "submitted_at": max((entry.submitted_at for entry in entries if entry.submitted_at), default=None),
        "warnings": _warnings(entries),
        "entries": [_entry(entry, *names) for entry, _, *names in rows],
    }


def _entry(entry: TimeEntry, client_name: str, project_name: str, task_name: str) -> dict[str, Any]:
    return {
        "id": entry.id,
        "worked_on": entry.worked_on,
        "client_name": client_name,
        "project_name": project_name,
        "task_name": task_name,
        "seconds": entry.seconds,
        "billable": entry.billable,
        "note": entry.note,
        "warning": "",
    }


def _warnings(entries: Sequence[TimeEntry]) -> list[str]:
    totals: dict[date, int] = {}
    for entry in entries:
        totals[entry.worked_on] = totals.get(entry.worked_on, 0) + entry.seconds
    long_days = [f"{hours(seconds)} h on {weekday(day)}" for day, seconds in totals.items() if seconds > _LONG_DAY_S]
    return [f"More than {_LONG_DAY_S // 3600} hours in a day: {', '.join(long_days)}."] if long_days else []


def _address(filters: Mapping[str, str], place: int) -> str:
    kept = {name: value for name, value in filters.items() if value}
    after = {"after": str(place)} if place else {}
    return f"{url_for('pages.approvals')}?{urlencode({**kept, **after})}"
