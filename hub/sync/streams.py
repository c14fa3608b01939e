"""Which streams of a connection run, from which day on, and for which records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from marshmallow import ValidationError
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from hub.core import audit
from hub.core.errors import RuleBroken
from hub.core.outbox import Subscription
from hub.sync.connections import get_connection
from hub.sync.connector import Connector
from hub.sync.models import StreamCursor


@dataclass(frozen=True, slots=True)
class StreamChoice:
    """What a person chose for one stream. conditions: as entered, for the stream's schema."""

    start_on: date | None = None
    conditions: Mapping[str, Any] = field(default_factory=dict)


def choose_streams(
    session: Session, connection_id: UUID, connector: type[Connector], choices: Mapping[str, StreamChoice]
) -> None:
    """Run exactly these streams. One that reads begins anew where its start day or its conditions changed.

    Raises RuleBroken with fields named KIND.CONDITION, and "stream" when none is chosen.
    """
    if not choices:
        raise RuleBroken("A connection needs a stream.", fields={"stream": "Choose at least one."})
    faults = condition_faults(connector, choices)
    if faults:
        raise RuleBroken("Some conditions are not right.", fields=faults)
    connection = get_connection(session, connection_id)
    known = select(Subscription).where(Subscription.connection_id == connection_id)
    subscriptions = {each.kind: each for each in session.scalars(known.with_for_update())}
    changes: dict[str, Any] = {}
    for stream in connector.streams:
        subscription = subscriptions.get(stream.kind)
        if subscription is None:
            continue
        choice = choices.get(stream.kind)
        before = _as_json(subscription)
        subscription.pushes, subscription.pulls = bool(choice and stream.pushes), bool(choice and stream.pulls)
        if choice is not None:
            subscription.start_on, subscription.conditions = choice.start_on, dict(choice.conditions)
        after = _as_json(subscription)
        if before != after:
            changes[stream.kind] = [before, after]
            if subscription.pulls:
                _begin_anew(session, connection_id, stream.kind)
    if changes:
        audit.note(session, "choose-streams", "connection", connection_id, name=connection.name, **changes)
        session.info.setdefault("owed", set()).add(connection_id)


def condition_faults(connector: type[Connector], choices: Mapping[str, StreamChoice]) -> dict[str, str]:
    """What is wrong with conditions: KIND.CONDITION → sentence."""
    faults: dict[str, str] = {}
    for stream in connector.streams:
        if stream.conditions is None or stream.kind not in choices:
            continue
        try:
            stream.conditions().load(dict(choices[stream.kind].conditions))
        except ValidationError as failure:
            for name, reasons in failure.normalized_messages().items():
                faults[f"{stream.kind}.{name}"] = " ".join(
                    map(str, reasons if isinstance(reasons, list) else [reasons])
                )
    return faults


def _as_json(subscription: Subscription) -> dict[str, Any]:
    return {
        "runs": subscription.pushes or subscription.pulls,
        "start_on": subscription.start_on and subscription.start_on.isoformat(),
        "conditions": subscription.conditions,
    }


def _begin_anew(session: Session, connection_id: UUID, kind: str) -> None:
    """Forget how far was read; the fence stops a pull that is under way from putting its cursor back."""
    session.execute(
        update(StreamCursor)
        .where(StreamCursor.connection_id == connection_id, StreamCursor.kind == kind)
        .values(cursor=None, fence=StreamCursor.fence + 1, lease_until=None)
        .execution_options(synchronize_session=False)
    )
