"""`hub up`: web, workers, scheduler and the embedded queue server, kept running until somebody ends them.

The parts are processes of one process group. One that dies is started again, after a pause that grows while it keeps
dying. Ctrl-C and SIGTERM end them all: they are asked, given time, and then killed; the queue server goes last. Should
the supervisor itself be killed, its parts are ended by the system (Linux).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

from hub.core.errors import SetupError
from hub.services.queue_server import ensure_queue_server, stop_queue_server

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 30.0
STEADY_S = 60.0
"""A part that ran for so long is taken to be well: its next pause is the first one again."""
GRACE_S = 20.0

_TICK_S = 0.1
_ORPHANS_END_S = 65.0
"""A killed web server's own processes hold its address until they notice, within a minute, that it is gone."""
_QUEUE_CHECK_S = 1.0
_PIECE = 65536
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Part:
    """One process to keep running: what it is called in the log, its command, and what its environment adds."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str] = field(default_factory=dict)


def supervise(
    parts: Sequence[Part],
    *,
    data_dir: Path,
    bind: tuple[str, int] | None = None,
    queue_server: bool = True,
    say: Callable[[str], None] = print,
    on_ready: Callable[[], None] | None = None,
    grace_s: float = GRACE_S,
) -> None:
    """Run the parts until SIGINT, SIGTERM or SIGHUP. To be called in the main thread.

    bind: where a part will listen; it must be free, and on_ready is called once it accepts connections. queue_server:
    run the embedded one too. say: takes each line of output, with the part's name before it. Raises SetupError, with
    nothing started, when a hub runs on this data directory already or the address is taken.
    """
    with _only_one(data_dir) as was_killed, _signals() as asked_to_stop:
        if bind is not None:
            _check_free(*bind, patience_s=_ORPHANS_END_S if was_killed else 0)
        if queue_server:
            ensure_queue_server(data_dir)
        supervisor = _Supervisor(parts, data_dir if queue_server else None, say)
        try:
            supervisor.run(asked_to_stop, bind, on_ready)
        finally:
            supervisor.stop(asked_to_stop, grace_s)
            if queue_server:
                stop_queue_server(data_dir)


class _Child:
    """A part, its present process, and when it is to be started again."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.process: subprocess.Popen[bytes] | None = None
        self.start_at = 0.0
        self._started_at = 0.0
        self._pause_s = FIRST_PAUSE_S
        self._unfinished = b""

    @property
    def output(self) -> IO[bytes]:
        assert self.process is not None
        assert self.process.stdout is not None
        return self.process.stdout

    def start(self) -> None:
        self._started_at = time.monotonic()
        self.process = subprocess.Popen(
            list(self.part.command),
            bufsize=0,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **self.part.environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=_end_with_parent,  # there are no threads here
        )
        os.set_blocking(self.output.fileno(), False)

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def ended(self) -> str:
        """What became of the process, for a sentence."""
        code = self.process.returncode if self.process is not None else 0
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def forget(self) -> float:
        """Drop the ended process. Returns the pause before the next start, which grows while the part keeps dying."""
        self.output.close()
        self.process = None
        if time.monotonic() - self._started_at >= STEADY_S:
            self._pause_s = FIRST_PAUSE_S
        pause, self._pause_s = self._pause_s, min(self._pause_s * 2, LONGEST_PAUSE_S)
        self.start_at = time.monotonic() + pause
        return pause

    def lines(self) -> tuple[list[str], bool]:
        """The lines written since the last call, and whether there will be no more. An unfinished one waits."""
        chunk = self.output.read(_PIECE)
        *whole, self._unfinished = (self._unfinished + (chunk or b"")).split(b"\n")
        if chunk == b"" and self._unfinished:
            whole, self._unfinished = [*whole, self._unfinished], b""
        return [line.decode(errors="replace") for line in whole], chunk == b""

    def last_lines(self) -> list[str]:
        """What an ended process left; a grandchild may still hold the pipe open, so its end is not waited for."""
        found: list[str] = []
        while chunk := self.output.read(_PIECE):
            self._unfinished += chunk
        if self._unfinished:
            found = self._unfinished.decode(errors="replace").splitlines()
        self._unfinished = b""
        return found


class _Supervisor:
    def __init__(self, parts: Sequence[Part], queue_dir: Path | None, say: Callable[[str], None]) -> None:
        self._children = [_Child(part) for part in parts]
        self._queue_dir, self._write = queue_dir, say
        self._queue_check_at = time.monotonic() + _QUEUE_CHECK_S
        self._queue_trouble = ""
        self._width = max((len(part.name) for part in parts), default=0)
        self._outputs = selectors.DefaultSelector()

    def run(self, asked_to_stop: list[int], bind: tuple[str, int] | None, on_ready: Callable[[], None] | None) -> None:
        while not asked_to_stop:
            self._start_due()
            self._relay(_TICK_S)
            for child in self._buried():
                ended = child.ended()
                self._say("hub", f"{child.part.name} {ended}; it starts again in {child.forget():g} s.")
            self._check_queue_server()
            if on_ready is not None and (bind is None or _accepts(*bind)):
                on_ready()
                on_ready = None

    def stop(self, asked_to_stop: list[int], grace_s: float) -> None:
        """Ask every part to end, wait, and kill what is left; at once when asked to stop a second time."""
        self._signal(signal.SIGTERM)
        until = time.monotonic() + grace_s
        while self._living() and time.monotonic() < until and len(asked_to_stop) < 2:
            self._relay(_TICK_S / 2)
        for child in self._living():
            self._say("hub", f"{child.part.name} did not end in time and is killed.")
        self._signal(signal.SIGKILL)
        while self._living():
            self._relay(_TICK_S / 2)
        for child in self._buried():
            child.forget()
        self._outputs.close()

    def _living(self) -> list[_Child]:
        return [child for child in self._children if child.is_alive()]

    def _signal(self, number: signal.Signals) -> None:
        for child in self._living():
            assert child.process is not None
            child.process.send_signal(number)

    def _start_due(self) -> None:
        for child in self._children:
            if child.process is None and time.monotonic() >= child.start_at:
                child.start()
                self._outputs.register(child.output, selectors.EVENT_READ, child)

    def _relay(self, seconds: float) -> None:
        """Pass on what the parts write, waiting for it at most so long."""
        if not self._outputs.get_map():
            time.sleep(seconds)
            return
        for key, _ in self._outputs.select(seconds):
            lines, is_end = key.data.lines()
            for line in lines:
                self._say(key.data.part.name, line)
            if is_end:
                self._outputs.unregister(key.fileobj)

    def _buried(self) -> list[_Child]:
        """The children whose process has ended, with all its output passed on."""
        dead = [child for child in self._children if child.process is not None and not child.is_alive()]
        for child in dead:
            for line in child.last_lines():
                self._say(child.part.name, line)
            if child.output in self._outputs.get_map():
                self._outputs.unregister(child.output)
        return dead

    def _check_queue_server(self) -> None:
        """Start the queue server again if it died; say once why it cannot be."""
        if self._queue_dir is None or time.monotonic() < self._queue_check_at:
            return
        trouble = ""
        try:
            ensure_queue_server(self._queue_dir)
        except SetupError as failure:
            trouble = str(failure)
        if trouble and trouble != self._queue_trouble:
            self._say("hub", trouble)
        self._queue_trouble = trouble
        self._queue_check_at = time.monotonic() + _QUEUE_CHECK_S

    def _say(self, name: str, line: str) -> None:
        with suppress(BrokenPipeError):  # nobody reads any more; the parts go on
            self._write(f"{name:<{self._width}} | {line}")


def _end_with_parent() -> None:
    """In the child: ask the system for SIGTERM should the supervisor be killed."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def _only_one(data_dir: Path) -> Iterator[bool]:
    """Hold the lock of the one supervisor of a data directory. Yields whether the one before was killed."""
    path = data_dir / "up.lock"
    try:
        file = path.open("a+")
    except OSError as failure:
        raise SetupError(f"{path} cannot be written ({failure.strerror}). Check HUB_DATA_DIR.") from failure
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise SetupError(
                f"A hub is running on {data_dir} already (process {file.read().strip() or 'unknown'}). End that one "
                "with Ctrl-C, or name another folder with HUB_DATA_DIR."
            ) from None
        file.seek(0)
        was_killed = bool(file.read().strip())
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield was_killed
        finally:
            file.truncate(0)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """The signals to stop that came, as a list that fills up."""
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_free(host: str, port: int, *, patience_s: float = 0) -> None:
    """Raises SetupError when nothing can listen there. patience_s: how long it may be held by what was left behind."""
    until = time.monotonic() + patience_s
    while True:
        try:
            return _listen_once(host, port)
        except SetupError:
            if time.monotonic() > until:
                raise
            time.sleep(_TICK_S)


def _listen_once(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as failure:
            reason = {
                errno.EADDRINUSE: "is in use by another program. End it",
                errno.EACCES: "may only be used by root. Take a port from 1024 on",
            }.get(failure.errno or 0, f"cannot be listened on ({failure.strerror}). Check the address")
            raise SetupError(f"{host}:{port} {reason}, or choose another address with --bind or HUB_BIND.") from failure


def _accepts(host: str, port: int) -> bool:
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    try:
        socket.create_connection((reached, port), timeout=0.5).close()
    except OSError:
        return False
    return True
