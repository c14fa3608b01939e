"""What a cell says is decided by its whole column, and a cell that cannot be read says why."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from hub.imports.cell_values import (
    DayEvidence,
    DayOrder,
    DecimalEvidence,
    DecimalMark,
    Unreadable,
    day_from,
    decimal_from,
    hours_from,
    hours_text,
    yes_or_no,
)

POINT, COMMA = DecimalMark


def seen(evidence, cells):
    for cell in cells:
        evidence.see(cell)
    return evidence


@pytest.mark.parametrize(
    ("cells", "mark"),
    [
        (["0.75", "1,250"], POINT),
        (["0,75", "1.250"], COMMA),
        (["1.234,56"], COMMA),
        (["1,234.56"], POINT),
        (["1.234.567"], COMMA),  # points that group thousands
        (["1,234,567"], POINT),
        (["0,500"], COMMA),  # no group begins with a lonely zero
        (["1,250", "12"], POINT),  # either way: what the caller takes for usual
        (["1.5", "2.5", "3,5"], POINT),  # most cells decide; the third will be a fault
    ],
)
def test_the_decimal_mark_is_that_of_the_column(cells, mark):
    assert seen(DecimalEvidence(), cells).mark(otherwise=POINT) is mark


def test_a_column_that_does_not_tell_follows_what_is_usual():
    assert seen(DecimalEvidence(), ["1.250"]).mark(otherwise=COMMA) is COMMA


@pytest.mark.parametrize(
    ("text", "mark", "value"),
    [
        ("1,234.56", POINT, "1234.56"),
        ("1.234,56", COMMA, "1234.56"),
        ("0,75", COMMA, "0.75"),
        (".5", POINT, "0.5"),
        ("8.", POINT, "8"),
        ("-1.25", POINT, "-1.25"),
        ("1'234.50", POINT, "1234.50"),
        ("1\u00a0234,50", COMMA, "1234.50"),
        ("80", COMMA, "80"),
    ],
)
def test_numbers(text, mark, value):
    assert decimal_from(text, mark) == Decimal(value)


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("0,75", POINT),
        ("1.5", COMMA),
        ("", POINT),
        (".", POINT),
        ("1e5", POINT),
        ("NaN", POINT),
        ("12,34,567", POINT),
        ("٣", POINT),
    ],
)
def test_what_is_no_number_in_this_column(text, mark):
    with pytest.raises(Unreadable, match=f"is not a number with a decimal {mark}"):
        decimal_from(text, mark)


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("1.75", Fraction(7, 4)),
        ("1:45", Fraction(7, 4)),
        ("0:20", Fraction(1, 3)),  # exact, as no decimal can be
        ("25:00:36", Fraction(2501, 100)),
    ],
)
def test_hours_are_exact(text, hours):
    assert hours_from(text, POINT) == hours


@pytest.mark.parametrize("text", ["1:75", "1h", "eight", "-1:30"])
def test_what_is_no_number_of_hours(text):
    with pytest.raises(Unreadable, match="is no number of hours; write decimal hours with a point, or h:mm"):
        hours_from(text, POINT)


@pytest.mark.parametrize(
    ("hours", "text"),
    [(Fraction(3, 2), "1.50"), (Fraction(0), "0.00"), (Fraction(1, 3), "0.333333"), (Fraction(1, 8), "0.125")],
)
def test_hours_as_people_write_them(hours, text):
    assert hours_text(hours) == text


@pytest.mark.parametrize(
    ("cells", "order", "is_guess"),
    [
        (["03/04/2026", "31/03/2026"], DayOrder.DAY_FIRST, False),
        (["03/04/2026", "03/31/2026"], DayOrder.MONTH_FIRST, False),
        (["31/03/2026", "03/31/2026"], DayOrder.DAY_FIRST, False),  # both: the second will be a fault
        (["03/04/2026"], DayOrder.DAY_FIRST, True),
        (["03/03/2026"], DayOrder.DAY_FIRST, False),  # the same either way
        (["03.04.2026", "2026-03-04"], DayOrder.DAY_FIRST, False),
    ],
)
def test_the_order_of_day_and_month_is_that_of_the_column(cells, order, is_guess):
    evidence = seen(DayEvidence(), cells)
    assert (evidence.order(), evidence.is_guess) == (order, is_guess)


@pytest.mark.parametrize(
    ("text", "order", "day"),
    [
        ("2026-03-04", DayOrder.MONTH_FIRST, date(2026, 3, 4)),
        ("2026-03-04T09:30:00+01:00", DayOrder.DAY_FIRST, date(2026, 3, 4)),
        ("2026-03-04 09:30", DayOrder.DAY_FIRST, date(2026, 3, 4)),
        ("04.03.2026", DayOrder.MONTH_FIRST, date(2026, 3, 4)),  # dots are day first always
        ("4.3.26", DayOrder.DAY_FIRST, date(2026, 3, 4)),
        ("04/03/2026", DayOrder.DAY_FIRST, date(2026, 3, 4)),
        ("04/03/2026", DayOrder.MONTH_FIRST, date(2026, 4, 3)),
        ("04-03-2026", DayOrder.DAY_FIRST, date(2026, 3, 4)),
        ("4/3/2026 9:30 AM", DayOrder.MONTH_FIRST, date(2026, 4, 3)),
    ],
)
def test_days(text, order, day):
    assert day_from(text, order) == day


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("soon", "is no day; write it as YYYY-MM-DD"),
        ("2026-02-30", "is no day of the calendar"),
        ("03/31/2026", "is no day of the calendar, read day-first"),
        ("0206-03-04", "is outside the years 1970 to 2099"),
        ("04.03-2026", "is no day; write it as YYYY-MM-DD"),
    ],
)
def test_what_is_no_day(text, reason):
    with pytest.raises(Unreadable, match=reason):
        day_from(text, DayOrder.DAY_FIRST)


@pytest.mark.parametrize(
    ("text", "answer"),
    [("Yes", True), ("ja", True), ("WAHR", True), ("1", True), ("No", False), ("Nein", False), ("falsch", False)],
)
def test_yes_and_no_in_english_and_german(text, answer):
    assert yes_or_no(text) is answer


def test_what_is_neither_yes_nor_no():
    with pytest.raises(Unreadable, match="is neither yes nor no"):
        yes_or_no("perhaps")
