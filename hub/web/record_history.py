"""What happened to one record: who changed what here, and what was exchanged with the connected systems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from flask import url_for
from sqlalchemy.orm import Session

from hub.sync.timeline import Entry, timeline_of
from hub.web.actors import actor_names
from hub.web.current import current_hub, current_user
from hub.web.display import words

_MOST: Final = 15
_SHOWN: Final = {"create": ("Created", "plus", "good"), "delete": ("Deleted", "trash", "warn")}
_EXCHANGED: Final = {
    "created": ("plus", "good"),
    "updated": ("pencil", "info"),
    "deleted": ("trash", "warn"),
    "rejected": ("alert-triangle", "bad"),
    "conflict": ("arrows-exchange", "warn"),
}
_DECIDED: Final = {
    "relink": "Linked to another record",
    "unlink": "Linked to nothing any more",
    "ignore": "Not to be sent any more",
    "settle": "Decided whose values hold",
    "retry": "To be sent again",
    "match link": "Matched by a person",
    "match create": "Matched with none",
    "match ignore": "Not to be matched",
}
NEVER_SHOWN: Final = {"match_name", "match_domain"}
"""Fields that are made of others."""
_EVERYTHING: Final = 4 * _MOST
"""So many entries hold enough that are worth a line on the record's page."""


def history_of(session: Session, kind: str, record_id: UUID) -> list[dict[str, Any]]:
    """The newest entries of a record's timeline, the newest first: changes, decisions and what came of exchanges."""
    hub = current_hub()
    if kind not in hub.kinds:
        return []
    found = timeline_of(hub, session, hub.kinds[kind], record_id, most=_EVERYTHING)
    worth = [each for each in found if each.sort in _LINES and not each.what.endswith(" unchanged")]
    return entries_shown(session, worth[-_MOST:])


def timeline_address(kind: str, record_id: UUID) -> str:
    """Where the whole timeline of a record is; nothing for who may not see it."""
    may = current_user().may("connections.read")
    return url_for("pages.timeline", kind=kind, q=record_id) if may else ""


def entries_shown(session: Session, entries: list[Entry]) -> list[dict[str, Any]]:
    """Entries as the timeline of a page shows them, the newest first."""
    names = actor_names(session, (each.who for each in entries if each.sort in ("change", "event", "decision")))
    return [{"at": each.at, "fields": each.fields, **_line(each, names)} for each in reversed(entries)]


def _line(entry: Entry, names: Mapping[str, str]) -> dict[str, Any]:
    return _LINES.get(entry.sort, _other)(entry, names)


def _change(entry: Entry, names: Mapping[str, str]) -> dict[str, Any]:
    title, icon, tone = _SHOWN.get(entry.what, ("Changed", "pencil", "info"))
    fields = [words(name) for name in entry.fields if name not in NEVER_SHOWN and not name.endswith("_id")]
    status = entry.fields.get("status")
    if entry.what == "update" and status is not None:
        title, icon, tone = f"{words(str(status['after']))}", "circle-check", "good"
        fields = []
    text = ", ".join(fields) if entry.what == "update" else ""
    return {"title": title, "icon": icon, "tone": tone, "who": names[entry.who], "text": text}


def _exchange(entry: Entry, names: Mapping[str, str]) -> dict[str, Any]:
    direction, _, outcome = entry.what.partition(" ")
    icon, tone = _EXCHANGED.get(outcome, ("refresh", "calm"))
    where = f"in {entry.who}" if direction == "push" else f"from {entry.who}"
    return {"title": f"{words(outcome)} {where}", "icon": icon, "tone": tone, "text": entry.text}


def _decision(entry: Entry, names: Mapping[str, str]) -> dict[str, Any]:
    title = _DECIDED.get(entry.what, words(entry.what))
    return {"title": title, "icon": "user", "tone": "info", "who": names[entry.who], "text": entry.text}


def _other(entry: Entry, names: Mapping[str, str]) -> dict[str, Any]:
    """What only the whole timeline shows: events, sends, and where the record comes from."""
    title = f"Sent to {entry.who}: {entry.what.partition(' ')[2]}" if entry.sort == "send" else words(entry.what)
    who = names.get(entry.who, "") if entry.sort == "event" else ""
    return {"title": title, "icon": "send" if entry.sort == "send" else "point", "who": who, "text": entry.text}


_LINES: Final = {"change": _change, "answer": _exchange, "read": _exchange, "decision": _decision}
