"""The circuit breaker of a connection: after some failed calls in a row it is left alone, and one probe finds it back.

It stands in the connection's row, so that every worker sees it. While it is open nothing is sent or read; what is owed
stays owed. Two lines are logged: when it opens, and when it closes.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, Update, or_, select, update
from sqlalchemy.orm import Session

from hub.core import clock
from hub.core.errors import OutcomeUnknown, TemporaryFailure
from hub.sync.models import Connection
from hub.sync.settle import pause

if TYPE_CHECKING:
    from hub.bootstrap import Hub
    from hub.sync.connections import Opened
    from hub.sync.runs import RunLog

log = structlog.get_logger("hub.sync")

OPENS_AFTER = 5
PROBE_S = 60.0
"""How long whoever probes has for it, before somebody else may."""


def is_closed() -> ColumnElement[bool]:
    """Whether a connection may be tried now: the breaker is closed, or it is time for a probe."""
    return or_(Connection.tried_again_at.is_(None), Connection.tried_again_at <= clock.now())


def admit(hub: Hub, connection_id: UUID, *, asked: bool = False) -> datetime | None:
    """None if a worker may go on: the breaker is closed, or this is the one probe. Else when it is tried again.

    asked: by a person, who may probe at any time.
    """

    if _row(hub, connection_id) == (0, None):
        return None

    def work(session: Session) -> datetime | None:
        connection = session.get(Connection, connection_id, with_for_update=True)
        if connection is None or connection.tried_again_at is None:
            return None
        if connection.tried_again_at > clock.now() and not asked:
            return connection.tried_again_at
        connection.tried_again_at = clock.now() + timedelta(seconds=PROBE_S)
        return None

    return hub.transact(work)


def note_call(hub: Hub, opened: Opened, run: RunLog, failure: Exception | None = None) -> bool:
    """Note how a call ended. Returns whether the connection is left alone now: then the run ends."""
    if failure is None:
        if not run.has_answered:
            note_success(hub, opened.id)
        run.has_answered = True
    elif is_sign_of_failure(failure):
        run.has_answered = False
        tried_again_at = note_failure(hub, opened.id, failure)
        run.resumes_at = tried_again_at or run.resumes_at
        return tried_again_at is not None
    return False


def is_sign_of_failure(failure: Exception) -> bool:
    """Whether a failed call says that the other system cannot be reached or is broken.

    One that asks for a pause itself is at work; one that refuses what it was sent, or us, answers.
    """
    if isinstance(failure, TemporaryFailure):
        return not failure.retry_after_s
    return isinstance(failure, OutcomeUnknown)


def note_failure(hub: Hub, connection_id: UUID, failure: Exception) -> datetime | None:
    """One more failed call in a row. Returns when the connection is tried again, if it is left alone now."""

    def work(session: Session) -> tuple[int, datetime | None]:
        connection = session.get(Connection, connection_id, with_for_update=True)
        if connection is None:
            return 0, None
        connection.failed_in_row += 1
        if connection.failed_in_row >= OPENS_AFTER:
            connection.tried_again_at = pause(connection.failed_in_row)
        return connection.failed_in_row, connection.tried_again_at

    number, tried_again_at = hub.transact(work)
    if number == OPENS_AFTER:
        log.warning("connection left alone", connection=str(connection_id), failures=number, reason=str(failure))
    return tried_again_at


def note_success(hub: Hub, connection_id: UUID) -> None:
    """It answers: whatever failed before is over."""

    if _row(hub, connection_id) == (0, None):
        return

    def work(session: Session) -> bool:
        connection = session.get(Connection, connection_id, with_for_update=True)
        was_open = connection is not None and connection.failed_in_row >= OPENS_AFTER
        session.execute(_this(connection_id).values(failed_in_row=0, tried_again_at=None))
        return was_open

    if hub.transact(work):
        log.info("connection is back", connection=str(connection_id))


def _row(hub: Hub, connection_id: UUID) -> tuple[int, datetime | None]:
    with hub.read() as session:
        found = session.execute(
            select(Connection.failed_in_row, Connection.tried_again_at).where(Connection.id == connection_id)
        ).one_or_none()
    return (0, None) if found is None else (found.failed_in_row, found.tried_again_at)


def _this(connection_id: UUID) -> Update:
    return update(Connection).where(Connection.id == connection_id).execution_options(synchronize_session=False)
