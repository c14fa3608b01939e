"""What the connectors' catalogue knows of a connector, whether or not its plugin is enabled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.errors import NotFound
from hub.plugin_host import PluginState
from hub.sync.connector import Connector
from hub.web.current import current_hub, reading, transact
from hub.web.display import words

ICONS = {"CRM": "users-group", "Accounting": "building-bank", "ERP": "database", "Payments": "cash", "Chat": "message"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One connector of an installed plugin. why: the reason it cannot be used, "" if it can be once enabled."""

    name: str
    title: str
    category: str
    plugin: str
    version: str
    enabled: bool
    why: str
    streams: Sequence[dict[str, Any]]

    @property
    def icon(self) -> str:
        return ICONS.get(self.category, "plug")

    @property
    def text(self) -> str:
        """What travels, in a sentence: Reads payments. Writes services and clients."""
        read = [words(stream["kind"]).lower() for stream in self.streams if stream["pulls"]]
        written = [words(stream["kind"]).lower() for stream in self.streams if stream["pushes"]]
        return " ".join(f"{verb} {listed(names)}." for verb, names in (("Reads", read), ("Writes", written)) if names)


def plugin_states() -> list[PluginState]:
    """Every installed plugin. One that is new is probed, outside a transaction because that takes a while, and kept."""
    with reading() as session:
        probed = select(PluginState.name, PluginState.version).where(PluginState.probe.is_not(None))
        known = dict(session.execute(probed).all())
        states = current_hub().plugins.states(session)
    fresh = [state for state in states if known.get(state.name) != state.version]
    if fresh:
        transact(lambda session: _keep(session, fresh))
    return states


def _keep(session: Session, fresh: Sequence[PluginState]) -> None:
    """Keep what plugins said of themselves; what else is known of them stays as it is meanwhile."""
    for state in fresh:
        row = session.get(PluginState, state.name) or PluginState(name=state.name, enabled=False, status="available")
        row.probe, row.version = state.probe, state.version
        session.add(row)


def catalogue() -> list[Entry]:
    """All connectors of all installed plugins, by category and title."""
    states, loaded = plugin_states(), current_hub().plugins.modules
    found = [
        Entry(
            name=connector["name"],
            title=connector["title"],
            category=connector["category"],
            plugin=state.name,
            version=state.version,
            enabled=state.name in loaded,
            why=state.reason or "" if state.status in ("failed", "incompatible", "quarantined") else "",
            streams=connector["streams"],
        )
        for state in states
        for connector in (state.probe or {}).get("connectors", [])
    ]
    return sorted(found, key=lambda entry: (entry.category, entry.title.casefold()))


def entry_named(name: str) -> Entry:
    """Raises NotFound."""
    for entry in catalogue():
        if entry.name == name:
            return entry
    raise NotFound(f"There is no connector called “{name}” among the installed plugins.")


def icon_of(kind: type[Connector] | None) -> str:
    return ICONS.get(kind.category, "plug") if kind is not None else "plug-off"


def listed(names: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)
