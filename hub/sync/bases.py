"""The bases of the next merge, noted after each: what they showed, what both agreed on, and what is there of our sends.

What a change that came in makes of our record must not go back as an echo; what the hub did not take must. Both follow
from one rule: `sent` is what our connector would have sent of the record as they show it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from hub.core.database import circumstances
from hub.core.frozen import freeze, thaw
from hub.core.outbox import Link
from hub.sync.arrivals import Arrival, records_now
from hub.sync.connections import Opened
from hub.sync.connector import Ref, RemoteIds, Stream, Values
from hub.sync.prepare import remote_ids_of
from hub.sync.threeway import Verdict


def note_bases(session: Session, opened: Opened, stream: Stream, arrivals: Sequence[Arrival]) -> None:
    """Note on the links of what was merged what each side now stands at."""
    merged = [
        (arrival, arrival.verdict, arrival.link, arrival.link.record_id)
        for arrival in arrivals
        if arrival.verdict is not None and arrival.link is not None and arrival.link.record_id is not None
    ]
    now = records_now(session, stream.kind, [record_id for *_, record_id in merged])
    for arrival, verdict, link, record_id in merged:
        link.seen = arrival.shown
        link.agreed = {**(link.agreed or {}), **_agreed(arrival, verdict, now.get(record_id, {}))}
    if stream.pushes:
        known = [(a, verdict, link, now[record_id]) for a, verdict, link, record_id in merged if record_id in now]
        _note_sent(session, opened, stream, known)


def _agreed(arrival: Arrival, verdict: Verdict, ours: Values) -> Values:
    """What both sides say now: what was taken (as our record spells it), and what was the same anyway."""
    return {
        name: ours[name]
        for name, theirs in arrival.shown.items()
        if name in ours and (name in verdict.taken or ours[name] == theirs)
    }


def _note_sent(
    session: Session,
    opened: Opened,
    stream: Stream,
    merged: Sequence[tuple[Arrival, Verdict, Link, Values]],
) -> None:
    """Let `sent` say what is there: what both agreed on, with what they changed; our own changes are not there yet."""
    kind = circumstances(session).kinds[stream.kind]
    pairs: list[tuple[Link, Any, Any]] = []
    for arrival, verdict, link, after in merged:
        before = arrival.before
        not_taken = {*verdict.refused, *verdict.undecided}
        agreed = {name: value for name, value in (link.agreed or {}).items() if name in after}
        there = {**after, **agreed, **{name: arrival.shown[name] for name in not_taken if name in after}}
        if verdict.taken or not_taken:
            pairs.append((link, None if before is None else thaw(kind.record, before), thaw(kind.record, there)))
    refs = [ref for _, *both in pairs for record in both for ref in _needs(opened, stream, record)]
    ids = remote_ids_of(session, opened.id, refs)
    for link, before, there in pairs:
        shown, ours = _body(opened, stream, link, there, ids), _body(opened, stream, link, before, ids)
        if shown is None or ours is None:
            continue
        if before is None:
            link.sent = shown
        elif link.sent is not None:
            link.sent = {**link.sent, **{name: value for name, value in shown.items() if value != ours.get(name)}}


def _needs(opened: Opened, stream: Stream, record: Any) -> Sequence[Ref]:
    try:
        return () if record is None else opened.connector.needs(stream.kind, record)
    except Exception:
        return ()  # what the connector has against a record is said when it is sent


def _body(opened: Opened, stream: Stream, link: Link, record: Any, ids: RemoteIds) -> Values | None:
    """What we would send of a record; nothing of one that is not there, None where the connector cannot say."""
    try:
        return {} if record is None else freeze(opened.connector.body(stream.kind, record, ids, part=link.part))
    except Exception:
        return None
