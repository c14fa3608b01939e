"""Keeps the last comparison of a connection and period for a while, to be looked at without asking again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import redis

from hub.core import clock
from hub.sync.reconcile import Reconciliation, Row, Total, Verdict
from hub.web.current import current_hub

KEPT_FOR_S: Final = 3600
_AMOUNTS: Final = frozenset({"ours", "theirs", "our_tax", "their_tax", "our_open", "their_open", "only_there"})


@dataclass(frozen=True, slots=True)
class Kept:
    """A comparison and when it was made."""

    compared_at: datetime
    found: Reconciliation


def keep(connection_id: UUID, from_on: date | None, to_on: date | None, found: Reconciliation) -> None:
    """Keep a comparison. Raises redis.RedisError when the queue server cannot be reached."""
    body = {
        "compared_at": clock.now().isoformat(),
        "connection": found.connection,
        "rows": [asdict(row) for row in found.rows],
        "totals": [asdict(total) for total in found.totals],
    }
    current_hub().redis.set(_key(connection_id, from_on, to_on), json.dumps(body, default=str), ex=KEPT_FOR_S)


def kept(connection_id: UUID, from_on: date | None, to_on: date | None) -> Kept | None:
    """The last comparison of this period; None if there is none, it is too old, or it cannot be reached."""
    try:
        text: Any = current_hub().redis.get(_key(connection_id, from_on, to_on))
    except redis.RedisError:
        return None
    if text is None:
        return None
    body = json.loads(text)
    rows = tuple(Row(**_thawed(values)) for values in body["rows"])
    totals = tuple(Total(**_thawed(values)) for values in body["totals"])
    return Kept(datetime.fromisoformat(body["compared_at"]), Reconciliation(body["connection"], rows, totals))


def _key(connection_id: UUID, from_on: date | None, to_on: date | None) -> str:
    return f"hub:comparison:{connection_id}:{from_on or ''}:{to_on or ''}"


def _thawed(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _value(name, value) for name, value in values.items()}


def _value(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _AMOUNTS:
        return Decimal(value)
    if name == "on":
        return date.fromisoformat(value)
    if name == "verdict":
        return Verdict(value)
    return UUID(value) if name == "record_id" else value
