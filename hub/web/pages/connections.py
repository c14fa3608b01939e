"""All connections, and whether each is in step with the hub."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.sync.models import Connection, Run
from hub.sync.standing import Standing, standings, together
from hub.web.connection_states import connector_of, last_runs, state_of, title_of
from hub.web.connector_catalogue import icon_of
from hub.web.current import reading
from hub.web.display import words
from hub.web.pages.blueprint import pages
from hub.web.session import render

_TREND = 12


@pages.get("/connections", permission="connections.read")
def connections() -> ResponseReturnValue:
    """Every connected system with its counts and its last runs."""
    with reading() as session:
        shown = _shown(session)
    return render("pages/connections.html", connections=shown)


def _shown(session: Session) -> list[dict[str, Any]]:
    found = session.scalars(select(Connection).order_by(Connection.name)).all()
    ids = [connection.id for connection in found]
    counts, runs = standings(session, ids), last_runs(session, ids, each=_TREND)
    return [_row(each, together(counts, each.id), runs.get(each.id, ())) for each in found]


def _row(connection: Connection, standing: Standing, runs: Sequence[Run]) -> dict[str, Any]:
    return {
        "name": connection.name,
        "title": title_of(connection),
        "icon": icon_of(connector_of(connection)),
        "account": connection.account_name,
        "environment": words(connection.environment),
        "state": state_of(connection),
        "reason": connection.reason or (connection.last_failure if state_of(connection) == "resting" else ""),
        "owed": standing.owed + standing.waiting + standing.held,
        "parked": standing.parked,
        "uncertain": standing.uncertain,
        "in_step": standing.in_step and state_of(connection) not in ("broken", "needs_reauth", "resting"),
        "last_run_at": runs[0].started_at if runs else None,
        "href": url_for("pages.connection", name=connection.name),
        "parked_href": url_for("pages.parked", connection=connection.name),
        "trend": [(run.status, words(run.status).lower()) for run in reversed(runs)],
    }
