"""What a plugin is given when it is told something."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from hub.http import HttpClient


@dataclass(frozen=True, slots=True)
class PluginContext:
    """settings: this plugin's only. http: for calls. external_id: what a record is called where the plugin connects.

    idempotency_key: the same each time this event is told. transact: for plugins with tables of their own.
    """

    settings: Mapping[str, Any]
    http: HttpClient
    external_id: Callable[[str, UUID], str | None]
    idempotency_key: str
    log: Any
    transact: Callable[..., Any]
