"""`hub export`: any kind of record, streamed."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO
from uuid import UUID

import click
from sqlalchemy import select

from hub.bootstrap import Hub
from hub.cli.output import json_option, plural, print_json
from hub.cli.session import pass_hub
from hub.core.database import MAX_ROWS_PER_TRANSACTION
from hub.core.errors import NotFound, SetupError
from hub.core.frozen import freeze
from hub.core.kinds import RecordKind


@click.command()
@click.argument("kind")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path), metavar="FILE|-")
@click.option("--format", "form", type=click.Choice(["csv", "json"]), help="Else by the file's ending.")
@json_option
@pass_hub
def export(hub: Hub, kind: str, file: Path, form: str | None, as_json: bool) -> None:
    """Write every record of a KIND (clients, projects, invoices, ...) to FILE, or to standard output with -."""
    with hub.read():
        kinds = hub.kinds
    if kind not in kinds:
        raise NotFound(f"There is no kind of record called “{kind}”. There is: {', '.join(sorted(kinds))}.")
    chosen = form or ("json" if file.suffix == ".json" or (str(file) == "-" and as_json) else "csv")
    records = _records(hub, kinds[kind])
    try:
        with _opened(file) as out:
            count = _write_json(records, out) if chosen == "json" else _write_csv(records, out)
    except OSError as failure:
        raise SetupError(f"{file} cannot be written: {failure.strerror}.") from failure
    if str(file) == "-":
        return
    if as_json:
        print_json({"kind": kind, "records": count, "file": file})
    else:
        click.echo(f"{plural(count, 'record')} written to {file}.")


def _records(hub: Hub, kind: RecordKind) -> Iterator[dict[str, Any]]:
    """All records as JSON, in the order of their ids, some at a time."""
    after: UUID | None = None
    while True:
        with hub.read() as session:
            query = select(kind.model.id).order_by(kind.model.id).limit(MAX_ROWS_PER_TRANSACTION)
            ids = session.scalars(query.where(kind.model.id > after) if after else query).all()
            found = {record.id: freeze(record) for record in kind.load(session, ids)}
        if not ids:
            return
        yield from (found[record_id] for record_id in ids if record_id in found)
        after = ids[-1]


@contextmanager
def _opened(file: Path) -> Iterator[TextIO]:
    """The file to write, which is there only once it is complete."""
    if str(file) == "-":
        yield sys.stdout
        return
    draft = file.with_name(f".{file.name}.part")
    try:
        with draft.open("w", encoding="utf-8", newline="") as out:
            yield out
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def _write_json(records: Iterator[dict[str, Any]], out: TextIO) -> int:
    """A list, one record a line."""
    count = 0
    out.write("[")
    for record in records:
        out.write(",\n" if count else "\n")
        count += 1
        out.write(json.dumps(record, ensure_ascii=False))
    out.write("\n]\n")
    return count


def _write_csv(records: Iterator[dict[str, Any]], out: TextIO) -> int:
    """One row a record; what is nested stands as JSON in its cell."""
    writer: csv.DictWriter[str] | None = None
    count = 0
    for record in records:
        count += 1
        if writer is None:
            writer = csv.DictWriter(out, fieldnames=list(record))
            writer.writeheader()
        writer.writerow({name: cell(value) for name, value in record.items()})
    return count


_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)*%?$")


def cell(value: Any) -> Any:
    """A value as a cell. Text that a spreadsheet would take for a formula gets an apostrophe in front."""
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and value[:1] in ("=", "@", "+", "-", "\t", "\r") and not _NUMBER.match(value):
        return f"'{value}"
    return value
