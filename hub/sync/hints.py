"""Hints: something over there has to be looked at (again), because a message, another record or a delay said so."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from hub.core import clock
from hub.core.database import uuid7
from hub.core.outbox import upsert
from hub.sync.models import Hint


def leave_hint(
    session: Session, connection_id: UUID, kind: str, remote_id: str, reason: str, *, due_at: datetime | None = None
) -> None:
    """Remember to look at a remote record; due_at: not before. One hint is enough, but that it was left again counts:
    whoever is looking at this moment may see what was before.
    """
    hint = upsert(session, Hint).values(
        id=uuid7(),
        connection_id=connection_id,
        kind=kind,
        remote_id=remote_id,
        reason=reason,
        due_at=due_at,
        failures=0,
        times_left=1,
        created_at=clock.now(),
    )
    session.execute(
        hint.on_conflict_do_update(
            index_elements=["connection_id", "kind", "remote_id"],
            set_={"times_left": Hint.times_left + 1, "due_at": hint.excluded.due_at, "reason": hint.excluded.reason},
        )
    )
