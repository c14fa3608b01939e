"""A worker killed in the middle of a call: another takes over, and nothing happens twice over there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from hub.bootstrap import build_hub
from hub.config import load_settings
from hub.core.services.service import create_service
from hub.sync.connections import add_connection
from tests.distribution import Distribution

# A remote system in a folder: `effects` has a line for each thing that really happened there. Each batch key is
# answered once; the first worker that gets so far is left hanging after the effect, before its answer.
CONNECTOR = '''
    """A remote system whose first answer never comes."""
    import json, os, pathlib, time
    from marshmallow import Schema, fields
    from hub.sdk import CheckResult, Connector, Outcome, Page, Status, Stream, hookimpl

    class Settings(Schema):
        folder = fields.String(required=True)

    class Slow(Connector):
        name, title, category, settings = "slow", "Slow", "Accounting", Settings
        call_timeout_s = 60
        streams = (Stream("services", "Services", pushes=True, batch_size=10, keyed=True, key_life_s=3600),)

        @property
        def folder(self):
            return pathlib.Path(self.context.settings["folder"])

        def check(self):
            return CheckResult("a1", "Slow", "sandbox")

        def body(self, stream, record, remote_ids, *, part=""):
            return {"name": record.name}

        def push(self, batch):
            with (self.folder / "calls").open("a") as file:
                file.write(f"{os.getpid()} {batch.key}\\n")
            known = self.folder / batch.key
            if not known.exists():
                with (self.folder / "effects").open("a") as file:
                    file.writelines(f"{item.body['name']}\\n" for item in batch.sendings)
                known.touch()
                (self.folder / "hanging").write_text(str(os.getpid()))
                time.sleep(600)
            return [Outcome(item.ref, Status.CREATED, f"r-{item.body['name']}", "1") for item in batch.sendings]

    @hookimpl
    def connectors():
        return [Slow]
'''


def wait_for(condition, seconds=90):
    """What a condition finds; fails the test when it finds nothing in good time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.2)
    return pytest.fail(f"not so within {seconds} seconds")


@pytest.fixture
def far_side(tmp_path):
    folder = tmp_path / "far"
    folder.mkdir()
    return folder


@pytest.fixture
def own_settings(settings):
    values = {
        "data_dir": str(settings.data_dir),
        "database_url": settings.database_url,
        "redis_url": settings.redis_url,
    }
    return load_settings(values, environ={})


@pytest.fixture
def start(own_settings, tmp_path):
    """Starts `hub worker` or `hub scheduler` as a process of its own."""
    started = []

    def start(part):
        environ = {
            **os.environ,
            "HUB_DATA_DIR": str(own_settings.data_dir),
            "HUB_DATABASE_URL": own_settings.database_url,
            "HUB_REDIS_URL": own_settings.redis_url,
        }
        log = (tmp_path / f"{part}-{len(started)}.log").open("w")
        with log:
            started.append(subprocess.Popen([sys.executable, "-m", "hub", part], env=environ, stdout=log, stderr=log))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_another_worker_takes_over_after_the_lease_and_each_effect_happens_once(
    tmp_path, monkeypatch, own_settings, far_side, start
):
    distribution = Distribution(tmp_path / "site")
    distribution.install(monkeypatch)
    distribution.add("trial_slow", CONNECTOR)
    hub = build_hub(own_settings)
    try:
        hub.plugins.enable("trial_slow", actor="user:1")
        connection = add_connection(hub, connector="slow", name="slow", settings={"folder": str(far_side)})
        for name in ("one", "two"):
            hub.transact(lambda session, name=name: create_service(session, name=name) and None)
        start("scheduler")
        first = start("worker")
        wait_for((far_side / "hanging").exists)

        os.kill(first.pid, signal.SIGKILL)
        second = start("worker")

        def delivered():
            from sqlalchemy import select

            from hub.core.outbox import Link

            with hub.read() as session:
                links = session.scalars(select(Link).where(Link.connection_id == connection.id)).all()
            return [link.remote_id for link in links if link.done == link.wanted and link.remote_id]

        wait_for(lambda: len(delivered()) == 2)
        calls = [line.split() for line in (far_side / "calls").read_text().splitlines()]
        assert sorted((far_side / "effects").read_text().split()) == ["one", "two"]
        assert [pid for pid, _ in calls[:2]] == [str(first.pid), str(second.pid)]
        assert calls[0][1] == calls[1][1]  # the same batch again, under the same key
        assert sorted(delivered()) == ["r-one", "r-two"]
    finally:
        hub.close()
        distribution.forget()
