"""Changing a connection that is there: its settings and its streams."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from flask import request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.errors import ConnectorError, RuleBroken
from hub.core.outbox import Subscription
from hub.sync.connections import connection_named
from hub.sync.connector import Connector, Stream
from hub.sync.models import Connection
from hub.sync.settings_change import change_settings_tested
from hub.sync.settings_schema import JsonSchema, json_schema
from hub.sync.streams import StreamChoice, choose_streams
from hub.web.connection_form import SettingsForm, entered, refused, settings_form
from hub.web.connection_states import plain_settings, stored_secrets
from hub.web.current import current_hub, current_user, reading, transact
from hub.web.forms import form_fields, posted_values
from hub.web.pages.add_connection import begin_reading
from hub.web.pages.blueprint import pages
from hub.web.session import flash, redirect_to, render


@pages.get("/connections/<name>/settings", permission="connections.write")
def edit_connection(name: str) -> ResponseReturnValue:
    """The settings as they are stored, without the secrets."""
    connection, kind = _connection(name)
    return _settings_page(connection, kind, settings_form(kind, plain_settings(connection)))


@pages.post("/connections/<name>/settings", permission="connections.write", endpoint="edit_connection_sent")
def edit_connection_sent(name: str) -> ResponseReturnValue:
    """Keep the settings if the connection's test succeeds with them."""
    connection, kind = _connection(name)
    values = entered(kind, request.form)
    try:
        result = change_settings_tested(current_hub(), connection.id, values, actor=current_user().actor)
    except (RuleBroken, ConnectorError) as failure:
        return _settings_page(connection, kind, refused(kind, values, failure)), 422
    if request.form.get("action") == "test" or not result.ok:
        flash("good" if result.ok else "warn", "The settings are saved. See below what the test found.")
        return redirect_to("pages.edit_connection", name=name, tested=1, **_setup())
    flash("good", f"The settings are saved; the test reached {result.account_name}.")
    return redirect_to("pages.connection_streams" if _setup() else "pages.connection", name=name, **_setup())


@pages.get("/connections/<name>/streams", permission="connections.write")
def connection_streams(name: str) -> ResponseReturnValue:
    """Which streams run, from which day on, and for which records."""
    connection, kind = _connection(name)
    with reading() as session:
        subscriptions = _subscriptions(session, connection)
    choices = {
        each.kind: StreamChoice(each.start_on, each.conditions)
        for each in subscriptions.values()
        if each.pushes or each.pulls
    }
    return _streams_page(connection, kind, list(subscriptions), choices, {})


@pages.post("/connections/<name>/streams", permission="connections.write", endpoint="connection_streams_sent")
def connection_streams_sent(name: str) -> ResponseReturnValue:
    """Choose the streams. At the end of setting up, the connection begins to read."""
    connection, kind = _connection(name)
    with reading() as session:
        known = list(_subscriptions(session, connection))
    choices, faults = _posted(kind)

    def work(session: Session) -> None:
        choose_streams(session, connection.id, kind, choices)
        if _setup():
            begin_reading(session, name)

    try:
        if faults:
            raise RuleBroken("Some days are not right.", fields=faults)
        transact(work)
    except RuleBroken as refusal:
        if not refusal.fields:
            raise
        return _streams_page(connection, kind, known, choices, refusal.fields), 422
    if _setup():
        return redirect_to("pages.connection_ready", name=name)
    flash("good", "The streams are changed. It holds from the next run on.")
    return redirect_to("pages.connection", name=name)


def _connection(name: str) -> tuple[Connection, type[Connector]]:
    """Raises NotFound, also while the connector's plugin is disabled."""
    with reading() as session:
        connection = connection_named(session, name)
    return connection, current_hub().connector_class(connection.connector)[1]


def _setup() -> dict[str, Any]:
    """The mark of a set-up that is under way, for the next address."""
    return {"setup": 1} if request.args.get("setup") else {}


def _settings_page(connection: Connection, kind: type[Connector], form: SettingsForm) -> str:
    findings = connection.findings if request.args.get("tested") else None
    return render(
        "pages/connection_setup.html",
        connector={"name": kind.name, "title": kind.title},
        step=1,
        href=url_for("pages.edit_connection", name=connection.name, **_setup()),
        name=connection.name,
        name_fixed=True,
        name_error="",
        fields=form.fields(stored_secrets(connection)),
        errors=form.errors,
        form_error=form.text,
        check=None if findings is None else _check(connection, findings),
        connection=None if _setup() else connection.name,
    )


def _check(connection: Connection, findings: list[Any]) -> dict[str, Any]:
    return {
        "ok": all(finding["ok"] for finding in findings),
        "account_name": connection.account_name,
        "environment": connection.environment,
        "findings": findings,
    }


def _subscriptions(session: Session, connection: Connection) -> dict[str, Subscription]:
    query = select(Subscription).where(Subscription.connection_id == connection.id).order_by(Subscription.position)
    return {each.kind: each for each in session.scalars(query)}


def _streams_page(
    connection: Connection,
    kind: type[Connector],
    known: list[str],
    choices: Mapping[str, StreamChoice],
    errors: Mapping[str, str],
) -> str:
    return render(
        "pages/connection_setup.html",
        connector={"name": kind.name, "title": kind.title},
        step=2,
        href=url_for("pages.connection_streams", name=connection.name, **_setup()),
        streams=[
            _stream_shown(stream, choices.get(stream.kind), errors) for stream in kind.streams if stream.kind in known
        ],
        errors=dict(errors),
        connection=None if _setup() else connection.name,
    )


def _stream_shown(stream: Stream, choice: StreamChoice | None, errors: Mapping[str, str]) -> dict[str, Any]:
    posted_day = request.form.get(f"start_on.{stream.kind}", "")
    conditions = {f"{stream.kind}.{name}": value for name, value in (choice.conditions if choice else {}).items()}
    return {
        "kind": stream.kind,
        "title": stream.title,
        "text": _stream_text(stream),
        "pulls": stream.pulls,
        "pushes": stream.pushes,
        "chosen": choice is not None,
        "start_on": choice.start_on.isoformat() if choice and choice.start_on else posted_day,
        "conditions": form_fields(_conditions_schema(stream), conditions, errors=errors),
    }


def _stream_text(stream: Stream) -> str:
    if stream.on_demand:
        return "Created over there when another record needs one; what is there already is kept in step."
    if stream.pulls and stream.pushes:
        return "Kept in step both ways."
    return "Read from there." if stream.pulls else "Sent there."


def _conditions_schema(stream: Stream) -> JsonSchema:
    """The stream's conditions, each named KIND.CONDITION so that those of all streams fit into one form."""
    if stream.conditions is None:
        return {"properties": {}}
    schema = json_schema(stream.conditions)
    return {
        "properties": {f"{stream.kind}.{name}": rule for name, rule in schema["properties"].items()},
        "required": [f"{stream.kind}.{name}" for name in schema["required"]],
    }


def _posted(kind: type[Connector]) -> tuple[dict[str, StreamChoice], dict[str, str]]:
    """What was chosen, and the days that are none."""
    choices: dict[str, StreamChoice] = {}
    faults: dict[str, str] = {}
    chosen = set(request.form.getlist("stream"))
    for stream in kind.streams:
        if stream.kind not in chosen:
            continue
        field = f"start_on.{stream.kind}"
        text = request.form.get(field, "").strip()
        start_on = None
        try:
            start_on = date.fromisoformat(text) if text else None
        except ValueError:
            faults[field] = f"“{text}” is no day. Write it as 2026-11-24."
        values = posted_values(_conditions_schema(stream), request.form)
        conditions = {name.partition(".")[2]: value for name, value in values.items()}
        choices[stream.kind] = StreamChoice(start_on, conditions)
    return choices, faults
