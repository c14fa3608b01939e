"""`hub sandbox`: a vendor's stand-in on its own, to try a connector on."""

from __future__ import annotations

import importlib.metadata
import json
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from hub.cli.output import json_option
from hub.cli.types import pairs_of
from hub.core.errors import NotFound, RuleBroken
from hub.plugin_host import GROUP
from hub.testing.sandbox_spec import SandboxSpec


@click.command()
@click.argument("connector")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Else a free one.")
@click.option("--state", type=click.Path(dir_okay=False, path_type=Path), help="A file that keeps what was done.")
@click.option("--country", help="ISO 3166 code of the account's country.")
@click.option("--currency", help="ISO 4217 code of the account's currency.")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="Another option of this stand-in; repeat.")
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the connection's settings to this file, for `hub connection add --config`.",
)
@json_option
def sandbox(
    connector: str,
    port: int,
    state: Path | None,
    country: str | None,
    currency: str | None,
    pairs: tuple[str, ...],
    settings_file: Path | None,
    as_json: bool,
) -> None:
    """Run a local stand-in of CONNECTOR's vendor until Ctrl-C. No account and no plugin need be set up for it."""
    spec = spec_of(connector)
    given = {"country": country, "currency": currency, **pairs_of(pairs)}
    options = {name: _plain(value) for name, value in given.items() if value is not None}
    unknown = sorted(set(options) - set(spec.options))
    if unknown:
        raise RuleBroken(
            f"The stand-in of {spec.title} has no option “{unknown[0]}”. It has: {', '.join(spec.options)}."
        )
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    server = spec.create(state_file=state, **options).serve(port=port)
    try:
        settings = server.settings
        if settings_file:
            settings_file.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        if as_json:
            click.echo(json.dumps({"url": server.url, "settings": settings}))
        else:
            _say(connector, spec, server.url, settings, settings_file)
        ended.wait()
    finally:
        server.stop()


def spec_of(connector: str) -> SandboxSpec:
    """The stand-in of a connector among all installed plugins, enabled or not. Raises NotFound."""
    found: dict[str, SandboxSpec] = {}
    for entry in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            offered: Sequence[SandboxSpec] = getattr(entry.load(), "sandboxes", list)()
        except Exception as failure:
            click.echo(f"The plugin {entry.name} cannot be loaded ({type(failure).__name__}).", err=True)
            continue
        found.update({spec.name: spec for spec in offered})
    if connector not in found:
        raise NotFound(f"There is no stand-in for “{connector}”. There is: {', '.join(sorted(found)) or 'none'}.")
    return found[connector]


def _plain(text: Any) -> Any:
    """A number or a truth value as such, anything else as the text it is."""
    try:
        value = json.loads(str(text))
    except json.JSONDecodeError:
        return text
    return value if isinstance(value, (bool, int)) else text


def _say(connector: str, spec: SandboxSpec, url: str, settings: dict[str, Any], file: Path | None) -> None:
    click.echo(f"{spec.title} is at {url} until Ctrl-C; what its users can do is listed at {url}/_control/")
    if file is not None:
        click.echo(f"Connect it with: hub connection add {connector} --name NAME --config {file}")
    else:
        click.echo("Connect it with these settings, in a file for `hub connection add --config`:")
        click.echo(json.dumps(settings, indent=2))
