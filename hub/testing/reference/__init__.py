"""Keeps clients, services and invoices in a notebook: the connector to copy, and the one the kit is tested with."""

from __future__ import annotations

from hub.sdk import hookimpl
from hub.testing.reference.connector import Notebook


@hookimpl
def connectors() -> list[type]:
    return [Notebook]
