"""The REST API: a module a noun, each with a blueprint called `blueprint`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from flask_smorest import Api

NOUNS: Final = (
    "companies",
    "clients",
    "contacts",
    "projects",
    "tasks",
    "people",
    "services",
    "time_entries",
    "rate_cards",
    "invoices",
    "payments",
    "connections",
    "runs",
    "plans",
    "links",
    "plugins",
    "users",
    "keys",
    "audit",
    "problems",
)


def add_core_api(api: Api) -> set[str]:
    """Mount the core's blueprints. Returns the names of their operations."""
    from hub.web.api.rest import add_blueprint

    names: set[str] = set()
    for noun in NOUNS:
        add_blueprint(api, import_module(f"{__name__}.{noun}").blueprint, names)
    return names
