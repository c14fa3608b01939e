"""/webhooks/<connection>: what other systems tell us. Verified on its raw bytes, stored, answered; looked at later.

A message says where to look, never what is there: it leaves hints, which the next pull works through.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from uuid import UUID

from flask import Blueprint, Response, request
from requests.structures import CaseInsensitiveDict
from sqlalchemy import ColumnElement, Update, or_, select, update
from sqlalchemy.orm import Session

from hub.core import clock
from hub.core.errors import NotFound, TemporaryFailure, WebhookRejected
from hub.sync.connections import get_connection, open_connection
from hub.sync.connector import Connector, Hint
from hub.sync.hints import leave_hint
from hub.sync.models import Connection, ConnectionState, WebhookMessage
from hub.web.current import current_hub, reading, request_id
from hub.web.guard import Guard, guarded

webhooks = Blueprint("webhooks", __name__)
_LATER_S = 300


def receive(connection_id: UUID) -> Response:
    """204 once it is stored; 401 not signed by them, 404 nobody listens, 503 while the plugin is disabled."""
    _check_ready(connection_id)
    opened = open_connection(current_hub(), connection_id)
    if type(opened.connector).webhook is Connector.webhook:
        raise NotFound("This connection takes no messages.")
    body = request.get_data()
    try:
        told = opened.connector.webhook(CaseInsensitiveDict(request.headers.items()), body)
    except WebhookRejected:
        current_hub().transact(lambda session: _note_unsigned(session, connection_id))
        raise
    hints = [hint for hint in told if hint.kind in opened.subscriptions]
    current_hub().transact(
        lambda session: _store(session, connection_id, body, hints),
        actor=f"connection:{opened.name}",
        origin=connection_id,
        request_id=request_id(),
    )
    return Response(status=204)


webhooks.add_url_rule(
    "/webhooks/<uuid:connection_id>", "receive", guarded(receive, Guard("", checks_csrf=False)), methods=["POST"]
)


def _check_ready(connection_id: UUID) -> None:
    """Raises NotFound, or TemporaryFailure while nobody could understand the message: the sender tries again."""
    with reading() as session:
        connection = get_connection(session, connection_id)
    if connection.connector not in current_hub().connector_classes():
        raise TemporaryFailure(f"The plugin {connection.plugin} is disabled.", retry_after_s=_LATER_S)
    if connection.state == ConnectionState.PAUSED:
        raise TemporaryFailure("This connection is paused.", retry_after_s=_LATER_S)


def _note_unsigned(session: Session, connection_id: UUID) -> None:
    """Remember it once an hour, however many come: whoever knows the address can send them."""
    now = clock.now()
    is_news = or_(Connection.unsigned_at.is_(None), Connection.unsigned_at < now - timedelta(hours=1))
    session.execute(_this(connection_id, is_news).values(unsigned_at=now))


def _this(connection_id: UUID, condition: ColumnElement[bool]) -> Update:
    these = update(Connection).where(Connection.id == connection_id, condition)
    return these.execution_options(synchronize_session=False)


def _store(session: Session, connection_id: UUID, body: bytes, hints: list[Hint]) -> None:
    external_id = request.headers.get("webhook-id") or hashlib.sha256(body).hexdigest()
    known = select(WebhookMessage.id).where(
        WebhookMessage.connection_id == connection_id, WebhookMessage.external_id == external_id
    )
    session.execute(_this(connection_id, Connection.unsigned_at.is_not(None)).values(unsigned_at=None))
    if session.scalar(known) is None:
        text = body.decode(errors="replace").replace("\0", "")
        session.add(
            WebhookMessage(connection_id=connection_id, external_id=external_id, body=text, handled_at=clock.now())
        )
    for hint in hints:
        leave_hint(session, connection_id, hint.kind, hint.remote_id, "they told us so")
