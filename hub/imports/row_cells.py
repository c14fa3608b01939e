"""The cells of one row, read with what is known of the whole file; what is wrong with them is gathered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from hub.core.errors import RuleBroken
from hub.core.money import currency_code
from hub.imports.cell_values import (
    DayEvidence,
    DayOrder,
    DecimalEvidence,
    DecimalMark,
    Unreadable,
    day_from,
    decimal_from,
    yes_or_no,
)
from hub.imports.csv_reader import CsvFile, CsvRow
from hub.imports.layouts import ColumnMap


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one cell. column: its heading. reason: continues a sentence that begins with the value."""

    line: int
    column: str
    value: str
    reason: str

    def __str__(self) -> str:
        shown = f"“{self.value}” " if self.value else ""
        return f"line {self.line}, {self.column}: {shown}{self.reason}"


@dataclass(frozen=True, slots=True)
class Writing:
    """How a file writes numbers and days, decided by column. notes: guesses that a person should know."""

    decimal_marks: dict[str, DecimalMark]
    day_orders: dict[str, DayOrder]
    notes: tuple[str, ...]


def examine_writing(
    file: CsvFile,
    columns: ColumnMap,
    *,
    numbers: Sequence[str],
    days: Sequence[str],
    day_order: DayOrder | None = None,
) -> Writing:
    """How the file writes its numbers and days, from all its rows.

    numbers, days: the fields that are such. day_order: what the user declares.
    """
    number_columns = {name: DecimalEvidence() for name in numbers if columns.has(name)}
    day_columns = {name: DayEvidence() for name in days if columns.has(name)}
    for row in file.rows():
        for name, number in number_columns.items():
            number.see(columns.text(name, row.cells))
        for name, day in day_columns.items():
            day.see(columns.text(name, row.cells))
    # A column that does not tell (1,250 alone) follows the others, and at last what goes with the delimiter.
    usual = DecimalMark.COMMA if file.delimiter == ";" else DecimalMark.POINT
    together = DecimalEvidence(
        points=sum(evidence.points for evidence in number_columns.values()),
        commas=sum(evidence.commas for evidence in number_columns.values()),
    ).mark(usual)
    return Writing(
        {name: evidence.mark(together) for name, evidence in number_columns.items()},
        {name: day_order or evidence.order() for name, evidence in day_columns.items()},
        tuple(
            f"{columns.heading(name)}: days such as {evidence.example} were read day first; "
            "declare month-first if they are not."
            for name, evidence in day_columns.items()
            if evidence.is_guess and day_order is None
        ),
    )


class RowCells:
    """The cells of one row, read one by one; faults gather, so that a person sees all of a row's at once."""

    def __init__(self, row: CsvRow, columns: ColumnMap, writing: Writing) -> None:
        self.row, self.columns, self.writing = row, columns, writing
        self.faults: list[Fault] = []

    def fault(self, name: str, reason: str) -> None:
        """Note what is wrong with a field; reason continues a sentence that begins with the value."""
        heading = self.columns.heading(name) if self.columns.has(name) else name
        self.faults.append(Fault(self.row.line, heading, self.text(name), reason))

    def text(self, name: str) -> str:
        """The field as the row has it, empty when the file has no such column."""
        return self.columns.text(name, self.row.cells, joined_by="-" if name == "external_id" else " ")

    def needed(self, name: str) -> str:
        """A text; it is a fault when there is none."""
        text = self.text(name)
        if not text:
            self.fault(name, "is empty")
        return text

    def day(self, name: str) -> date | None:
        """A day, or None."""
        text = self.text(name)
        if not text:
            return None
        try:
            return day_from(text, self.writing.day_orders[name])
        except Unreadable as exc:
            self.fault(name, str(exc))
            return None

    def answer(self, name: str) -> bool | None:
        """Yes or no, or None."""
        text = self.text(name)
        if not text:
            return None
        try:
            return yes_or_no(text)
        except Unreadable as exc:
            self.fault(name, str(exc))
            return None

    def amount(self, name: str) -> Decimal | None:
        """A number that is not below zero, or None."""
        text = self.text(name)
        if not text:
            return None
        try:
            value = decimal_from(text, self.writing.decimal_marks[name])
        except Unreadable as exc:
            self.fault(name, str(exc))
            return None
        if value < 0:
            self.fault(name, "is below zero")
        return value

    def currency(self) -> str:
        """The currency's code, or nothing."""
        text = self.text("currency").rpartition(" - ")[2]  # Harvest writes “Euro - EUR”
        try:
            return currency_code(text) if text else ""
        except RuleBroken:
            self.fault("currency", "is no ISO 4217 currency code such as EUR")
            return ""
