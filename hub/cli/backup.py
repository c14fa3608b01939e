"""`hub backup` and `hub restore`."""

from __future__ import annotations

from pathlib import Path

import click

from hub.backup import restore_backup, write_backup
from hub.bootstrap import Hub
from hub.cli.lazy import command_line
from hub.cli.output import json_option, print_record
from hub.cli.session import pass_hub

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("file", type=FILE)
@json_option
@pass_hub
def backup(hub: Hub, file: Path, as_json: bool) -> None:
    """Save database, files and keys in FILE (a tar.gz), also while the hub works. Keep it safe: it holds the keys."""
    summary = write_backup(hub, file)
    size = f"{summary.size / 1e6:,.1f} MB"
    sentence = f"Saved in {file} ({size}). It holds the keys that open stored credentials: keep it safe."
    print_record(summary, as_json=as_json, sentence=sentence)


@click.command()
@click.argument("file", type=FILE)
@click.option("--force", is_flag=True, help="Also over a hub that is not empty; that one is saved first.")
@json_option
@click.pass_context
def restore(context: click.Context, file: Path, force: bool, as_json: bool) -> None:
    """Bring back what is in FILE. Every connection starts read-only; stop the hub before."""
    line = command_line(context)
    line.start_log()
    summary = restore_backup(line.settings, file, force=force)
    sentence = f"Restored the hub as it was at {summary.made_at:%Y-%m-%d %H:%M} UTC."
    if summary.read_only:
        names = ", ".join(summary.read_only)
        sentence += (
            f" These connections only read now: {names}. Let one write again with "
            "`hub connection resume NAME --write` once you have looked."
        )
    if summary.kept:
        sentence += f" What was there is saved in {summary.kept}."
    print_record(summary, as_json=as_json, sentence=sentence)
