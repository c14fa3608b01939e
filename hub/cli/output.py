"""How commands print: tables for people, JSON for programs, progress beside it."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import click

from hub.core.frozen import freeze

C = TypeVar("C", bound=Callable[..., Any])


def json_option(command: C) -> C:
    """Give a command --json, as the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(command)


def print_json(value: Any) -> None:
    """One JSON document; records, decimals, days and ids become what the API shows."""
    click.echo(json.dumps(freeze(value), ensure_ascii=False, indent=2, default=_plain))


def print_rows(rows: Sequence[Any], columns: Sequence[str], *, as_json: bool, empty: str) -> None:
    """A list. columns: the keys of the table, in order; as JSON every key of a row is printed.

    rows: dicts or dataclasses. empty: the sentence for a person when there is nothing.
    """
    listed = [_as_dict(row) for row in rows]
    if as_json:
        print_json(listed)
    elif not listed:
        click.echo(empty)
    elif sys.stdout.isatty():
        _print_table(listed, columns)
    else:
        for cells in (list(columns), *([_text(row.get(name)) for name in columns] for row in listed)):
            click.echo("\t".join(" ".join(cell.split()) for cell in cells))


def print_record(record: Any, *, as_json: bool, sentence: str) -> None:
    """What became of one record: a sentence for people, the record for programs."""
    if as_json:
        print_json(_as_dict(record))
    else:
        click.echo(sentence)


def print_fields(values: dict[str, Any], *, as_json: bool) -> None:
    """One thing with its fields, a line each."""
    if as_json:
        print_json(values)
        return
    width = max((len(name) for name in values), default=0)
    for name, value in values.items():
        lines = [_text(item) for item in value] if isinstance(value, (list, tuple)) else [_text(value)]
        for position, line in enumerate(lines or [""]):
            click.echo(f"{name.replace('_', ' ') if position == 0 else '':<{width}}  {line}".rstrip())


def end_partly(done: int, refused: Sequence[str], *, as_json: bool) -> None:
    """End the command with 3 if something was refused, with 1 if everything was. as_json: the reasons are printed."""
    if not as_json:
        for reason in refused:
            click.echo(f"Refused: {reason}", err=True)
    if refused:
        from hub.cli.lazy import PARTLY_FAILED

        raise click.exceptions.Exit(PARTLY_FAILED if done else 1)


def progress(text: str) -> None:
    """What is going on, beside the output."""
    click.echo(text, err=True)


def amount_text(amount: Decimal | None, currency: str) -> str:
    """An amount for people: 1,234.50 GBP."""
    if amount is None:
        return ""
    from hub.core.money import exponent

    return f"{amount:,.{exponent(currency)}f} {currency}"


def plural(count: int, noun: str, many: str = "") -> str:
    """1 invoice, 2 invoices, 2,000 entries."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def _print_table(rows: Iterable[dict[str, Any]], columns: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_text(row.get(name)).replace("[", r"\[") for name in columns))
    Console(soft_wrap=False).print(table)


def _as_dict(row: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(row) and not isinstance(row, type):
        return {item.name: getattr(row, item.name) for item in dataclasses.fields(row)}
    return dict(row)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    if isinstance(value, (dict, list)):
        return json.dumps(freeze(value), ensure_ascii=False, default=_plain)
    return str(freeze(value))


def _plain(value: Any) -> str:
    return str(value)
