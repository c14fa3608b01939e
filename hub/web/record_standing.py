"""Where a record of the hub stands in each connected system, from its links."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from flask import url_for
from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from hub.core.outbox import Link, Subscription
from hub.sync.models import Connection, ConnectionState
from hub.web.current import current_user

_IDLE = {
    ConnectionState.READ_ONLY: "The connection only reads for now: it is sent once writing is enabled.",
    ConnectionState.PAUSED: "The connection is paused: it is sent once it is resumed.",
    ConnectionState.NEEDS_ATTENTION: "The connection needs attention: it is sent once that is mended.",
}


def link_state(link: Link) -> str:
    """The badge of a link: what stands between the record and being in step, the gravest first."""
    if link.ignored is not None:
        return "ignored"
    if link.parked is not None:
        return "parked"
    if link.attempt_id is not None:
        return "uncertain"
    if link.held or link.waiting_for is not None:
        return "waiting"
    if link.wanted > link.done:
        return "owed"
    return "in_step" if link.remote_id else "not_sent"


def states_of(session: Session, kind: str, ids: Iterable[UUID]) -> dict[UUID, list[dict[str, str]]]:
    """For each of these records its badge in each connected system, in one query."""
    rows = session.execute(
        select(Link, Connection.name)
        .join(Connection, Connection.id == Link.connection_id)
        .where(Link.kind == kind, Link.record_id.in_(list(ids)))
        .order_by(Connection.name, Link.part)
    )
    found: dict[UUID, list[dict[str, str]]] = {}
    for link, name in rows:
        if link.record_id is not None:
            found.setdefault(link.record_id, []).append({"name": name, "state": link_state(link)})
    return found


def systems_of(session: Session, kind: str, record_id: UUID, *, unsent: str) -> list[dict[str, Any]]:
    """What each connected system that takes this kind holds of a record. unsent: why one has nothing of it yet."""
    rows = session.execute(
        select(Connection, Subscription, Link)
        .join(Subscription, and_(Subscription.connection_id == Connection.id, Subscription.kind == kind))
        .outerjoin(Link, and_(Link.connection_id == Connection.id, Link.kind == kind, Link.record_id == record_id))
        .where(Subscription.pushes | Link.id.is_not(None))
        .order_by(Connection.name, Link.part)
    )
    return [
        _unlinked(connection, subscription, unsent) if link is None else _linked(connection, link)
        for connection, subscription, link in rows
    ]


def _unlinked(connection: Connection, subscription: Subscription, unsent: str) -> dict[str, Any]:
    text = "Sent with the first document that needs it." if subscription.on_demand else unsent
    return {"connection": connection.name, "remote_id": None, "state": "not_sent", "text": text}


def _linked(connection: Connection, link: Link) -> dict[str, Any]:
    state = link_state(link)
    shown: dict[str, Any] = {
        "connection": connection.name,
        "remote_id": " · ".join(filter(None, (link.remote_id, link.part))) or None,
        "state": state,
        "at": link.changed_at,
        "text": _text(connection, link, state),
    }
    if state == "parked" and current_user().may("connections.read"):
        address = url_for("pages.parked", connection=connection.name)
        shown["action"] = {"label": "Repair", "href": address, "method": "get", "icon": "alert-triangle"}
    return shown


def _text(connection: Connection, link: Link, state: str) -> str:
    if state == "parked":
        return " ".join(filter(None, (link.parked, link.parked_remedy)))
    if state == "ignored":
        return link.ignored or ""
    if state == "uncertain":
        return "It was sent, and no answer came yet. It is looked up before anything is sent again."
    if state == "waiting":
        return "It waits for a decision." if link.held else "It waits for a record that must be there before it."
    if state == "owed":
        return _IDLE.get(ConnectionState(connection.state), "It is sent with the next run.")
    return ""
