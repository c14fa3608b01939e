"""/connections: accounts of other systems, their state, and runs of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

from flask import Response
from marshmallow import Schema, fields, validate
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.errors import HubError, RuleBroken
from hub.core.outbox import Subscription
from hub.sync.connections import (
    add_connection,
    change_settings,
    check_connection,
    get_connection,
    load_settings,
    remove_connection,
    secret_names,
    set_state,
)
from hub.sync.cycle import run_connection
from hub.sync.guards import set_guards
from hub.sync.models import Connection, ConnectionState
from hub.sync.standing import Word, word_of
from hub.web.api.fields import choice, text, whole
from hub.web.api.rest import ApiBlueprint, Values, answer, answer_after, answer_page, filtered, row
from hub.web.api.runs import RunOutput, run_view
from hub.web.current import current_hub, current_user, transact

blueprint = ApiBlueprint(
    "connections", "Accounts of other systems that the hub is connected with.", prefix="/connections"
)

LONGEST_RUN_S: Final = 20
"""A run that a request waits for; what is left goes on in the workers."""


class ConnectionChange(Schema):
    """What can be changed. settings: those that are named; a secret that is not sent stays. guard_updates,
    guard_deletes: how many percent of a stream's linked records one plan may change without being asked twice.
    """

    settings = fields.Dict(keys=fields.String())
    guard_updates = whole(0, 100)
    guard_deletes = whole(0, 100)


class ConnectionInput(Schema):
    """A new connection. settings: as the connector's schema says. start_on: nothing older is created over there."""

    connector = text(60, least=1, required=True, metadata={"example": "quickbooks"})
    name = text(60, least=1, required=True, metadata={"example": "books"})
    settings = fields.Dict(keys=fields.String(), required=True)
    read_only = fields.Boolean(load_default=False)
    start_on = fields.Date(allow_none=True)
    conditions = fields.Dict(keys=fields.String(), values=fields.Dict(keys=fields.String()))


class StreamOutput(Schema):
    """One kind of record that travels. start_on: nothing older is created over there."""

    kind = fields.String(required=True)
    pushes = fields.Boolean(required=True)
    pulls = fields.Boolean(required=True)
    start_on = fields.Date(required=True, allow_none=True)
    conditions = fields.Dict(required=True)


class FindingOutput(Schema):
    """What the last check found out."""

    ok = fields.Boolean(required=True)
    name = fields.String(required=True)
    text = fields.String(required=True)
    remedy = fields.String()
    field = fields.String(allow_none=True)


class ConnectionOutput(Schema):
    """One account of one other system. Secrets are written, never shown: `secrets` names those that are stored. state:
    what it is set to; standing: how it stands, in one word.
    """

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    plugin = fields.String(required=True)
    connector = fields.String(required=True)
    state = choice(ConnectionState, required=True)
    standing = choice(Word, required=True)
    reason = fields.String(required=True)
    account_id = fields.String(required=True, allow_none=True)
    account_name = fields.String(required=True)
    environment = fields.String(required=True)
    settings = fields.Dict(required=True)
    secrets = fields.List(fields.String(), required=True)
    streams = fields.List(fields.Nested(StreamOutput), required=True)
    findings = fields.List(fields.Nested(FindingOutput), required=True)
    checked_at = fields.AwareDateTime(required=True, allow_none=True)
    pulled_at = fields.AwareDateTime(required=True, allow_none=True)
    failed_in_row = fields.Integer(required=True)
    last_failure = fields.String(required=True)
    left_alone_since = fields.AwareDateTime(required=True, allow_none=True)
    tried_again_at = fields.AwareDateTime(required=True, allow_none=True)
    guard_updates = fields.Integer(required=True)
    guard_deletes = fields.Integer(required=True)
    created_at = fields.AwareDateTime(required=True)


class ConnectionQuery(Schema):
    """Filters."""

    connector = fields.String()
    state = choice(ConnectionState)
    name = fields.String()


class SyncInput(Schema):
    """What to run. kinds: these streams only. full: read from the beginning."""

    kinds = fields.List(fields.String(), validate=validate.Length(min=1, max=50))
    direction = choice(("push", "pull"))
    full = fields.Boolean(load_default=False)


class ResumeInput(Schema):
    """read_only: unless said, as it was before the pause."""

    read_only = fields.Boolean()


@blueprint.get("", permission="connections.read", query=ConnectionQuery, output=ConnectionOutput, paged=True)
def list_connections(query: Values) -> Response:
    """Connections, the oldest first."""
    columns = {name: getattr(Connection, name) for name in ("connector", "state", "name")}
    return answer_page(filtered(select(Connection), query, columns), views=_views)


@blueprint.post("", permission="connections.write", body=ConnectionInput, output=ConnectionOutput)
def create_connection(body: Values) -> Response:
    """Set up a connection: its settings are checked and its test must succeed, or nothing is left of it."""
    hub, actor = current_hub(), current_user().actor

    def work() -> Connection:
        with _pointing_into_settings():
            load_settings(hub.connector_class(body["connector"])[1], body["settings"])
        return add_connection(hub, **body, actor=actor)

    return answer_after(work, view=_view)


@blueprint.get("/<uuid:connection_id>", permission="connections.read", output=ConnectionOutput)
def get_a_connection(connection_id: UUID) -> Response:
    """One connection."""
    return answer(row(Connection, connection_id), view=_view)


@blueprint.patch(
    "/<uuid:connection_id>", permission="connections.write", body=ConnectionChange, output=ConnectionOutput
)
def change_connection(connection_id: UUID, body: Values) -> Response:
    """Change the settings and guards that are given."""

    def guards(session: Session) -> None:
        set_guards(session, connection_id, updates=body.get("guard_updates"), deletes=body.get("guard_deletes"))

    def work() -> Connection:
        with _pointing_into_settings():
            change_settings(current_hub(), connection_id, body.get("settings", {}), actor=current_user().actor)
        transact(guards)
        return _present(connection_id)

    return answer_after(work, of=row(Connection, connection_id), view=_view)


@blueprint.delete("/<uuid:connection_id>", permission="connections.write", output=ConnectionOutput)
def delete_connection(connection_id: UUID) -> Response:
    """Forget credentials and streams; links and history stay."""
    actor = current_user().actor

    def work() -> None:
        remove_connection(current_hub(), connection_id, actor=actor)

    return answer_after(work, of=row(Connection, connection_id), view=_view)


@blueprint.post("/<uuid:connection_id>/check", permission="connections.sync", output=ConnectionOutput)
def check_a_connection(connection_id: UUID) -> Response:
    """Test the connection and keep what that finds out."""

    def work() -> Connection:
        check_connection(current_hub(), connection_id, actor=current_user().actor)
        return _present(connection_id)

    return answer_after(work, of=row(Connection, connection_id), view=_view)


@blueprint.post("/<uuid:connection_id>/sync", permission="connections.sync", body=SyncInput, output=RunOutput)
def sync_connection(connection_id: UUID, body: Values) -> Response:
    """Run now, for at most 20 seconds; what is left then goes on in the workers."""
    hub, actor = current_hub(), current_user().actor

    def work() -> Any:
        run = run_connection(hub, connection_id, **body, trigger="api", actor=actor, seconds=LONGEST_RUN_S)
        hub.wake({connection_id})
        return run

    return answer_after(work, view=run_view)


@blueprint.post("/<uuid:connection_id>/pause", permission="connections.write", output=ConnectionOutput)
def pause_connection(connection_id: UUID) -> Response:
    """Do nothing with it until it is resumed; what is owed stays owed."""

    def work(session: Session) -> Connection:
        return set_state(session, connection_id, ConnectionState.PAUSED)

    return answer(work, of=row(Connection, connection_id), view=_view)


@blueprint.post(
    "/<uuid:connection_id>/resume", permission="connections.write", body=ResumeInput, output=ConnectionOutput
)
def resume_connection(connection_id: UUID, body: Values) -> Response:
    """Go on, writing as before the pause unless said otherwise."""

    def work(session: Session) -> Connection:
        reads_only = body.get("read_only", not get_connection(session, connection_id).writes)
        session.info.setdefault("owed", set()).add(connection_id)
        return set_state(session, connection_id, ConnectionState.READ_ONLY if reads_only else ConnectionState.ACTIVE)

    return answer(work, of=row(Connection, connection_id), view=_view)


@contextmanager
def _pointing_into_settings() -> Iterator[None]:
    """What is wrong with a setting is said of its place in the body."""
    try:
        yield
    except RuleBroken as refused:
        fields = {f"settings.{name}": text for name, text in refused.fields.items()}
        raise RuleBroken(str(refused), code=refused.code, fields=fields) from refused


def _present(connection_id: UUID) -> Connection:
    with current_hub().read() as session:
        return get_connection(session, connection_id)


def _view(session: Session, connection: Connection) -> Values:
    return _views(session, [connection])[0]


def _views(session: Session, connections: Sequence[Connection]) -> list[Values]:
    """Connections as they are shown, with the streams of all of them read at once."""
    ids = [connection.id for connection in connections]
    streams: dict[UUID, list[Subscription]] = {}
    for subscription in session.scalars(
        select(Subscription).where(Subscription.connection_id.in_(ids)).order_by(Subscription.position)
    ):
        streams.setdefault(subscription.connection_id, []).append(subscription)
    return [_shown(connection, streams.get(connection.id, [])) for connection in connections]


_COLUMNS: Final = (
    "id",
    "name",
    "plugin",
    "connector",
    "state",
    "reason",
    "account_id",
    "account_name",
    "environment",
    "checked_at",
    "pulled_at",
    "failed_in_row",
    "last_failure",
    "left_alone_since",
    "tried_again_at",
    "guard_updates",
    "guard_deletes",
    "created_at",
)


def _shown(connection: Connection, streams: Sequence[Subscription]) -> Values:
    settings, secrets = _public_settings(connection)
    return {
        **{name: getattr(connection, name) for name in _COLUMNS},
        "standing": word_of(connection, connectors=current_hub().connector_classes()),
        "settings": settings,
        "secrets": secrets,
        "streams": streams,
        "findings": connection.findings or [],
    }


def _public_settings(connection: Connection) -> tuple[Values, list[str]]:
    """The settings without the secrets, and the secrets' names; nothing while its plugin is disabled."""
    hub = current_hub()
    try:
        _, kind = hub.connector_class(connection.connector)
        stored = hub.cipher.decrypt(connection.settings)
    except HubError:
        return {}, []
    hidden = secret_names(kind.settings)
    return {name: value for name, value in stored.items() if name not in hidden}, sorted(hidden & set(stored))
