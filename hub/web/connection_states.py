"""How connections, their streams and their runs are shown on every page: the words of the templates' badges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from hub.core.errors import HubError
from hub.sync.connections import secret_names
from hub.sync.connector import Connector
from hub.sync.models import Connection, ConnectionState, Run
from hub.sync.runs import counts_of
from hub.sync.standing import Standing, word_of
from hub.web.current import current_hub
from hub.web.display import words


def state_of(connection: Connection) -> str:
    """The badge of a connection."""
    return str(word_of(connection, connectors=current_hub().connector_classes()))


def stream_state(connection: Connection, standing: Standing, *, runs: bool) -> str:
    """The badge of a stream."""
    if not runs:
        return "left_out"
    if standing.parked or standing.uncertain or standing.to_match:
        return "attention"
    if connection.state == ConnectionState.PAUSED:
        return "paused"
    return "in_step" if standing.in_step else "waiting"


def connector_of(connection: Connection) -> type[Connector] | None:
    """The connector's class; None while its plugin is disabled."""
    known = current_hub().connector_classes().get(connection.connector)
    return known[1] if known is not None else None


def title_of(connection: Connection) -> str:
    kind = connector_of(connection)
    return kind.title if kind is not None else words(connection.connector)


def kind_title(name: str) -> str:
    """What a person calls a kind of record: its stream's name."""
    kind = current_hub().kinds.get(name)
    return kind.title if kind is not None else words(name)


def plain_settings(connection: Connection) -> dict[str, Any]:
    """The stored settings without the secrets; nothing while the plugin is disabled."""
    kind = connector_of(connection)
    if kind is None:
        return {}
    try:
        stored = current_hub().cipher.decrypt(connection.settings)
    except HubError:
        return {}
    return {name: value for name, value in stored.items() if name not in secret_names(kind.settings)}


def stored_secrets(connection: Connection) -> frozenset[str]:
    """The names of the secrets that have a value."""
    kind = connector_of(connection)
    if kind is None:
        return frozenset()
    try:
        stored = current_hub().cipher.decrypt(connection.settings)
    except HubError:
        return frozenset()
    return frozenset(name for name in secret_names(kind.settings) if stored.get(name))


def run_shown(run: Run) -> dict[str, Any]:
    """A run as the lists show it."""
    ended_at = run.ended_at
    return {
        "id": run.id,
        "connection": run.connection_name,
        "stream": _streams_text(run.kinds),
        "direction": run.direction,
        "status": run.status,
        "trigger": run.trigger,
        "started_at": run.started_at,
        "seconds": None if ended_at is None else round((ended_at - run.started_at).total_seconds()),
        "counts": counts_of(run),
    }


def _streams_text(kinds: Sequence[str]) -> str:
    """One or two streams by name, more of them counted: a line stays a line."""
    if len(kinds) > 2:
        return f"{len(kinds)} streams"
    return " and ".join(kind_title(kind).lower() for kind in kinds) or "no stream"


def last_runs(session: Session, connection_ids: Iterable[UUID], *, each: int) -> dict[UUID, Sequence[Run]]:
    """The newest runs of each connection, the newest first, in one query."""
    number = func.row_number().over(partition_by=Run.connection_id, order_by=Run.id.desc()).label("number")
    ranked = select(Run, number).where(Run.connection_id.in_(list(connection_ids))).subquery()
    newest = aliased(Run, ranked)
    found: dict[UUID, list[Run]] = {}
    for run in session.scalars(select(newest).where(ranked.c.number <= each).order_by(ranked.c.id.desc())):
        found.setdefault(run.connection_id, []).append(run)
    return dict(found)
