"""What options accept, beyond what click knows: money, days, key=value pairs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import click

_MOST_PLACES = 6
_TOO_LARGE = 10**12


class DecimalType(click.ParamType[Decimal, Any]):
    """A decimal number, digit by digit: at most six decimals, below 1,000,000,000,000."""

    name = "decimal"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        if isinstance(value, Decimal):
            return value
        try:
            number = Decimal(str(value).strip())
        except InvalidOperation:
            self.fail(f"“{value}” is not a number; write it like 80.00", param, ctx)
        if not number.is_finite():
            self.fail(f"“{value}” is not a number; write it like 80.00", param, ctx)
        if abs(number) >= _TOO_LARGE:
            self.fail(f"“{value}” is too large; write a number below {_TOO_LARGE:,}", param, ctx)
        if -int(number.normalize().as_tuple().exponent) > _MOST_PLACES:
            self.fail(f"“{value}” has too many decimals; write at most {_MOST_PLACES}", param, ctx)
        return number


class DayType(click.ParamType[date, Any]):
    """A day: 2026-11-30."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(str(value).strip())
        except ValueError:
            self.fail(f"“{value}” is not a day; write it like 2026-11-30", param, ctx)


DECIMAL = DecimalType()
DAY = DayType()


def pairs_of(texts: Iterable[str]) -> dict[str, str]:
    """The values of KEY=VALUE texts. Raises click.BadParameter for one without “=”."""
    found: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name.strip():
            # The text may be a secret that was meant to have a name; it is not repeated.
            raise click.BadParameter("Settings are written KEY=VALUE.")
        found[name.strip()] = value
    return found
