"""A connection as a file: everything but its secrets, its tokens, and what belongs to the account it was made with.

What was tried on a test account goes to the real one so: export there, import here, with the credentials given anew.
Links and cursors never travel.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from marshmallow import Schema, ValidationError, fields, validate
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.errors import RuleBroken
from hub.core.outbox import Subscription
from hub.sync.connections import add_connection, connection_named, load_settings, secret_names
from hub.sync.connector import Connector
from hub.sync.models import Connection
from hub.sync.settings_change import change_settings_tested
from hub.sync.streams import StreamChoice, choose_streams, condition_faults

if TYPE_CHECKING:
    from hub.bootstrap import Hub

VERSION = 1


class _StreamSchema(Schema):
    kind = fields.String(required=True)
    start_on = fields.Date(load_default=None, allow_none=True)
    conditions = fields.Dict(keys=fields.String(), load_default=dict)


class _FileSchema(Schema):
    version = fields.Integer(required=True, validate=validate.Equal(VERSION, error="this hub reads version {other}"))
    connector = fields.String(required=True)
    name = fields.String(required=True, validate=validate.Length(1, 100))
    settings = fields.Dict(keys=fields.String(), required=True)
    secrets = fields.List(fields.String(), load_default=list)
    streams = fields.List(fields.Nested(_StreamSchema), required=True, validate=validate.Length(1))


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import changes, or would: (what, before, after) each; added: whether the connection is new."""

    name: str
    added: bool
    changes: tuple[tuple[str, Any, Any], ...]


def export_connection(hub: Hub, name: str) -> str:
    """The file of a connection: JSON, the same to the byte for the same connection. Raises NotFound."""
    with hub.read() as session:
        connection = connection_named(session, name)
        _, kind = hub.connector_class(connection.connector)
        document = {
            "version": VERSION,
            "connector": connection.connector,
            "name": name,
            "secrets": sorted(secret_names(kind.settings)),
            **_of(hub, session, connection),
        }
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def connector_in(text: str) -> str:
    """The connector that a file is for. Raises RuleBroken for what is no exported connection."""
    return str(_loaded(text)["connector"])


def import_connection(
    hub: Hub,
    text: str,
    *,
    given: Mapping[str, Any] | None = None,
    name: str | None = None,
    dry_run: bool = False,
    actor: str = "system",
) -> Imported:
    """Make the connection of a file, or change the one of its name to what the file says.

    given: settings that go before the file's; a new connection, which only reads, needs its secrets there. name:
    instead of the file's. dry_run: only say what would change. Raises RuleBroken naming each fault, NotFound for a
    connector that is not enabled, ConnectorError when the connection's test fails; then nothing has changed.
    """
    document = _loaded(text)
    name = name or document["name"]
    _, kind = hub.connector_class(document["connector"])
    secrets = secret_names(kind.settings)
    settings = {**{key: value for key, value in document["settings"].items() if key not in secrets}, **(given or {})}
    choices = _choices(kind, document["streams"])
    with hub.read() as session:
        known = session.scalar(select(Connection).where(Connection.name == name))
        before = {"settings": {}, "streams": []} if known is None else _of(hub, session, known)
    if known is not None and known.connector != document["connector"]:
        raise RuleBroken(f"{name} is a connection of {known.connector}, not of {document['connector']}.")
    changes = _changes(before, {key: value for key, value in settings.items() if key not in secrets}, choices)
    changes += [(f"settings.{key}", None, "given") for key in sorted(secrets & set(given or {}))]
    if known is None:
        _refuse_without_secrets(kind, settings)
    if not dry_run and known is None:
        known = add_connection(
            hub, connector=document["connector"], name=name, settings=settings, read_only=True, actor=actor
        )
    elif not dry_run and known is not None and any(what.startswith("settings.") for what, _, _ in changes):
        change_settings_tested(hub, known.id, settings, actor=actor)
    if not dry_run and known is not None:
        connection_id = known.id
        hub.transact(lambda session: choose_streams(session, connection_id, kind, choices), actor=actor)
    return Imported(name, before == {"settings": {}, "streams": []}, tuple(changes))


def _of(hub: Hub, session: Session, connection: Connection) -> dict[str, Any]:
    """What travels of a connection: its settings without the secrets, and its streams that run."""
    _, kind = hub.connector_class(connection.connector)
    secrets, stored = secret_names(kind.settings), hub.cipher.decrypt(connection.settings)
    subscriptions = session.scalars(
        select(Subscription).where(Subscription.connection_id == connection.id).order_by(Subscription.position)
    )
    return {
        "settings": {name: value for name, value in stored.items() if name not in secrets},
        "streams": [
            {
                "kind": each.kind,
                "start_on": each.start_on.isoformat() if each.start_on else None,
                "conditions": dict(each.conditions),
            }
            for each in subscriptions
            if each.pushes or each.pulls
        ],
    }


def _loaded(text: str) -> dict[str, Any]:
    try:
        given = json.loads(text)
    except ValueError as failure:
        raise RuleBroken(f"This file is no JSON: {failure}.") from None
    if not isinstance(given, dict):
        raise RuleBroken("This file is no exported connection: it must be a JSON object.")
    try:
        loaded: dict[str, Any] = _FileSchema().load(given)
    except ValidationError as failure:
        faults = {name: json.dumps(reasons) for name, reasons in failure.normalized_messages().items()}
        listed = "; ".join(f"{name}: {reason}" for name, reason in faults.items())
        raise RuleBroken(f"This file is no exported connection of this hub: {listed}", fields=faults) from None
    return loaded


def _choices(kind: type[Connector], streams: list[dict[str, Any]]) -> dict[str, StreamChoice]:
    known = [stream.kind for stream in kind.streams]
    unknown = [each["kind"] for each in streams if each["kind"] not in known]
    if unknown:
        raise RuleBroken(
            f"{kind.title} has no stream {', '.join(unknown)}. It has: {', '.join(known)}.",
            fields={"streams": "names a stream that does not exist"},
        )
    choices = {each["kind"]: StreamChoice(each["start_on"], each["conditions"]) for each in streams}
    if faults := condition_faults(kind, choices):
        raise RuleBroken("Some conditions are not right.", fields=faults)
    return choices


def _refuse_without_secrets(kind: type[Connector], settings: Mapping[str, Any]) -> None:
    """A file has no secrets, so a new connection needs those given that its settings demand."""
    missing = [
        name for name, field in kind.settings().fields.items() if field.required and settings.get(name) in (None, "")
    ]
    if missing:
        asked = " ".join(f"--set {name}=..." for name in missing)
        raise RuleBroken(
            f"A file holds no secrets. Give what is missing: {asked}", fields=dict.fromkeys(missing, "is missing")
        )
    load_settings(kind, settings)


def _changes(
    before: Mapping[str, Any], settings: Mapping[str, Any], choices: Mapping[str, StreamChoice]
) -> list[tuple[str, Any, Any]]:
    """Every setting and stream that is not as it was."""
    changes: list[tuple[str, Any, Any]] = []
    for name in sorted({*before["settings"], *settings}):
        was, will = before["settings"].get(name), settings.get(name)
        if was != will:
            changes.append((f"settings.{name}", was, will))
    old = {each["kind"]: {"start_on": each["start_on"], "conditions": each["conditions"]} for each in before["streams"]}
    new = {
        kind: {"start_on": _text(choice.start_on), "conditions": dict(choice.conditions)}
        for kind, choice in choices.items()
    }
    for kind in sorted({*old, *new}):
        if old.get(kind) != new.get(kind):
            changes.append((f"streams.{kind}", old.get(kind), new.get(kind)))
    return changes


def _text(day: date | None) -> str | None:
    return day.isoformat() if day else None
