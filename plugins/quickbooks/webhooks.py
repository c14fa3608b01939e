"""QuickBooks' messages: who signed them, and what to look at. Vendor's page "Managing webhooks notifications"."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from typing import Any

from hub.sdk import Hint, WebhookRejected

KINDS = {"payment": "payments"}
"""Entities that a stream of ours reads."""


def verify(headers: Mapping[str, str], body: bytes, token: str) -> None:
    """Raises WebhookRejected unless the raw bytes are signed with the verifier token (HMAC-SHA256, base64)."""
    given = next((value for name, value in headers.items() if name.lower() == "intuit-signature"), "")
    expected = base64.b64encode(hmac.new(token.encode(), body, hashlib.sha256).digest()).decode()
    if not token or not hmac.compare_digest(given.strip().encode(), expected.encode()):
        raise WebhookRejected("The message is not signed with this connection's webhook verifier token.")


def hints(body: bytes, realm_id: str) -> list[Hint]:
    """What a verified message points to, of this company; each record once. Both of the vendor's forms are read."""
    try:
        message = json.loads(body)
    except ValueError as error:
        raise WebhookRejected("The message is no JSON.") from error
    found: dict[tuple[str, str], Hint] = {}
    for entity, id, realm, operation in _events(message):
        kind = KINDS.get(entity.lower())
        if kind and id and realm == realm_id:
            # A later event of the same message wins; the record is fetched anyway.
            found[kind, id] = Hint(kind, id, deleted=operation.lower().startswith("delete"))
    return list(found.values())


def _events(message: Any) -> Iterator[tuple[str, str, str, str]]:
    """Entity, id, company and operation of each event."""
    if isinstance(message, list):  # CloudEvents: type "qbo.invoice.updated.v1"
        for event in message:
            _, entity, operation, *_ = [*str(event.get("type", "")).split("."), "", "", ""]
            yield entity, str(event.get("intuitentityid", "")), str(event.get("intuitaccountid", "")), operation
        return
    notifications = message.get("eventNotifications") or [] if isinstance(message, dict) else []
    for notification in notifications:
        for entity in (notification.get("dataChangeEvent") or {}).get("entities") or []:
            realm = str(notification.get("realmId", ""))
            yield str(entity.get("name", "")), str(entity.get("id", "")), realm, str(entity.get("operation", ""))
