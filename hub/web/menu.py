"""The main menu: the core's entries and the plugins', each for whoever holds its permission."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from flask import current_app, request, url_for

from hub.access.identity import CurrentUser
from hub.web.current import current_hub


@dataclass(frozen=True, slots=True)
class NavigationEntry:
    """One entry. endpoint: of the page it leads to. group: the heading it stands under. icon: of the Tabler set.

    key: the letter that leads there after g. position: its place within the group. of_person: only for users who are
    one of the firm's people.
    """

    label: str
    endpoint: str
    icon: str
    permission: str
    group: str = ""
    position: int = 100
    key: str = ""
    of_person: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """What a plugin shows on a home page. template: rendered with context. note: a line below the title."""

    title: str
    template: str
    context: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    position: int = 100


WORK: Final = "Work"
MONEY: Final = "Money"
SYSTEMS: Final = "Connected systems"
SETTINGS: Final = "Administration"
_GROUPS: Final = ("", WORK, MONEY, SYSTEMS, SETTINGS)

_CORE: Final = (
    NavigationEntry("Home", "pages.home", "home", "*", position=1),
    NavigationEntry("My week", "pages.week", "calendar-week", "time.own", WORK, 10, "w", of_person=True),
    NavigationEntry("Approvals", "pages.approvals", "checklist", "time.approve", WORK, 20, "a"),
    NavigationEntry("Clients", "pages.clients", "building", "clients.read", WORK, 30, "c"),
    NavigationEntry("Projects", "pages.projects", "briefcase", "projects.read", WORK, 40, "p"),
    NavigationEntry("Import", "pages.imports", "file-import", "imports.write", WORK, 50),
    NavigationEntry("Invoices", "pages.invoices", "file-invoice", "invoices.read", MONEY, 10, "i"),
    NavigationEntry("Reconciliation", "pages.reconciliation", "scale", "reconciliation.read", MONEY, 20, "r"),
    NavigationEntry("Connections", "pages.connections", "plug-connected", "connections.read", SYSTEMS, 10, "s"),
    NavigationEntry("Runs", "pages.runs", "history", "connections.read", SYSTEMS, 20, "u"),
    NavigationEntry("Needs repair", "pages.parked", "alert-triangle", "connections.read", SYSTEMS, 30),
    NavigationEntry("Connectors", "pages.connectors", "puzzle", "connections.write", SYSTEMS, 40),
    NavigationEntry("Plugins", "pages.plugins", "package", "plugins.read", SETTINGS, 10),
    NavigationEntry("Users", "pages.users", "users", "users.read", SETTINGS, 20),
    NavigationEntry("API keys", "pages.keys", "key", "keys.own", SETTINGS, 30),
    NavigationEntry("Audit log", "pages.audit", "list-details", "audit.read", SETTINGS, 40),
)


def entries_of(user: CurrentUser) -> list[NavigationEntry]:
    """The entries this user may follow, in order."""
    contributed = [entry for _, entry in current_hub().plugins.hooks.collect("navigation")]
    allowed = [
        entry
        for entry in (*_CORE, *contributed)
        if entry.endpoint in current_app.view_functions
        and (entry.permission == "*" or user.may(entry.permission))
        and (user.person_id is not None or not entry.of_person)
    ]
    return sorted(allowed, key=lambda entry: (entry.position, entry.label))


def menu_of(user: CurrentUser | None) -> list[dict[str, Any]]:
    """The menu as the frame draws it: groups with their items."""
    if user is None:
        return []
    groups: dict[str, list[dict[str, Any]]] = {label: [] for label in _GROUPS}
    for entry in entries_of(user):
        groups.setdefault(entry.group, []).append(_item(entry))
    return [{"label": label, "items": items} for label, items in groups.items() if items]


def shortcuts_of(user: CurrentUser | None) -> list[tuple[str, str, str]]:
    """Letters that lead to pages: letter, label, address."""
    entries = entries_of(user) if user is not None else []
    return [(entry.key, entry.label, url_for(entry.endpoint)) for entry in entries if entry.key]


def _item(entry: NavigationEntry) -> dict[str, Any]:
    address = url_for(entry.endpoint)
    here = request.path == address or (address != "/" and request.path.startswith(f"{address.rstrip('/')}/"))
    return {"label": entry.label, "href": address, "icon": entry.icon, "active": here}
