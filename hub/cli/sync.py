"""`hub sync`: a run now, by the command itself."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import click

from hub.bootstrap import Hub
from hub.cli.lazy import PARTLY_FAILED
from hub.cli.output import json_option, print_json
from hub.cli.plan import show_plan
from hub.cli.session import ACTOR, pass_hub
from hub.cli.types import DAY
from hub.core.errors import RuleBroken
from hub.sync.backfill import FOREVER, begin_backfill, cancel_backfill, work_backfill
from hub.sync.connections import connection_named
from hub.sync.cycle import run_connection
from hub.sync.models import RunStatus
from hub.sync.plan import make_plan
from hub.sync.runs import RunSummary

EXIT_CODES = {
    RunStatus.SUCCESS: 0,
    RunStatus.PARTIAL: PARTLY_FAILED,
    RunStatus.DEFERRED: PARTLY_FAILED,
    RunStatus.FAILED: 1,
}


@click.command()
@click.argument("name")
@click.option("--stream", "streams", multiple=True, help="Only this stream; may be repeated.")
@click.option("--direction", type=click.Choice(["push", "pull"]), help="Only this way.")
@click.option("--full", is_flag=True, help="Read everything, not only what changed.")
@click.option("--beyond-guards", is_flag=True, help="With --full: also if it finds more records deleted than usual.")
@click.option("--backfill-from", type=DAY, help="Read the past of one --stream from this day on.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done, as a plan that can be applied.")
@json_option
@pass_hub
def sync(
    hub: Hub,
    name: str,
    streams: tuple[str, ...],
    direction: str | None,
    full: bool,
    beyond_guards: bool,
    backfill_from: date | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Bring the connection NAME in step now, and say what was done. Exit code 3 if something is left over.

    With --dry-run nothing changes on either side: a plan says what would (`hub plan`). With --backfill-from the past of
    a stream is read, beside what is new and never over it. Ctrl-C cancels that; broken off otherwise, a worker goes on.
    """
    if dry_run and full:
        raise click.UsageError("A plan starts where the last reading ended: use --dry-run without --full.")
    if beyond_guards and not full:
        raise click.UsageError("Only a full read is guarded: use --beyond-guards with --full.")
    if backfill_from and (len(streams) != 1 or full or dry_run or direction == "push"):
        raise click.UsageError("The past is read of one stream: use --backfill-from with one --stream alone.")
    with hub.read() as session:
        connection = connection_named(session, name)
    if backfill_from:
        _end_with(_backfill(hub, connection.id, streams[0], backfill_from), as_json=as_json)
        return
    if dry_run:
        plan_id = make_plan(hub, connection.id, kinds=list(streams) or None, direction=direction, actor=ACTOR)
        show_plan(hub, plan_id, as_json=as_json)
        return
    summary = run_connection(
        hub,
        connection.id,
        kinds=list(streams) or None,
        direction=direction,
        full=full,
        beyond_guards=beyond_guards,
        trigger="manual",
        actor=ACTOR,
    )
    _end_with(summary, as_json=as_json)


def _backfill(hub: Hub, connection_id: UUID, kind: str, from_on: date) -> RunSummary:
    """Read the past to its end, however many slices it takes."""
    hub.transact(lambda session: begin_backfill(session, connection_id, kind, from_on, actor=ACTOR), actor=ACTOR)
    try:
        summary = work_backfill(hub, connection_id, kind, seconds=FOREVER, waits=True)
    except KeyboardInterrupt:
        hub.transact(lambda session: cancel_backfill(session, connection_id, kind), actor=ACTOR)
        raise
    if summary is None:
        raise RuleBroken("A worker is reading it at this moment, and goes on by itself.", code="backfill-at-work")
    return summary


def _end_with(summary: RunSummary, *, as_json: bool) -> None:
    if as_json:
        print_json(run_values(summary))
    else:
        click.echo(run_sentence(summary))
    code = EXIT_CODES.get(RunStatus(summary.status), 1)
    if code:
        raise click.exceptions.Exit(code)


def run_values(summary: RunSummary) -> dict[str, Any]:
    """A run as programs see it: its counts beside its status."""
    return {
        "run": summary.id,
        "connection": summary.connection,
        "status": summary.status,
        "headline": summary.headline,
        **summary.counts,
        "api_calls": summary.api_calls,
        "started_at": summary.started_at,
        "ended_at": summary.ended_at,
        "resumes_at": summary.resumes_at,
    }


def run_sentence(summary: RunSummary) -> str:
    """A run for people: what was done, and the first thing that is left over."""
    done = ", ".join(f"{count:,} {name}" for name, count in summary.counts.items() if count and name != "read")
    read = summary.counts.get("read", 0)
    text = f"{summary.connection}: {summary.status}. {read:,} read" + (f": {done}." if done else ".")
    resumes = f" It goes on at {summary.resumes_at:%-d %b %H:%M} UTC." if summary.resumes_at else ""
    return f"{text} {summary.headline}".strip() + resumes
