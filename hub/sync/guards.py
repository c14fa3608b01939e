"""Guards: a plan that would do far more than plans usually do is stopped before its first write.

At most so many percent of the records that a stream has linked may be updated, or deleted, by one plan, unless whoever
applies it says twice that it is right; a few may in any case. So may a full read that some records are missing from.
The shares are settings of the connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from hub.core.errors import RuleBroken
from hub.core.outbox import Link
from hub.sync.connections import get_connection
from hub.sync.models import Connection, PlanItem

ALWAYS_ALLOWED = 5
_WHERE = {"push": "", "pull": " here"}
_GUARDED = {"update": "update", "conflict": "update", "delete": "delete"}


@dataclass(frozen=True, slots=True)
class Excess:
    """More than a guard allows: of the `linked` records of a stream `number`, where `most` may be. where: " here", or
    nothing for what happens over there."""

    verb: str
    kind: str
    where: str
    number: int
    linked: int
    most: int

    def __str__(self) -> str:
        what = f"{self.verb} {self.number:,} of {self.linked:,} {self.kind}{self.where}"
        return f"{what}, more than the guard of {self.most:,}"


def excesses(session: Session, connection_id: UUID, *which: ColumnElement[bool]) -> list[Excess]:
    """Where these items of a plan go beyond the guards of the connection."""
    connection = get_connection(session, connection_id)
    shares = {"update": connection.guard_updates, "delete": connection.guard_deletes}
    counted: dict[tuple[str, str, str], int] = {}
    columns = (PlanItem.direction, PlanItem.kind, PlanItem.action)
    rows = session.execute(
        select(*columns, func.count()).where(*which, PlanItem.action.in_(_GUARDED)).group_by(*columns)
    )
    for direction, kind, action, number in rows:
        key = (_GUARDED[action], kind, _WHERE[direction])
        counted[key] = counted.get(key, 0) + number
    linked = _linked(session, connection_id)
    found = [
        _excess(verb, kind, where, number, linked.get(kind, 0), shares[verb])
        for (verb, kind, where), number in sorted(counted.items())
    ]
    return [excess for excess in found if excess is not None]


def too_many_deletes(session: Session, connection_id: UUID, kind: str, number: int, of: int) -> Excess | None:
    """Whether deleting so many of a stream's linked records goes beyond the guard of the connection."""
    return _excess("delete", kind, " here", number, of, get_connection(session, connection_id).guard_deletes)


def _excess(verb: str, kind: str, where: str, number: int, linked: int, share: int) -> Excess | None:
    most = max(ALWAYS_ALLOWED, linked * share // 100)
    return Excess(verb, kind, where, number, linked, most) if number > most else None


def set_guards(
    session: Session, connection_id: UUID, *, updates: int | None = None, deletes: int | None = None
) -> Connection:
    """How many percent of a stream's linked records one plan may change. Raises NotFound, RuleBroken."""
    connection = get_connection(session, connection_id)
    for name, share in (("guard_updates", updates), ("guard_deletes", deletes)):
        if share is not None and not 0 <= share <= 100:
            raise RuleBroken(f"{share} is no percentage.", fields={name: "give a number from 0 to 100"})
        if share is not None:
            setattr(connection, name, share)
    return connection


def _linked(session: Session, connection_id: UUID) -> dict[str, int]:
    rows = session.execute(
        select(Link.kind, func.count())
        .where(Link.connection_id == connection_id, Link.remote_id.is_not(None))
        .group_by(Link.kind)
    )
    return {row[0]: row[1] for row in rows}
