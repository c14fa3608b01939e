"""One access token per connection, renewed by one process at a time, and never lost silently.

The lease and the intent stand on the connection's row in the database: with Redis gone, two renewals at once would end
the connection at vendors that rotate refresh tokens. Both tokens are saved, by compare-and-set, before either is used.
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from hub.core import clock
from hub.core.clock import database_now
from hub.core.errors import ConfigurationFailure, ConnectorError, TemporaryFailure
from hub.sync.claim import beating
from hub.sync.connector import Renew, Values
from hub.sync.models import Connection

if TYPE_CHECKING:
    from hub.bootstrap import Hub

LEASE_S = 10
"""How long a renewal lasts without a heartbeat: a dead process' one is taken over after this, a slow one never."""
LONGEST_WAIT_S = 90.0
"""How long a call waits for another process's renewal."""
_EARLY_S = 120


class Tokens:
    """The tokens of one connection, as a connector uses them (`TokenStore`)."""

    def __init__(self, hub: Hub, connection_id: UUID, settings: Values) -> None:
        self._hub, self._id, self._settings = hub, connection_id, settings

    def access_token(self, renew: Renew, *, seen: str | None = None) -> str:
        """A token that is believed to be good: the stored one, or a renewed one. seen: the one just refused."""
        deadline = time.monotonic() + LONGEST_WAIT_S
        while time.monotonic() < deadline:
            tokens, version = self._stored()
            if self._is_fresh(tokens, seen):
                return str(tokens["access_token"])
            if intent_at := self._take_lease(version):
                return self._renewed(renew, tokens, version, intent_at)
            time.sleep(0.1)
        raise TemporaryFailure("Another process has been renewing the login for over a minute.", retry_after_s=30)

    def _stored(self) -> tuple[Values, int]:
        with self._hub.read() as session:
            row = session.execute(
                select(Connection.tokens, Connection.token_version).where(Connection.id == self._id)
            ).one_or_none()
        if row is None:
            raise ConfigurationFailure("This connection was removed.")
        return self._hub.cipher.decrypt(row.tokens), row.token_version

    @staticmethod
    def _is_fresh(tokens: Values, seen: str | None) -> bool:
        token, expires_at = tokens.get("access_token"), tokens.get("expires_at")
        if not token or token == seen:
            return False
        return expires_at is None or datetime.fromisoformat(expires_at).timestamp() > clock.now().timestamp() + _EARLY_S

    def _take_lease(self, version: int) -> datetime | None:
        """When we meant to renew, which names the lease; None while somebody else has it."""

        def work(session: Session) -> datetime | None:
            return session.scalar(
                update(Connection)
                .where(Connection.id == self._id, Connection.token_version == version)
                .where(or_(Connection.token_lease_until.is_(None), Connection.token_lease_until < database_now()))
                .values(token_lease_until=database_now(plus_s=LEASE_S), token_intent_at=database_now())
                .returning(Connection.token_intent_at)
                .execution_options(synchronize_session=False)
            )

        return self._hub.transact(work)

    def _renewed(self, renew: Renew, tokens: Values, version: int, intent_at: datetime) -> str:
        known = {"refresh_token": self._settings.get("refresh_token"), **tokens}
        try:
            with beating(self._hub, lambda session: self._lease(session, intent_at, LEASE_S), LEASE_S):
                fresh = renew({name: value for name, value in known.items() if value is not None})
        except BaseException as failure:
            self._hub.transact(lambda session: self._lease(session, intent_at, None))
            meanwhile, newer = self._stored()
            if isinstance(failure, ConnectorError) and newer > version and self._is_fresh(meanwhile, None):
                # While we were held up another process has renewed: what we had in hand was used up by that.
                return str(meanwhile["access_token"])
            raise
        # A vendor that does not rotate answers without a refresh token: the old one stays good.
        self._save(version, known["refresh_token"], {"refresh_token": known["refresh_token"], **fresh})
        return str(fresh["access_token"])

    def _refresh_token(self, row: Connection) -> str | None:
        decrypt = self._hub.cipher.decrypt
        token: str | None = decrypt(row.tokens).get("refresh_token") or decrypt(row.settings).get("refresh_token")
        return token

    def _lease(self, session: Session, intent_at: datetime, seconds: float | None) -> None:
        """Renew our lease, or give it back (None), if it still is ours."""
        session.execute(
            update(Connection)
            .where(Connection.id == self._id, Connection.token_intent_at == intent_at)
            .values(token_lease_until=None if seconds is None else database_now(plus_s=seconds))
            .execution_options(synchronize_session=False)
        )

    def _save(self, version: int, used: str | None, tokens: dict[str, Any]) -> None:
        """Keep the new tokens, unless the credentials they come from were replaced meanwhile.

        Other settings may have changed, which moves the version too: the refresh token that was used up (`used`) is
        then still the one that is stored, and what replaced it must not be lost.
        """

        def work(session: Session) -> None:
            row = session.get(Connection, self._id, with_for_update=True)
            if row is None or (row.token_version != version and (used is None or used != self._refresh_token(row))):
                return
            session.execute(
                update(Connection)
                .where(Connection.id == self._id)
                .values(
                    tokens=self._hub.cipher.encrypt(tokens),
                    token_version=row.token_version + 1,
                    token_lease_until=None,
                    token_intent_at=None,
                )
                .execution_options(synchronize_session=False)
            )

        self._hub.transact(work)
