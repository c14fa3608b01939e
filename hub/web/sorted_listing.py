"""One page of a list that people read in an order of their own: by name, or by date."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from flask import request
from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from hub.core.errors import RuleBroken
from hub.web.listing import PAGE_SIZE, Listing, query_text


def sorted_listing(
    session: Session,
    statement: Select[Any],
    model: Any,
    by: ColumnElement[Any] | InstrumentedAttribute[Any],
    *,
    descending: bool = False,
    size: int = PAGE_SIZE,
) -> Listing:
    """The page that the query's `after` or `before` asks for: the id of the row beside it.

    statement selects entities of `model`; by: a column or expression of it that is never empty; rows of the same value
    stand in the order of their ids.
    """
    after, before = _row_id("after"), _row_id("before")
    backwards = after is None and before is not None
    bound = before if backwards else after
    downwards = descending != backwards
    if bound is not None:
        statement = statement.where(_beyond(session, model, by, bound, downwards=downwards))
    order = (by.desc(), model.id.desc()) if downwards else (by, model.id)
    found = list(session.scalars(statement.order_by(*order).limit(size + 1)))
    has_more = len(found) > size
    rows = found[:size][::-1] if backwards else found[:size]
    has_previous, has_next = (has_more, True) if backwards else (after is not None, has_more)
    return Listing(
        rows,
        _address(before=str(rows[0].id)) if rows and has_previous else None,
        _address(after=str(rows[-1].id)) if rows and has_next else None,
    )


def how_many(session: Session, statement: Select[Any], one: str, several: str) -> str:
    """How long the whole list is: “312 clients”."""
    number = session.scalar(select(func.count()).select_from(statement.order_by(None).subquery())) or 0
    return f"{number:,} {one if number == 1 else several}"


def _beyond(session: Session, model: Any, by: Any, bound: UUID, *, downwards: bool) -> Any:
    value = session.scalar(select(by).where(model.id == bound))
    if value is None:
        raise RuleBroken("This place in the list is gone. Start at its first page.", fields={"after": "is gone"})
    if downwards:
        return or_(by < value, and_(by == value, model.id < bound))
    return or_(by > value, and_(by == value, model.id > bound))


def _row_id(name: str) -> UUID | None:
    text = query_text(name)
    try:
        return UUID(text) if text else None
    except ValueError:
        raise RuleBroken("This is no place in this list. Start at its first page.", fields={name: "is none"}) from None


def _address(**place: str) -> str:
    filters = [(name, value) for name, value in request.args.items() if value and name not in ("after", "before")]
    return f"{request.path}?{urlencode([*filters, *place.items()])}"
