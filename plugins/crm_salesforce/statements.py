"""SOQL statements. Values are escaped by simple-salesforce, identifiers come from our own tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

MOST_ENCODED = 8_000
"""Characters of a list of values in an address; addresses of more than 16 KB are refused."""


def escaped(condition: str, *values: Any) -> str:
    """A condition with each `{}` replaced by its value, quoted and escaped; `{:like}` escapes wildcards too."""
    from simple_salesforce.format import format_soql  # type: ignore[import-untyped,unused-ignore]

    return str(format_soql(condition, *values))


def select(fields: Iterable[str], name: str, conditions: Iterable[str], *, order: str = "") -> str:
    """A statement; the conditions must all hold."""
    where = " AND ".join(f"({condition})" if " OR " in condition else condition for condition in conditions)
    parts = [
        f"SELECT {', '.join(fields)} FROM {name}",  # noqa: S608 - names are our own, values come escaped
        f"WHERE {where}" if where else "",
        order and f"ORDER BY {order}",
    ]
    return " ".join(part for part in parts if part)


def any_of(conditions: Iterable[str]) -> str:
    return " OR ".join(conditions)


def instant_text(at: datetime) -> str:
    """An instant as a literal, in UTC; with thousandths only where it has some."""
    unit = "milliseconds" if at.microsecond else "seconds"
    return at.astimezone(UTC).isoformat(timespec=unit).replace("+00:00", "Z")


def in_pieces(values: Sequence[str], *, longest: int = MOST_ENCODED) -> Iterator[list[str]]:
    """The values in lists that fit into an address."""
    piece: list[str] = []
    length = 0
    for value in values:
        size = len(quote(escaped("{}", value), safe="")) + 3  # a comma takes three characters
        if piece and length + size > longest:
            yield piece
            piece, length = [], 0
        piece.append(value)
        length += size
    if piece:
        yield piece
