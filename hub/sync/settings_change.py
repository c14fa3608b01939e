"""New settings for a connection that is there: kept only if its test succeeds with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy.orm import Session

from hub.sync.connections import check_connection, get_connection, load_settings, secret_names
from hub.sync.connector import CheckResult
from hub.sync.models import Connection

if TYPE_CHECKING:
    from hub.bootstrap import Hub


def change_settings_tested(
    hub: Hub, connection_id: UUID, values: Mapping[str, Any], *, actor: str = "system"
) -> CheckResult:
    """Replace the settings by these and test the connection; as it was before, unless that succeeds.

    A secret that is not named keeps its value, any other setting gets its default. Raises RuleBroken naming the
    fields, ConnectorError when the test fails.
    """

    def change(session: Session) -> dict[str, Any]:
        return _write(hub, get_connection(session, connection_id), values)

    before = hub.transact(change, actor=actor)
    try:
        return check_connection(hub, connection_id, actor=actor)
    except Exception:
        hub.transact(lambda session: _restore(session, connection_id, before), actor=actor)
        raise


def _write(hub: Hub, connection: Connection, values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the columns as they were. Tokens belong to credentials: they go with them, else they stay renewed."""
    before = {name: getattr(connection, name) for name in ("settings", "state", "reason")}
    _, kind = hub.connector_class(connection.connector)
    secrets, stored = secret_names(kind.settings), hub.cipher.decrypt(connection.settings)
    changed = {**{name: stored[name] for name in secrets & set(stored)}, **values}
    load_settings(kind, changed)
    connection.settings = hub.cipher.encrypt(changed)
    if any(changed.get(name) != stored.get(name) for name in secrets):
        before["tokens"] = connection.tokens
        connection.tokens = None
        connection.token_version += 1
    return before


def _restore(session: Session, connection_id: UUID, before: Mapping[str, Any]) -> None:
    connection = get_connection(session, connection_id)
    for name, value in before.items():
        setattr(connection, name, value)
    if "tokens" in before:
        connection.token_version += 1
