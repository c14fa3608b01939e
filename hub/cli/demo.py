"""`hub demo`: the main job, end to end."""

from __future__ import annotations

from pathlib import Path

import click

from hub.cli.lazy import command_line
from hub.cli.output import json_option, print_json
from hub.demo.run import run_demo


@click.command()
@click.option("--exit", "exit_after", is_flag=True, help="End after the story; exit code 0 only if every step held.")
@click.option("--bind", metavar="HOST:PORT", help="Where it listens. [default: 127.0.0.1:8000, or a free port]")
@json_option
@click.pass_context
def demo(context: click.Context, exit_after: bool, bind: str | None, as_json: bool) -> None:
    """Start a whole firm with stand-ins of Salesforce and QuickBooks, do the main job, and stay up until Ctrl-C.

    It has a data directory of its own (var/demo, unless --data-dir says otherwise), started afresh each time. With
    --json it ends after the story and prints the counts.
    """
    line = command_line(context)
    folder = Path(line.flags.get("data_dir") or "var/demo").absolute()
    answer = run_demo(
        folder, bind=bind, stay=not (exit_after or as_json), say=lambda text: click.echo(text, err=as_json)
    )
    if as_json:
        print_json(answer)
    if not answer["ok"]:
        raise click.exceptions.Exit(1)
