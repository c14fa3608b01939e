"""The arithmetic of an invoice: lines, taxes, totals. Pure."""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final, Protocol

from hub.core.money import ZERO, rounded_to
from hub.core.records import TaxGroup

GROUPINGS: Final = ("client", "project", "month")
"""What a draft may be made per. Company, client and currency always divide."""


class TaxedLine(Protocol):
    @property
    def net(self) -> Decimal: ...
    @property
    def tax_rate(self) -> Decimal: ...


@dataclass(frozen=True, slots=True)
class Totals:
    net: Decimal
    tax: Decimal

    @property
    def total(self) -> Decimal:
        return self.net + self.tax


def line_net(quantity: Decimal, rate: Decimal, currency: str) -> Decimal:
    """quantity x rate, rounded half up to the currency: what the line shows is what was multiplied."""
    return rounded_to(quantity * rate, currency)


def taxes_of(lines: Sequence[TaxedLine], currency: str) -> tuple[TaxGroup, ...]:
    """Tax per rate: base = sum of the lines' nets, tax = base x rate, rounded once (EN 16931, BR-CO-17)."""
    rates = sorted({line.tax_rate for line in lines})
    bases = [sum((line.net for line in lines if line.tax_rate == rate), ZERO) for rate in rates]
    return tuple(
        TaxGroup(rate, base, rounded_to(base * rate / 100, currency)) for rate, base in zip(rates, bases, strict=True)
    )


def totals_of(lines: Sequence[TaxedLine], currency: str) -> Totals:
    """Net and tax of a document."""
    taxes = taxes_of(lines, currency)
    return Totals(sum((line.net for line in lines), ZERO), sum((group.tax for group in taxes), ZERO))


def last_day_of_month(day: date) -> date:
    """The day an invoice for this month is dated."""
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


def period_of(days: Iterable[date]) -> tuple[date, date]:
    """The first and the last day worked."""
    known = sorted(days)
    return known[0], known[-1]
