"""What there is to mend about connections, each with the page where this user mends it."""

from __future__ import annotations

from typing import Any

from flask import url_for
from sqlalchemy.orm import Session

from hub.sync.mending import Repair, Trouble, repairs_of
from hub.web.current import current_hub, current_user

_WAYS = {
    Trouble.HELD: ("Mend the settings", "pages.edit_connection", "connections.write"),
    Trouble.UNSIGNED: ("Mend the settings", "pages.edit_connection", "connections.write"),
    Trouble.DISABLED: ("Enable the plugin", "pages.plugins", "plugins.read"),
    Trouble.RESTING: ("Enable the plugin", "pages.plugins", "plugins.read"),
    Trouble.VANISHED: ("Look and decide", "pages.vanished", "connections.sync"),
}


def connection_repairs(session: Session) -> list[dict[str, Any]]:
    """Each with title, text, since, and the button that leads to the mending: href and action."""
    hub = current_hub()
    return [_shown(each) for each in repairs_of(session, connectors=hub.connector_classes(), kinds=hub.kinds)]


def _shown(repair: Repair) -> dict[str, Any]:
    action, endpoint, permission = _WAYS.get(repair.trouble, ("Look and test", "pages.connection", "connections.read"))
    if not current_user().may(permission):
        action, endpoint = "Look", "pages.connection"
    return {
        "connection": repair.connection,
        "title": repair.title,
        "text": repair.text,
        "since": repair.since,
        "tone": "warn" if repair.trouble in (Trouble.UNSIGNED, Trouble.RESTING, Trouble.VANISHED) else "bad",
        "href": _address(endpoint, repair),
        "action": action,
    }


def _address(endpoint: str, repair: Repair) -> str:
    if endpoint == "pages.plugins":
        return url_for(endpoint)
    stream: dict[str, Any] = {"kind": repair.stream} if endpoint == "pages.vanished" else {}
    return url_for(endpoint, name=repair.connection, **stream)
