"""`hub import`: other systems' exports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from hub.bootstrap import Hub
from hub.cli.lazy import PARTLY_FAILED
from hub.cli.lookup import one_of
from hub.cli.output import json_option, plural, print_json, print_record
from hub.cli.session import ACTOR, pass_hub
from hub.core.companies.models import Company
from hub.imports.batches import undo_import
from hub.imports.cell_values import DayOrder
from hub.imports.faults import ImportSummary
from hub.imports.layouts import TIME_LAYOUTS, Layout, parse_mapping
from hub.imports.record_import import RECORD_IMPORTS, import_records
from hub.imports.time_import import import_time

KINDS = ("time", *RECORD_IMPORTS)


class ImportGroup(click.Group):
    """`hub import KIND FILE`: a command per kind, and `undo`."""


@click.group("import", cls=ImportGroup)
def import_() -> None:
    """Bring in other systems' exports. What cannot be right goes to a file to mend, with line, column and reason."""


def _kind_command(kind: str) -> click.Command:
    @click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
    @click.option("--format", "layout", help="A known layout; else the header tells, or --map says.")
    @click.option("--map", "pairs", multiple=True, metavar="FIELD=COLUMN", help="Which column a field is in; repeat.")
    @click.option("--create", is_flag=True, help="Make the clients, projects, tasks and people that are missing.")
    @click.option("--dry-run", is_flag=True, help="Say what would happen; write nothing but the file of faults.")
    @click.option("--day-first/--month-first", default=None, help="How to read a date such as 03/04/2026.")
    @click.option("--company", help="For which company, where there are several (name or id).")
    @click.option("--faults", type=click.Path(file_okay=False, path_type=Path), help="Folder for the file of faults.")
    @json_option
    @pass_hub
    def command(
        hub: Hub,
        file: Path,
        layout: str | None,
        pairs: tuple[str, ...],
        create: bool,
        dry_run: bool,
        day_first: bool | None,
        company: str | None,
        faults: Path | None,
        as_json: bool,
    ) -> None:
        given: dict[str, Any] = {
            "mapping": parse_mapping(pairs) or None,
            "day_order": _day_order(day_first),
            "create": create,
            "dry_run": dry_run,
            "company_id": _company(hub, company),
            "faults_folder": faults,
            "actor": ACTOR,
        }
        if kind == "time":
            summary = import_time(hub, file, layout=layout, layouts=_layouts(hub), **given)
        else:
            summary = import_records(hub, kind, file, **given)
        _report(summary, kind, dry_run=dry_run, as_json=as_json)

    return click.command(kind, help=f"Import {kind} from a CSV file.")(command)


for _kind in KINDS:
    import_.add_command(_kind_command(_kind))


@import_.command("undo")
@click.argument("batch_id", type=click.UUID, metavar="BATCH")
@json_option
@pass_hub
def undo_command(hub: Hub, batch_id: UUID, as_json: bool) -> None:
    """Take the time of an import out again, as long as none of it was changed or approved."""
    removed = undo_import(hub, batch_id, actor=ACTOR)
    sentence = f"{plural(removed, 'time entry', 'time entries')} taken out again."
    print_record({"batch_id": batch_id, "removed": removed}, as_json=as_json, sentence=sentence)


def _report(summary: ImportSummary, kind: str, *, dry_run: bool, as_json: bool) -> None:
    """The counts; with rejected rows the command ends with 3, or with 1 if there are no others."""
    counts = summary.as_json()
    if as_json:
        print_json(counts)
    else:
        for note in summary.notes:
            click.echo(note, err=True)
        made = f"{summary.created:,} {'would be created' if dry_run else 'created'}"
        hours = f" ({counts['hours']} hours)" if kind == "time" else ""
        click.echo(
            f"{plural(summary.rows, 'row')}: {made}, {summary.unchanged:,} unchanged{hours}, "
            f"{summary.rejected:,} rejected."
        )
        for fault in summary.faults[:10]:
            click.echo(f"Line {fault.line}, {fault.column}: “{fault.value}” {fault.reason}", err=True)
        if summary.faults_file:
            click.echo(f"The rejected rows are in {summary.faults_file}: mend them and import that file.", err=True)
    if summary.rejected:
        raise click.exceptions.Exit(PARTLY_FAILED if summary.created or summary.unchanged else 1)


def _layouts(hub: Hub) -> Sequence[Layout]:
    """The hub's layouts, and those of plugins."""
    with hub.read():
        contributed = [item for _, item in hub.plugins.hooks.collect("import_layouts") if isinstance(item, Layout)]
    return (*TIME_LAYOUTS, *contributed)


def _day_order(day_first: bool | None) -> DayOrder | None:
    if day_first is None:
        return None
    return DayOrder.DAY_FIRST if day_first else DayOrder.MONTH_FIRST


def _company(hub: Hub, text: str | None) -> UUID | None:
    if text is None:
        return None
    with hub.read() as session:
        return one_of(session, Company, text, by=(Company.name,), what="company").id
