"""`hub timeline`: all that happened to one record."""

from __future__ import annotations

from typing import Any

import click

from hub.bootstrap import Hub
from hub.cli.output import json_option, print_rows
from hub.cli.session import pass_hub
from hub.core.errors import NotFound
from hub.sync.timeline import Entry, find_record, now_of, timeline_of


@click.command()
@click.argument("kind")
@click.argument("text", metavar="ID|NUMBER")
@json_option
@pass_hub
def timeline(hub: Hub, kind: str, text: str, as_json: bool) -> None:
    """All that happened to one record of a KIND, oldest first, and how it stands now in each connected system.

    Changes, events, what was sent and answered, what came in, decisions, where it came from. The record is named by its
    id, its number or name, or by its id over there.
    """
    with hub.read() as session:
        if kind not in hub.kinds:
            raise NotFound(f"There is no kind of record called “{kind}”. There is: {', '.join(sorted(hub.kinds))}.")
        record_id = find_record(session, hub.kinds[kind], text)
        entries = timeline_of(hub, session, hub.kinds[kind], record_id) + now_of(session, hub.kinds[kind], record_id)
    rows = [_row(entry) for entry in entries]
    print_rows(rows, ("at", "what", "who", "text"), as_json=as_json, empty="Nothing is known of it.")


def _row(entry: Entry) -> dict[str, Any]:
    text = entry.text if entry.sort == "change" else " ".join(filter(None, (entry.text, _told(entry))))
    return {
        "at": entry.at,
        "what": entry.what,
        "who": entry.who,
        "text": text,
        "sort": entry.sort,
        "fields": dict(entry.fields),
        "run": entry.run_id,
    }


def _told(entry: Entry) -> str:
    """The fields in one line: of a conflict all that is known of it."""
    return "; ".join(f"{name}: {_values(both)}" for name, both in entry.fields.items() if entry.sort != "answer")


def _values(both: Any) -> str:
    if not isinstance(both, dict):
        return str(both)
    return ", ".join(
        str(value) if side == "sent" else f"{side} {'nothing' if value is None else value}"
        for side, value in both.items()
    )
