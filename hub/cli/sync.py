"""`hub sync`: a run now, by the command itself."""

from __future__ import annotations

from typing import Any

import click

from hub.bootstrap import Hub
from hub.cli.lazy import PARTLY_FAILED
from hub.cli.output import json_option, print_json
from hub.cli.plan import show_plan
from hub.cli.session import ACTOR, pass_hub
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
    dry_run: bool,
    as_json: bool,
) -> None:
    """Bring the connection NAME in step now, and say what was done. Exit code 3 if something is left over.

    With --dry-run nothing changes on either side: a plan says what would (`hub plan`).
    """
    if dry_run and full:
        raise click.UsageError("A plan starts where the last reading ended: use --dry-run without --full.")
    if beyond_guards and not full:
        raise click.UsageError("Only a full read is guarded: use --beyond-guards with --full.")
    with hub.read() as session:
        connection = connection_named(session, name)
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
