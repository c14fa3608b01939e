from __future__ import annotations

import csv
from datetime import date
from decimal import Decimal

from hub.demo.time_export import (
    GERMAN_HEADER,
    HEADER,
    billable_hours,
    german_work_of,
    work_of,
    working_days,
    write_english,
    write_german,
)

OCTOBER = date(2026, 10, 15)
PROJECTS = [("Harbour Foods", "Website"), ("Mill Road Books", "Shop")]


def read(file, delimiter=","):
    return list(csv.reader(file.read_text(encoding="utf-8").splitlines(), delimiter=delimiter))


def test_october_2026_has_22_working_days():
    days = working_days(OCTOBER)

    assert (days[0], days[-1], len(days)) == (date(2026, 10, 1), date(2026, 10, 30), 22)


def test_the_same_month_gives_the_same_rows():
    assert work_of(OCTOBER, PROJECTS) == work_of(date(2026, 10, 1), PROJECTS)


def test_every_row_is_different_so_that_none_is_taken_for_a_repeat():
    rows = [*work_of(OCTOBER, PROJECTS), *german_work_of(OCTOBER, PROJECTS)]

    assert len(set(rows)) == len(rows) == 2 * 29 + 12


def test_the_export_has_harvests_header_and_three_rows_that_cannot_be_right(tmp_path):
    write_english(tmp_path / "harvest.csv", work_of(OCTOBER, [*PROJECTS, ("A", "B"), ("C", "D")]))

    header, *rows = read(tmp_path / "harvest.csv")
    assert header == list(HEADER)
    assert {len(row) for row in rows} == {21}
    assert len(rows) == 4 * 29 + 3
    assert [row[0] for row in rows if row[5] == "A month that does not exist"] == ["2026-13-40"]
    assert [row[6] for row in rows if row[5] == "Hours that are no number"] == ["lots"]
    assert [row[2] for row in rows if row[5] == "No project"] == [""]


def test_the_german_export_has_semicolons_decimal_commas_and_the_day_first(tmp_path):
    work = german_work_of(OCTOBER, PROJECTS)
    write_german(tmp_path / "harvest.csv", work)

    header, *rows = read(tmp_path / "harvest.csv", ";")
    assert header == list(GERMAN_HEADER)
    assert rows[0][0] == f"{work[0].worked_on:%d.%m.%Y}"
    assert rows[0][6] == str(work[0].hours).replace(".", ",")
    assert {row[7] for row in rows} == {"Ja", "Nein"}


def test_what_is_not_billable_is_not_invoiced():
    rows = work_of(OCTOBER, PROJECTS)

    left_out = sum((row.hours for row in rows if not row.billable), Decimal(0))
    assert left_out > 0
    assert billable_hours(rows) == sum(row.hours for row in rows) - left_out
