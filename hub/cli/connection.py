"""`hub connection`: one configured account of another system each."""

from __future__ import annotations

import dataclasses
import json
from datetime import date
from pathlib import Path
from typing import Any

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.bootstrap import Hub
from hub.cli.output import json_option, print_fields, print_json, print_record, print_rows, progress
from hub.cli.session import ACTOR, pass_hub
from hub.cli.types import DAY, pairs_of
from hub.core.errors import NotFound, RuleBroken
from hub.core.outbox import Subscription
from hub.enabling import enable_with_tables
from hub.sync.connections import (
    add_connection,
    change_settings,
    check_connection,
    connection_named,
    remove_connection,
    secret_names,
    set_state,
)
from hub.sync.connector import CheckResult
from hub.sync.guards import set_guards
from hub.sync.models import Connection, ConnectionState
from hub.sync.portable import connector_in, export_connection, import_connection
from hub.sync.standing import word_of

_PERCENT = click.IntRange(0, 100)
_SHOWN_OF_CONNECTION = (
    *("id", "name", "connector", "plugin", "state", "reason", "account_id", "account_name", "environment"),
    *("findings", "checked_at", "pulled_at", "failed_in_row", "last_failure", "left_alone_since", "tried_again_at"),
    *("guard_updates", "guard_deletes"),
)


@click.group()
def connection() -> None:
    """Connections to other systems."""


@connection.command("add")
@click.argument("connector")
@click.option("--name", required=True, help="What you call this connection.")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="A setting; may be repeated.")
@click.option(
    "--config",
    "config_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A JSON file with settings; keeps secrets out of the list of processes.",
)
@click.option("--start-on", type=DAY, help="Leave out documents dated before this day.")
@click.option("--read-only", is_flag=True, help="Read from it, but write nothing to it yet.")
@json_option
@pass_hub
def add_command(
    hub: Hub,
    connector: str,
    name: str,
    pairs: tuple[str, ...],
    config_file: Path | None,
    start_on: date | None,
    read_only: bool,
    as_json: bool,
) -> None:
    """Connect a system: the settings are checked, the connection is tested, and only then it is kept."""
    settings = {**_settings_in(config_file), **pairs_of(pairs)}
    enable_for(hub, connector)
    added = add_connection(
        hub, connector=connector, name=name, settings=settings, read_only=read_only, start_on=start_on, actor=ACTOR
    )
    with hub.read() as session:
        values = connection_values(hub, connection_named(session, added.name))
    mode = "reads only" if read_only else "reads and writes"
    sentence = f"{name} is connected to {added.account_name} ({added.environment}) and {mode}."
    print_record(values, as_json=as_json, sentence=sentence)


@connection.command("list")
@json_option
@pass_hub
def list_command(hub: Hub, as_json: bool) -> None:
    """The connections there are."""
    with hub.read() as session:
        rows = [connection_values(hub, one) for one in session.scalars(select(Connection).order_by(Connection.name))]
    columns = ("name", "connector", "standing", "account_name", "environment", "checked_at", "reason")
    print_rows(rows, columns, as_json=as_json, empty="Nothing is connected yet. Add one with `hub connection add`.")


@connection.command("show")
@click.argument("name")
@json_option
@pass_hub
def show_command(hub: Hub, name: str, as_json: bool) -> None:
    """One connection with its streams and its settings; secrets are never shown."""
    with hub.read() as session:
        found = connection_named(session, name)
        subscriptions = session.scalars(
            select(Subscription).where(Subscription.connection_id == found.id).order_by(Subscription.position)
        )
        streams: list[Any] = [stream_values(one) for one in subscriptions]
        values = connection_values(hub, found)
    settings: Any = _shown(hub, found)
    if not as_json:
        values["findings"] = [_finding_text(item) for item in values["findings"] or ()]
        streams = [_stream_text(item) for item in streams]
        settings = [f"{name} = {value}" for name, value in settings.items()]
    print_fields({**values, "settings": settings, "streams": streams}, as_json=as_json)


@connection.command("check")
@click.argument("name")
@json_option
@pass_hub
def check_command(hub: Hub, name: str, as_json: bool) -> None:
    """Test a connection. Nothing is written on the other side."""
    with hub.read() as session:
        found = connection_named(session, name)
    result = check_connection(hub, found.id, actor=ACTOR)
    _print_check(result, as_json=as_json)
    if not result.ok:
        raise click.exceptions.Exit(1)


@connection.command("set")
@click.argument("name")
@click.argument("pairs", nargs=-1, metavar="KEY=VALUE...")
@click.option(
    "--config", "config_file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A JSON file."
)
@click.option("--guard-updates", type=_PERCENT, help="How many percent of a stream one plan may update.")
@click.option("--guard-deletes", type=_PERCENT, help="How many percent of a stream one plan may delete.")
@json_option
@pass_hub
def set_command(
    hub: Hub,
    name: str,
    pairs: tuple[str, ...],
    config_file: Path | None,
    guard_updates: int | None,
    guard_deletes: int | None,
    as_json: bool,
) -> None:
    """Change settings; those not named keep their value. Test it afterwards with `hub connection check`."""
    values = {**_settings_in(config_file), **pairs_of(pairs)}
    guards = {"guard_updates": guard_updates, "guard_deletes": guard_deletes}
    changed = sorted([*values, *(guard for guard, share in guards.items() if share is not None)])
    if not changed:
        raise click.UsageError("Say what to change: KEY=VALUE, --config FILE, --guard-updates or --guard-deletes.")
    with hub.read() as session:
        found = connection_named(session, name)
    if values:
        change_settings(hub, found.id, values, actor=ACTOR)

    def work(session: Session) -> None:
        set_guards(session, found.id, updates=guard_updates, deletes=guard_deletes)

    hub.transact(work, actor=ACTOR)
    sentence = f"Changed {', '.join(changed)} of {name}." + (
        f" Test it with `hub connection check {name}`." if values else ""
    )
    print_record({"name": name, "changed": changed}, as_json=as_json, sentence=sentence)


@connection.command("pause")
@click.argument("name")
@json_option
@pass_hub
def pause_command(hub: Hub, name: str, as_json: bool) -> None:
    """Let a connection rest: what is owed to it is kept until it is resumed."""
    _put(hub, name, ConnectionState.PAUSED, as_json=as_json)


@connection.command("resume")
@click.argument("name")
@click.option("--write/--read-only", "writes", default=None, help="Whether it writes; else as before.")
@json_option
@pass_hub
def resume_command(hub: Hub, name: str, writes: bool | None, as_json: bool) -> None:
    """Let a connection work again, as before, or let one that only reads write from now on (--write)."""
    with hub.read() as session:
        before = connection_named(session, name).writes
    writing = before if writes is None else writes
    _put(hub, name, ConnectionState.ACTIVE if writing else ConnectionState.READ_ONLY, as_json=as_json)


@connection.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_hub
def remove_command(hub: Hub, name: str, yes: bool, as_json: bool) -> None:
    """Forget a connection's credentials. Nothing is deleted on either side, and its history stays."""
    with hub.read() as session:
        found = connection_named(session, name)
    if not yes:
        click.confirm(f"Forget the credentials of {name} ({found.account_name})?", abort=True, err=True)
    remove_connection(hub, found.id, actor=ACTOR)
    print_record({"removed": name}, as_json=as_json, sentence=f"{name} is not connected any more.")


@connection.command("export")
@click.argument("name")
@click.argument("file", default="-", type=click.Path(dir_okay=False, allow_dash=True))
@pass_hub
def export_command(hub: Hub, name: str, file: str) -> None:
    """Write a connection to a FILE, or to the screen: everything but its secrets."""
    text = export_connection(hub, name)
    with click.open_file(file, "w", encoding="utf-8") as out:
        out.write(text)


@connection.command("import")
@click.argument("file", type=click.File("r", encoding="utf-8"))
@click.option("--name", help="Instead of the name in the file.")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="A setting that the file does not have.")
@click.option(
    "--config",
    "config_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A JSON file with such settings; keeps secrets out of the list of processes.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@json_option
@pass_hub
def import_command(
    hub: Hub,
    file: Any,
    name: str | None,
    pairs: tuple[str, ...],
    config_file: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make the connection of an exported FILE, reading only, or change the one of its name to what the file says."""
    given, text = {**_settings_in(config_file), **pairs_of(pairs)}, file.read()
    enable_for(hub, connector_in(text))
    imported = import_connection(hub, text, given=given, name=name, dry_run=dry_run, actor=ACTOR)
    rows = [{"what": what, "before": before, "after": after} for what, before, after in imported.changes]
    if as_json:
        print_json({"name": imported.name, "added": imported.added, "dry_run": dry_run, "changes": rows})
        return
    print_rows(rows, ("what", "before", "after"), as_json=False, empty="")
    done = "would be" if dry_run else "is"
    if imported.added:
        click.echo(f"{imported.name} {done} connected, and only reads.")
    else:
        click.echo(f"{imported.name} {done} {'changed' if rows else 'as the file says'}.")


def enable_for(hub: Hub, connector: str) -> None:
    """Enable the installed plugin that brings a connector, if it is not enabled, and say so. Raises NotFound."""
    with hub.read():
        known = hub.connector_classes()
    if connector in known:
        return
    offered: dict[str, str] = {}

    def work(session: Session) -> None:
        for state in hub.plugins.states(session):
            for found in (state.probe or {}).get("connectors", []):
                offered[found["name"]] = state.name

    hub.transact(work, actor=ACTOR)
    if connector not in offered:
        raise NotFound(
            f"There is no connector called “{connector}” among the installed plugins. "
            f"There is: {', '.join(sorted({*offered, *known})) or 'none'}."
        )
    enable_with_tables(hub, offered[connector], actor=ACTOR)
    progress(f"Enabled the plugin {offered[connector]}.")


def connection_values(hub: Hub, one: Connection) -> dict[str, Any]:
    """A connection as it is shown: no settings, no tokens."""
    values = {name: getattr(one, name) for name in _SHOWN_OF_CONNECTION}
    return {**values, "standing": word_of(one, connectors=hub.connector_classes())}


def stream_values(one: Subscription) -> dict[str, Any]:
    """A stream of a connection as it is shown."""
    return {name: getattr(one, name) for name in ("kind", "pulls", "pushes", "on_demand", "start_on", "conditions")}


def _shown(hub: Hub, found: Connection) -> dict[str, Any]:
    """The settings without secrets. What is secret is not known where the plugin is gone: then nothing is shown."""
    try:
        _, kind = hub.connector_class(found.connector)
    except NotFound:
        return {}
    secret = secret_names(kind.settings)
    return {name: "set" if name in secret else value for name, value in hub.cipher.decrypt(found.settings).items()}


def _settings_in(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as failure:
        raise RuleBroken(f"{path} is no JSON file: {getattr(failure, 'msg', 'it is not UTF-8')}.") from None
    if not isinstance(settings, dict):
        raise RuleBroken(f"{path} must hold one JSON object with the settings.")
    return settings


def _print_check(result: CheckResult, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "ok": result.ok,
                "account_id": result.account_id,
                "account_name": result.account_name,
                "environment": result.environment,
                "findings": list(result.findings),
            }
        )
        return
    click.echo(f"Connected to {result.account_name} ({result.environment}).")
    for finding in result.findings:
        click.echo(_finding_text(dataclasses.asdict(finding)))


def _finding_text(finding: dict[str, Any]) -> str:
    remedy = f" {finding['remedy']}" if finding["remedy"] and not finding["ok"] else ""
    return f"{'ok  ' if finding['ok'] else 'MEND'} {finding['name']}: {finding['text']}{remedy}"


def _stream_text(stream: dict[str, Any]) -> str:
    """In words: payments: reads; clients: writes, when another record needs them."""
    ways = " and ".join(way for way, runs in (("reads", stream["pulls"]), ("writes", stream["pushes"])) if runs)
    needed = ", when another record needs it" if stream["on_demand"] else ""
    since = f", dated {stream['start_on']} or later" if stream["start_on"] else ""
    conditions = f", if {stream['conditions']}" if stream["conditions"] else ""
    return f"{stream['kind']}: {ways}{needed}{since}{conditions}"


def _put(hub: Hub, name: str, state: ConnectionState, *, as_json: bool) -> None:
    def work(session: Session) -> dict[str, Any]:
        return connection_values(hub, set_state(session, connection_named(session, name).id, state))

    values = hub.transact(work, actor=ACTOR)
    sentence = {
        ConnectionState.PAUSED: f"{name} is paused.",
        ConnectionState.READ_ONLY: f"{name} reads, and writes nothing.",
    }.get(state, f"{name} reads and writes.")
    print_record(values, as_json=as_json, sentence=sentence)
