"""What commands share: the flags that were given, and one hub, made when it is first needed and closed at the end."""

from __future__ import annotations

import fcntl
import functools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click

from hub.core.errors import HubError, SetupError

if TYPE_CHECKING:
    from hub.bootstrap import Hub
    from hub.config import Settings

ACTOR = "command"
"""Who the audit log names for what a command did."""

P = ParamSpec("P")
R = TypeVar("R")


class CommandLine:
    """One call of the `hub` command: its global flags and its hub."""

    def __init__(self, flags: Mapping[str, str] | None = None) -> None:
        self.flags = dict(flags or {})
        self._settings: Settings | None = None
        self._hub: Hub | None = None
        self.log_file: Path | None = None

    @property
    def settings(self) -> Settings:
        """The settings from flags, environment and file. Raises SetupError."""
        if self._settings is None:
            from hub.config import load_settings

            self._settings = load_settings(self.flags)
        return self._settings

    def start_log(self, *, to_stderr: bool = False) -> None:
        """Write the log into the data directory, or to stderr, from here on."""
        if self.log_file is None:
            from hub.logs import configure_logging, log_file

            configure_logging(self.settings.data_dir, to_stderr=to_stderr)
            self.log_file = log_file(self.settings.data_dir)
            _warn_of_unknown_variables()

    @property
    def hub(self) -> Hub:
        """The hub, with a database that is there."""
        if self._hub is None:
            from hub.bootstrap import build_hub

            self.start_log()
            self._hub = build_hub(self.settings)
            create_embedded_database(self._hub)
        return self._hub

    def close(self) -> None:
        if self._hub is not None:
            self._hub.close()

    def plugin_commands(self) -> dict[str, click.Command]:
        """The commands of enabled plugins, where there is a hub to ask; a hub that cannot be opened has none."""
        try:
            if self._hub is None and not self._is_there():
                return {}
            contributed = self._contributed()
        except HubError:
            return {}
        return {str(command.name): command for _, command in contributed if isinstance(command, click.Command)}

    def _contributed(self) -> list[tuple[str, Any]]:
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with self.hub.read():
                return list(self.hub.plugins.hooks.collect("commands"))
        except SQLAlchemyError:  # a damaged database has no commands; the commands that there are say what is wrong
            return []

    def _is_there(self) -> bool:
        """Is there a hub to ask? Looking for help must not make a data directory."""
        folder = Path(self.flags.get("data_dir") or os.environ.get("HUB_DATA_DIR") or "var")
        if not folder.exists() and not os.environ.get("HUB_CONFIG"):
            return False
        path = embedded_file(self.settings)
        return path is None or path.exists()

    def explained(self, failure: Exception) -> str:
        """What is behind a failure of the database, if it is that the schema is behind; else nothing."""
        from sqlalchemy.exc import DBAPIError

        if self._hub is None or not isinstance(failure, DBAPIError):
            return ""
        from hub.migrations import check

        try:
            return " ".join(check(self._hub))
        except Exception:
            return ""


def _warn_of_unknown_variables() -> None:
    import structlog

    from hub.config import unknown_variables

    for name, near in unknown_variables():
        structlog.get_logger("hub.cli").warning("unknown variable", variable=name, did_you_mean=near)


def pass_hub(command: Callable[Concatenate[Hub, P], R]) -> Callable[P, R]:
    """Hand the hub to a command as its first argument."""

    @functools.wraps(command)
    def with_hub(*args: P.args, **values: P.kwargs) -> R:
        from hub.cli.lazy import command_line
        from hub.tracing import traced

        with traced():
            return command(command_line(click.get_current_context()).hub, *args, **values)

    return with_hub


def create_embedded_database(hub: Hub) -> None:
    """Make the tables if this is the first use of the embedded database: the first command must just work.

    Any other database is left as it is; `hub db upgrade` is said where its tables are missing.
    """
    path = embedded_file(hub.settings)
    if path is None or (path.exists() and path.stat().st_size > 0):
        return
    from hub.migrations import upgrade

    with _locked(hub.settings.data_dir):
        if not path.exists() or path.stat().st_size == 0:
            upgrade(hub)


def embedded_file(settings: Settings) -> Path | None:
    """The file of the embedded database; None for a database elsewhere."""
    prefix = "sqlite:///"
    return Path(settings.database_url.removeprefix(prefix)) if settings.database_url.startswith(prefix) else None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time: two first commands at once must not both make the tables."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "upgrade.lock").open("w")
    except OSError as failure:
        raise SetupError(
            f"The data directory {folder} cannot be written ({failure.strerror}). Choose another with --data-dir."
        ) from failure
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
