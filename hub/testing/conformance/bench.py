"""Where a connector is tried: a whole hub on a database of its own, and a fresh fake remote at the other end of a wire.

The hub is the real one, engine and all; only its clock, its call budgets and the moment it dies are in the kit's hands.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, FromClause, inspect, select, update
from sqlalchemy.orm import Session
from structlog.contextvars import merge_contextvars

from hub.bootstrap import build_hub
from hub.config import Settings, load_settings
from hub.core.database import Base, uuid7
from hub.core.frozen import freeze
from hub.core.outbox import Link
from hub.migrations import upgrade
from hub.sync.connections import add_connection, check_connection, open_connection, secret_names
from hub.sync.connector import Batch, Connector, Op, Ref, Sending, Stream
from hub.sync.cycle import pull_slice, push_slice, run_connection
from hub.sync.models import Connection, Run, RunItem, StreamCursor
from hub.sync.runs import RunSummary
from hub.testing.conformance.bench_hub import BenchHub
from hub.testing.conformance.clock import Clock
from hub.testing.conformance.firm import Firm, a_name
from hub.testing.conformance.subject import RemoteUser, Subject
from hub.testing.conformance.wire import Wire
from hub.testing.sandbox import Sandbox, SandboxServer, to_json

T = TypeVar("T")

A_LEASE_S = 12
"""After so long whatever a dead worker held is free."""
A_MOMENT_S = 60
"""Longer than the pause after a first failure, shorter than any vendor remembers a key."""
A_WHILE_S = 3600
"""Longer than any pause between two tries."""


class AnyId(dict[Any, Any]):
    """A remote id for every reference: any record of its kind will do."""

    @classmethod
    def of(cls, bench: Bench) -> AnyId:
        return cls({link.kind: link.remote_id for link in bench.links() if link.remote_id})

    def __missing__(self, ref: Ref) -> str:
        return str(self[ref.kind])


@dataclass(frozen=True, slots=True)
class Seen:
    """A link as rules look at it."""

    id: UUID
    kind: str
    record_id: UUID | None
    remote_id: str | None
    seen: Any
    parked: str | None
    is_owed: bool
    tombstoned: bool
    label: str


@dataclass(frozen=True, slots=True)
class OtherRemote:
    """A second account at the vendor's."""

    settings: Mapping[str, Any]
    wire: Wire
    user: RemoteUser
    secrets: list[str]


class Bench:
    """One hub, one fake remote, one connection between them (unless a rule wants more)."""

    def __init__(self, subject: Subject, hub: BenchHub, sandbox: Sandbox, wire: Wire, server: SandboxServer) -> None:
        self.subject, self.hub, self.sandbox, self.wire, self.server = subject, hub, sandbox, wire, server
        self.user: RemoteUser = subject.user(sandbox)
        self.firm = Firm(hub)
        self.clock, self.spy = hub.clock, hub.spy
        self.log: Sequence[Mapping[str, Any]] = ()
        self._prepared: set[UUID] = set()

    @property
    def settings(self) -> dict[str, Any]:
        return self.server.settings

    @property
    def secrets(self) -> list[str]:
        return self._secrets(self.settings)

    def _secrets(self, settings: Mapping[str, Any]) -> list[str]:
        names = secret_names(self.subject.connector.settings)
        return [str(settings[name]) for name in names if settings.get(name)]

    @cached_property
    def connection(self) -> UUID:
        """The connection, made when it is first asked for."""
        return self.connect()

    def connect(self, name: str = "other", settings: Mapping[str, Any] | None = None) -> UUID:
        known = self.settings if settings is None else settings
        connection = add_connection(self.hub, connector=self.subject.connector.name, name=name, settings=known)
        return connection.id

    @property
    def connector(self) -> Connector:
        """The connector as a worker has it."""
        return open_connection(self.hub, self.connection).connector

    def stream(self, kind: str) -> Stream:
        return next(stream for stream in self.subject.connector.streams if stream.kind == kind)

    @property
    def sendable(self) -> list[str]:
        """The streams to send on of which the kit can make records, which then are owed by themselves."""
        return [kind for kind in self.subject.pushed if kind in Firm.KINDS and not self.stream(kind).on_demand]

    def record(self, stream: str, record_id: UUID) -> Any:
        """One of the hub's records."""
        with self.hub.read() as session:
            (record,) = self.hub.kinds[stream].load(session, [record_id])
        return record

    def batch(self, stream: str, record_id: UUID) -> Batch:
        """A batch of one record, mapped by the connector, as the engine would hand it over. Parents: any."""
        record, key = self.record(stream, record_id), uuid7().hex
        body = freeze(self.connector.body(stream, record, AnyId.of(self)))
        return Batch(key, stream, (Sending("1", key, Op.CREATE, body, self.hub.kinds[stream].label(record)),))

    @contextmanager
    def second_remote(self) -> Iterator[OtherRemote]:
        """Another account of the same vendor, with credentials of its own."""
        sandbox = self.subject.second_sandbox()
        self.clock.rule_over(sandbox)
        wire = Wire(sandbox, self.clock, sign_in=self.subject.user.sign_in)
        with SandboxServer(wire, "127.0.0.1", 0) as server:  # type: ignore[arg-type]
            yield OtherRemote(server.settings, wire, self.subject.user(sandbox), self._secrets(server.settings))

    @contextmanager
    def switchable(self, *, requires: str = "") -> Iterator[str]:
        """Let the plugin be one that can be switched off and on, as an installed one can. Gives its name.

        requires: the versions of the hub it says it is for; unless all, it is not enabled.
        """
        host = self.hub.plugins
        sources = {name: replace(source, requires=requires) for name, source in host.sources().items()}
        with mock.patch.object(host, "sources", lambda: sources), mock.patch.object(host, "_given", None):
            for name in () if requires else sources:
                host.enable(name, actor="system")
            yield next(iter(sources))

    def connector_of(self, connection: UUID) -> Connector:
        return open_connection(self.hub, connection).connector

    # Runs ------------------------------------------------------------------------------------------------------------

    def run(
        self,
        direction: str | None = None,
        *,
        full: bool = False,
        kinds: Sequence[str] | None = None,
        connection: UUID | None = None,
    ) -> RunSummary:
        return run_connection(self.hub, connection or self.connection, direction=direction, full=full, kinds=kinds)

    def pull(self, stream: str | None = None, *, full: bool = False) -> RunSummary:
        return self.run("pull", full=full, kinds=[stream] if stream else None)

    def push(self) -> RunSummary:
        return self.run("push")

    def sign_in(self) -> None:
        """Have a fresh token: to die while a token is fetched has rules of its own."""
        check_connection(self.hub, self.connection)

    def another_worker(self, *, sends: bool = True) -> None:
        """What a second worker does at this moment: it reads, and sends."""
        for work in (pull_slice, push_slice) if sends else (pull_slice,):
            work(self.hub, self.connection, seconds=30)

    def read_again(self) -> None:
        """Let reading be due, however long ago the last one was."""
        this = update(Connection).where(Connection.id == self.connection)
        self.hub.transact(lambda session: session.execute(this.values(pulled_at=None)) and None)

    def push_until_done(self, rounds: int = 6) -> None:
        """Runs with time between them, until nothing is owed but what a person has to mend."""
        for _ in range(rounds):
            self.clock.advance(A_WHILE_S)
            self.push()
            if not any(link.is_owed and not link.parked for link in self.links()):
                return

    # What is on either side ------------------------------------------------------------------------------------------

    def seed(self, stream: str, count: int, *, apart_s: float = 0) -> list[str]:
        """So many records over there; apart_s: their stamps, the last of them now."""
        self.prepare(self.user, self.connection)
        ids = [self.user.add(stream, a_name()) for _ in range(count)]
        if apart_s:
            for position, remote_id in enumerate(reversed(ids)):
                self.user.stamp(stream, remote_id, self.clock.now() - timedelta(seconds=position * apart_s))
        return ids

    def prepare(self, user: RemoteUser, connection: UUID) -> None:
        """Let there be what the account of a connection needs before records of it can come in."""
        if connection not in self._prepared:
            self._prepared.add(connection)
            user.prepare(self, connection)

    def links(self, stream: str | None = None, connection: UUID | None = None) -> list[Seen]:
        query = select(Link).where(Link.connection_id == (connection or self.connection)).order_by(Link.id)
        with self.hub.read() as session:
            return [
                Seen(
                    id=link.id,
                    kind=link.kind,
                    record_id=link.record_id,
                    remote_id=link.remote_id,
                    seen=link.seen,
                    parked=link.parked,
                    is_owed=link.wanted > link.done,
                    tombstoned=link.tombstone_at is not None,
                    label=link.label,
                )
                for link in session.scalars(query if stream is None else query.where(Link.kind == stream))
            ]

    def arrived(self, stream: str) -> set[str]:
        """The remote ids that the hub has a record of."""
        return {link.remote_id for link in self.links(stream) if link.remote_id and link.record_id}

    def link_of(self, stream: str, remote_id: str) -> Seen:
        return next(link for link in self.links(stream) if link.remote_id == remote_id)

    def items(self, **where: Any) -> list[RunItem]:
        """What runs said of single records."""
        with self.hub.read() as session:
            return list(session.scalars(select(RunItem).filter_by(**where).order_by(RunItem.id)))

    def fingerprint(self) -> dict[str, str]:
        """A hash of each table that a dry run must leave as it is: all but the plans themselves, and tokens."""
        with self.hub.read() as session:
            tables = [table for table in Base.metadata.sorted_tables if table.name not in ("plan", "plan_item")]
            return {
                table.name: hashlib.sha256(
                    repr(session.execute(select(*_lasting(table)).order_by(*table.primary_key)).all()).encode()
                ).hexdigest()
                for table in tables
                if inspect(session.get_bind()).has_table(table.name)
            }

    def remote_fingerprint(self) -> str:
        """What stands over there."""
        return to_json(self.user.standing())

    def runs(self) -> list[Run]:
        with self.hub.read() as session:
            return list(session.scalars(select(Run).order_by(Run.started_at)))

    def cursor(self, stream: str) -> Any:
        query = select(StreamCursor.cursor).where(StreamCursor.connection_id == self.connection)
        with self.hub.read() as session:
            return session.scalar(query.where(StreamCursor.kind == stream))

    def set_cursor(self, stream: str, cursor: Any) -> None:
        def work(session: Session) -> None:
            row = session.scalar(
                select(StreamCursor).where(StreamCursor.connection_id == self.connection, StreamCursor.kind == stream)
            )
            assert row is not None
            row.cursor = cursor

        self.hub.transact(work)


def _lasting(table: FromClause) -> list[ColumnElement[Any]]:
    """The columns of a table that no sign-in changes."""
    return [column for column in table.columns if not column.name.startswith("token")]


class Lab:
    """Makes benches, each with everything fresh."""

    def __init__(self, subject: Subject, folder: Path, *, template: Path | None = None, thorough: bool = True) -> None:
        """folder: where it may write. template: an SQLite file with the core's tables, if there is one already.

        thorough: False tries only some of what differs in degree (steps to die at, zones, invoices), for quick tests.
        """
        self.subject, self.folder, self.thorough = subject, folder, thorough
        self._template = template

    @contextmanager
    def bench(self, **options: Any) -> Iterator[Bench]:
        """A bench for a block; options: the sandbox's."""
        with ExitStack() as stack:
            clock = Clock()
            module = self.subject.module
            stack.enter_context(clock.installed(module.__name__, self.subject.connector.__module__))
            for name, size in self.subject.small.items():
                stack.enter_context(mock.patch(name, size))
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=self.folder)))
            shutil.copy(self.template, folder / "hub.sqlite3")
            hub = BenchHub(_settings(folder), plugins={module.__name__.rpartition(".")[2]: module}, clock=clock)
            stack.callback(hub.close)
            with hub.read():
                pass  # so that its plugins are there
            sandbox = self.subject.sandbox(**options)
            clock.rule_over(sandbox)
            wire = Wire(sandbox, clock, sign_in=self.subject.user.sign_in)
            server = stack.enter_context(SandboxServer(wire, "127.0.0.1", 0))  # type: ignore[arg-type]
            bench = Bench(self.subject, hub, sandbox, wire, server)
            bench.log = stack.enter_context(structlog.testing.capture_logs([merge_contextvars]))
            yield bench

    def sample(self, cases: Sequence[T], *, few: int) -> Sequence[T]:
        """All of them, or a few, spread evenly."""
        if self.thorough or len(cases) <= few:
            return cases
        return [cases[number * (len(cases) - 1) // max(1, few - 1)] for number in range(few)]

    @property
    def template(self) -> Path:
        """A database with all tables, made once and copied."""
        if self._template is None:
            self._template = self.folder / "template.sqlite3"
            hub = build_hub(_settings(self.folder, self._template), plugins={"subject": self.subject.module})
            upgrade(hub)
            hub.close()
        return self._template


def _settings(folder: Path, database: Path | None = None) -> Settings:
    url = f"sqlite:///{database or folder / 'hub.sqlite3'}"
    return load_settings({"data_dir": str(folder), "database_url": url}, environ={})
