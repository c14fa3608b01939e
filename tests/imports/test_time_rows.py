"""A row of a time export is blocks of work, or faults that say what to mend."""

from __future__ import annotations

import io
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from hub.core.errors import RuleBroken
from hub.imports.cell_values import DayOrder
from hub.imports.csv_reader import open_csv
from hub.imports.layouts import TIME_FIELDS, TIME_LAYOUTS, resolve_columns
from hub.imports.row_cells import examine_writing
from hub.imports.time_rows import (
    BadRow,
    GoodRow,
    check_columns,
    even_parts,
    read_time_rows,
    working_days,
)

SIP_MAPPING = {
    "client": "ProjectCode",
    "project": "ProjectBreakdownCode",
    "task": "Summary",
    "person": "DeveloperID",
    "start": "StartedOn",
    "date": "CompletedOn",
    "hours": "DeveloperHoursActual",
    "external_id": "TaskNumber+DeveloperID",
}
HEADER = "client,project,task,person,start,date,hours,external_id,billable,rate,currency"
ROW = {
    "client": "Acme",
    "project": "Web",
    "task": "Design",
    "person": "Ada",
    "start": "",
    "date": "2026-03-02",
    "hours": "1.5",
    "external_id": "1",
}


def examined(file, columns, **given):
    return examine_writing(file, columns, numbers=("hours", "rate"), days=("date", "start"), **given)


def read(lines: Iterable[str], **given):
    with open_csv(io.BytesIO("\n".join(lines).encode())) as file:
        columns = resolve_columns(file.header, fields=TIME_FIELDS, layouts=TIME_LAYOUTS)
        check_columns(columns)
        return list(read_time_rows(file, columns, examined(file, columns, **given)))


def read_row(**values):
    row = dict.fromkeys(HEADER.split(","), "") | ROW | values
    [read_back] = read([HEADER, ",".join(row.values())])
    return read_back


def faults(row):
    assert isinstance(row, BadRow)
    return [str(fault) for fault in row.faults]


def days(row):
    assert isinstance(row, GoodRow)
    return [(entry.worked_on.isoformat(), Decimal(entry.seconds) / 3600) for entry in row.entries]


def test_a_row_is_a_block_of_work_in_whole_seconds():
    row = read_row(billable="no", rate="80.00", currency="eur")
    [entry] = row.entries
    assert (entry.client, entry.project, entry.task, entry.person) == ("Acme", "Web", "Design", "Ada")
    assert (entry.worked_on, entry.seconds, entry.external_id) == (date(2026, 3, 2), 5_400, "1")  # 1.5 h x 3,600 s
    assert (entry.billable, entry.approved, entry.rate, entry.currency) == (False, None, Decimal("80.00"), "EUR")


def test_a_currency_may_have_its_name_before_its_code():
    assert read_row(currency="Euro - EUR").entries[0].currency == "EUR"


def test_without_a_date_the_start_is_the_day():
    assert days(read_row(date="", start="2026-03-01")) == [("2026-03-01", Decimal("1.5"))]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"client": ""}, ["line 2, client: is empty"]),
        ({"task": "", "person": " "}, ["line 2, task: is empty", "line 2, person: is empty"]),
        ({"date": ""}, ["line 2, date: is empty, and so is the start"]),
        ({"date": "soon"}, ["line 2, date: “soon” is no day; write it as YYYY-MM-DD"]),
        ({"start": "2026-03-03"}, ["line 2, date: “2026-03-02” is before the start, 2026-03-03"]),
        ({"hours": "0"}, ["line 2, hours: “0” is not above zero"]),
        ({"hours": "-1"}, ["line 2, hours: “-1” is not above zero"]),
        ({"hours": "1600.01"}, ["line 2, hours: “1600.01” is more than one row can hold, which is 1600 hours"]),
        (
            {"hours": "0.3333"},  # 1,199.88 s
            ["line 2, hours: “0.3333” is no whole number of seconds; write two decimals, or h:mm:ss"],
        ),
        ({"billable": "perhaps"}, ["line 2, billable: “perhaps” is neither yes nor no"]),
        ({"rate": "much"}, ["line 2, rate: “much” is not a number with a decimal point"]),
        ({"currency": "EURO"}, ["line 2, currency: “EURO” is no ISO 4217 currency code such as EUR"]),
        (
            {"external_id": ""},
            ["line 2, external_id: is empty, in part or as a whole; each row needs an id of its own"],
        ),
    ],
)
def test_what_is_wrong_with_a_row_is_said_by_line_column_value_and_reason(values, expected):
    assert faults(read_row(**values)) == expected


def test_hours_of_a_row_with_a_fault_are_known_when_they_can_be_read():
    assert read_row(client="", hours="1.25").hours == Fraction(5, 4)
    assert read_row(hours="many").hours is None


def test_a_row_of_24_hours_stays_on_its_day():
    assert days(read_row(hours="24")) == [("2026-03-02", Decimal(24))]


# March 2026: the 2nd is a Monday, the 6th a Friday.
@pytest.mark.parametrize(
    ("hours", "start", "completion", "expected"),
    [
        ("30", "2026-03-02", "2026-03-31", {2: "7.5", 3: "7.5", 4: "7.5", 5: "7.5"}),  # 30 / 8 needs 4 days
        ("24.01", "2026-03-05", "", {5: "6.01", 6: "6", 9: "6", 10: "6"}),  # over the week-end; no completion
        ("40.03", "2026-03-05", "2026-03-09", {5: "13.35", 6: "13.34", 9: "13.34"}),  # 3 days, more than 8 h each
        ("48", "2026-03-06", "2026-03-09", {6: "24", 9: "24"}),
        ("25", "2026-03-07", "2026-03-31", {9: "6.25", 10: "6.25", 11: "6.25", 12: "6.25"}),  # starts on a Saturday
    ],
)
def test_a_row_of_more_than_24_hours_is_spread_over_the_working_days_from_its_start(hours, start, completion, expected):
    row = read_row(hours=hours, start=start, date=completion, external_id="7")
    assert days(row) == [(f"2026-03-{day:02}", Decimal(part)) for day, part in expected.items()]
    assert sum(part for _, part in days(row)) == Decimal(hours)
    assert [entry.external_id for entry in row.entries] == [f"7#{number}" for number in range(1, len(expected) + 1)]


@pytest.mark.parametrize(
    ("hours", "start", "completion", "reason"),
    [
        ("48.01", "2026-03-06", "2026-03-09", "hold, which is 2 x 24 = 48 hours"),
        ("25", "2026-03-07", "2026-03-08", "hold, which is 0 x 24 = 0 hours"),  # a week-end has no working day
        ("25", "", "2026-03-09", "a start is needed to spread it"),
    ],
)
def test_hours_that_the_days_cannot_hold_cannot_be_right(hours, start, completion, reason):
    [fault] = faults(read_row(hours=hours, start=start, date=completion))
    assert reason in fault


def test_two_rows_with_one_id_are_not_taken_for_one():
    first, second = read([HEADER, "Acme,Web,Design,Ada,,2026-03-02,1,9,,,", "Acme,Web,Design,Bob,,2026-03-02,2,9,,,"])
    assert isinstance(first, GoodRow)
    assert faults(second) == ["line 3, external_id: “9” is the id of line 2 already; each row needs an id of its own"]


def test_without_ids_each_of_two_equal_rows_is_an_entry_and_keeps_its_id_at_the_next_reading():
    header = "client,project,task,person,date,hours,note,billable"
    lines = [header, *["Acme,Web,Design,Ada,2026-03-02,1,Call,yes"] * 2, "Acme,Web,Design,Ada,2026-03-02,1,Mail,yes"]
    ids = [row.entries[0].external_id for row in read(lines)]
    assert len(set(ids)) == 3
    written_otherwise = [
        line.replace(",", ";").replace("2026-03-02", "02.03.2026").replace("yes", "nein") for line in lines
    ]
    assert [row.entries[0].external_id for row in read(written_otherwise)] == ids


def test_the_german_report_says_the_same_as_the_english_one():
    german = "Datum;Kunde;Projekt;Projektcode;Aufgabe;Notizen;Stunden;Abrechenbar?;Vorname;Nachname;Stundensatz;Währung"
    english = "Date,Client,Project,Project Code,Task,Notes,Hours,Billable?,First Name,Last Name,Billable Rate,Currency"
    [from_german] = read([german, "31.03.2026;Acme;Web;W1;Design;Entwurf;0,75;Ja;Ada;King;1.080,50;EUR"])
    [from_english] = read([english, "2026-03-31,Acme,Web,W1,Design,Entwurf,0.75,Yes,Ada,King,1080.50,EUR"])
    assert from_german.entries == from_english.entries
    assert from_german.entries[0].person == "Ada King"
    assert from_german.entries[0].seconds == 2_700  # 0.75 h x 3,600 s


def test_days_that_could_be_months_are_read_day_first_and_the_user_is_told():
    lines = ["client,project,task,person,date,hours", "Acme,Web,Design,Ada,03/04/2026,1"]
    assert days(read(lines)[0]) == [("2026-04-03", Decimal(1))]
    assert days(read(lines, day_order=DayOrder.MONTH_FIRST)[0]) == [("2026-03-04", Decimal(1))]
    with open_csv(io.BytesIO("\n".join(lines).encode())) as file:
        columns = resolve_columns(file.header, fields=TIME_FIELDS, layouts=TIME_LAYOUTS)
        assert examined(file, columns).notes == (
            "date: days such as 03/04/2026 were read day first; declare month-first if they are not.",
        )
        assert examined(file, columns, day_order=DayOrder.DAY_FIRST).notes == ()


def test_a_mapping_that_leaves_out_what_each_row_needs_is_refused():
    with open_csv(io.BytesIO(b"Client,Hours\n")) as file:
        columns = resolve_columns(file.header, fields=TIME_FIELDS, layouts=TIME_LAYOUTS, mapping={"client": "Client"})
        with pytest.raises(RuleBroken, match="No column is given for project, task, hours, person, date"):
            check_columns(columns)


@pytest.mark.parametrize(
    ("seconds", "count", "parts"),
    [
        (90_036, 2, [45_036, 45_000]),  # 25.01 h = 12.51 + 12.50
        (90_000, 3, [30_024, 29_988, 29_988]),  # 2,500 steps = 834 + 833 + 833
        (90_020, 2, [45_000, 45_020]),  # 20 s are no step: they go with the last part
    ],
)
def test_parts_are_even_and_add_up(seconds, count, parts):
    assert even_parts(seconds, count) == parts
    assert sum(parts) == seconds


def test_working_days_are_monday_to_friday():
    assert working_days(date(2026, 3, 6), until=None, at_most=2) == [date(2026, 3, 6), date(2026, 3, 9)]
    assert working_days(date(2026, 3, 7), until=date(2026, 3, 8), at_most=2) == []


def test_every_hour_of_the_sip_data_is_in_a_good_row_or_in_a_bad_one(sip_tasks):
    with open_csv(sip_tasks) as file:
        columns = resolve_columns(file.header, fields=TIME_FIELDS, layouts=TIME_LAYOUTS, mapping=SIP_MAPPING)
        check_columns(columns)
        rows = list(read_time_rows(file, columns, examined(file, columns)))
    good = [row for row in rows if isinstance(row, GoodRow)]
    assert len(rows) == 7_488
    assert sum(row.hours for row in rows) == Decimal("42608.80")
    for row in good:
        assert sum(entry.seconds for entry in row.entries) == row.hours * 3_600
        assert all(0 < entry.seconds <= 24 * 3_600 for entry in row.entries)
        assert len(row.entries) == 1 or all(entry.worked_on.weekday() < 5 for entry in row.entries)
    assert len({entry.external_id for row in good for entry in row.entries}) == sum(len(row.entries) for row in good)
    # 113 rows without any day, 5 long ones without a start, 2 completed before the start, 1 of 42 hours on one day
    assert len(rows) - len(good) == 121
