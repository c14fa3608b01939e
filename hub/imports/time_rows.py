"""Rows of a time export, checked and turned into blocks of work.

What a row must have: a client, a project, a task, a person, hours above zero, and a day. The day is the date, else
the start. Hours are kept as whole seconds: 0.01 h is 36 s, so every value with two decimals is exact. A value that is
no whole number of seconds (0.3333) is a fault, because rounding would leave the hours of the file and the hub apart.

A row of more than 24 hours is spread over the working days (Monday to Friday) from its start: over as many days as it
takes at 8 hours a day, but none after its date, where the days share the hours more closely, up to 24 a day. The parts
are even, in steps of 0.01 hours, and add up to the row. Where the days cannot hold the hours, the row is a fault.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final

from hub.core.errors import RuleBroken
from hub.core.money import split
from hub.imports.cell_values import SECONDS_PER_HOUR, Unreadable, hours_from
from hub.imports.csv_reader import CsvFile, CsvRow
from hub.imports.layouts import ColumnMap
from hub.imports.row_cells import Fault, RowCells, Writing

HOURS_IN_A_DAY: Final = 24
HOURS_IN_A_WORKING_DAY: Final = 8
MOST_HOURS: Final = 1_600
"""200 working days, about a year of one person. More is a sum or a slip of the decimal mark."""

_STEP_SECONDS: Final = 36
_SATURDAY: Final = 5
_REQUIRED: Final = ("client", "project", "task", "hours")
_OWNED: Final = ("client", "project", "task")


@dataclass(frozen=True, slots=True)
class TimeRow:
    """One block of work on one day. billable and approved are None where the file does not say.

    rate: per hour, in `currency`. external_id: what tells the block apart, the same at each import.
    """

    line: int
    client: str
    project: str
    project_code: str
    task: str
    person: str
    worked_on: date
    seconds: int
    note: str
    billable: bool | None
    approved: bool | None
    rate: Decimal | None
    currency: str
    external_id: str


@dataclass(frozen=True, slots=True)
class GoodRow:
    """A row of the file that can be imported, as one block of work or, spread, as several.

    external_id: the row's own; that of a part ends in #1, #2, ... given_id: the file has a column for it.
    """

    source: CsvRow
    hours: Fraction
    entries: tuple[TimeRow, ...]
    external_id: str
    given_id: bool


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row of the file that cannot. hours: what it says, None if that cannot be read."""

    source: CsvRow
    hours: Fraction | None
    faults: tuple[Fault, ...]


def check_columns(columns: ColumnMap) -> None:
    """Raises RuleBroken when a field that every row needs has no column."""
    missing = [name for name in _REQUIRED if not columns.has(name)]
    if not columns.has("person") and not columns.has("last_name") and not columns.has("first_name"):
        missing.append("person")
    if not columns.has("date") and not columns.has("start"):
        missing.append("date")
    if missing:
        raise RuleBroken(
            f"No column is given for {', '.join(missing)}. Say where to find it with --map {missing[0]}=COLUMN; "
            f"the file's columns are: {', '.join(columns.header)}.",
            code="unknown-layout",
        )


def read_time_rows(file: CsvFile, columns: ColumnMap, writing: Writing) -> Iterator[GoodRow | BadRow]:
    """Every row of the file, once, as good or bad."""
    reader = _TimeRowReader(columns, writing)
    for row in file.rows():
        yield reader.read(row)


@dataclass
class _TimeRowReader:
    columns: ColumnMap
    writing: Writing
    seen_ids: dict[str, int] = field(default_factory=dict)
    occurrences: Counter[str] = field(default_factory=Counter)

    def read(self, row: CsvRow) -> GoodRow | BadRow:
        cells = _TimeCells(row, self.columns, self.writing)
        hours = cells.hours()
        start, day = cells.start_and_day()
        values = {name: cells.needed(name) for name in _OWNED}
        person = cells.person()
        billable, approved = cells.answer("billable"), cells.answer("approved")
        rate, currency = cells.amount("rate"), cells.currency()
        days = cells.days_of(hours, start, day)
        given_id = self._given_id(cells) if self.columns.has("external_id") else ""
        if cells.faults:
            return BadRow(row, hours, tuple(cells.faults))
        note, code = cells.text("note"), cells.text("project_code")
        external_id = given_id or self._derived_id(
            [*values.values(), code, person, note, str(start), str(day), str(hours)]
        )
        entries = tuple(
            TimeRow(
                line=row.line,
                client=values["client"],
                project=values["project"],
                project_code=code,
                task=values["task"],
                person=person,
                worked_on=on,
                seconds=seconds,
                note=note,
                billable=billable,
                approved=approved,
                rate=rate,
                currency=currency,
                external_id=external_id if len(days) == 1 else f"{external_id}#{number}",
            )
            for number, (on, seconds) in enumerate(days, start=1)
        )
        assert hours is not None
        return GoodRow(row, hours, entries, external_id, given_id=bool(given_id))

    def _given_id(self, cells: _TimeCells) -> str:
        parts = self.columns.cells("external_id", cells.row.cells)
        external_id = "-".join(parts)
        if not all(parts):
            cells.fault("external_id", "is empty, in part or as a whole; each row needs an id of its own")
        elif external_id in self.seen_ids:
            first = self.seen_ids[external_id]
            cells.fault("external_id", f"is the id of line {first} already; each row needs an id of its own")
        elif not cells.faults:
            self.seen_ids[external_id] = cells.row.line
        return external_id

    def _derived_id(self, content: Sequence[str]) -> str:
        """An id made of what the row says; rows that say the same are counted, so each is an entry of its own.

        Left out are the marks that change after the work: billable, approved, and what it is sold for.
        """
        digest = hashlib.sha256("\x1f".join(content).encode()).hexdigest()[:32]
        self.occurrences[digest] += 1
        return f"row:{digest}:{self.occurrences[digest]}"


class _TimeCells(RowCells):
    """The cells of a row of a time export."""

    def person(self) -> str:
        if self.columns.has("person"):
            return self.needed("person")
        name = f"{self.text('first_name')} {self.text('last_name')}".strip()
        if not name:
            self.fault("last_name" if self.columns.has("last_name") else "first_name", "is empty")
        return name

    def hours(self) -> Fraction | None:
        """The hours of the row, also when something is wrong with them; None if they cannot be read."""
        text = self.needed("hours")
        if not text:
            return None
        try:
            hours = hours_from(text, self.writing.decimal_marks["hours"])
        except Unreadable as exc:
            self.fault("hours", str(exc))
            return None
        if hours <= 0:
            self.fault("hours", "is not above zero")
        elif hours > MOST_HOURS:
            self.fault("hours", f"is more than one row can hold, which is {MOST_HOURS} hours")
        elif (hours * SECONDS_PER_HOUR).denominator != 1:
            self.fault("hours", "is no whole number of seconds; write two decimals, or h:mm:ss")
        return hours

    def start_and_day(self) -> tuple[date | None, date | None]:
        start, day = self.day("start"), self.day("date")
        name = "date" if self.columns.has("date") else "start"
        if not self.text("start") and not self.text("date"):
            both = self.columns.has("start") and self.columns.has("date")
            self.fault(name, "is empty, and so is the start" if both else "is empty")
        elif start is not None and day is not None and day < start:
            self.fault(name, f"is before the start, {start}")
        return start, day

    def days_of(self, hours: Fraction | None, start: date | None, day: date | None) -> list[tuple[date, int]]:
        """The days of the row with the seconds of each. Nothing when the row has a fault."""
        if self.faults or hours is None:
            return []
        if hours <= HOURS_IN_A_DAY:
            return [(day or start or date.min, int(hours * SECONDS_PER_HOUR))]
        return self._spread(hours, start, day)

    def _spread(self, hours: Fraction, start: date | None, day: date | None) -> list[tuple[date, int]]:
        if start is None:
            self.fault("hours", "is more than a day has; a start is needed to spread it over the days since then")
            return []
        wanted = -(-hours // HOURS_IN_A_WORKING_DAY)
        days = working_days(start, until=day, at_most=wanted)
        if hours > HOURS_IN_A_DAY * len(days):
            self.fault(
                "hours",
                f"is more than the working days from {start} to {day} hold, "
                f"which is {len(days)} x {HOURS_IN_A_DAY} = {HOURS_IN_A_DAY * len(days)} hours",
            )
            return []
        return list(zip(days, even_parts(int(hours * SECONDS_PER_HOUR), len(days)), strict=True))


def working_days(start: date, *, until: date | None, at_most: int) -> list[date]:
    """The first days from Monday to Friday, `start` and `until` included."""
    days: list[date] = []
    day = start
    while len(days) < at_most and (until is None or day <= until):
        if day.weekday() < _SATURDAY:
            days.append(day)
        day += timedelta(days=1)
    return days


def even_parts(seconds: int, count: int) -> list[int]:
    """`count` parts in steps of 0.01 hours (36 s) that add up; seconds below a step go with the last part."""
    steps, rest = divmod(seconds, _STEP_SECONDS)
    parts = [int(part) * _STEP_SECONDS for part in split(Decimal(steps), [Decimal(1)] * count, places=0)]
    parts[-1] += rest
    return parts
