"""What a tell hook is given besides the record: everything a small plugin needs, and nothing of the hub's inside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class PluginContext:
    """Handed to a plugin with each thing it is told.

    settings: this plugin's own, as set by `hub plugin set`. http: `hub.http.HttpClient`, whose failures are already
    the errors that say what to do next. external_id(kind, id): what one of our records is called where this plugin
    connects to, or None. idempotency_key: the same each time this same thing is told. log: bound to the plugin.
    transact(work): one transaction of the hub's database, for a plugin with tables of its own; work(session) may be
    run again, so it must have no effect outside the session.
    """

    settings: Mapping[str, Any]
    http: Any
    external_id: Callable[[str, UUID], str | None]
    idempotency_key: str
    log: Any
    transact: Callable[..., Any]
