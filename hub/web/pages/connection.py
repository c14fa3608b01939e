"""One connection: its streams, its last runs, its settings, and what was done to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from flask import url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.audit import AuditEntry
from hub.core.outbox import Subscription
from hub.sync.breaker import rest_of
from hub.sync.connections import connection_named
from hub.sync.cycle import AWAKE
from hub.sync.models import Connection, ConnectionState, RunStatus, StreamCursor
from hub.sync.settings_schema import json_schema
from hub.sync.standing import Standing, standings
from hub.web.actors import actor_names
from hub.web.connection_states import (
    connector_of,
    kind_title,
    last_runs,
    plain_settings,
    run_shown,
    state_of,
    stored_secrets,
    stream_state,
    title_of,
)
from hub.web.current import current_user, reading
from hub.web.display import ago, instant, words
from hub.web.pages.blueprint import pages
from hub.web.session import render

_LAST_RUNS = 5
_HISTORY = 8
_REMEDY = "Mend what is named, in the settings here or over there, then test the connection."


@pages.get("/connections/<name>", permission="connections.read")
def connection(name: str) -> ResponseReturnValue:
    """A connection as it is now."""
    with reading() as session:
        found = connection_named(session, name)
        runs = last_runs(session, [found.id], each=_LAST_RUNS).get(found.id, ())
        context = {"streams": _streams(session, found), "history": _history(session, found.id)}
    busy = any(run.status == RunStatus.RUNNING for run in runs) or found.asked_at is not None
    return render(
        "pages/connection.html",
        **context,
        connection=_shown(found),
        runs=[run_shown(run) for run in runs],
        check=_check(found),
        settings=_settings(found),
        actions=_actions(found),
        busy=busy,
    )


def _shown(found: Connection) -> dict[str, Any]:
    needs_person = found.state == ConnectionState.NEEDS_ATTENTION
    without_plugin = connector_of(found) is None
    reason = "Its plugin is disabled: nothing is read or written." if without_plugin else found.reason
    return {
        "name": found.name,
        "connector": found.connector,
        "title": title_of(found),
        "account": found.account_name,
        "account_id": found.account_id,
        "environment": words(found.environment),
        "state": state_of(found),
        "reason": reason or _rest_text(found) or _calm_reason(found),
        "remedy": _REMEDY if needs_person and not without_plugin else "",
        "writing": found.writes,
        "checked_at": found.checked_at,
        "created_at": found.created_at,
    }


def _rest_text(found: Connection) -> str:
    rest = rest_of(found)
    if rest is None or found.state not in AWAKE:
        return ""
    return (
        f"Calls have failed since {instant(rest.since)}: {rest.reason} It is left alone, and called again by itself at "
        f"{instant(rest.tries_at)}; what is owed is kept. A test calls it at once."
    )


def _calm_reason(found: Connection) -> str:
    if found.state == ConnectionState.READ_ONLY:
        return "It reads, and writes nothing over there until you enable that."
    if found.state == ConnectionState.PAUSED:
        return "It rests: nothing is read or written. What changes meanwhile is kept and sent later."
    return ""


def _streams(session: Session, found: Connection) -> list[dict[str, Any]]:
    ids = [found.id]
    counts = standings(session, ids)
    cursors = {
        each.kind: each for each in session.scalars(select(StreamCursor).where(StreamCursor.connection_id == found.id))
    }
    query = select(Subscription).where(Subscription.connection_id == found.id).order_by(Subscription.position)
    return [
        _stream(found, each, counts.get((found.id, each.kind), Standing()), cursors.get(each.kind))
        for each in session.scalars(query)
    ]


def _stream(
    found: Connection, subscription: Subscription, standing: Standing, cursor: StreamCursor | None
) -> dict[str, Any]:
    kind = subscription.kind
    runs = subscription.pushes or subscription.pulls
    return {
        "kind": kind,
        "title": kind_title(kind),
        "pulls": subscription.pulls,
        "pushes": subscription.pushes,
        "state": stream_state(found, standing, runs=runs),
        "text": _stream_text(subscription, standing),
        "records": standing.linked,
        "owed": standing.owed,
        "waiting": standing.waiting,
        "parked": standing.parked,
        "uncertain": standing.uncertain,
        "cursor": ago(cursor.pulled_at) if cursor is not None and subscription.pulls else "",
        "last_run_at": cursor.pulled_at if cursor is not None else None,
        "parked_href": url_for("pages.parked", connection=found.name, stream=kind),
        "matching": standing.to_match,
        "matching_href": url_for("pages.matching", name=found.name, stream=kind),
    }


def _stream_text(subscription: Subscription, standing: Standing) -> str:
    """What the badge does not say by itself."""
    parts = []
    if standing.uncertain:
        parts.append(f"{standing.uncertain} sent without an answer yet; looked up by itself.")
    if standing.waiting:
        parts.append(f"{standing.waiting} after another record.")
    if standing.held:
        parts.append(f"{standing.held} held back by a plan; another one lets them go.")
    if standing.ignored:
        parts.append(f"{standing.ignored} ignored.")
    if subscription.start_on is not None and (subscription.pushes or subscription.pulls):
        parts.append(f"From {subscription.start_on:%-d %b %Y} on.")
    return " ".join(parts)


def _check(found: Connection) -> dict[str, Any] | None:
    if found.findings is None:
        return None
    return {"ok": all(each["ok"] for each in found.findings), "findings": found.findings}


def _settings(found: Connection) -> list[tuple[str, str]]:
    """The settings as their form calls them; of secrets only that they are stored."""
    kind = connector_of(found)
    if kind is None:
        return [("Connector", found.connector)]
    plain, secrets = plain_settings(found), stored_secrets(found)
    pairs = [("Connector", kind.title), ("Account id", found.account_id or "")]
    for name, rule in json_schema(kind.settings)["properties"].items():
        title = rule.get("title") or words(name)
        if name in secrets:
            pairs.append((title, "stored, never shown"))
        elif plain.get(name) not in (None, "", {}, []):
            pairs.append((title, _value_text(plain[name])))
    return pairs


def _value_text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} = {each}" for name, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _history(session: Session, connection_id: UUID) -> list[dict[str, Any]]:
    query = (
        select(AuditEntry)
        .where(AuditEntry.record_kind == "connection", AuditEntry.record_id == connection_id)
        .order_by(AuditEntry.id.desc())
        .limit(_HISTORY * 3)
    )
    entries = session.scalars(query).all()
    names = actor_names(session, [entry.actor for entry in entries])
    told = [(entry, title) for entry in entries if (title := _event(entry))]
    return [{"at": entry.happened_at, "title": title, "who": names[entry.actor]} for entry, title in told[:_HISTORY]]


def _event(entry: AuditEntry) -> str:
    """What happened, in words; "" for what the machinery notes for itself (a renewed token)."""
    state = entry.changes.get("state")
    if entry.action == "create":
        return "Set up"
    if entry.action == "choose-streams":
        return "Streams chosen"
    if isinstance(state, Sequence) and len(state) == 2 and entry.action == "update":
        return {
            ConnectionState.ACTIVE: "Writing enabled",
            ConnectionState.READ_ONLY: "Reading only",
            ConnectionState.PAUSED: "Paused",
            ConnectionState.NEEDS_ATTENTION: "Needs attention",
        }.get(state[1], "")
    if "settings" in entry.changes:
        return "Settings changed"
    return "Tested" if "checked_at" in entry.changes else ""


def _actions(found: Connection) -> list[dict[str, Any]]:
    """What this user may do now; what is not possible says why."""
    user, name = current_user(), found.name
    actions: list[dict[str, Any]] = []
    resting = _why_not_now(found)
    if user.may("connections.sync"):
        actions.append({**_post("Test", "check_now", name, "bolt"), "why": _without_plugin(found)})
    if user.may("connections.write"):
        if found.state == ConnectionState.PAUSED:
            actions.append(_post("Resume", "resume_connection", name, "player-play"))
        else:
            actions.append(_post("Pause", "pause_connection", name, "player-pause"))
        if connector_of(found) is not None:
            actions.append(_link("Settings", "edit_connection", name, "settings"))
            actions.append(_link("Streams", "connection_streams", name, "adjustments-horizontal"))
        if found.state == ConnectionState.READ_ONLY:
            actions.append(_link("Enable writing", "enable_writing", name, "lock-open"))
        actions.append({**_link("Remove", "remove", name, "trash"), "style": "danger"})
    if user.may("connections.sync"):
        planning = _post("See what a sync would do", "plan_connection", name, "list-check")
        actions.append({**planning, "why": _without_plugin(found)})
        actions.append({**_post("Sync now", "sync_connection", name, "refresh"), "style": "primary", "why": resting})
    return actions


def _without_plugin(found: Connection) -> str:
    return "" if connector_of(found) is not None else "Its plugin is disabled."


def _why_not_now(found: Connection) -> str:
    if found.state == ConnectionState.PAUSED:
        return "It is paused."
    if found.state == ConnectionState.NEEDS_ATTENTION:
        return "It has to be mended and tested first."
    return _without_plugin(found)


def _post(label: str, endpoint: str, name: str, icon: str) -> dict[str, Any]:
    return {**_link(label, endpoint, name, icon), "method": "post"}


def _link(label: str, endpoint: str, name: str, icon: str) -> dict[str, Any]:
    href = url_for(f"pages.{endpoint}", name=name)
    return {"label": label, "href": href, "method": "get", "icon": icon, "style": "default"}
