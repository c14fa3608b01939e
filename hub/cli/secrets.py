"""`hub secrets`: the keys that stored credentials are encrypted with."""

from __future__ import annotations

import click
from cryptography.fernet import Fernet

from hub.bootstrap import Hub
from hub.cli.output import json_option, plural, print_record, print_rows
from hub.cli.session import ACTOR, pass_hub
from hub.rotation import keys_in_use, rotate


@click.group()
def secrets() -> None:
    """The keys that stored credentials are encrypted with."""


@secrets.command("list")
@json_option
@pass_hub
def list_command(hub: Hub, as_json: bool) -> None:
    """The keys by their ids, never the keys themselves, and how many secrets are under each."""
    used = keys_in_use(hub)
    rows = [
        {"key": key, "encrypts": position == 0, "secrets": used.get(key, 0)}
        for position, key in enumerate(hub.cipher.key_ids)
    ]
    print_rows(rows, ("key", "encrypts", "secrets"), as_json=as_json, empty="")


@secrets.command("rotate")
@json_option
@pass_hub
def rotate_command(hub: Hub, as_json: bool) -> None:
    """Encrypt every stored credential with a new key. Running processes go on."""
    rotated = rotate(hub, actor=ACTOR)
    sentence = f"The key {rotated.key} encrypts from now on; {plural(rotated.secrets, 'secret')} are under it."
    if rotated.dropped:
        sentence += f" Dropped: {', '.join(rotated.dropped)}."
    print_record(rotated, as_json=as_json, sentence=sentence)


@secrets.command("key")
def key_command() -> None:
    """Print a new key, for HUB_SECRET_KEY. It is kept nowhere."""
    click.echo(Fernet.generate_key().decode())
