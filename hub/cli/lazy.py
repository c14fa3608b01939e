"""The `hub` command's table of contents. A command's module is imported when the command is used."""

from __future__ import annotations

import contextlib
import importlib
import sys
from typing import Any, Final

import click
import structlog

from hub.cli.session import CommandLine
from hub.core.errors import HubError

PARTLY_FAILED: Final = 3

COMMANDS: Final = {
    "up": ("hub.cli.services:up", "Run web, workers, scheduler and the embedded servers."),
    "web": ("hub.cli.services:web", "Run the web server."),
    "worker": ("hub.cli.services:worker", "Run a worker."),
    "scheduler": ("hub.cli.services:scheduler", "Run the scheduler."),
    "demo": ("hub.cli.demo:demo", "See the main job, end to end, in a data directory of its own."),
    "doctor": ("hub.cli.doctor:doctor", "Look for what is wrong with this hub, and say what to do."),
    "db": ("hub.cli.database:database", "Create, upgrade and check the database."),
    "backup": ("hub.cli.backup:backup", "Save everything in one file."),
    "restore": ("hub.cli.backup:restore", "Bring a hub back from a backup."),
    "company": ("hub.cli.company:company", "Your own companies."),
    "rate": ("hub.cli.rate:rate", "What an hour costs the client."),
    "time": ("hub.cli.time:time", "Approve time."),
    "invoice": ("hub.cli.invoice:invoice", "Draft, issue and list invoices."),
    "import": ("hub.cli.imports:import_", "Bring in other systems' exports."),
    "export": ("hub.cli.export:export", "Write out any kind of record."),
    "plugin": ("hub.cli.plugin:plugin", "Plugins: what is installed, and what is enabled."),
    "connection": ("hub.cli.connection:connection", "Connections to other systems."),
    "sync": ("hub.cli.sync:sync", "Bring a connection in step, now."),
    "plan": ("hub.cli.plan:plan", "See what a sync would do, and do exactly that."),
    "match": ("hub.cli.match:match", "Say which of theirs is which of ours."),
    "link": ("hub.cli.link:link", "What records are called in other systems."),
    "deadletter": ("hub.cli.deadletter:deadletter", "Records that could not be delivered."),
    "timeline": ("hub.cli.timeline:timeline", "All that happened to one record."),
    "reconcile": ("hub.cli.reconcile:reconcile", "Compare both sides, to the cent."),
    "sandbox": ("hub.cli.sandbox:sandbox", "Run a vendor's stand-in, to try a connector on."),
    "secrets": ("hub.cli.secrets:secrets", "The keys that stored credentials are encrypted with."),
    "user": ("hub.cli.user:user", "People who log in."),
    "key": ("hub.cli.key:key", "API keys."),
}


class HubCommands(click.Group):
    """Finds commands by the table above, then among the enabled plugins; turns failures into one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *self._of_plugins(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            module, _, name = COMMANDS[cmd_name][0].partition(":")
            command: click.Command = getattr(importlib.import_module(module), name)
            return command
        return self._of_plugins(ctx).get(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except HubError as failure:
            raise click.ClickException(str(failure)) from failure

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])
        added = self._of_plugins(ctx)
        if added:
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(name, command.get_short_help_str(80)) for name, command in added.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what goes wrong becomes one sentence and the exit code, the rest goes to the log."""
        try:
            return super().invoke(ctx)
        except HubError as failure:
            self._log(ctx, "command failed", failure)
            raise click.ClickException(str(failure)) from failure
        except (click.ClickException, click.exceptions.Exit, click.Abort, KeyboardInterrupt, EOFError):
            raise
        except BrokenPipeError:
            with contextlib.suppress(OSError):
                sys.stdout.close()
            raise click.exceptions.Exit(1) from None
        except Exception as failure:
            self._log(ctx, "command broke", failure)
            raise click.ClickException(self._sentence(ctx, failure)) from failure

    def _sentence(self, ctx: click.Context, failure: Exception) -> str:
        line = command_line(ctx)
        known = line.explained(failure)
        where = f" What happened is in {line.log_file}." if line.log_file else ""
        return known or f"Something went wrong that should not ({type(failure).__name__}).{where}"

    def _log(self, ctx: click.Context, event: str, failure: Exception) -> None:
        if command_line(ctx).log_file is not None:
            structlog.get_logger("hub.cli").error(event, error=str(failure), exc_info=failure)

    def _of_plugins(self, ctx: click.Context) -> dict[str, click.Command]:
        return command_line(ctx).plugin_commands()


def command_line(ctx: click.Context) -> CommandLine:
    """This call of `hub`: made when it is first asked for, of the global flags that were given."""
    root = ctx.find_root()
    if root.obj is None:
        root.obj = CommandLine({name: str(value) for name, value in root.params.items() if value is not None})
        root.call_on_close(root.obj.close)
    line: CommandLine = root.obj
    return line
