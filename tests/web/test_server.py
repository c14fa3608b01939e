"""The web server as a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from hub.core.errors import SetupError
from hub.web.server import refuse_taken_address, run_web


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_an_address_that_is_taken_is_said_in_one_sentence(hub):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SetupError, match=rf"cannot listen on 127\.0\.0\.1:{port} .* HUB_BIND"):
            refuse_taken_address("127.0.0.1", port)


def test_a_database_without_tables_is_said_before_anything_listens(settings, tmp_path):
    import dataclasses

    from hub.bootstrap import build_hub

    empty = dataclasses.replace(
        settings, database_url=f"sqlite:///{tmp_path}/empty.db", bind=f"127.0.0.1:{free_port()}"
    )
    bare = build_hub(empty)
    with pytest.raises(SetupError, match="no tables yet"):
        run_web(bare)
    bare.close()


def test_it_serves_and_ends_when_it_is_told_to(hub, settings):
    port = free_port()
    environ = {
        **os.environ,
        "HUB_DATA_DIR": str(settings.data_dir),
        "HUB_DATABASE_URL": settings.database_url,
        "HUB_REDIS_URL": settings.redis_url,
        "HUB_BIND": f"127.0.0.1:{port}",
    }
    program = "from hub.bootstrap import build_hub; from hub.web.server import run_web; run_web(build_hub())"
    with subprocess.Popen([sys.executable, "-c", program], env=environ, stderr=subprocess.PIPE) as process:
        try:
            assert _answer(f"http://127.0.0.1:{port}/readyz", process) == 200
            assert _answer(f"http://127.0.0.1:{port}/api/v1/clients", process) == 401
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    assert process.returncode == 0


def _answer(url, process):
    """The status of an address, once something listens there."""
    for _ in range(600):
        assert process.poll() is None, process.stderr.read().decode()
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                return response.status
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code
        except OSError:
            time.sleep(0.1)
    raise AssertionError("nothing listens")
