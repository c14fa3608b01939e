"""`hub reconcile`: is every document equal to the cent on both sides?"""

from __future__ import annotations

import csv
from dataclasses import fields
from datetime import date
from decimal import Decimal
from typing import Any

import click

from hub.bootstrap import Hub
from hub.cli.export import cell
from hub.cli.output import amount_text, json_option, plural, print_json, print_rows
from hub.cli.session import ACTOR, pass_hub
from hub.cli.types import DAY
from hub.core.money import money_text
from hub.sync.connections import connection_named
from hub.sync.plan import make_plan
from hub.sync.reconcile import Reconciliation, Row, Total, Verdict
from hub.sync.reconcile import reconcile as compare


@click.command()
@click.argument("name")
@click.option("--stream", "streams", multiple=True, help="Only this stream; may be repeated.")
@click.option("--from", "from_on", type=DAY, help="Documents dated on or after this day.")
@click.option("--to", "to_on", type=DAY, help="Documents dated on or before this day.")
@click.option(
    "--csv",
    "csv_file",
    type=click.File("w", encoding="utf-8", lazy=True),
    help="Write every document to this file, with reasons, to keep or to pass on.",
)
@click.option("--plan", "planned", is_flag=True, help="Make a plan that sends ours again where they differ.")
@json_option
@pass_hub
def reconcile(
    hub: Hub,
    name: str,
    streams: tuple[str, ...],
    from_on: date | None,
    to_on: date | None,
    csv_file: Any,
    planned: bool,
    as_json: bool,
) -> None:
    """Compare every document with the connection NAME. Exit code 0 only if all are equal to the cent.

    With --plan, what differs and can be mended by sending it is made a plan, which nothing does before it is applied.
    """
    with hub.read() as session:
        connection = connection_named(session, name)
    found = compare(hub, connection.id, kinds=list(streams) or None, from_on=from_on, to_on=to_on)
    if csv_file is not None:
        _write(csv_file, found)
    anew = found.mendable() if planned else {}
    plan_id = make_plan(hub, connection.id, anew=anew, actor=ACTOR) if anew else None
    if as_json:
        print_json(reconciliation_values(found) | ({"plan": plan_id} if planned else {}))
    else:
        _print(found)
        if plan_id is not None:
            click.echo(f"Look at the plan with `hub plan show {plan_id}`, apply it with `hub plan apply {plan_id}`.")
        elif planned:
            click.echo("Nothing of it can be mended by sending it again, so no plan was made.")
        elif found.mendable():
            click.echo(f"A plan to send ours again where they differ: `hub reconcile {name} --plan`.")
    if not found.equal:
        raise click.exceptions.Exit(1)


def reconciliation_values(found: Reconciliation) -> dict[str, Any]:
    """A reconciliation for programs: the verdict, the counts, the totals, and every row."""
    counts = {str(verdict): sum(row.verdict == verdict for row in found.rows) for verdict in Verdict}
    return {
        "connection": found.connection,
        "equal": found.equal,
        "counts": counts,
        "totals": [_with_money(total) for total in found.totals],
        "rows": [_with_money(row) for row in found.rows],
    }


def _write(file: Any, found: Reconciliation) -> None:
    """Every row as CSV; a text that a spreadsheet would take for a formula is written as a text."""
    names = [item.name for item in fields(Row)]
    writer = csv.DictWriter(file, names)
    writer.writeheader()
    for row in found.rows:
        values = {name: cell(value) for name, value in _with_money(row).items()}
        writer.writerow(values)


def _with_money(line: Total | Row) -> dict[str, Any]:
    """A line whose amounts are written with the decimals of its currency."""
    values = {item.name: getattr(line, item.name) for item in fields(line)}
    amounts = {name: money_text(value, line.currency) for name, value in values.items() if isinstance(value, Decimal)}
    return values | amounts


def _print(found: Reconciliation) -> None:
    for total in found.totals:
        ours, theirs = amount_text(total.ours, total.currency), amount_text(total.theirs, total.currency)
        click.echo(f"{total.kind}: {plural(total.count, 'document')}, here {ours}, there {theirs}")
    different = [row for row in found.rows if row.differs]
    columns = ("verdict", "kind", "number", "label", "on", "ours", "theirs", "currency")
    if different:
        print_rows(different, columns, as_json=False, empty="")
        for row in different:
            click.echo(f"{row.number or row.remote_id}: {row.reason} {row.remedy}")
    shadows = sum(bool(row.recognised) for row in found.rows)
    if shadows:
        verb = "was" if shadows == 1 else "were"
        click.echo(f"{plural(shadows, 'document')} {verb} entered over there by others, and recognised.")
    extra = sum(row.verdict == Verdict.MISSING_HERE for row in found.rows)
    if extra:
        click.echo(f"{plural(extra, 'document')} of theirs did not come from this hub.")
    same = sum(row.verdict == Verdict.MATCHED for row in found.rows)
    if found.equal:
        click.echo(f"Equal to the cent: {plural(same, 'document')}.")
    else:
        click.echo(f"{plural(len(different), 'document')} of {same + len(different)} not equal.")
