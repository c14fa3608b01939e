"""The embedded queue server, started for real."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from hub.core.errors import SetupError
from hub.services import queue_server
from hub.services.queue_server import ensure_queue_server, running_pid, socket_path, stop_queue_server


@pytest.fixture
def data_dir(tmp_path):
    yield tmp_path
    stop_queue_server(tmp_path)


def connected(url):
    return redis.from_url(url, decode_responses=True)


def kill(pid):
    os.kill(pid, signal.SIGKILL)
    while Path(f"/proc/{pid}").exists():
        time.sleep(0.01)


def test_it_is_set_up_to_lose_nothing_and_to_let_nobody_else_in(data_dir):
    with connected(ensure_queue_server(data_dir)) as client:
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("appendfsync") == {"appendfsync": "everysec"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("port") == {"port": "0"}  # no network at all
        assert client.config_get("dir") == {"dir": str(data_dir / "queue")}
    assert stat.S_IMODE((data_dir / "queue").stat().st_mode) == 0o700
    assert stat.S_IMODE(socket_path(data_dir).stat().st_mode) == 0o700


def test_a_second_start_finds_the_first(data_dir):
    url = ensure_queue_server(data_dir)
    pid = running_pid(data_dir)
    assert ensure_queue_server(data_dir) == url
    assert running_pid(data_dir) == pid


def _pid_of(data_dir: Path) -> int:
    with connected(ensure_queue_server(data_dir)) as client:
        return client.info("server")["process_id"]


def test_starts_at_the_same_time_share_one_server(data_dir):
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pids = pool.map(_pid_of, [data_dir] * 8, chunksize=1)
    assert set(pids) == {running_pid(data_dir)}


def test_what_was_written_is_there_after_an_orderly_end(data_dir):
    with connected(ensure_queue_server(data_dir)) as client:
        client.set("kept", "yes")
    stop_queue_server(data_dir)
    assert running_pid(data_dir) is None
    with connected(ensure_queue_server(data_dir)) as client:
        assert client.get("kept") == "yes"


def test_a_killed_server_is_started_again_with_what_it_had(data_dir):
    with connected(ensure_queue_server(data_dir)) as client:
        client.set("kept", "yes")
    pid = running_pid(data_dir)
    kill(pid)
    with connected(ensure_queue_server(data_dir)) as client:
        assert client.get("kept") == "yes"
        assert client.info("server")["process_id"] != pid


@pytest.mark.parametrize(
    "content", [pytest.param(str(os.getpid()), id="of a process that lives"), "1", "999999999", "nonsense", ""]
)
def test_a_stale_pid_file_deceives_nobody(data_dir, content):
    (data_dir / "queue").mkdir(mode=0o700)
    (data_dir / "queue" / "valkey.pid").write_text(content)
    assert running_pid(data_dir) is None
    stop_queue_server(data_dir)  # and ends no innocent process
    with connected(ensure_queue_server(data_dir)) as client:
        assert client.ping()


def test_it_outlives_the_command_that_started_it(data_dir):
    code = "import sys, pathlib, hub.services.queue_server as q; q.ensure_queue_server(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(data_dir)], check=True)
    with connected(queue_server.socket_url(data_dir)) as client:
        assert client.ping()


def test_a_server_that_hangs_is_not_joined_by_a_second_one(data_dir, monkeypatch):
    monkeypatch.setattr(queue_server, "_START_S", 0.5)
    monkeypatch.setattr(queue_server, "_ANSWER_S", 0.1)
    ensure_queue_server(data_dir)
    pid = running_pid(data_dir)
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(SetupError, match=r"does not answer within 0\.5 s\. End its process"):
        ensure_queue_server(data_dir)
    assert running_pid(data_dir) == pid
    stop_queue_server(data_dir)  # it cannot end in good order, so it is killed
    assert running_pid(data_dir) is None


def test_a_long_path_gets_its_socket_elsewhere(tmp_path):
    data_dir = tmp_path / ("long name " * 12)
    url = ensure_queue_server(data_dir)
    try:
        path = socket_path(data_dir)
        assert len(str(path)) <= 100
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        with connected(url) as client:
            assert client.ping()
    finally:
        stop_queue_server(data_dir)
    path.parent.rmdir()


def test_a_path_with_spaces_and_signs(tmp_path):
    data_dir = tmp_path / "ä %41 ?#"
    with connected(ensure_queue_server(data_dir)) as client:
        assert client.ping()
    stop_queue_server(data_dir)


def test_a_server_that_cannot_write_says_why(data_dir):
    (data_dir / "queue").mkdir(mode=0o700)
    (data_dir / "queue" / "appendonlydir").touch()  # a file where it wants its folder
    with pytest.raises(SetupError, match=r"ended as soon as it was started: .*Free some space"):
        ensure_queue_server(data_dir)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "queue").touch()
    with pytest.raises(SetupError, match=r"queue cannot be written \(File exists\)\. Free some space"):
        ensure_queue_server(tmp_path)


def test_without_a_program_for_this_machine(tmp_path, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "sparc64")
    with pytest.raises(SetupError, match=r"no program for this machine\. Name a Redis or Valkey server"):
        ensure_queue_server(tmp_path)
