"""The circuit breaker of a connection: a system that fails again and again is left alone, by all workers at once.

It stands in the connection's row. Closed: calls are made, and failures in a row are counted. Open: nothing is sent or
read until a pause is over, which grows with every look in vain. Half-open: one worker takes, by a conditional update,
the one call that finds out; an answer closes the breaker.

What counts is a system that cannot be reached, gives no answer or fails by itself (TemporaryFailure, OutcomeUnknown).
A refusal, a spent quota or a wrong login is an answer; a Busy one, or a fault of the connector, says neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, case, literal, or_, select, update
from sqlalchemy.orm import Session

from hub.core import clock
from hub.core.columns import UtcDateTime
from hub.core.errors import Busy, ConnectorError, OutcomeUnknown, QuotaSpent, TemporaryFailure
from hub.sync.claim import LEASE_S, beating
from hub.sync.connector import Page
from hub.sync.models import Connection
from hub.sync.settle import pause

if TYPE_CHECKING:
    from hub.bootstrap import Hub

OPENS_AFTER = 5
"""Failures in a row, whoever's."""
FAILURES_ALLOWED = 10
"""How many calls of one run may fail, or a fifth of them if that is more."""
_GROWS_FROM = 2
"""The first pause is at most 8 s, the next 16 s, and so on up to a quarter of an hour (`pause`)."""

log = structlog.get_logger("hub.sync")


class ConnectionRests(QuotaSpent):
    """The other system is left alone until `resets_at`, because its calls fail."""


@dataclass(frozen=True, slots=True)
class Rest:
    """An open breaker, as pages show it. tries_at: not before; it may have been by now."""

    failures: int
    reason: str
    since: datetime
    tries_at: datetime


def rest_of(connection: Connection) -> Rest | None:
    """What is to be said of a connection whose breaker is open; None for one that is called as usual."""
    if connection.left_alone_since is None:
        return None
    return Rest(
        connection.failed_in_row,
        connection.last_failure,
        connection.left_alone_since,
        connection.tried_again_at or connection.left_alone_since,
    )


def is_closed() -> ColumnElement[bool]:
    """Whether a connection's breaker lets a call through now: it is closed, or its pause is over."""
    return or_(Connection.tried_again_at.is_(None), Connection.tried_again_at <= clock.now())


class Breaker:
    """Guards the calls of one opened connection, and keeps a run from going round with failures alone."""

    def __init__(self, hub: Hub, connection_id: UUID, name: str) -> None:
        self._hub, self._id, self._name = hub, connection_id, name
        self._calls = self._failed = 0
        self.asked = False
        """Whether a person wants to know now: the first call is made whatever the pause."""
        self.was_open = False
        """Whether this run's call was the one that finds out: what fails then is no news."""

    def rest(self) -> ConnectionRests | None:
        """Why nothing may be called now, and until when; None while something may."""
        seen = self._look()
        if seen is None or seen.left_alone_since is None or self.asked or seen.tried_again_at <= clock.now():
            return None
        return _rests(seen.last_failure, seen.tried_again_at)

    @contextmanager
    def call(self, *, asked: bool = False) -> Iterator[None]:
        """Around one call of the connector. Raises ConnectionRests instead, unless a person asked for just this one."""
        failures, probe = self._admitted(asked)
        self._calls += 1
        answered = False
        try:
            with self._kept(probe) if probe else nullcontext():
                yield
            answered = True
        except (TemporaryFailure, OutcomeUnknown) as failure:
            if not isinstance(failure, Busy):
                self._note_failure(failure, probe)
                probe = None
            raise
        except ConnectorError:
            answered = True
            raise
        finally:
            if answered and failures:
                self._note_answer()
            elif probe is not None:
                self._give_back(probe)

    def pages(self, pages: Iterable[Page]) -> Iterator[Page]:
        """The pages of a pull, each asked for as a call of its own."""
        each = iter(pages)
        while True:
            with self.call():
                page = next(each, None)
            if page is None:
                return
            yield page

    # What stands in the row -------------------------------------------------------------------------------------------

    def _look(self) -> Any:
        with self._hub.read() as session:
            return session.execute(
                select(
                    Connection.failed_in_row,
                    Connection.last_failure,
                    Connection.left_alone_since,
                    Connection.tried_again_at,
                ).where(Connection.id == self._id)
            ).one_or_none()

    def _admitted(self, asked: bool) -> tuple[int, _Probe | None]:
        """How many calls failed before this one, and whether it is the one that finds out."""
        if self._failed > max(FAILURES_ALLOWED, self._calls // 5):
            text = f"{self._failed:,} of {self._calls:,} calls of this run failed; it goes on later."
            raise ConnectionRests(text, resets_at=pause(_GROWS_FROM))
        seen = self._look()
        at_once, self.asked = self.asked, False
        if seen is None:
            return 0, None
        if seen.left_alone_since is None or asked:
            return seen.failed_in_row, None
        if seen.tried_again_at > clock.now() and not at_once:
            raise _rests(seen.last_failure, seen.tried_again_at)
        until = _lease_end()
        if not self._change(Connection.tried_again_at == seen.tried_again_at, tried_again_at=until):
            raise _rests(seen.last_failure, until)  # another worker has begun to find out
        self.was_open = True
        return seen.failed_in_row, _Probe(until)

    @contextmanager
    def _kept(self, probe: _Probe) -> Iterator[None]:
        """Keep the one call to ourselves while it is open; a dead worker's is taken over soon after."""

        def beat(session: Session) -> None:
            until = _lease_end()
            if _update(session, self._id, Connection.tried_again_at == probe.until, tried_again_at=until):
                probe.until = until

        with beating(self._hub, beat, LEASE_S):
            yield

    def _note_failure(self, failure: ConnectorError, probe: _Probe | None) -> None:
        self._failed += 1
        asked_s = getattr(failure, "retry_after_s", None)
        if probe is not None:
            self._open_longer(failure, probe, asked_s)
            return
        opens = Connection.failed_in_row + 1 >= OPENS_AFTER
        until = pause(_GROWS_FROM, asked_s)

        def work(session: Session) -> int | None:
            # What began before the breaker opened, and fails after, tells nothing new.
            return session.scalar(
                update(Connection)
                .where(Connection.id == self._id, Connection.left_alone_since.is_(None))
                .values(
                    failed_in_row=Connection.failed_in_row + 1,
                    last_failure=str(failure),
                    left_alone_since=case((opens, literal(clock.now(), UtcDateTime()))),
                    tried_again_at=case((opens, literal(until, UtcDateTime()))),
                )
                .returning(Connection.failed_in_row)
                .execution_options(synchronize_session=False)
            )

        if self._hub.transact(work) == OPENS_AFTER:
            log.warning("connection is left alone", connection=self._name, failures=OPENS_AFTER, reason=str(failure))

    def _open_longer(self, failure: ConnectorError, probe: _Probe, asked_s: float | None) -> None:
        def work(session: Session) -> None:
            failures = session.scalar(select(Connection.failed_in_row).where(Connection.id == self._id)) or 0
            _update(
                session,
                self._id,
                Connection.tried_again_at == probe.until,
                failed_in_row=failures + 1,
                last_failure=str(failure),
                tried_again_at=pause(_GROWS_FROM + failures + 1 - OPENS_AFTER, asked_s),
            )

        self._hub.transact(work)

    def _note_answer(self) -> None:
        def work(session: Session) -> bool:
            open_since = select(Connection.left_alone_since).where(Connection.id == self._id).with_for_update()
            was_open = session.scalar(open_since) is not None
            _update(session, self._id, failed_in_row=0, last_failure="", left_alone_since=None, tried_again_at=None)
            return was_open

        if self._hub.transact(work):
            log.info("connection answers again", connection=self._name)

    def _give_back(self, probe: _Probe) -> None:
        """Nothing was found out: the next one may."""
        self._change(Connection.tried_again_at == probe.until, tried_again_at=clock.now())

    def _change(self, *conditions: ColumnElement[bool], **values: Any) -> bool:
        return self._hub.transact(lambda session: _update(session, self._id, *conditions, **values))


@dataclass
class _Probe:
    """The one call of a half-open breaker, named by the end of its lease, which beats move."""

    until: datetime


def _lease_end() -> datetime:
    return clock.now() + timedelta(seconds=LEASE_S)


def _rests(reason: str, until: datetime) -> ConnectionRests:
    return ConnectionRests(f"It failed again and again, so it is left alone for a while: {reason}", resets_at=until)


def _update(session: Session, connection_id: UUID, *conditions: ColumnElement[bool], **values: Any) -> bool:
    changed = session.execute(
        update(Connection)
        .where(Connection.id == connection_id, *conditions)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    return bool(getattr(changed, "rowcount", 0))
