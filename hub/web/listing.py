"""One page of a long list for people, by the key of its first or last row: the list may grow while one reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from flask import request
from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

from hub.core.errors import RuleBroken

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class Listing:
    """The rows of one page. previous, next: the addresses of the pages beside it, or None."""

    rows: Sequence[Any]
    previous: str | None
    next: str | None


def listing(
    session: Session,
    statement: Select[Any],
    key: InstrumentedAttribute[Any],
    *,
    newest_first: bool = False,
    size: int = PAGE_SIZE,
) -> Listing:
    """The page that the query's `after` or `before` asks for. key: a unique column that the list is ordered by."""
    after, before = _key(key, "after"), _key(key, "before")
    backwards = after is None and before is not None
    descending = newest_first != backwards
    bound = before if backwards else after
    if bound is not None:
        statement = statement.where(key < bound if descending else key > bound)
    found = list(session.scalars(statement.order_by(key.desc() if descending else key).limit(size + 1)))
    has_more = len(found) > size
    rows = found[:size][::-1] if backwards else found[:size]
    has_previous, has_next = (has_more, True) if backwards else (after is not None, has_more)
    return Listing(
        rows,
        _address(before=_text(rows[0], key)) if rows and has_previous else None,
        _address(after=_text(rows[-1], key)) if rows and has_next else None,
    )


def query_text(name: str) -> str:
    """What the address says for a filter, without spaces around it; empty for nothing."""
    return request.args.get(name, "").strip()


EARLIEST, LATEST = 1900, 2999
"""The years that a filter may name."""


def query_day(name: str) -> date | None:
    """A day of a filter. Raises RuleBroken for a text that is none."""
    text = query_text(name)
    try:
        day = date.fromisoformat(text) if text else None
        if day is not None and not EARLIEST <= day.year <= LATEST:
            raise ValueError
        return day
    except ValueError:
        raise RuleBroken(f"“{text}” is no day. Write it as 2026-11-24.", fields={name: "is no day"}) from None


def _key(key: InstrumentedAttribute[Any], name: str) -> Any:
    text = query_text(name)
    if not text:
        return None
    try:
        return key.type.python_type(text)
    except ValueError:
        raise RuleBroken("This is no place in this list. Start at its first page.", fields={name: "is none"}) from None


def _text(row: Any, key: InstrumentedAttribute[Any]) -> str:
    value: UUID | int = getattr(row, key.key)
    return str(value)


def _address(**place: str) -> str:
    filters = [(name, value) for name, value in request.args.items() if value and name not in ("after", "before")]
    return f"{request.path}?{urlencode([*filters, *place.items()])}"
