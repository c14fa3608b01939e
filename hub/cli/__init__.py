"""The command line: `hub`. Thin: a command parses, calls a service, and prints.

What is printed for a person goes to stdout, progress to stderr; with --json stdout holds one JSON document and nothing
else. Exit codes: 0 ok, 1 failed, 2 wrong usage, 3 partly failed.
"""

from __future__ import annotations

import gc
from pathlib import Path

import click

from hub.cli.lazy import HubCommands


@click.group(cls=HubCommands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path), help="Where the hub keeps its files.")
@click.option("--database-url", metavar="URL", help="The database; SQLite in the data directory unless given.")
@click.option("--redis-url", metavar="URL", help="The queue server; an embedded one unless given.")
@click.option("--config", type=click.Path(dir_okay=False, path_type=Path), help="A TOML file to read.")
@click.version_option(package_name="psa-hub", prog_name="hub")
def cli(**flags: Path | str | None) -> None:
    """One place for clients, projects, time and invoices, kept in step with CRM and accounting.

    Every command that prints data has --json. Exit codes: 0 ok, 1 failed, 2 wrong usage, 3 partly failed.
    """


def main() -> None:
    """The console script."""
    # What a start makes stays; with the usual threshold the collector would go through all of it time and again.
    gc.set_threshold(50_000, 20, 50)
    cli(prog_name="hub")
