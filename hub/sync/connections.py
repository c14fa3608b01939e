"""Connections: one configured account of a connector each, with its settings encrypted and its streams."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from marshmallow import Schema, ValidationError
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from hub.core import audit, clock
from hub.core.database import uuid7
from hub.core.errors import ConfigurationFailure, NotFound, RuleBroken
from hub.core.outbox import Link, Subscription
from hub.http import HttpClient
from hub.sync.breaker import Breaker
from hub.sync.connector import CheckResult, ConnectionContext, Connector, Stream
from hub.sync.models import Connection, ConnectionState, FormerConnection
from hub.sync.tokens import Tokens

if TYPE_CHECKING:
    from hub.bootstrap import Hub

log = structlog.get_logger("hub.sync")


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection ready for work: its connector, the streams it subscribes to, and what it may do."""

    id: UUID
    name: str
    state: str
    connector: Connector
    subscriptions: Mapping[str, Subscription]
    breaker: Breaker
    unlooked: bool = False
    """Whether the hub was restored, and what the other side has was not looked at yet."""

    def stream(self, kind: str) -> Stream:
        """The connector's stream of a kind. Raises NotFound."""
        for stream in self.connector.streams:
            if stream.kind == kind and kind in self.subscriptions:
                return stream
        known = ", ".join(self.subscriptions)
        raise NotFound(f"The connection {self.name} has no stream {kind}. It has: {known}.")

    @property
    def may_write(self) -> bool:
        return self.state == ConnectionState.ACTIVE

    def for_another_thread(self) -> Opened:
        """The same connection with a connector of its own, for a thread beside this one."""
        return replace(self, connector=type(self.connector)(self.connector.context))


def load_settings(connector: type[Connector], given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings checked by the connector's schema. Raises RuleBroken naming each wrong one, never its value."""
    try:
        loaded: dict[str, Any] = connector.settings().load(dict(given))
    except ValidationError as failure:
        fields = {name: _sentence(reasons) for name, reasons in failure.normalized_messages().items()}
        listed = "; ".join(f"{name}: {reason}" for name, reason in fields.items())
        raise RuleBroken(f"The settings of {connector.title} are not right: {listed}", fields=fields) from None
    return loaded


def secret_names(schema: type[Schema]) -> frozenset[str]:
    """The settings that are written but never shown."""
    return frozenset(name for name, field in schema().fields.items() if field.metadata.get("secret"))


def known_secrets(hub: Hub, session: Session, connection_ids: Collection[UUID]) -> list[str]:
    """Every secret value of these connections, to keep out of what is shown. One whose plugin is disabled has none that
    could be told from its settings: then all of them count.
    """
    found: list[str] = []
    rows = select(Connection.connector, Connection.settings, Connection.tokens)
    for connector, settings, tokens in session.execute(rows.where(Connection.id.in_(connection_ids))):
        known = hub.connector_classes().get(connector)
        given = hub.cipher.decrypt(settings)
        names = secret_names(known[1].settings) if known is not None else given
        values = [given.get(name) for name in names]
        values += hub.cipher.decrypt(tokens).values() if tokens else []
        found += [value for value in values if isinstance(value, str)]
    return found


def add_connection(
    hub: Hub,
    *,
    connector: str,
    name: str,
    settings: Mapping[str, Any],
    read_only: bool = False,
    paused: bool = False,
    start_on: date | None = None,
    conditions: Mapping[str, Mapping[str, Any]] | None = None,
    actor: str = "system",
) -> Connection:
    """A new connection, once its settings are valid and its test succeeds. Its streams become owed what exists.

    To an account that was connected before, it takes up the links of then: nothing is created there a second time.
    paused: nothing is read or written before it is resumed, so that its streams can be chosen first. Raises RuleBroken
    (settings, name, or account taken), ConnectorError when the test fails.
    """
    plugin, kind = hub.connector_class(connector)
    loaded = load_settings(kind, settings)
    with hub.read() as session:
        if session.scalar(select(Connection.id).where(Connection.name == name)) is not None:
            raise RuleBroken(f"There is a connection called “{name}” already.", fields={"name": "is taken"})
    connection = Connection(
        id=uuid7(),
        name=name,
        plugin=plugin,
        connector=connector,
        settings=hub.cipher.encrypt(dict(settings)),
        state=ConnectionState.PAUSED,
        writes=not read_only,
        facts={},
        tokens=None,
        token_version=0,
    )

    def work(session: Session) -> None:
        session.add(connection)
        session.add_all(
            Subscription(
                connection_id=connection.id,
                kind=stream.kind,
                position=position,
                pushes=stream.pushes,
                pulls=stream.pulls,
                on_demand=stream.on_demand,
                start_on=start_on,
                conditions=dict((conditions or {}).get(stream.kind, {})),
            )
            for position, stream in enumerate(kind.streams)
        )

    # The row is there first, because a rotated token of the test must not be lost; a failed test takes it out again.
    # It rests until the test has said which account it is.
    hub.transact(work, actor=actor)
    del loaded
    try:
        check_connection(hub, connection.id, actor=actor)
    except Exception:
        remove_connection(hub, connection.id, actor=actor)
        raise

    def begin(session: Session) -> Connection:
        begun = connection_named(session, name)
        begun.state = _first_state(read_only=read_only, paused=paused)
        begun.began_at = None if paused else clock.now()
        return begun

    return hub.transact(begin, actor=actor)


def _first_state(*, read_only: bool, paused: bool) -> ConnectionState:
    if paused:
        return ConnectionState.PAUSED
    return ConnectionState.READ_ONLY if read_only else ConnectionState.ACTIVE


def check_connection(hub: Hub, connection_id: UUID, *, actor: str = "system", asked: bool = True) -> CheckResult:
    """Test a connection and keep what it found out. Raises ConnectorError, RuleBroken for another account.

    asked: by a person, who wants to know now even while the other system is left alone after failures.
    """
    try:
        opened = open_connection(hub, connection_id)
        with opened.breaker.call(asked=asked):
            result = opened.connector.check()
    except ConfigurationFailure as failure:
        hold(hub, connection_id, str(failure), signed_out=failure.reauthorise)
        raise

    def work(session: Session) -> None:
        connection = get_connection(session, connection_id)
        taken = select(Connection.name).where(
            Connection.connector == connection.connector,
            Connection.account_id == result.account_id,
            Connection.id != connection.id,
        )
        other = session.scalar(taken)
        if other is not None:
            raise RuleBroken(f"{result.account_name} is connected already, as “{other}”.", code="account-connected")
        if connection.account_id not in (None, result.account_id):
            text = (
                f"These credentials belong to {result.account_name}, but this connection is for "
                f"{connection.account_name}. Add a new connection for it."
            )
            raise RuleBroken(text, code="other-account")
        if connection.account_id is None:
            _take_up(session, connection, result.account_id)
        connection.account_id, connection.account_name = result.account_id, result.account_name
        connection.environment, connection.facts = result.environment, result.facts
        connection.findings = [
            {"ok": found.ok, "name": found.name, "text": found.text, "remedy": found.remedy, "field": found.field}
            for found in result.findings
        ]
        connection.checked_at = clock.now()
        if connection.state == ConnectionState.NEEDS_ATTENTION:
            connection.state = ConnectionState.ACTIVE if connection.writes else ConnectionState.READ_ONLY
            connection.reason, connection.signed_out = "", False

    try:
        hub.transact(work, actor=actor)
    except RuleBroken as refused:
        if refused.code == "other-account":  # nothing may be read from it, and above all not written to it
            hold(hub, connection_id, str(refused))
        raise
    return result


def _take_up(session: Session, connection: Connection, account_id: str) -> None:
    """Give a new connection the id of the removed one to the same account, and with it the links, cursors and hints.

    What changed here meanwhile was owed to nobody, so everything linked is owed; what is the same is not sent.
    """
    former = session.scalar(
        select(FormerConnection).where(
            FormerConnection.connector == connection.connector, FormerConnection.account_id == account_id
        )
    )
    if former is None:
        return
    started, connection.id = connection.id, former.id
    session.flush()
    for statement in (
        delete(Link).where(Link.connection_id == started),  # owed since it was made; the scan finds them again
        update(Subscription).where(Subscription.connection_id == started).values(connection_id=former.id),
        update(Link).where(Link.connection_id == former.id).values(wanted=Link.wanted + 1),
    ):
        session.execute(statement.execution_options(synchronize_session=False))
    audit.note(session, "take-up", "connection", former.id, name=[former.name, connection.name])
    session.delete(former)


def hold(hub: Hub, connection_id: UUID, reason: str, *, signed_out: bool = False) -> None:
    """Stop a connection until a person has mended it, saying why. signed_out: by signing in over there again."""

    def work(session: Session) -> None:
        connection = session.get(Connection, connection_id)
        if connection is not None and connection.state != ConnectionState.PAUSED:
            connection.state, connection.reason = ConnectionState.NEEDS_ATTENTION, reason
            connection.signed_out = signed_out

    hub.transact(work)
    log.warning("connection needs attention", connection=str(connection_id), reason=reason)


def change_settings(hub: Hub, connection_id: UUID, values: Mapping[str, Any], *, actor: str = "system") -> None:
    """Change some settings; those not named keep their value.

    A changed secret drops the tokens. Any other change drops the access token only, since it may decide where and as
    whom to sign in: the refresh token stays, because the other system may have replaced the one in the settings.
    """

    def work(session: Session) -> None:
        connection = get_connection(session, connection_id)
        _, kind = hub.connector_class(connection.connector)
        before = hub.cipher.decrypt(connection.settings)
        merged = {**before, **values}
        load_settings(kind, merged)
        changed = {name for name in values if merged[name] != before.get(name)}
        if not changed:
            return
        connection.settings = hub.cipher.encrypt(merged)
        connection.tokens = None if secret_names(kind.settings) & changed else _refresh_only(hub, connection.tokens)
        connection.token_version += 1

    hub.transact(work, actor=actor)


def _refresh_only(hub: Hub, tokens: str | None) -> str | None:
    token = hub.cipher.decrypt(tokens).get("refresh_token")
    return None if token is None else hub.cipher.encrypt({"refresh_token": token})


def refuse_unlooked(connection: Connection) -> None:
    """A restored connection writes nothing before the other side was looked at. Raises RuleBroken."""
    if connection.restored_at is not None and connection.only_there is None:
        name = connection.name
        raise RuleBroken(
            f"This hub was restored, and nobody knows yet what {name} has that the backup had not. Read it first: "
            f"`hub sync {name}`.",
            code="connection-restored",
        )


def set_state(session: Session, connection_id: UUID, state: ConnectionState) -> Connection:
    """Pause, resume (active or read_only), or enable writing. Raises NotFound, RuleBroken."""
    connection = get_connection(session, connection_id)
    if state == ConnectionState.ACTIVE:
        refuse_unlooked(connection)
        connection.restored_at = connection.only_there = None
    connection.state, connection.reason, connection.signed_out = state, "", False
    if state in (ConnectionState.ACTIVE, ConnectionState.READ_ONLY):
        connection.writes = state == ConnectionState.ACTIVE
        connection.began_at = connection.began_at or clock.now()
        connection.pulled_at = None  # read at once, and what exists here becomes owed
    return connection


def remove_connection(hub: Hub, connection_id: UUID, *, actor: str = "system") -> None:
    """Forget credentials and streams. Links and history stay, for when the same account is connected again."""

    def work(session: Session) -> None:
        connection = get_connection(session, connection_id)
        for subscription in session.scalars(select(Subscription).where(Subscription.connection_id == connection_id)):
            session.delete(subscription)
        audit.note(session, "remove", "connection", connection_id, name=connection.name)
        if connection.account_id is not None:
            session.add(
                FormerConnection(
                    id=connection.id,
                    connector=connection.connector,
                    account_id=connection.account_id,
                    name=connection.name,
                )
            )
        session.delete(connection)

    hub.transact(work, actor=actor)


def get_connection(session: Session, connection_id: UUID) -> Connection:
    connection = session.get(Connection, connection_id)
    if connection is None:
        raise NotFound(f"There is no connection with id {connection_id}.")
    return connection


def connection_named(session: Session, name: str) -> Connection:
    """Raises NotFound, listing the names there are."""
    connection = session.scalar(select(Connection).where(Connection.name == name))
    if connection is None:
        known: Sequence[str] = session.scalars(select(Connection.name).order_by(Connection.name)).all()
        raise NotFound(f"There is no connection called “{name}”. There is: {', '.join(known) or 'none yet'}.")
    return connection


def open_connection(hub: Hub, connection_id: UUID, *, past: Mapping[str, date] | None = None) -> Opened:
    """Make the connector of a connection, with its present settings and facts. Not for use by two threads at once.

    past: to read these streams from these days on instead of their start day, with a share of the calls only.
    """
    with hub.read() as session:
        connection = get_connection(session, connection_id)
        # A kind whose plugin is disabled is not known now: its streams rest, nothing of them is lost.
        subscriptions = session.scalars(
            select(Subscription)
            .where(Subscription.connection_id == connection_id, Subscription.kind.in_(list(hub.kinds)))
            .order_by(Subscription.position)
        ).all()
    _, kind = hub.connector_class(connection.connector)
    given = hub.cipher.decrypt(connection.settings)
    settings = load_settings(kind, given)
    secrets = [str(given[name]) for name in secret_names(kind.settings) if given.get(name)]
    share = 100 if past is None else hub.settings.backfill_share
    start_on = {item.kind: item.start_on for item in subscriptions if item.start_on is not None} | dict(past or {})
    context = ConnectionContext(
        name=connection.name,
        settings=settings,
        facts=connection.facts,
        http=HttpClient(limiter=hub.limiter(connection, kind, share=share), secrets=secrets, allow_private=True),
        tokens=Tokens(hub, connection_id, settings),
        log=log.bind(connection=connection.name),
        conditions={item.kind: _conditions(kind, item) for item in subscriptions},
        start_on=start_on,
    )
    return Opened(
        id=connection.id,
        name=connection.name,
        state=connection.state,
        connector=kind(context),
        subscriptions={item.kind: item for item in subscriptions},
        breaker=Breaker(hub, connection.id, connection.name),
        unlooked=connection.restored_at is not None and connection.only_there is None,
    )


def _conditions(kind: type[Connector], subscription: Subscription) -> dict[str, Any]:
    schema = next((s.conditions for s in kind.streams if s.kind == subscription.kind), None)
    if schema is None:
        return dict(subscription.conditions)
    loaded: dict[str, Any] = schema().load(subscription.conditions)
    return loaded


def _sentence(reasons: Any) -> str:
    if isinstance(reasons, dict):
        return "; ".join(f"{name}: {_sentence(inner)}" for name, inner in reasons.items())
    return " ".join(str(reason) for reason in reasons) if isinstance(reasons, list) else str(reasons)
