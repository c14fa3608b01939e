"""Finding the record a person means by its name, its number or its id."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from hub.core.errors import NotFound, RuleBroken

R = TypeVar("R")


def one_of(session: Session, model: type[R], text: str, *, by: Sequence[Any], what: str) -> R:
    """The row that has `text` in one of the columns `by`, or as its id.

    what: the noun, for messages. Raises NotFound with what is spelled alike, RuleBroken when several have the name.
    """
    record_id = as_id(text)
    if record_id is not None:
        row = session.get(model, record_id)
        if row is None:
            raise NotFound(f"There is no {what} with id {text}.")
        return row
    rows = session.scalars(select(model).where(or_(*(column == text for column in by))).limit(2)).all()
    if len(rows) > 1:
        raise RuleBroken(f"Several {what}s are called “{text}”: give the id of the one you mean.")
    if not rows:
        raise NotFound(f"There is no {what} called “{text}”.{_alike(session, text, by)}")
    return rows[0]


def id_of(session: Session, model: type[Any], text: str | None, *, by: Sequence[Any], what: str) -> UUID | None:
    """The id of the row that is meant; None for no text."""
    if text is None:
        return None
    found: UUID = one_of(session, model, text, by=by, what=what).id
    return found


def as_id(text: str) -> UUID | None:
    """The text as an id, if it is one."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _alike(session: Session, text: str, by: Sequence[Any]) -> str:
    names = [str(name) for column in by for name in session.scalars(select(column).limit(2000)) if name]
    close = difflib.get_close_matches(text, names, n=1)
    return f" Did you mean “{close[0]}”?" if close else ""
