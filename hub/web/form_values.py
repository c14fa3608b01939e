"""Values of posted forms, and what is said about wrong ones."""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation

from flask import request

from hub.core.errors import RuleBroken
from hub.core.money import exponent
from hub.web.display import words


def posted_text(name: str) -> str:
    """What was typed, without spaces around it."""
    return request.form.get(name, "").strip()


def posted_day(name: str) -> date | None:
    """A day, or None if nothing was typed. Raises RuleBroken."""
    text = posted_text(name)
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise RuleBroken(f"“{text}” is no day. Write it as 2026-11-24.", fields={name: "is no day"}) from None


def needed_day(name: str) -> date:
    """A day. Raises RuleBroken, also when nothing was typed."""
    day = posted_day(name)
    if day is None:
        raise RuleBroken(f"{words(name)}: choose a day.", fields={name: "is needed"})
    return day


def posted_amount(name: str, currency: str) -> Decimal | None:
    """An amount with a decimal point, or None if nothing was typed. Raises RuleBroken."""
    text = posted_text(name).replace(",", "").replace(" ", "")
    if not text:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    places = exponent(currency)
    if not amount.is_finite() or amount != amount.quantize(Decimal(1).scaleb(-places)) or abs(amount) >= 10**12:
        raise RuleBroken(
            f"“{posted_text(name)}” is not an amount in {currency}. Write it as {Decimal('1234.5'):.{places}f}.",
            fields={name: "is no amount"},
        )
    return amount


def form_errors(refused: RuleBroken) -> dict[str, str]:
    """A sentence for each field of a refused form; under an empty name what is about none of them."""
    if len(refused.fields) <= 1:
        return {next(iter(refused.fields), ""): str(refused)}
    return {name: f"{words(name)} {text}" for name, text in refused.fields.items()}
