"""`hub up`, `hub web`, `hub worker`, `hub scheduler`: the processes of a hub."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from hub.bootstrap import Hub
from hub.cli.lazy import command_line
from hub.cli.session import CommandLine
from hub.config import NAMES, Settings
from hub.core.errors import SetupError

C = TypeVar("C", bound=Callable[..., Any])


def _log_option(command: C) -> C:
    return click.option(
        "--log", type=click.Choice(["stderr", "file"]), default="stderr", help="Where the log goes.", show_default=True
    )(command)


@click.command()
@click.option("--bind", metavar="HOST:PORT", help="Where the web server listens.")
@click.option("--workers", type=click.IntRange(2, 64), help="How many workers.")
@click.pass_context
def up(context: click.Context, bind: str | None, workers: int | None) -> None:
    """Run web, workers, scheduler and the embedded servers in one process group, until Ctrl-C."""
    line = _line(context, bind=bind, workers=workers)
    _check_schema(line.hub)
    line.close()
    run_everything(line.settings, say=click.echo, on_ready=lambda: click.echo(_welcome(line.settings)))


@click.command()
@click.option("--bind", metavar="HOST:PORT", help="Where to listen.")
@_log_option
@click.pass_context
def web(context: click.Context, bind: str | None, log: str) -> None:
    """Run the web server: pages and API."""
    from hub.web.server import run_web

    line = _line(context, bind=bind)
    line.start_log(to_stderr=log == "stderr")
    run_web(line.hub)


@click.command()
@click.option("--burst", is_flag=True, help="End when nothing is left to do.")
@_log_option
@click.pass_context
def worker(context: click.Context, burst: bool, log: str) -> None:
    """Run a worker: it sends and reads what is due. At least two are needed."""
    from hub.jobs.worker import run_worker

    line = _line(context)
    line.start_log(to_stderr=log == "stderr")
    run_worker(line.hub, burst=burst)


@click.command()
@_log_option
@click.pass_context
def scheduler(context: click.Context, log: str) -> None:
    """Run the scheduler, which looks every second for what is due. Several may run; one of them works."""
    from hub.jobs.scheduler import run_scheduler

    line = _line(context)
    line.start_log(to_stderr=log == "stderr")
    run_scheduler(line.hub)


def run_everything(settings: Settings, *, say: Callable[[str], None], on_ready: Callable[[], None]) -> None:
    """All parts of a hub, until SIGINT or SIGTERM. Raises SetupError for a second one on the same data directory."""
    from hub.services.supervisor import Part, supervise

    told = environment_of(settings)
    hub = [sys.executable, "-m", "hub"]
    parts = [
        Part("web", [*hub, "web", "--log", "file"], told),
        Part("scheduler", [*hub, "scheduler", "--log", "file"], told),
        *(Part(f"worker {n}", [*hub, "worker", "--log", "file"], told) for n in range(1, settings.workers + 1)),
    ]
    supervise(
        parts,
        data_dir=settings.data_dir,
        bind=(settings.host, settings.port),
        queue_server=settings.redis_url is None,
        say=say,
        on_ready=on_ready,
    )


def environment_of(settings: Settings) -> dict[str, str]:
    """These settings as environment variables, for a process of the same hub."""
    values = {name: getattr(settings, name) for name in NAMES}
    return {f"HUB_{name.upper()}": str(value) for name, value in values.items() if value}


def _line(context: click.Context, **flags: Any) -> CommandLine:
    line = command_line(context)
    line.flags.update({name: str(value) for name, value in flags.items() if value is not None})
    return line


def _check_schema(hub: Hub) -> None:
    from hub.migrations import check

    problems = check(hub)
    if problems:
        raise SetupError(" ".join(problems))


def _welcome(settings: Settings) -> str:
    return f"The hub is at {settings.public_url} (Ctrl-C ends it). Its log is {settings.data_dir / 'log' / 'hub.log'}."
