"""What a person can mend about a connection: derived from how things stand, so each is gone as soon as it is mended."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core import clock
from hub.core.outbox import Subscription
from hub.sync.breaker import rest_of
from hub.sync.cycle import AWAKE
from hub.sync.models import Connection, ConnectionState, StreamCursor

AWAY_FOR = timedelta(hours=1)
"""A system that is away for less comes back by itself; after this somebody should know."""

_NAMED = 10
NEWS_FOR = timedelta(days=1)
"""Messages that are not signed are of interest as long as they come."""


class Trouble(StrEnum):
    """What is wrong, which says where it is mended.

    held: credentials or settings (or whose account it is). away: calls fail for over an hour. unsigned: messages come
    in that its signature does not fit. disabled: the connector's plugin. resting: a plugin that a stream's records
    belong to. restored: a hub that was restored, and what only the other side has since. vanished: a full read of a
    stream misses more records than the guard allows.
    """

    HELD = "held"
    AWAY = "away"
    UNSIGNED = "unsigned"
    DISABLED = "disabled"
    RESTING = "resting"
    RESTORED = "restored"
    VANISHED = "vanished"


@dataclass(frozen=True, slots=True)
class Repair:
    """One thing to mend. title and text are for people; since: None where that is not known. stream: if one alone."""

    connection: str
    trouble: Trouble
    title: str
    text: str
    since: datetime | None = None
    stream: str = ""


def repairs_of(session: Session, *, connectors: Collection[str], kinds: Collection[str]) -> list[Repair]:
    """Everything there is to mend, by connection. connectors, kinds: those of the enabled plugins."""
    resting: dict[UUID, list[str]] = {}
    rests = select(Subscription.connection_id, Subscription.kind).where(
        Subscription.kind.not_in(kinds), Subscription.pushes | Subscription.pulls
    )
    for connection_id, kind in session.execute(rests.order_by(Subscription.position)):
        resting.setdefault(connection_id, []).append(kind)
    vanished: dict[UUID, list[StreamCursor]] = {}
    missing = select(StreamCursor).where(StreamCursor.vanished > 0, StreamCursor.vanished_are_gone.is_(False))
    for cursor in session.scalars(missing.order_by(StreamCursor.kind)):
        vanished.setdefault(cursor.connection_id, []).append(cursor)
    found: list[Repair] = []
    for connection in session.scalars(select(Connection).order_by(Connection.name)):
        found += _of(connection, connection.connector in connectors, resting.get(connection.id, ()))
        found += (_missing(connection.name, cursor) for cursor in vanished.get(connection.id, ()))
    return found


def _missing(name: str, cursor: StreamCursor) -> Repair:
    title = f"{cursor.vanished:,} {cursor.kind} are missing in {name}"
    text = (
        f"The last full read did not show {cursor.vanished:,} {cursor.kind} that were there before, more than the "
        "guard allows: say whether they were deleted. Until then they count as there."
    )
    return Repair(name, Trouble.VANISHED, title, text, cursor.full_read_at, cursor.kind)


def _of(connection: Connection, is_enabled: bool, resting: Sequence[str]) -> Iterator[Repair]:
    name = connection.name
    if not is_enabled:
        text = f"The plugin {connection.plugin} is disabled: nothing is read or written."
        yield Repair(name, Trouble.DISABLED, f"{name} has no plugin", text)
        return
    if connection.state == ConnectionState.NEEDS_ATTENTION:
        yield Repair(name, Trouble.HELD, f"{name} needs attention", connection.reason)
    if connection.restored_at is not None:
        yield Repair(
            name, Trouble.RESTORED, f"{name} only reads since the restore", _since(connection), connection.restored_at
        )
    rest = rest_of(connection)
    if rest is not None and connection.state in AWAKE and rest.since <= clock.now() - AWAY_FOR:
        text = f"{rest.reason} It is tried again by itself, and what is owed is kept."
        yield Repair(name, Trouble.AWAY, f"{name} cannot be reached", text, rest.since)
    if connection.unsigned_at is not None and connection.unsigned_at > clock.now() - NEWS_FOR:
        text = "A message came in that is not signed as the settings say. Changes over there arrive later without it."
        yield Repair(name, Trouble.UNSIGNED, f"{name} sends messages that are refused", text, connection.unsigned_at)
    if resting:
        text = f"No enabled plugin knows {' and '.join(resting)}: nothing of them is read or written."
        yield Repair(name, Trouble.RESTING, f"A part of {name} rests", text)


def _since(connection: Connection) -> str:
    """What is to be done about a connection of a restored hub."""
    numbers = connection.only_there
    if numbers is None:
        return "What it has that the backup had not is read with the next run, before anything is written there."
    after = "Let it write again when this hub is the one that shall."
    if not numbers:
        return f"What was sent after the backup is adopted; nothing is there only. {after}"
    listed = ", ".join(numbers[:_NAMED]) + (f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else "")
    return f"Issued after the backup, and there only: {listed}. Their numbers are not given again. {after}"
