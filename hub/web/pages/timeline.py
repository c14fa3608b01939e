"""Why does this record differ? All that happened to it, and how it stands in each connected system, on one page."""

from __future__ import annotations

from typing import Any

from flask import request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from hub.core.errors import HubError
from hub.core.kinds import RecordKind
from hub.sync.timeline import Entry, find_record, now_of, timeline_of
from hub.web.connection_states import kind_title
from hub.web.current import current_hub, reading
from hub.web.listing import query_text
from hub.web.pages.blueprint import pages
from hub.web.record_history import entries_shown
from hub.web.session import render

_MOST = 200


@pages.get("/timeline", permission="connections.read")
def timeline() -> ResponseReturnValue:
    """The record with this id, number, name, or id over there."""
    kinds = current_hub().kinds
    kind, text = kinds.get(query_text("kind")), query_text("q")
    context: dict[str, Any] = {"label": "", "href": "", "now": [], "entries": [], "error": "", "note": ""}
    if kind is not None and text:
        with reading() as session:
            try:
                context |= _told(session, kind, text)
            except HubError as failure:
                context["error"] = str(failure)
    return render(
        "pages/timeline.html",
        kinds=[(name, kind_title(name)) for name in kinds],
        filters={"kind": request.args.get("kind") or "invoices", "q": text},
        **context,
    )


def _told(session: Session, kind: RecordKind, text: str) -> dict[str, Any]:
    record_id = find_record(session, kind, text)
    entries = timeline_of(current_hub(), session, kind, record_id, most=_MOST)
    record = next(iter(kind.load(session, [record_id])), None)
    return {
        "label": kind.label(record) if record is not None else text,
        "href": kind.page.format(id=record_id) if kind.page else "",
        "now": [_standing(each) for each in now_of(session, kind, record_id)],
        "entries": [{**each, "fields": _fields(each["fields"])} for each in entries_shown(session, entries)],
        "note": f"The newest {_MOST} entries. “hub timeline” tells all of them." if len(entries) == _MOST else "",
    }


def _standing(entry: Entry) -> dict[str, Any]:
    words = entry.what.removeprefix("now ")
    return {"connection": entry.who, "standing": words, "text": entry.text, "fields": _fields(entry.fields)}


def _fields(fields: Any) -> list[tuple[str, list[tuple[str, str]]]]:
    """Per field its values, each with whose or which it is."""
    return [
        (name, [(side, "" if value is None else str(value)) for side, value in both.items()])
        for name, both in fields.items()
        if isinstance(both, dict)
    ]
