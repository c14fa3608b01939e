"""`hub db`: the schema of the database."""

from __future__ import annotations

import click

from hub import migrations
from hub.bootstrap import Hub
from hub.cli.output import json_option, print_record
from hub.cli.session import pass_hub


@click.group("db")
def database() -> None:
    """Create, upgrade and check the database."""


@database.command()
@json_option
@pass_hub
def upgrade(hub: Hub, as_json: bool) -> None:
    """Bring the tables of the hub and of its plugins to what this version needs."""
    migrations.upgrade(hub)
    print_record({"upgraded": True}, as_json=as_json, sentence="The database is up to date.")


@database.command()
@json_option
@pass_hub
def check(hub: Hub, as_json: bool) -> None:
    """Is the database as this version needs it? Exit code 1 if not."""
    problems = migrations.check(hub)
    sentence = "\n".join(problems) or "The database is as it should be."
    print_record({"ok": not problems, "problems": problems}, as_json=as_json, sentence=sentence)
    if problems:
        raise click.exceptions.Exit(1)
