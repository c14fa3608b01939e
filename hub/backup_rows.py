"""The rows of all tables as lines of JSON, and back: a backup that needs no tool of the database's own.

The first line of a table names it and its columns; every other line is one row. Parents come before children.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    Column,
    Connection,
    Date,
    Integer,
    MetaData,
    Table,
    Uuid,
    delete,
    func,
    insert,
    inspect,
    select,
    text,
)

from hub import migrations
from hub.bootstrap import Hub
from hub.core.columns import ScaledInteger, UtcDateTime
from hub.core.database import Base
from hub.core.errors import RuleBroken
from hub.core.frozen import freeze

_ALEMBIC: Final = "alembic_version"
_FIRST: Final = ("plugin", "generation")
"""What says which plugins there are: their tables can be made only when this is known."""
_ROWS_AT_ONCE: Final = 500


def dump_rows(hub: Hub, file: Path) -> None:
    """Write every row, as they all were at one moment. Raises RuleBroken for tables of a plugin that is disabled."""
    tables = _tables(hub)
    isolation = "SERIALIZABLE" if hub.database.is_sqlite else "REPEATABLE READ"
    snapshot = hub.database.engine.connect().execution_options(isolation_level=isolation)
    with snapshot as connection, file.open("w", encoding="utf-8") as out:
        for table in tables:
            out.write(_line({"table": table.name, "columns": [column.name for column in table.columns]}))
            rows = connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(select(table))
            out.writelines(_line([freeze(value) for value in row]) for row in rows)


def load_rows(hub: Hub, file: Path, revisions: Mapping[str, str] | None = None) -> None:
    """Make the hub's tables hold exactly these rows, in one transaction once the tables are there.

    revisions: of each branch, the one that the rows were written at, for a database without tables. They are made as
    they were then, and brought to what this version needs with the rows in them.
    """
    migrations.upgrade(hub, revisions)
    with hub.database.engine.begin() as connection:
        for table, rows in _parts(file):
            if table.name in _FIRST:
                connection.execute(delete(table))
                _insert(connection, table, rows)
    with hub.database.read() as session:
        hub.plugins.refresh(session)
    migrations.upgrade(hub, revisions)
    with hub.read():
        _ = hub.kinds  # plugins define their tables when their record kinds are asked for
    there = set(inspect(hub.database.engine).get_table_names())
    with hub.database.engine.begin() as connection:
        for table in reversed([table for table, _ in _parts(file)]):
            if table.name not in there:
                raise RuleBroken(f"The backup has a table “{table.name}” that this version does not know.")
            connection.execute(delete(table))
        for table, rows in _parts(file):
            _insert(connection, table, rows)
    migrations.upgrade(hub)
    with hub.database.engine.begin() as connection:
        _set_sequences(connection, _tables(hub))


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"


def _tables(hub: Hub) -> list[Table]:
    """The tables of the hub and its enabled plugins, parents first."""
    migrations.import_core_tables()
    with hub.read():
        _ = hub.kinds  # plugins define their tables when their record kinds are asked for
    names = inspect(hub.database.engine).get_table_names()
    there = {name for name in names if not name.startswith(_ALEMBIC)}
    unknown = sorted(there - set(Base.metadata.tables))
    if unknown:
        raise RuleBroken(
            f"The database has tables of a plugin that is not enabled ({', '.join(unknown)}). "
            "Enable it, so that its data is saved too."
        )
    return [table for table in Base.metadata.sorted_tables if table.name in there]


def _parts(file: Path) -> Iterator[tuple[Table, Iterator[dict[str, Any]]]]:
    """The tables of a dump, with the columns that they had, and their rows, to be taken before the next table's."""
    with file.open(encoding="utf-8") as lines:
        line = next(lines, "")
        while line:
            head = json.loads(line)
            line = ""

            def rows(columns: Sequence[str] = head["columns"]) -> Iterator[dict[str, Any]]:
                nonlocal line
                for text_line in lines:
                    value = json.loads(text_line)
                    if isinstance(value, dict):
                        line = text_line
                        return
                    yield dict(zip(columns, value, strict=True))

            current = rows()
            yield _as_written(head["table"], head["columns"]), current
            for _ in current:
                pass


def _as_written(name: str, columns: Sequence[str]) -> Table:
    """A table with the columns of a dump; of the types they have now, where they are there still."""
    now = Base.metadata.tables.get(name)
    known: Any = now.columns if now is not None else {}
    return Table(
        name, MetaData(), *(Column(column, known[column].type if column in known else None) for column in columns)
    )


def _insert(connection: Connection, table: Table, rows: Iterator[dict[str, Any]]) -> None:
    while some := list(islice(rows, _ROWS_AT_ONCE)):
        connection.execute(insert(table), [_thawed(table, row) for row in some])


def _thawed(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    return {name: _value(table.columns[name].type, value) for name, value in row.items()}


def _value(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, Uuid):
        return UUID(value)
    if isinstance(kind, UtcDateTime):
        return datetime.fromisoformat(value)
    if isinstance(kind, Date):
        return date.fromisoformat(value)
    return Decimal(value) if isinstance(kind, ScaledInteger) else value


def _set_sequences(connection: Connection, tables: Any) -> None:
    """PostgreSQL counts on from where its sequences stand, not from the rows there are."""
    if connection.dialect.name != "postgresql":
        return
    for table in tables:
        (key, *others) = table.primary_key.columns
        if others or not isinstance(key.type, Integer) or key.autoincrement is False:
            continue
        sequence = connection.scalar(text("SELECT pg_get_serial_sequence(:t, :c)"), {"t": table.name, "c": key.name})
        highest = connection.scalar(select(func.max(key)))
        if sequence and highest:
            connection.execute(text("SELECT setval(:s, :v)"), {"s": sequence, "v": highest})
