"""The catalogue of what can be connected."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from flask import url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.sync.connector import Connector
from hub.sync.models import Connection
from hub.web.connection_states import state_of
from hub.web.connector_catalogue import Entry, catalogue, entry_named
from hub.web.current import current_hub, current_user, reading
from hub.web.listing import query_text
from hub.web.pages.blueprint import pages
from hub.web.session import flash, redirect_to, render


@pages.get("/connectors", permission="connections.write")
def connectors() -> ResponseReturnValue:
    """All connectors of the installed plugins, enabled or not, with the connections there are."""
    wanted = query_text("q").casefold()
    entries = [entry for entry in catalogue() if wanted in f"{entry.title} {entry.category} {entry.name}".casefold()]
    with reading() as session:
        connections = _connections(session)
    groups = [
        {"category": category, "connectors": [_shown(entry, connections) for entry in group]}
        for category, group in groupby(entries, key=lambda entry: entry.category)
    ]
    return render("pages/connectors.html", groups=groups, filters={"q": query_text("q")})


@pages.post("/connectors/<connector>/enable", permission="plugins.write")
def enable_connector(connector: str) -> ResponseReturnValue:
    """Switch the connector's plugin on, and go on to connecting an account."""
    entry = entry_named(connector)
    current_hub().plugins.enable(entry.plugin, actor=current_user().actor)
    flash("good", f"The plugin of {entry.title} is enabled.")
    return redirect_to("pages.add_connection", connector=connector)


def _connections(session: Session) -> dict[str, list[Connection]]:
    """The connections by connector."""
    found: dict[str, list[Connection]] = {}
    for connection in session.scalars(select(Connection).order_by(Connection.name)):
        found.setdefault(connection.connector, []).append(connection)
    return found


def _shown(entry: Entry, connections: dict[str, list[Connection]]) -> dict[str, Any]:
    return {
        "name": entry.name,
        "title": entry.title,
        "text": entry.text,
        "icon": entry.icon,
        "version": entry.version and f"Version {entry.version}",
        "maintainer": "",
        "licence": "",
        "reads": any(stream["pulls"] for stream in entry.streams),
        "writes": any(stream["pushes"] for stream in entry.streams),
        "webhooks": _takes_webhooks(entry),
        "connections": [
            {"name": each.name, "state": state_of(each), "href": url_for("pages.connection", name=each.name)}
            for each in _of(connections, entry)
        ],
        "add_href": url_for("pages.add_connection", connector=entry.name),
        "enable_href": "" if entry.enabled else url_for("pages.enable_connector", connector=entry.name),
        "why": entry.why,
    }


def _of(connections: dict[str, list[Connection]], entry: Entry) -> Sequence[Connection]:
    return connections.get(entry.name, [])


def _takes_webhooks(entry: Entry) -> bool:
    """Known of an enabled plugin only: the others are not imported."""
    known = current_hub().connector_classes().get(entry.name)
    return known is not None and known[1].webhook is not Connector.webhook
