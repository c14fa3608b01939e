"""A month of a small firm's time, as Harvest exports it; the same for the same month and projects."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Final

HEADER: Final = (
    "Date,Client,Project,Project Code,Task,Notes,Hours,Hours Rounded,Billable?,Invoiced?,Approved?,First Name,"
    "Last Name,Roles,Employee?,Billable Rate,Billable Amount,Cost Rate,Cost Amount,Currency,External Reference URL"
).split(",")
GERMAN_HEADER: Final = (
    "Datum;Kunde;Projekt;Projektcode;Aufgabe;Notizen;Stunden;Abrechenbar?;Genehmigt?;Vorname;Nachname;Währung"
).split(";")

PEOPLE: Final = (
    ("Ada", "Byron"), ("Ben", "Okoro"), ("Chloe", "Martin"), ("Dev", "Patel"), ("Elin", "Strand"), ("Farid", "Haddad"),
)  # fmt: skip
GERMAN_SPEAKER: Final = ("Greta", "Vogel")
TASKS: Final = ("Analysis", "Build", "Review", "Workshop")
HOURS: Final = tuple(Decimal(text) for text in ("1.50", "2.25", "0.75", "3.00", "4.50", "0.33", "7.50"))
ROWS_PER_PROJECT: Final = 29
GERMAN_ROWS: Final = 12
_UNBILLED_EVERY: Final = 10


@dataclass(frozen=True, slots=True)
class Work:
    """One row: who worked how long on what."""

    worked_on: date
    client: str
    project: str
    task: str
    note: str
    hours: Decimal
    billable: bool
    first_name: str
    last_name: str


def working_days(month: date) -> list[date]:
    """Monday to Friday of the month that a day lies in."""
    first = month.replace(day=1)
    days = (first + timedelta(days=number) for number in range(31))
    return [day for day in days if day.month == first.month and day.weekday() < 5]


def work_of(month: date, projects: Sequence[tuple[str, str]]) -> list[Work]:
    """A month of work for these (client, project) pairs, 29 rows each; every tenth row is not billable."""
    return [
        _row(month, number, position, client, project, PEOPLE[(number + position) % len(PEOPLE)])
        for position, (client, project) in enumerate(projects)
        for number in range(ROWS_PER_PROJECT)
    ]


def german_work_of(month: date, projects: Sequence[tuple[str, str]]) -> list[Work]:
    """The rows of a colleague whose export is in German."""
    pairs = list(islice(_forever(projects), GERMAN_ROWS))
    return [_row(month, number, 3, *pair, GERMAN_SPEAKER) for number, pair in enumerate(pairs)]


def write_english(file: Path, rows: Iterable[Work], *, faulty: bool = True) -> None:
    """Harvest's detailed time report; faulty: with three rows that cannot be right, to see what becomes of them."""
    cells = [_english(row) for row in rows]
    if faulty:
        day, *rest = cells[0]
        cells.insert(5, ["2026-13-40", *rest[:4], "A month that does not exist", *rest[5:]])
        cells.insert(50, [day, *rest[:4], "Hours that are no number", "lots", *rest[6:]])
        cells.insert(100, [day, rest[0], "", *rest[2:4], "No project", *rest[5:]])
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(HEADER)
        writer.writerows(cells)


def write_german(file: Path, rows: Iterable[Work]) -> None:
    """The same with semicolons, decimal commas, German headings and days such as 31.10.2026."""
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, delimiter=";")
        writer.writerow(GERMAN_HEADER)
        for row in rows:
            hours, billable = str(row.hours).replace(".", ","), "Ja" if row.billable else "Nein"
            day = f"{row.worked_on:%d.%m.%Y}"
            place, person = (row.client, row.project, "", row.task, row.note), (row.first_name, row.last_name)
            writer.writerow([day, *place, hours, billable, "Ja", *person, "GBP"])


def billable_hours(rows: Iterable[Work]) -> Decimal:
    """The hours that are to be invoiced."""
    return sum((row.hours for row in rows if row.billable), Decimal(0))


def _row(month: date, number: int, position: int, client: str, project: str, person: tuple[str, str]) -> Work:
    days = working_days(month)
    task = TASKS[(number + position) % len(TASKS)]
    return Work(
        worked_on=days[(number * 3 + position) % len(days)],
        client=client,
        project=project,
        task=task,
        note=f"{task}, item {number + 1}",
        hours=HOURS[(number * 5 + position * 2) % len(HOURS)],
        billable=(number + position) % _UNBILLED_EVERY != 0,
        first_name=person[0],
        last_name=person[1],
    )


def _english(row: Work) -> list[str]:
    rate, billable = "95.00", "Yes" if row.billable else "No"
    amount = str((row.hours * Decimal(rate)).quantize(Decimal("0.01"))) if row.billable else "0.00"
    return [
        row.worked_on.isoformat(), row.client, row.project, "", row.task, row.note, str(row.hours), str(row.hours),
        billable, "No", "Yes", row.first_name, row.last_name, "", "Yes", rate, amount, "55.00",
        str((row.hours * 55).quantize(Decimal("0.01"))), "GBP", "",
    ]  # fmt: skip


def _forever(pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    while True:
        yield from pairs
