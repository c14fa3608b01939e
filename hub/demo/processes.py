"""The processes of the demo: two vendors' stand-ins and a whole hub, all ended when the demo ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import requests

from hub.core.errors import SetupError

START_S: Final = 60
END_S: Final = 40


class Processes:
    """Starts processes and ends those it started, last first."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self._environ = {**_outside(), "PYTHONUNBUFFERED": "1", **environ}
        self._running: list[tuple[str, subprocess.Popen[str]]] = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def start(self, name: str, arguments: Sequence[str]) -> subprocess.Popen[str]:
        """`hub ARGUMENTS`, with what it says in a file of the data directory's log folder."""
        (self.folder / "log").mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.folder / "log" / f"{name}.log").open("w", encoding="utf-8") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "hub", *arguments],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if name.startswith("sandbox") else errors,
                stderr=errors,
                text=True,
                start_new_session=True,  # Ctrl-C is for the demo, which then ends them in order
            )
        self._running.append((name, process))
        return process

    def first_line(self, name: str, process: subprocess.Popen[str]) -> dict[str, Any]:
        """The JSON a stand-in says first. Raises SetupError with where to look."""
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SetupError(f"The stand-in did not start: see {self.folder / 'log' / f'{name}.log'}.")
        found: dict[str, Any] = json.loads(line)
        return found

    def wait_for(self, address: str, name: str, process: subprocess.Popen[str]) -> None:
        """Wait until a web server answers there. Raises SetupError."""
        until = time.monotonic() + START_S
        while time.monotonic() < until and process.poll() is None:
            with suppress(requests.RequestException):
                if requests.get(f"{address}/healthz", timeout=2).ok:
                    return
            time.sleep(0.1)
        raise SetupError(f"The hub did not start: see {self.folder / 'log' / f'{name}.log'} and hub.log beside it.")

    def broken(self) -> str:
        """The name of a process that ended by itself; empty while all run."""
        return next((name for name, process in self._running if process.poll() is not None), "")

    def end(self) -> None:
        """Ask all to end, wait, and end by force what is left."""
        for _, process in reversed(self._running):
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        until = time.monotonic() + END_S
        for _, process in reversed(self._running):
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)  # a session of its own: with all that it started
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        self._running.clear()


def _outside() -> dict[str, str]:
    """The environment without what it says of another hub."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}


def free_address(wanted: str, *, only: bool = False) -> str:
    """The address if nobody listens there, else the same host with a free port. only: that address or none."""
    host, _, port = wanted.rpartition(":")
    for candidate in (int(port),) if only else (int(port), 0):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind((host.strip("[]"), candidate))
                return f"{host}:{probe.getsockname()[1]}"
    if only:
        raise SetupError(f"{wanted} is taken. Choose another address with --bind, or leave it out for a free port.")
    raise SetupError(f"No port of {host} is free. Choose another address with --bind.")
