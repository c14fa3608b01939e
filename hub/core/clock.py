"""What time it is. Business code asks `now()`; leases ask the database, whose clock all workers share."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ColumnElement

from hub.core.columns import UtcDateTime


def now() -> datetime:
    """This instant, aware, in UTC."""
    return datetime.now(UTC)


def today(time_zone: str) -> date:
    """The day it is at a place, named as in the IANA database (Europe/Berlin)."""
    return now().astimezone(ZoneInfo(time_zone)).date()


class database_now(ColumnElement[datetime]):
    """The database's clock, `plus_s` seconds ahead, for leases that several hosts compare."""

    inherit_cache = True
    type = UtcDateTime()

    def __init__(self, *, plus_s: float = 0) -> None:
        self.plus_s = float(plus_s)
        self._cache_plus = self.plus_s

    # The seconds are part of the statement's text, so two values must not share one compiled statement.
    def _gen_cache_key(self, anon_map: Any, bindparams: Any) -> tuple[Any, ...]:
        return (type(self), self.plus_s)


@compiles(database_now, "sqlite")
def _on_sqlite(element: database_now, compiler: SQLCompiler, **kw: Any) -> str:
    # Written as UtcDateTime stores it (microseconds), because SQLite compares instants as text.
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', '{element.plus_s:+.3f} seconds')"


@compiles(database_now, "postgresql")
def _on_postgresql(element: database_now, compiler: SQLCompiler, **kw: Any) -> str:
    return f"(clock_timestamp() + make_interval(secs => {element.plus_s:.3f}))"
