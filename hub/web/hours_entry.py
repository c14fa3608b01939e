"""Hours as people type them into a week."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from hub.core.errors import RuleBroken
from hub.core.timesheets.rules import SECONDS_PER_HOUR

_DAY_S: Final = 24 * SECONDS_PER_HOUR
_CLOCK = re.compile(r"(\d{1,2})[:h]([0-5]\d)", re.IGNORECASE)
_DECIMAL = re.compile(r"(\d{0,2}[.,]\d{1,4}|\d{1,2})\s*h?", re.IGNORECASE)


def seconds_from(text: str) -> int:
    """7:30, 7.5, 7,5 and 7h30 are 27000; nothing is 0. Raises RuleBroken for anything else, or more than a day."""
    clean = text.strip()
    if not clean:
        return 0
    clock, plain = _CLOCK.fullmatch(clean), _DECIMAL.fullmatch(clean)
    if clock:
        seconds = int(clock[1]) * SECONDS_PER_HOUR + int(clock[2]) * 60
    elif plain:
        hours = Decimal(plain[1].replace(",", "."))
        seconds = int((hours * SECONDS_PER_HOUR).quantize(Decimal(1), rounding=ROUND_HALF_UP))
    else:
        raise RuleBroken(f"“{text}” is no time. Write hours as 7:30 or 7.5.")
    if seconds > _DAY_S:
        raise RuleBroken(f"{clean} is more than the 24 hours of a day.")
    return seconds
