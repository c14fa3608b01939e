"""The one place where a hub is put together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import redis
import structlog
from sqlalchemy.orm import Session

from hub.config import Settings, load_settings, secret_keys
from hub.core.core_kinds import CORE_KINDS
from hub.core.database import Circumstances, Database
from hub.core.errors import NotFound, SetupError
from hub.core.kinds import RecordKind
from hub.core.secrets import Cipher
from hub.plugin_host import PluginHost
from hub.sync.connector import Connector
from hub.sync.limits import Limiter
from hub.tracing import current_trace

if TYPE_CHECKING:
    from hub.sync.models import Connection

T = TypeVar("T")
log = structlog.get_logger("hub")


class Hub:
    """A whole hub: its settings, database, plugins and queue. Made by `build_hub`, closed by whoever made it."""

    def __init__(self, settings: Settings, *, plugins: Mapping[str, Any] | None = None) -> None:
        self.settings = settings
        self.database = Database(settings.database_url)
        self.plugins = PluginHost(self.database, plugins=plugins, strict=settings.strict_plugins)
        self.cipher = Cipher(lambda: secret_keys(settings))
        self._kinds: tuple[int, dict[str, RecordKind]] = (-2, {})

    # Work in the database --------------------------------------------------------------------------------------------

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for looking only."""
        with self.database.read(self._circumstances("system")) as session:
            self.plugins.refresh(session)
            session.info["circumstances"] = self._circumstances("system")
            yield session

    def transact(
        self, work: Callable[[Session], T], *, actor: str = "system", origin: UUID | None = None, request_id: str = ""
    ) -> T:
        """Run `work` in one transaction, tried again where that helps, and wake the workers for what it owes."""
        owed: set[UUID] = set()

        def with_plugins(session: Session) -> T:
            self.plugins.refresh(session)
            session.info["circumstances"] = self._circumstances(actor, origin, request_id)
            session.info["owed"] = owed
            return work(session)

        answer = self.database.transact(with_plugins)
        if owed:
            self.wake(owed)
        return answer

    def _circumstances(self, actor: str, origin: UUID | None = None, request_id: str = "") -> Circumstances:
        return Circumstances(actor, origin, self.kinds, self.plugins.hooks, request_id or current_trace())

    # What plugins contribute -----------------------------------------------------------------------------------------

    @property
    def kinds(self) -> Mapping[str, RecordKind]:
        """The record kinds by name: the core's, then the plugins', parents before children."""
        generation = self.plugins.generation
        if self._kinds[0] != generation:
            contributed = [kind for _, kind in self.plugins.hooks.collect("record_kinds")]
            self._kinds = (generation, {kind.name: kind for kind in (*CORE_KINDS, *contributed)})
        return self._kinds[1]

    def connector_classes(self) -> dict[str, tuple[str, type[Connector]]]:
        """The connectors of the enabled plugins: name → (plugin, class)."""
        return {kind.name: (plugin, kind) for plugin, kind in self.plugins.hooks.collect("connectors")}

    def connector_class(self, name: str) -> tuple[str, type[Connector]]:
        """Raises NotFound, naming what there is."""
        known = self.connector_classes()
        if name not in known:
            raise NotFound(
                f"There is no connector called “{name}” among the enabled plugins. "
                f"There is: {', '.join(sorted(known)) or 'none'}."
            )
        return known[name]

    # The queue server ------------------------------------------------------------------------------------------------

    @cached_property
    def redis(self) -> redis.Redis:
        """The queue server: the configured one, or the embedded one, started if it is not running."""
        from hub.services.queue_server import ensure_queue_server

        url = self.settings.redis_url or ensure_queue_server(self.settings.data_dir)
        return redis.from_url(url)

    def wake(self, connection_ids: set[UUID]) -> None:
        """Tell the workers that these connections are owed something. Were it lost, the sweep would find it."""
        from hub.jobs.queue import wake_connections

        try:
            wake_connections(self, sorted(connection_ids))
        except (redis.RedisError, SetupError) as failure:
            log.warning("the queue server cannot be reached; the sweep will find what is owed", error=str(failure))

    def limiter(self, connection: Connection, kind: type[Connector], *, share: int = 100) -> Limiter:
        """The call budget of a connection's remote account, shared by all workers; share: so many percent of it."""
        # An account is connected once, so the connection stands for it, also before a check has named it.
        return Limiter(self.redis, str(connection.id), kind.limits, workers=self.settings.workers, share=share)

    def close(self) -> None:
        """Give connections back."""
        self.database.close()
        if "redis" in self.__dict__:
            self.redis.close()


def build_hub(settings: Settings | None = None, *, plugins: Mapping[str, Any] | None = None) -> Hub:
    """Put a hub together from the settings given or found in flags, environment and file."""
    return Hub(settings or load_settings(), plugins=plugins)


__all__ = ["Hub", "NotFound", "build_hub"]
