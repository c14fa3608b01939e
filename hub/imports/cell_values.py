"""What a cell says: numbers with points or commas, hours, days, and yes or no in English and German.

How a column writes its numbers and days is decided once, from all its cells, so that 1,250 does not mean one thing in
one row and another in the next. A cell that cannot be read raises `Unreadable` with a reason for people.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

SECONDS_PER_HOUR: Final = 3600
FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2099

_YES: Final = {"yes", "y", "true", "t", "1", "x", "ja", "j", "wahr"}
_NO: Final = {"no", "n", "false", "f", "0", "nein", "falsch"}

_POINT_ONLY: Final = re.compile(
    r"[-+]?(\d*\.\d{1,2}|\d*\.\d{4,}|0?\.\d+|\d{4,}\.\d+|\d{1,3}(,\d{3})+\.\d*|\d{1,3}(,\d{3}){2,})", re.ASCII
)
_COMMA_ONLY: Final = re.compile(
    r"[-+]?(\d*,\d{1,2}|\d*,\d{4,}|0?,\d+|\d{4,},\d+|\d{1,3}(\.\d{3})+,\d*|\d{1,3}(\.\d{3}){2,})", re.ASCII
)
_POINT_NUMBER: Final = re.compile(r"[-+]?(\d+|\d{1,3}([,' ]\d{3})+)?(\.\d*)?", re.ASCII)
_COMMA_NUMBER: Final = re.compile(r"[-+]?(\d+|\d{1,3}([.' ]\d{3})+)?(,\d*)?", re.ASCII)
_CLOCK: Final = re.compile(r"(\d{1,4}):([0-5]\d)(?::([0-5]\d))?", re.ASCII)
_TIME_OF_DAY: Final = r"(?:[T ]+\d{1,2}:\d{2}\S*(?: ?[AaPp][Mm])?)?"
_ISO_DAY: Final = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})" + _TIME_OF_DAY, re.ASCII)
_OTHER_DAY: Final = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})" + _TIME_OF_DAY, re.ASCII)


class Unreadable(ValueError):
    """A cell does not say what its column should; the text is the reason, for people."""


class DecimalMark(StrEnum):
    POINT = "point"
    COMMA = "comma"


class DayOrder(StrEnum):
    """How 03/04/2026 is read. Days with dots are day first always, as are days that begin with the year."""

    DAY_FIRST = "day-first"
    MONTH_FIRST = "month-first"


@dataclass
class DecimalEvidence:
    """Counts the cells of a column that can be read in one way only."""

    points: int = 0
    commas: int = 0

    def see(self, text: str) -> None:
        number = text.strip().replace("\u00a0", "")
        self.points += bool(_POINT_ONLY.fullmatch(number))
        self.commas += bool(_COMMA_ONLY.fullmatch(number))

    def mark(self, otherwise: DecimalMark) -> DecimalMark:
        """The mark that most cells show; `otherwise` when no cell, or as many on both sides, tell."""
        if self.points == self.commas:
            return otherwise
        return DecimalMark.POINT if self.points > self.commas else DecimalMark.COMMA


@dataclass
class DayEvidence:
    """Counts the cells of a column whose day cannot be a month. example: a cell that fits both orders."""

    day_first: int = 0
    month_first: int = 0
    example: str = ""

    def see(self, text: str) -> None:
        found = _OTHER_DAY.fullmatch(text.strip())
        if not found or found[2] == ".":
            return
        first, second = int(found[1]), int(found[3])
        self.day_first += first > 12
        self.month_first += second > 12
        if first <= 12 and second <= 12 and first != second and not self.example:
            self.example = text.strip()

    def order(self) -> DayOrder:
        """Month first only when the column shows that, and nothing against it."""
        return DayOrder.MONTH_FIRST if self.month_first and not self.day_first else DayOrder.DAY_FIRST

    @property
    def is_guess(self) -> bool:
        return bool(self.example) and not self.day_first and not self.month_first


def decimal_from(text: str, mark: DecimalMark) -> Decimal:
    """A number such as 1,234.56 (point) or 1.234,56 (comma). Raises Unreadable."""
    number = text.strip().replace("\u00a0", " ").replace("\u202f", " ")
    pattern, grouping, decimal = (_POINT_NUMBER, ",", ".") if mark is DecimalMark.POINT else (_COMMA_NUMBER, ".", ",")
    if not pattern.fullmatch(number) or not re.search(r"\d", number):
        raise Unreadable(f"is not a number with a decimal {mark}")
    for separator in (grouping, "'", " "):
        number = number.replace(separator, "")
    return Decimal(number.replace(decimal, "."))


def hours_from(text: str, mark: DecimalMark) -> Fraction:
    """Hours, exactly, from decimal hours (1.75) or hours and minutes (1:45, 1:45:00). Raises Unreadable."""
    found = _CLOCK.fullmatch(text.strip())
    if found:
        return Fraction(int(found[1]) * SECONDS_PER_HOUR + int(found[2]) * 60 + int(found[3] or 0), SECONDS_PER_HOUR)
    try:
        return Fraction(decimal_from(text, mark))
    except Unreadable:
        raise Unreadable(f"is no number of hours; write decimal hours with a {mark}, or h:mm") from None


def day_from(text: str, order: DayOrder) -> date:
    """A day: 2026-03-31, 31.03.2026, 31/03/2026, or 03/31/2026 in a month-first column; a time of day is left out.

    Two-digit years are of this century. Raises Unreadable.
    """
    cell = text.strip()
    if found := _ISO_DAY.fullmatch(cell):
        year, month, day = int(found[1]), int(found[2]), int(found[3])
    elif found := _OTHER_DAY.fullmatch(cell):
        year = int(found[4]) + (2000 if len(found[4]) == 2 else 0)
        day, month = int(found[1]), int(found[3])
        if order is DayOrder.MONTH_FIRST and found[2] != ".":
            day, month = month, day
    else:
        raise Unreadable("is no day; write it as YYYY-MM-DD")
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise Unreadable(f"is outside the years {FIRST_YEAR} to {LAST_YEAR}")
    try:
        return date(year, month, day)
    except ValueError:
        raise Unreadable(f"is no day of the calendar, read {order}; write it as YYYY-MM-DD") from None


def yes_or_no(text: str) -> bool:
    """Yes or no, in English or German. Raises Unreadable."""
    word = text.strip().casefold()
    if word not in _YES | _NO:
        raise Unreadable("is neither yes nor no")
    return word in _YES


def hours_text(hours: Fraction) -> str:
    """Hours as people write them: at least two decimals, rounded at the sixth."""
    text = f"{Decimal(hours.numerator) / Decimal(hours.denominator):.6f}"
    whole, _, places = text.partition(".")
    return f"{whole}.{places[:2]}{places[2:].rstrip('0')}"
