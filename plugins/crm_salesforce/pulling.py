"""Reading what changed, without losing a row (contract, section 8).

A pass reads rows in the order of (SystemModstamp, Id), which cannot skip ties, and includes the recycle bin, which
tells of deletes and merges. Its end is the server's clock at its first answer, less a lag: later rows may still be
invisible. The next pass starts the lookback before that end, so a row whose transaction commits late is read too.
Rows that were read twice are recognised by what they say. A pass that was interrupted goes on where it stood, with
the end it had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from hub.sdk import Change, Cursor, Page, Refused
from plugins.crm_salesforce.client import QueryPage, Row, SalesforceClient
from plugins.crm_salesforce.failures import FieldsChanged
from plugins.crm_salesforce.statements import escaped, in_pieces, instant_text, select

LAG = timedelta(seconds=30)
PAGE_ROWS = 200
"""Rows saved in one transaction; each slice has a cursor of its own."""
_ORDER = "SystemModstamp, Id"
_REMEDY = "Give the integration user access and test the connection again, or switch the stream off."
_WITHOUT_CLOCK = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a stream's rows come from and what they become. unreadable: why nothing of it can be read; mostly empty."""

    name: str
    fields: tuple[str, ...]
    conditions: tuple[str, ...]
    change: Callable[[Row], Change | Refused]
    lookback: timedelta
    unreadable: str = ""


@dataclass(frozen=True, slots=True)
class Position:
    """A cursor. until: up to when everything is read, once the pass is finished; at, id: the last row of one that is
    not."""

    until: datetime | None = None
    at: datetime | None = None
    id: str = ""

    @classmethod
    def of(cls, cursor: Cursor | None) -> Position:
        if not cursor:
            return cls()
        at = datetime.fromisoformat(cursor["at"]) if "at" in cursor else None
        until = datetime.fromisoformat(cursor["until"]) if "until" in cursor else None
        return cls(until, at, cursor.get("id", ""))

    def cursor(self) -> Cursor:
        cursor: Cursor = {"v": 1}
        if self.until is not None:
            cursor["until"] = instant_text(self.until)
        if self.at is not None:
            cursor |= {"at": instant_text(self.at), "id": self.id}
        return cursor


def pull(client: SalesforceClient, source: Source, cursor: Cursor | None) -> Iterator[Page]:
    """Pages of what changed since the cursor.

    What we may not read stops this stream only: the run says so, and the cursor stays where it is.
    """
    try:
        if source.unreadable:
            raise FieldsChanged(f"{source.unreadable}. {_REMEDY}")
        yield from _passes(client, source, cursor)
    except FieldsChanged as failure:
        yield Page((), None, (Refused("", str(failure), label=source.name),))


def _passes(client: SalesforceClient, source: Source, cursor: Cursor | None) -> Iterator[Page]:
    position = Position.of(cursor)
    if position.at is not None:
        yield from _finish(client, source, position)
        position = replace(position, at=None, id="")
    yield from _next_pass(client, source, position)


def fetch(client: SalesforceClient, source: Source, remote_ids: Sequence[str]) -> Page:
    """These rows as they are now. Conditions that concern the rows themselves hold here too.

    What we may not read is refused row by row, so that it is asked for again once we may.
    """
    try:
        if source.unreadable:
            raise FieldsChanged(f"{source.unreadable}. {_REMEDY}")
        return _fetch(client, source, remote_ids)
    except FieldsChanged as failure:
        return Page((), None, tuple(Refused(id, str(failure), label=f"{source.name} {id}") for id in remote_ids))


def _fetch(client: SalesforceClient, source: Source, remote_ids: Sequence[str]) -> Page:
    rows: list[Row] = []
    for ids in in_pieces(remote_ids):
        statement = select(source.fields, source.name, [*source.conditions, escaped("Id IN {}", ids)])
        for page in client.query(statement, deleted=True):
            rows.extend(page.rows)
    return _page(source, rows, None)


def _next_pass(client: SalesforceClient, source: Source, position: Position) -> Iterator[Page]:
    since = [] if position.until is None else [f"SystemModstamp >= {instant_text(position.until - source.lookback)}"]
    statement = select(source.fields, source.name, [*source.conditions, *since], order=_ORDER)
    end: datetime | None = None
    for page in client.query(statement, deleted=True):
        if end is None:
            end = max(filter(None, (_end(page), position.until)))
        yield from _slices(source, page, Position(until=end))
    yield Page((), Position(until=end).cursor())


def _finish(client: SalesforceClient, source: Source, position: Position) -> Iterator[Page]:
    """The rest of a pass that was interrupted, to the end it had."""
    assert position.at is not None
    at = instant_text(position.at)
    rest = f"SystemModstamp > {at} OR (SystemModstamp = {at} AND {escaped('Id > {}', position.id)})"
    statement = select(source.fields, source.name, [*source.conditions, rest], order=_ORDER)
    for page in client.query(statement, deleted=True):
        yield from _slices(source, page, position)
    yield Page((), replace(position, at=None, id="").cursor())


def _slices(source: Source, page: QueryPage, position: Position) -> Iterator[Page]:
    for start in range(0, len(page.rows), PAGE_ROWS):
        rows = page.rows[start : start + PAGE_ROWS]
        position = _after(rows[-1], position)
        yield _page(source, rows, position.cursor())


def _after(row: Row, position: Position) -> Position:
    stamp = row.get("SystemModstamp")
    return replace(position, at=datetime.fromisoformat(stamp), id=row["Id"]) if stamp else position


def _page(source: Source, rows: Sequence[Row], cursor: Cursor | None) -> Page:
    made = [_made(source, row) for row in rows]
    return Page(
        changes=tuple(each for each in made if isinstance(each, Change)),
        cursor=cursor,
        refused=tuple(each for each in made if isinstance(each, Refused)),
    )


def _made(source: Source, row: Row) -> Change | Refused:
    """The row as a change; one that makes no sense is set aside and stops no other."""
    try:
        return source.change(row)
    except (ValueError, TypeError, KeyError, ArithmeticError) as fault:
        reason = f"Salesforce shows this {source.name} in a form that cannot be read ({type(fault).__name__})."
        return Refused(str(row.get("Id", "")), reason, label=str(row.get("Name") or ""))


def _end(page: QueryPage) -> datetime:
    """Up to when a pass that begins with this answer has seen everything."""
    return (page.server_at or datetime.now(UTC) - _WITHOUT_CLOCK) - LAG
