"""How values look on a page: the filters and globals that every template may use.

All filters take None and give an empty text. A request may set, on `flask.g`: `locale` (a Babel locale, British English
by default), `time_zone` (the company's, UTC by default) and `now` (an aware instant; the clock's by default).
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime, format_timedelta
from babel.numbers import format_currency, format_decimal
from flask import Flask, g, url_for

DEFAULT_LOCALE = "en_GB"


def prepare_templates(app: Flask) -> None:
    """Give an application's templates the filters and globals of this module."""
    filters = (money, number, percent, hours, day, weekday, instant, ago, initials, words)
    app.jinja_env.filters.update({each.__name__: each for each in filters})
    app.jinja_env.globals["asset"] = asset
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True


def asset(path: str) -> str:
    """The address of a static file; it changes with the file, so that browsers may keep it for ever."""
    return url_for("static", filename=path, v=_digest(path))


@lru_cache(maxsize=256)
def _digest(path: str) -> str:
    file = Path(__file__).with_name("static") / path
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


def money(amount: Decimal | None, currency: str) -> str:
    """1234.5 in GBP → £1,234.50, with the decimals of the currency; a code is set off: SEK 1,234.50."""
    if amount is None:
        return ""
    text = format_currency(abs(amount), currency, locale=_locale())
    spaced = re.sub(r"(?<=[A-Z]{3})(?=\d)|(?<=\d)(?=[A-Z]{3})", "\N{NO-BREAK SPACE}", text)
    return f"\N{MINUS SIGN}{spaced}" if amount < 0 else spaced


def number(value: Decimal | int | None) -> str:
    """1234 → 1,234; up to six decimals, none that are not there."""
    return "" if value is None else format_decimal(value, format="#,##0.######", locale=_locale())


def percent(value: Decimal | int | None) -> str:
    """A value in per cent: 20 → 20 %."""
    return "" if value is None else f"{number(value)}\N{NO-BREAK SPACE}%"


def hours(seconds: int | None) -> str:
    """Working time: whole minutes as h:mm (5400 → 1:30), anything finer as decimal hours (36 → 0.01)."""
    if seconds is None:
        return ""
    if seconds % 60 == 0:
        return f"{seconds // 3600}:{seconds % 3600 // 60:02}"
    return f"{Decimal(seconds) / 3600:.2f}"


def day(value: date | None) -> str:
    """24 Nov 2026."""
    return "" if value is None else format_date(value, "d MMM yyyy", locale=_locale())


def weekday(value: date | None) -> str:
    """Tue 24 Nov."""
    return "" if value is None else format_date(value, "EEE d MMM", locale=_locale())


def instant(value: datetime | None) -> str:
    """24 Nov 2026, 14:05 in the company's time zone."""
    if value is None:
        return ""
    zone = ZoneInfo(g.get("time_zone") or "UTC")
    return format_datetime(value.astimezone(zone), "d MMM yyyy, HH:mm", locale=_locale())


def ago(value: datetime | None) -> str:
    """How long ago, or in how long: 3 minutes ago, in 2 days."""
    if value is None:
        return ""
    now = g.get("now") or datetime.now(UTC)
    return format_timedelta(value - now, add_direction=True, locale=_locale())


def initials(name: str) -> str:
    """Ada King Lovelace → AL."""
    parts = name.split()
    return "".join(part[0] for part in (parts[:1] + parts[1:][-1:])).upper()


def words(name: str) -> str:
    """A name of the program as a person reads it: credit_notes → Credit notes."""
    return name.replace("_", " ").replace("-", " ").capitalize()


def _locale() -> str:
    return g.get("locale") or DEFAULT_LOCALE
