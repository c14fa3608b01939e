"""How a connection stands, in one word, and how far each of its streams is in step with the other system."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, exists, func, select
from sqlalchemy.orm import Session

from hub.core.kinds import RecordKind
from hub.core.outbox import Link, Subscription, creates
from hub.sync.breaker import rest_of
from hub.sync.models import Connection, ConnectionState, MatchCase


class Word(StrEnum):
    """How a connection stands, the same word everywhere.

    draft: set up, and never let run yet. read_only: it reads. connected: it reads and writes. paused: a person lets it
    rest. resting: left alone for a while after failures, and tried again by itself. needs_reauth: somebody has to sign
    in over there again. broken: something else has to be mended, or its plugin is disabled.
    """

    DRAFT = "draft"
    READ_ONLY = "read_only"
    CONNECTED = "connected"
    PAUSED = "paused"
    RESTING = "resting"
    NEEDS_REAUTH = "needs_reauth"
    BROKEN = "broken"


def word_of(connection: Connection, *, connectors: Collection[str]) -> Word:
    """How a connection stands. connectors: those of the enabled plugins."""
    if connection.state == ConnectionState.NEEDS_ATTENTION:
        return Word.NEEDS_REAUTH if connection.signed_out else Word.BROKEN
    if connection.connector not in connectors:
        return Word.BROKEN
    if connection.state == ConnectionState.PAUSED:
        return Word.DRAFT if connection.began_at is None else Word.PAUSED
    if rest_of(connection) is not None:
        return Word.RESTING
    return Word.CONNECTED if connection.state == ConnectionState.ACTIVE else Word.READ_ONLY


@dataclass(frozen=True, slots=True)
class Standing:
    """The counts of one stream, or of several together.

    linked: records both sides know. owed: to be sent by itself. waiting: owed after another record. parked: refused,
    for a person. uncertain: sent, and no answer came. to_match: open cases of matching. held: kept back by a plan that
    did not choose them, until another one does.
    """

    linked: int = 0
    owed: int = 0
    waiting: int = 0
    parked: int = 0
    uncertain: int = 0
    ignored: int = 0
    to_match: int = 0
    held: int = 0

    @property
    def in_step(self) -> bool:
        """Nothing is to be done by anybody."""
        return not (self.owed or self.waiting or self.parked or self.uncertain or self.to_match or self.held)

    def __add__(self, other: Standing) -> Standing:
        return Standing(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


def standings(session: Session, connection_ids: Collection[UUID]) -> dict[tuple[UUID, str], Standing]:
    """The standing of each stream of these connections that has any links or cases, in two queries."""
    counts = {name: func.sum(case((clause, 1), else_=0)) for name, clause in _clauses().items()}
    rows = session.execute(
        select(Link.connection_id, Link.kind, *counts.values())
        .where(Link.connection_id.in_(connection_ids))
        .group_by(Link.connection_id, Link.kind)
    )
    found = {(row[0], row[1]): Standing(**dict(zip(counts, map(int, row[2:]), strict=True))) for row in rows}
    cases = session.execute(
        select(MatchCase.connection_id, MatchCase.kind, func.count())
        .where(MatchCase.connection_id.in_(connection_ids), MatchCase.decision.is_(None))
        .group_by(MatchCase.connection_id, MatchCase.kind)
    )
    for connection_id, kind, number in cases:
        key = (connection_id, kind)
        found[key] = found.get(key, Standing()) + Standing(to_match=number)
    return found


def not_yet_owed(session: Session, kind: RecordKind, subscription: Subscription) -> int:
    """How many records would be created over there that nothing is owed of yet: what enabling writing would send."""
    linked = exists().where(
        Link.connection_id == subscription.connection_id, Link.kind == kind.name, Link.record_id == kind.model.id
    )
    query = select(func.count()).select_from(kind.model).where(*creates(kind, subscription), ~linked)
    return session.scalar(query) or 0


def together(found: Mapping[tuple[UUID, str], Standing], connection_id: UUID) -> Standing:
    """All streams of one connection."""
    return sum((each for (whose, _), each in found.items() if whose == connection_id), Standing())


def _clauses() -> dict[str, ColumnElement[bool]]:
    settled = and_(Link.parked.is_(None), Link.ignored.is_(None))
    unsent = and_(Link.wanted > Link.done, settled, Link.attempt_id.is_(None))
    wanted = and_(unsent, Link.held.is_(False))
    is_asked = exists().where(
        MatchCase.connection_id == Link.connection_id,
        MatchCase.kind == Link.kind,
        MatchCase.record_id == Link.record_id,
        MatchCase.part == Link.part,
        MatchCase.decision.is_(None),
    )
    return {
        "linked": Link.remote_id.is_not(None),
        "owed": and_(wanted, Link.waiting_for.is_(None)),
        "waiting": and_(wanted, Link.waiting_for.is_not(None)),
        "parked": and_(Link.parked.is_not(None), Link.ignored.is_(None)),
        "uncertain": and_(Link.attempt_id.is_not(None), settled),
        "ignored": Link.ignored.is_not(None),
        "held": and_(unsent, Link.held, ~is_asked),
    }
