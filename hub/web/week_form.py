"""A posted week: reading its cells, and writing what changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final
from uuid import UUID

from flask import request
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.errors import RuleBroken
from hub.core.people.models import Person
from hub.core.timesheets.models import TimeEntry
from hub.core.timesheets.service import Block, change_time, delete_time, record_blocks
from hub.web.hours_entry import seconds_from
from hub.web.week_grid import Week, cell_text, entries_of

LONGEST_NOTE: Final = 500
_MOST_CELLS: Final = 700
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_NAME = re.compile(rf"seconds\.(?P<key>(?P<project>{_UUID})\.(?P<task>{_UUID})\.(?P<day>\d{{4}}-\d\d-\d\d))")


class WeekRefused(RuleBroken):
    """The week cannot be saved like this."""


@dataclass(frozen=True, slots=True)
class PostedCell:
    """What stands in one cell. key: project, task and day, as in the field's name. seconds: 0 for an empty one."""

    key: str
    task_id: UUID
    on: date
    text: str
    note: str
    seconds: int


def posted_cells(week: Week) -> tuple[dict[str, PostedCell], dict[str, str]]:
    """The cells of the form by key, and a sentence for each field that cannot be read."""
    cells: dict[str, PostedCell] = {}
    errors: dict[str, str] = {}
    for name, text in list(request.form.items())[: 2 * _MOST_CELLS]:
        match = _NAME.fullmatch(name)
        day = _day(match["day"]) if match else None
        if match is None or day is None or day not in week.days:
            continue
        note = request.form.get(f"note.{match['key']}", "").strip()
        seconds = 0
        try:
            seconds = seconds_from(text)
        except RuleBroken as refused:
            errors[name] = str(refused)
        if note and not seconds and name not in errors:
            errors[name] = "A note needs hours beside it."
        if len(note) > LONGEST_NOTE:
            errors[name] = f"A note holds at most {LONGEST_NOTE} characters."
        cells[match["key"]] = PostedCell(match["key"], UUID(match["task"]), day, text, note, seconds)
    return cells, errors


def save_cells(session: Session, person_id: UUID, week: Week, cells: Mapping[str, PostedCell]) -> bool:
    """Record, change and delete the person's time as the cells say. Returns whether anything changed.

    A cell that shows what is stored changes nothing, also where the text is shorter than the seconds.
    """
    # One save of a person's week at a time, so that the same form sent twice is not recorded twice.
    session.execute(select(Person.id).where(Person.id == person_id).with_for_update())
    stored: dict[tuple[UUID, date], list[TimeEntry]] = {}
    for entry in entries_of(session, person_id, week):
        stored.setdefault((entry.task_id, entry.worked_on), []).append(entry)
    new = [
        Block(cell.task_id, person_id, cell.on, cell.seconds, cell.note)
        for cell in cells.values()
        if cell.seconds and (cell.task_id, cell.on) not in stored
    ]
    kept = [
        (entries[0], cell) for cell in cells.values() if len(entries := stored.get((cell.task_id, cell.on), [])) == 1
    ]
    changed = [_change(session, entry, cell) for entry, cell in kept]
    record_blocks(session, new)
    return bool(new) or any(changed)


def _change(session: Session, entry: TimeEntry, cell: PostedCell) -> bool:
    same_time = cell.text.strip() == cell_text(entry.seconds) or cell.seconds == entry.seconds
    if same_time and cell.note == entry.note:
        return False
    if not cell.seconds:
        delete_time(session, entry.id)
    else:
        change_time(session, entry.id, seconds=entry.seconds if same_time else cell.seconds, note=cell.note)
    return True


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
