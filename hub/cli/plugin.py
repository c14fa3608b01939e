"""`hub plugin`: what is installed, and what is enabled."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from hub.bootstrap import Hub
from hub.cli.output import json_option, plural, print_record, print_rows, progress
from hub.cli.scaffold import write_plugin
from hub.cli.session import ACTOR, pass_hub
from hub.cli.types import pairs_of
from hub.core import audit
from hub.core.errors import NotFound, SetupError
from hub.enabling import enable_with_tables
from hub.plugin_host import PluginState, Source, probe

GRADING_TIMEOUT_S = 900


@click.group()
def plugin() -> None:
    """Plugins: what is installed, and what is enabled."""


@plugin.command("list")
@json_option
@pass_hub
def list_command(hub: Hub, as_json: bool) -> None:
    """Every installed plugin, with what became of it."""
    rows = hub.transact(lambda session: [plugin_values(state) for state in hub.plugins.states(session)], actor=ACTOR)
    columns = ("name", "status", "version", "title", "reason")
    print_rows(rows, columns, as_json=as_json, empty="No plugin is installed. Write one with `hub plugin new NAME`.")


@plugin.command("enable")
@click.argument("name")
@json_option
@pass_hub
def enable_command(hub: Hub, name: str, as_json: bool) -> None:
    """Switch a plugin on, in every process of this hub, and make its tables."""
    enable_with_tables(hub, name, actor=ACTOR)
    print_record({"name": name, "status": "enabled"}, as_json=as_json, sentence=f"The plugin {name} is enabled.")


@plugin.command("disable")
@click.argument("name")
@json_option
@pass_hub
def disable_command(hub: Hub, name: str, as_json: bool) -> None:
    """Switch a plugin off, in every process of this hub. Its data stays."""
    hub.plugins.disable(name, actor=ACTOR)
    sentence = f"The plugin {name} is disabled; its data is kept."
    print_record({"name": name, "status": "disabled"}, as_json=as_json, sentence=sentence)


@plugin.command("check")
@click.argument("name")
@json_option
@pass_hub
def check_command(hub: Hub, name: str, as_json: bool) -> None:
    """Import a plugin in a process of its own and say what it is, or why it cannot be used.

    A connector that brings what the conformance kit needs is graded too, which takes a minute or two.
    """
    source = _source(hub, name)
    found = probe(source)
    if found["connectors"]:
        found["conformance"] = _graded(source.target)
    if found["ok"]:
        hooks = ", ".join(found["hooks"]) or "no hook"
        connectors = [f"{item['title']} ({item['name']})" for item in found["connectors"]]
        offers = f" It connects to {', '.join(connectors)}." if connectors else ""
        sentence = "\n".join([f"The plugin {name} is fine: it implements {hooks}.{offers}", *_grade_lines(found)])
    else:
        sentence = f"The plugin {name} cannot be used: {found['reason']}."
    print_record({"name": name} | found, as_json=as_json, sentence=sentence)
    if not found["ok"]:
        raise click.exceptions.Exit(1)


def _graded(target: str) -> dict[str, Any] | None:
    """The report of the conformance kit, made in a process of its own; None for a plugin that brings no subject."""
    progress("Looking for what the conformance kit needs, and grading by it ...")
    command = [sys.executable, "-m", "hub.testing.conformance", target]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=GRADING_TIMEOUT_S)
        answer: dict[str, Any] | None = json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        raise SetupError(f"The grading of {target} did not end within {GRADING_TIMEOUT_S // 60} minutes.") from None
    except (json.JSONDecodeError, IndexError):
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise SetupError(f"{target} cannot be graded: {last}") from None
    return answer


def _grade_lines(found: dict[str, Any]) -> list[str]:
    if "conformance" not in found:
        return []
    if found["conformance"] is None:
        return ["It is not graded: it brings no module `conformance`; see docs/how_to/write_a_connector.md."]
    lines: list[str] = found["conformance"]["lines"]
    return lines


@plugin.command("set")
@click.argument("name")
@click.argument("pairs", nargs=-1, required=True, metavar="KEY=VALUE...")
@json_option
@pass_hub
def set_command(hub: Hub, name: str, pairs: tuple[str, ...], as_json: bool) -> None:
    """Set a plugin's own settings, which it finds in `context.settings`. An empty value takes one away."""
    values = pairs_of(pairs)

    def work(session: Session) -> list[str]:
        _source(hub, name)
        state = session.get(PluginState, name) or PluginState(name=name, enabled=False, status="available")
        session.add(state)
        merged = {**hub.cipher.decrypt(state.settings), **values}
        kept = {key: value for key, value in merged.items() if value != ""}
        state.settings = hub.cipher.encrypt(kept)
        audit.note(session, "set", "plugin", None, name=name, settings=sorted(values))
        return sorted(kept)

    kept = hub.transact(work, actor=ACTOR)
    sentence = f"The plugin {name} has {plural(len(kept), 'setting')}: {', '.join(kept) or 'none'}."
    print_record({"name": name, "settings": kept}, as_json=as_json, sentence=sentence)


@plugin.command("new")
@click.argument("name")
@click.option(
    "--into", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="The folder to write it to."
)
@json_option
def new_command(name: str, into: Path, as_json: bool) -> None:
    """Write a small plugin called NAME that loads, with a test that passes, into the folder hub-NAME."""
    folder = write_plugin(name, into)
    sentence = (
        f"Wrote {folder}. Install it with `pip install -e {folder}`, run its test with `pytest {folder}`, "
        f"and switch it on with `hub plugin enable {name}`."
    )
    print_record({"name": name, "folder": folder}, as_json=as_json, sentence=sentence)


def _source(hub: Hub, name: str) -> Source:
    sources = hub.plugins.sources()
    if name not in sources:
        raise NotFound(f"There is no plugin called {name}. Installed: {', '.join(sources) or 'none'}.")
    return sources[name]


def plugin_values(state: PluginState) -> dict[str, Any]:
    """A plugin as it is shown."""
    found = state.probe or {}
    return {
        "name": state.name,
        "status": state.status,
        "enabled": state.enabled,
        "version": state.version,
        "title": found.get("title", ""),
        "reason": state.reason or found.get("reason", ""),
        "hooks": found.get("hooks", []),
        "connectors": [item["name"] for item in found.get("connectors", [])],
    }
