"""A week of one person's time as a grid of tasks and days."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from hub.core.clients.models import Client
from hub.core.errors import RuleBroken
from hub.core.projects.models import Project, ProjectStatus, Task
from hub.core.timesheets.models import TimeEntry, TimeStatus
from hub.core.timesheets.rules import EDITABLE
from hub.core.timesheets.service import counts
from hub.web.display import hours

_MOST_CHOICES: Final = 500
_SATURDAY: Final = 5
_LOCKED: Final = {
    TimeStatus.SUBMITTED: "It waits for approval.",
    TimeStatus.APPROVED: "It is approved.",
    TimeStatus.BILLED: "It is on an invoice.",
}


@dataclass(frozen=True, slots=True)
class Week:
    """A calendar week, Monday to Sunday (ISO 8601). key: 2026-W47."""

    from_on: date

    @property
    def key(self) -> str:
        year, number, _ = self.from_on.isocalendar()
        return f"{year}-W{number:02}"

    @property
    def name(self) -> str:
        return f"Week {self.from_on.isocalendar().week}"

    @property
    def to_on(self) -> date:
        return self.from_on + timedelta(days=6)

    @property
    def days(self) -> list[date]:
        return [self.from_on + timedelta(days=number) for number in range(7)]

    def holds(self, day: InstrumentedAttribute[date]) -> ColumnElement[bool]:
        """The condition that a column's day is one of the week."""
        return day.between(self.from_on, self.to_on)


def week_named(key: str, today: date) -> Week:
    """The week of this key; without one that of today. Raises RuleBroken for a key that names none."""
    if not key:
        return Week(today - timedelta(days=today.weekday()))
    match = re.fullmatch(r"((?:19|2\d)\d{2})-W(\d{2})", key)
    try:
        return Week(date.fromisocalendar(int(match[1]), int(match[2]), 1)) if match else _no_week(key)
    except ValueError:
        return _no_week(key)


def _no_week(key: str) -> Week:
    raise RuleBroken(f"“{key}” is no week. Write it as 2026-W47.", fields={"week": "is no week"})


def entries_of(session: Session, person_id: UUID, week: Week) -> Sequence[TimeEntry]:
    """The person's time of the week, the oldest first."""
    query = select(TimeEntry).where(TimeEntry.person_id == person_id, counts())
    query = query.where(week.holds(TimeEntry.worked_on))
    return session.scalars(query.order_by(TimeEntry.worked_on, TimeEntry.id)).all()


def tasks_of(session: Session, person_id: UUID, week: Week) -> list[UUID]:
    """The tasks the person worked on in a week."""
    return list(dict.fromkeys(entry.task_id for entry in entries_of(session, person_id, week)))


def cell_text(seconds: int) -> str:
    """Hours as they stand in a cell; nothing for none."""
    return hours(seconds) if seconds else ""


def week_grid(session: Session, person_id: UUID, week: Week, extra: Iterable[UUID], today: date) -> dict[str, Any]:
    """What the page of a week shows. extra: tasks that get a row though there is no time on them yet.

    A week that is still empty has the rows of the week before.
    """
    entries = entries_of(session, person_id, week)
    wanted = list(dict.fromkeys((*(entry.task_id for entry in entries), *extra)))
    if not wanted:
        wanted = tasks_of(session, person_id, Week(week.from_on - timedelta(days=7)))
    rows = [_row(place, entries, week) for place in _places(session, wanted)]
    status = _status(entries)
    return {
        "week": {
            "key": week.key,
            "name": week.name,
            "from_on": week.from_on,
            "to_on": week.to_on,
            "status": status,
            "target_seconds": None,
            "total_seconds": sum(entry.seconds for entry in entries),
            "this": week == week_named("", today),
        },
        "days": [_day(day, entries, today) for day in week.days],
        "rows": rows,
        "choices": _choices(session, wanted),
        "comment": next((entry.rejected_reason for entry in entries if entry.status == TimeStatus.REJECTED), None),
        "submit_why": _why_not(status),
    }


def _status(entries: Sequence[TimeEntry]) -> str:
    """The state of the week: that of the entry which is furthest from being billed."""
    states = {str(entry.status) for entry in entries}
    order = (TimeStatus.REJECTED, TimeStatus.OPEN, TimeStatus.SUBMITTED, TimeStatus.APPROVED, TimeStatus.BILLED)
    return next((str(each) for each in order if each in states), "open")


def _why_not(status: str) -> str:
    """Why the week cannot be handed in; time that is added afterwards makes it possible again."""
    if status in EDITABLE:
        return ""
    if status == TimeStatus.SUBMITTED:
        return "It is submitted already. Save more hours to submit those too."
    return "It is approved already. Save more hours to submit those too."


def _places(session: Session, task_ids: Sequence[UUID]) -> list[dict[str, Any]]:
    """The tasks with their surroundings, by project and name."""
    query = (
        select(Project.id, Task.id, Client.name, Project.name, Task.name, Task.billable)
        .join(Project, Project.id == Task.project_id)
        .join(Client, Client.id == Project.client_id)
        .where(Task.id.in_(task_ids))
        .order_by(Project.name, Task.name, Task.id)
    )
    names = ("project_id", "task_id", "client_name", "project_name", "task_name", "billable")
    return [dict(zip(names, row, strict=True)) for row in session.execute(query)]


def _row(place: dict[str, Any], entries: Sequence[TimeEntry], week: Week) -> dict[str, Any]:
    mine = [entry for entry in entries if entry.task_id == place["task_id"]]
    cells = [_cell(day, [entry for entry in mine if entry.worked_on == day]) for day in week.days]
    return {**place, "cells": cells, "total_seconds": sum(entry.seconds for entry in mine)}


def _cell(day: date, entries: Sequence[TimeEntry]) -> dict[str, Any]:
    seconds = sum(entry.seconds for entry in entries)
    return {
        "on": day,
        "text": cell_text(seconds),
        "note": " ".join(entry.note for entry in entries if entry.note),
        "seconds": seconds,
        "error": "",
        "locked": _lock(entries),
    }


def _lock(entries: Sequence[TimeEntry]) -> str:
    for entry in entries:
        if entry.status in _LOCKED:
            return _LOCKED[TimeStatus(entry.status)]
    return f"It is the sum of {len(entries)} entries." if len(entries) > 1 else ""


def _day(day: date, entries: Sequence[TimeEntry], today: date) -> dict[str, Any]:
    total = sum(entry.seconds for entry in entries if entry.worked_on == day)
    return {"on": day, "today": day == today, "weekend": day.weekday() >= _SATURDAY, "total_seconds": total}


def _choices(session: Session, shown: Sequence[UUID]) -> list[tuple[str, str]]:
    """The tasks of running projects that have no row yet."""
    query = (
        select(Project.id, Task.id, Project.name, Task.name)
        .join(Project, Project.id == Task.project_id)
        .where(Project.status.in_((ProjectStatus.ACTIVE, ProjectStatus.PLANNED)), Task.id.not_in(shown))
        .order_by(Project.name, Task.name, Task.id)
        .limit(_MOST_CHOICES)
    )
    rows = session.execute(query)
    return [(f"{project_id} {task_id}", f"{project} · {task}") for project_id, task_id, project, task in rows]
