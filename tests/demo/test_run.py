from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from hub.core import clock
from hub.core.errors import RuleBroken, SetupError
from hub.demo.processes import free_address
from hub.demo.run import MARK, show, start_afresh
from hub.demo.story import STEPS
from hub.demo.time_export import work_of


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")

    with pytest.raises(RuleBroken, match="holds something else than a demo"):
        start_afresh(tmp_path)

    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_a_second_start_begins_anew(tmp_path):
    start_afresh(tmp_path / "demo")
    (tmp_path / "demo" / "old.txt").write_text("of the first start")

    start_afresh(tmp_path / "demo")

    assert [path.name for path in (tmp_path / "demo").iterdir()] == [MARK]


def test_a_demo_that_runs_is_not_swept_away_from_under_it(tmp_path):
    start_afresh(tmp_path / "demo")
    with (tmp_path / "demo" / "up.lock").open("w") as lock:
        lock.write("4711")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)

        with pytest.raises(SetupError, match=r"A hub is running on .* \(process 4711\)"):
            start_afresh(tmp_path / "demo")

    assert (tmp_path / "demo" / "up.lock").exists()


def test_an_address_that_is_taken_gives_way_to_a_free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        host, _, other = free_address(f"127.0.0.1:{port}").rpartition(":")

        with pytest.raises(SetupError, match=rf"127\.0\.0\.1:{port} is taken. Choose another address with --bind"):
            free_address(f"127.0.0.1:{port}", only=True)

    assert host == "127.0.0.1"
    assert int(other) != port


@pytest.mark.story
def test_the_main_job_from_the_first_connection_to_equal_to_the_cent(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "hub", *_demo(tmp_path), "--exit", "--json"],
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [(step["step"], step["ok"]) for step in told["steps"]] == [(title, True) for title, _ in STEPS]
    assert told["counts"] | {"net": "", "compared": 0} == {
        "clients": 12,
        "contacts": 20,
        "projects": 5,
        "time_rows": 157,  # 5 projects x 29 + 12 German ones
        "rejected_rows": 3,
        "invoices": 5,
        "net": "",
        "in_quickbooks": {"clients": 5, "services": 1, "invoices": 5},
        "deals_won": 1,
        "payments": 1,
        "equal": True,
        "compared": 0,
    }
    assert _processes_of(tmp_path) == []


@pytest.mark.story
def test_ctrl_c_ends_everything_that_was_started(tmp_path):
    demo = subprocess.Popen(
        [sys.executable, "-m", "hub", *_demo(tmp_path)],
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # As from a terminal: what runs in the background may have been told to ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        while "1 of 9" not in (line := demo.stdout.readline()):
            assert line, "the demo ended before its first step"
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=100)
    finally:
        demo.kill()

    assert demo.returncode == 1
    assert _processes_of(tmp_path) == []


def _demo(folder):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return ["--data-dir", folder / "demo", "demo", "--bind", f"127.0.0.1:{probe.getsockname()[1]}"]


def _environment():
    return {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}


def _processes_of(folder):
    """The processes of this machine whose command line or environment names the demo's folder."""
    return [process.name for process in Path("/proc").glob("[0-9]*") if str(folder / "demo") in _told(process)]


def _told(process):
    try:
        return ((process / "environ").read_bytes() + (process / "cmdline").read_bytes()).decode(errors="replace")
    except OSError:
        return ""


def test_the_consultant_is_shown_a_week_that_the_story_entered_time_for():
    said = []

    show({"seconds": 1.0, "address": "http://hub.example"}, said.append, stay=True)

    week = re.search(r"/time\?week=(\d{4}-W\d\d)", "\n".join(said)).group(1)
    last_month = clock.now().date().replace(day=1) - timedelta(days=1)
    entered = {f"{row.worked_on:%G-W%V}" for row in work_of(last_month, [("Brown Ltd", "Web shop")])}
    assert week in entered
