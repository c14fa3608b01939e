"""`hub up`, with real processes: a supervisor in a process of its own, and parts that do as the test says."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hub.core.errors import SetupError
from hub.services import supervisor
from hub.services.queue_server import running_pid, stop_queue_server
from hub.services.supervisor import Part, supervise

SUPERVISE = """
import json, pathlib, sys
from hub.core.errors import SetupError
from hub.services.supervisor import Part, supervise
options = json.loads(sys.argv[1])
parts = [Part(name, [sys.executable, "-S", "-u", "-c", code]) for name, code in options.pop("parts").items()]
options["data_dir"] = pathlib.Path(options["data_dir"])
if "bind" in options:
    options["bind"] = tuple(options["bind"])
try:
    supervise(parts, **options, say=lambda line: print(line, flush=True), on_ready=lambda: print("ready", flush=True))
except SetupError as failure:
    sys.exit(f"refused: {failure}")
print("ended", flush=True)
"""

LASTS = "import os, time; print('pid', os.getpid()); time.sleep(600)"
IGNORES_TERM = "import os, signal, time; signal.signal(15, signal.SIG_IGN); print('pid', os.getpid()); time.sleep(600)"
TAKES_LEAVE = """
import os, signal, sys, time
def leave(*_):
    print("finishing my work")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print("pid", os.getpid())
time.sleep(600)
"""
SERVES = """
import os, socket, time
print("pid", os.getpid())
server = socket.create_server(("127.0.0.1", {port}))
time.sleep(600)
"""


class Running:
    """A supervisor and its output; `lines` has all of it."""

    def __init__(self, **options):
        self.process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISE, json.dumps(options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # so that a signal to the group does not reach the tests
        )
        self.lines, self._unread = [], []
        self._new = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self._new.put(line.rstrip("\n"))
        self._new.put(None)

    def wait_for(self, text):
        """The next line with this text; lines that are waited for in another order are kept."""
        while True:
            for line in self._unread:
                if text in line:
                    self._unread.remove(line)
                    return line
            self._take(self._new.get(timeout=30))

    def _take(self, line):
        assert line is not None, f"the supervisor ended; it wrote {self.lines}"
        self.lines.append(line)
        self._unread.append(line)

    def pid_of(self, part):
        return int(self.wait_for(f"{part} | pid ").split()[-1])

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.ended()

    def ended(self):
        """The exit code, after all output."""
        while (line := self._new.get(timeout=30)) is not None:
            self.lines.append(line)
        return self.process.wait(30)

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join()
        self.process.stdout.close()


@pytest.fixture
def run(tmp_path):
    started = []

    def run(parts, **options):
        running = Running(parts=parts, data_dir=str(tmp_path), **{"queue_server": False, **options})
        started.append(running)
        return running

    yield run
    for running in started:
        running.close()
    stop_queue_server(tmp_path)


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until_dead(pid):
    until = time.monotonic() + 20
    while is_alive(pid):
        assert time.monotonic() < until, f"process {pid} lives on"
        time.sleep(0.02)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def test_output_carries_the_name_of_its_part(run):
    hub = run({"web": "print('listening')\nimport time; time.sleep(600)", "worker-1": LASTS})
    assert hub.wait_for("listening") == "web      | listening"
    hub.pid_of("worker-1")
    assert hub.end() == 0


def test_the_last_words_of_a_part_are_passed_on_even_without_a_line_end(run):
    hub = run({"web": "import sys; sys.stdout.write('no such table'); sys.exit(1)"})
    assert hub.wait_for("no such table") == "web | no such table"
    assert hub.wait_for("ended") == "hub | web ended with exit code 1; it starts again in 0.2 s."


def test_a_part_that_is_killed_is_started_again(run):
    hub = run({"worker": LASTS, "web": LASTS})
    first = hub.pid_of("worker")
    os.kill(first, signal.SIGKILL)
    assert "worker was ended by SIGKILL" in hub.wait_for("starts again")
    second = hub.pid_of("worker")
    assert second != first
    assert is_alive(second)
    assert hub.end() == 0


def test_the_pause_grows_while_a_part_keeps_dying(run):
    hub = run({"web": "raise SystemExit(3)"})
    pauses = [hub.wait_for("starts again").split()[-2] for _ in range(4)]
    assert pauses == ["0.2", "0.4", "0.8", "1.6"]  # doubled each time
    assert hub.end() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_parts_in_good_order(run, number):
    hub = run({"server": TAKES_LEAVE, "worker": TAKES_LEAVE})
    pids = [hub.pid_of("server"), hub.pid_of("worker")]
    assert hub.end(number) == 0
    assert not any(is_alive(pid) for pid in pids)
    assert sorted(hub.lines[-3:]) == ["ended", "server | finishing my work", "worker | finishing my work"]


def test_ctrl_c_reaches_the_whole_group_and_ends_it(run):
    hub = run({"server": TAKES_LEAVE, "worker": LASTS})
    pids = [hub.pid_of("server"), hub.pid_of("worker")]
    assert {os.getpgid(pid) for pid in pids} == {hub.process.pid}  # one process group
    os.killpg(hub.process.pid, signal.SIGINT)
    assert hub.ended() == 0
    assert not any(is_alive(pid) for pid in pids)


def test_a_part_that_does_not_end_is_killed(run):
    hub = run({"worker": IGNORES_TERM}, grace_s=0.2)
    pid = hub.pid_of("worker")
    assert hub.end() == 0
    assert not is_alive(pid)
    assert "hub    | worker did not end in time and is killed." in hub.lines


def test_a_second_ctrl_c_waits_no_longer(run):
    hub = run({"worker": IGNORES_TERM, "server": TAKES_LEAVE}, grace_s=600)
    pid = hub.pid_of("worker")
    hub.pid_of("server")
    hub.process.send_signal(signal.SIGINT)
    hub.wait_for("finishing my work")
    assert hub.end(signal.SIGINT) == 0
    assert not is_alive(pid)


def test_parts_do_not_outlive_a_supervisor_that_is_killed(run):
    hub = run({"server": LASTS, "worker": TAKES_LEAVE})
    pids = [hub.pid_of("server"), hub.pid_of("worker")]
    hub.process.kill()
    for pid in pids:
        wait_until_dead(pid)


def test_ready_is_said_once_something_listens(run):
    port = free_port()
    hub = run({"web": SERVES.format(port=port)}, bind=["127.0.0.1", port])
    hub.wait_for("ready")
    with socket.create_connection(("127.0.0.1", port)):
        pass
    assert hub.end() == 0
    assert hub.lines.count("ready") == 1


def test_the_queue_server_is_run_kept_running_and_ended_last(run, tmp_path):
    hub = run({"worker": TAKES_LEAVE}, queue_server=True)
    hub.pid_of("worker")
    first = running_pid(tmp_path)
    os.kill(first, signal.SIGKILL)
    until = time.monotonic() + 20
    while running_pid(tmp_path) in (None, first):
        assert time.monotonic() < until, "the queue server was not started again"
        time.sleep(0.05)
    assert hub.end() == 0
    assert running_pid(tmp_path) is None


def test_a_second_hub_on_the_same_data_is_refused(run, tmp_path):
    first = run({"web": LASTS})
    first.pid_of("web")
    second = run({"web": LASTS})
    assert second.ended() == 1
    assert second.lines == [
        f"refused: A hub is running on {tmp_path} already (process {first.process.pid}). End that one with Ctrl-C, or "
        "name another folder with HUB_DATA_DIR."
    ]
    assert first.end() == 0
    third = run({"web": LASTS})  # what is left of the lock file is no obstacle
    third.pid_of("web")
    assert third.end() == 0


def test_a_port_in_use_is_refused_before_anything_is_started(run):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        hub = run({"web": LASTS}, bind=["127.0.0.1", port])
        assert hub.ended() == 1
    assert hub.lines == [
        f"refused: 127.0.0.1:{port} is in use by another program. End it, or choose another address with --bind or "
        "HUB_BIND."
    ]


def test_an_address_of_another_machine_is_refused(tmp_path):
    with pytest.raises(SetupError, match=r"192\.0\.2\.1:8000 cannot be listened on .* HUB_BIND"):
        supervise([], data_dir=tmp_path, bind=("192.0.2.1", 8000), queue_server=False)


def test_a_part_that_ran_well_is_restarted_soon_again(monkeypatch):
    monkeypatch.setattr(supervisor, "STEADY_S", 0.0)
    child = supervisor._Child(Part("web", [sys.executable, "-S", "-c", ""]))
    pauses = []
    for _ in range(3):
        child.start()
        child.process.wait()
        pauses.append(child.forget())
    assert pauses == [0.2, 0.2, 0.2]


def test_a_hub_that_was_killed_starts_again_though_its_web_processes_hold_the_address_for_a_moment(tmp_path):
    """Its lock file still names it; after a clean end it is empty, and an address that is taken is refused at once."""
    (tmp_path / "up.lock").write_text("12345")
    left_behind = socket.create_server(("127.0.0.1", 0))
    address = left_behind.getsockname()
    threading.Timer(0.5, left_behind.close).start()
    threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGTERM)).start()

    supervise([], data_dir=tmp_path, bind=address, queue_server=False, say=lambda line: None)

    assert (tmp_path / "up.lock").read_text() == ""
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(SetupError, match="is in use"):
        supervise([], data_dir=tmp_path, bind=other.getsockname(), queue_server=False, say=lambda line: None)
