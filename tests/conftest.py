"""What every test can ask for: real databases, a real queue server, and a whole hub on them."""

from __future__ import annotations

import gc
import os
import shutil
import sqlite3
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import redis
from hypothesis import settings as hypothesis_settings
from sqlalchemy import Engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache

from hub.bootstrap import build_hub
from hub.config import load_settings
from hub.migrations import upgrade
from hub.services.queue_server import ensure_queue_server, stop_queue_server
from hub.testing.postgres import PostgresUnavailable, shared_postgres

DATABASES = [name.strip() for name in os.environ.get("HUB_TEST_DATABASES", "sqlite,postgresql").split(",")]
"""The databases that tests run on: HUB_TEST_DATABASES=sqlite leaves PostgreSQL out."""
SIP_TASKS = Path(__file__).resolve().parents[2] / "shared" / "data" / "sip" / "tasks.csv"

# Two shared cores are no reason for a property to fail, and what failed once is printed so that it can be replayed.
hypothesis_settings.register_profile("hub", deadline=None, print_blob=True)
hypothesis_settings.register_profile("bench", parent=hypothesis_settings.get_profile("hub"))
hypothesis_settings.load_profile("hub")

# The modules of the whole product stay in memory; the collector need not go through them all the time.
gc.set_threshold(100_000, 50, 100)

# Each test has a database of its own. A statement is compiled once for each kind of database, not once for each test.
_COMPILED = LRUCache(5_000)
DefaultDialect.__eq__ = lambda dialect, other: type(dialect) is type(other)
DefaultDialect.__hash__ = lambda dialect: hash(type(dialect))
Engine._compiled_cache = property(lambda engine: _COMPILED, lambda engine, own: None)

REAL_PARTS = {"database_url", "sqlite_template", "postgres_server", "queue_server_url", "page", "open_page"}


def pytest_collection_modifyitems(items):
    """A test that asks for a database, a queue server or a browser is an integration test; the others are quick.

    The slow ones come first, so that a run does not end with one process at work and the others waiting for it.
    """
    for item in items:
        if REAL_PARTS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.integration)
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def short_dir():
    """A temporary folder with a path short enough for sockets, readable for a server of another user."""
    with tempfile.TemporaryDirectory(prefix="hub-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="session")
def postgres_server():
    """A real PostgreSQL server, one for all processes of a test run."""
    test_run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or os.urandom(6).hex()
    folder = Path(tempfile.gettempdir()) / f"hub-pg-{test_run[:12]}"
    with ExitStack() as stack:
        try:
            server = stack.enter_context(shared_postgres(folder))
        except PostgresUnavailable as reason:
            pytest.skip(f"PostgreSQL cannot be started here: {reason}")
        yield server


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
    """The name of a PostgreSQL database with the core's tables, to copy; each process has its own."""
    name = f"template_{os.urandom(6).hex()}"
    migrate(postgres_server.create_database(name), tmp_path_factory.mktemp("template"))
    return name


def migrate(url, folder, plugins=None):
    settings = load_settings({"data_dir": str(folder), "database_url": url}, environ={})
    hub = build_hub(settings, plugins=plugins or {})
    upgrade(hub)
    hub.close()


@pytest.fixture(scope="session")
def spare_databases():
    """PostgreSQL databases that a test has left empty again, for the next one."""
    return []


def pytest_generate_tests(metafunc):
    """Each test on both databases, unless it names its own; in the browser on one: a page looks the same on both."""
    named = any("database_url" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "database_url" in metafunc.fixturenames and not named:
        in_browser = metafunc.definition.get_closest_marker("browser") is not None
        metafunc.parametrize("database_url", DATABASES[:1] if in_browser else DATABASES, indirect=True)


@pytest.fixture
def database_url(request, tmp_path, spare_databases):
    """A database with the core's tables and nothing in them, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "hub.sqlite3")
        yield f"sqlite:///{tmp_path / 'hub.sqlite3'}"
        return
    server, template = request.getfixturevalue("postgres_server"), request.getfixturevalue("postgres_template")
    if not spare_databases:
        spare_databases.append(f"t_{os.urandom(6).hex()}")
        server.create_database(spare_databases[-1], template=template)
    name = spare_databases.pop()
    yield server.url(name)
    if server.empty_database(name, like=template):
        spare_databases.append(name)
    else:
        server.drop_database(name)


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
        if len(made) == 1 and any(hasattr(plugin, "migrations") for plugin in (plugins or {}).values()):
            upgrade(hub)
        with hub.read():
            pass  # so that its plugins are loaded
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
