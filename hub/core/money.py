"""Amounts, currencies, rounding and splitting. Money is Decimal in Python, never float."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Final

from babel.numbers import get_currency_precision, list_currencies

from hub.core.errors import RuleBroken

ZERO: Final = Decimal(0)
CENT: Final = Decimal("0.01")
_KNOWN: Final = frozenset(list_currencies("en"))


def currency_code(text: str) -> str:
    """The ISO 4217 code in capitals. Raises RuleBroken for a currency nobody knows."""
    code = text.strip().upper()
    if len(code) != 3 or code not in _KNOWN:
        raise RuleBroken(
            f"“{text}” is not a currency. Use a three-letter ISO 4217 code such as EUR.",
            fields={"currency": f"“{text}” is not an ISO 4217 code."},
        )
    return code


def exponent(currency: str) -> int:
    """Decimal places of a currency: JPY 0, EUR 2, KWD 3. Source: CLDR supplemental currency data (ISO 4217)."""
    return get_currency_precision(currency)


def rounded(value: Decimal, places: int = 2) -> Decimal:
    """Half away from zero to `places` decimals; a negative value rounds like its absolute value."""
    return value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)


def rounded_to(value: Decimal, currency: str) -> Decimal:
    """Half away from zero to the currency's own decimals."""
    return rounded(value, exponent(currency))


def split(total: Decimal, weights: Sequence[Decimal], *, places: int = 2) -> list[Decimal]:
    """Parts of `total` in proportion to `weights`, each with `places` decimals, that add up to it exactly.

    Largest remainder: every part is rounded towards zero, the units left over go to the largest remainders, ties
    to the earlier part. Weights are not negative and not all zero; total has at most `places` decimals.
    """
    whole = sum(weights, ZERO)
    if whole <= 0 or any(weight < 0 for weight in weights):
        raise ValueError("weights must not be negative, and at least one must be positive")
    unit = Decimal(1).scaleb(-places)
    exact = [total * weight / whole for weight in weights]
    parts = [value.quantize(unit, rounding=ROUND_DOWN) for value in exact]
    left = int((total - sum(parts, ZERO)) / unit)
    by_remainder = sorted(range(len(parts)), key=lambda i: (-abs(exact[i] - parts[i]), i))
    for index in by_remainder[: abs(left)]:
        parts[index] += unit if left > 0 else -unit
    return parts


def money_text(amount: Decimal, currency: str) -> str:
    """An amount as JSON carries it: a string with at least the currency's decimals, never an exponent."""
    places = max(exponent(currency), -int(amount.normalize().as_tuple().exponent))
    return f"{amount:.{places}f}"
