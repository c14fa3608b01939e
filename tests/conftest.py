"""What every test can ask for: real databases, a real queue server, and a whole hub on them."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import redis

from hub.bootstrap import build_hub
from hub.config import load_settings
from hub.migrations import upgrade
from hub.services.queue_server import ensure_queue_server, stop_queue_server
from hub.testing.postgres import PostgresServer, PostgresUnavailable

DATABASES = os.environ.get("HUB_TEST_DATABASES", "sqlite,postgresql").split(",")
SIP_TASKS = Path(__file__).resolve().parents[2] / "shared" / "data" / "sip" / "tasks.csv"


@pytest.fixture(scope="session")
def short_dir():
    """A temporary folder with a path short enough for sockets, readable for a server of another user."""
    with tempfile.TemporaryDirectory(prefix="hub-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="session")
def postgres_server(short_dir):
    server = PostgresServer(short_dir / "pg")
    try:
        yield server.start()
    except PostgresUnavailable as reason:
        pytest.skip(f"PostgreSQL cannot be started here: {reason}")
    finally:
        server.stop()


@pytest.fixture(scope="session")
def queue_server_url(short_dir):
    yield ensure_queue_server(short_dir)
    stop_queue_server(short_dir)


@pytest.fixture
def queue_server(queue_server_url):
    """The address of a real queue server, empty."""
    with closing(redis.from_url(queue_server_url)) as client:
        client.flushall()
    return queue_server_url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory):
    """A SQLite file with the core's tables, to copy: migrating anew for every test would be most of its time."""
    path = tmp_path_factory.mktemp("template") / "hub.sqlite3"
    migrate(f"sqlite:///{path}", path.parent)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server, tmp_path_factory):
    """The name of a PostgreSQL database with the core's tables, to copy."""
    create_database(postgres_server, "hub_template", "template0")
    migrate(postgres_server.url("hub_template"), tmp_path_factory.mktemp("template"))
    return "hub_template"


def migrate(url, folder):
    hub = build_hub(load_settings({"data_dir": str(folder), "database_url": url}, environ={}), plugins={})
    upgrade(hub)
    hub.close()


def create_database(server, name, template):
    with psycopg.connect(server.url().replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")


@pytest.fixture(params=DATABASES)
def database_url(request, tmp_path):
    """A database with the core's tables and nothing in them, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "hub.sqlite3")
        yield f"sqlite:///{tmp_path / 'hub.sqlite3'}"
        return
    server = request.getfixturevalue("postgres_server")
    name = f"t_{os.urandom(6).hex()}"
    create_database(server, name, request.getfixturevalue("postgres_template"))
    yield server.url(name)
    with psycopg.connect(server.url().replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def settings(database_url, queue_server, tmp_path):
    return load_settings(
        {"data_dir": str(tmp_path / "data"), "database_url": database_url, "redis_url": queue_server}, environ={}
    )


@pytest.fixture
def make_hub(settings):
    """Builds hubs on one empty database: `make_hub({"name": module})`, with no plugin unless given."""
    made = []

    def make(plugins=None):
        hub = build_hub(settings, plugins=plugins or {})
        made.append(hub)
        if plugins and len(made) == 1:
            upgrade(hub)
        return hub

    yield make
    for hub in made:
        hub.close()


@pytest.fixture
def hub(make_hub):
    """A whole hub on an empty database and the real queue server, with no plugin loaded."""
    return make_hub()


@pytest.fixture
def sip_tasks():
    """The real work records; skips where they are not beside the project."""
    if not SIP_TASKS.exists():
        pytest.skip("the folder ../shared/data/sip with real work records is not here")
    return SIP_TASKS
