"""The database: the base of all tables, and transactions that are run as functions and tried again.

SQLite and PostgreSQL are used alike. On SQLite a write transaction begins IMMEDIATE, so that it waits for the writer
before it instead of failing half-way; a plain read takes no write lock.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from sqlalchemy import JSON, Connection, Date, Engine, MetaData, Uuid, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, declared_attr, mapped_column
from sqlalchemy.orm.exc import StaleDataError

from hub.core import clock
from hub.core.columns import UtcDateTime
from hub.core.errors import SetupError

if TYPE_CHECKING:
    from hub.core.kinds import RecordKind

T = TypeVar("T")

MAX_ROWS_PER_TRANSACTION = 200
"""Bulk work is cut into pieces of this size, so that SQLite's one writer is never held for long."""

_TRIES = 8
_RETRIED_SQLSTATES = {"40001", "40P01", "55P03"}  # serialisation failure, deadlock, lock not available
_WRITES = "hub_writes"


_last_id = [0]
_id_lock = threading.Lock()


def uuid7() -> UUID:
    """A UUID of version 7 that sorts after every earlier one of this process.

    48 bits of milliseconds, 12 bits that count within one, 62 random bits. Source: RFC 9562, 5.7 and 6.2, method 1.
    """
    with _id_lock:
        # The count starts anew with each millisecond; should it overflow, it borrows from the next one.
        _last_id[0] = ticks = max(_last_id[0] + 1, time.time_ns() // 1_000_000 << 12)
    value = (ticks >> 12) << 80 | 0x7 << 76 | (ticks & 0xFFF) << 64 | 0b10 << 62
    return UUID(int=value | int.from_bytes(os.urandom(8), "big") >> 2)


class Base(DeclarativeBase):
    """The base of all tables, the plugins' too."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        UUID: Uuid(),
        datetime: UtcDateTime(),
        date: Date(),
        dict[str, Any]: JSON(none_as_null=True),
        list[Any]: JSON(none_as_null=True),
    }


class Identified:
    """A row with an id of its own, given when the object is made, so that others can refer to it at once."""

    def __init__(self, **values: Any) -> None:
        values.setdefault("id", uuid7())
        super().__init__(**values)

    id: Mapped[UUID] = mapped_column(primary_key=True, sort_order=-10)


class Revised(Identified):
    """A business row: audited, and with a revision that grows with each change.

    The revision is the ETag, the optimistic lock, and what a link is owed.
    """

    __audited__ = True

    revision: Mapped[int] = mapped_column(sort_order=-9)
    created_at: Mapped[datetime] = mapped_column(default=clock.now, sort_order=90)
    updated_at: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now, sort_order=91)

    @declared_attr.directive
    @classmethod
    def __mapper_args__(cls) -> dict[str, Any]:
        return {"version_id_col": cls.__dict__.get("revision", cls.revision)}


@dataclass(frozen=True)
class Circumstances:
    """Who works in a session and what it can reach: handed in by the one who opens it.

    actor: "user:<id>", "key:<id>", "connection:<name>", "command" or "system". origin: the connection that told us,
    if one did. kinds: the record kinds by name. hooks: the caller of hooks. request_id: ties audit rows together.
    """

    actor: str = "system"
    origin: UUID | None = None
    kinds: Mapping[str, RecordKind] = field(default_factory=dict)
    hooks: Any = None
    request_id: str = ""


def circumstances(session: Session) -> Circumstances:
    """Who works in this session, and with what."""
    found: Circumstances = session.info.get("circumstances") or Circumstances()
    return found


def make_engine(url: str) -> Engine:
    """An engine for SQLite or PostgreSQL with the settings the hub needs."""
    if url.startswith("sqlite"):
        engine = create_engine(url, connect_args={"timeout": 30, "check_same_thread": False}, hide_parameters=True)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=20, hide_parameters=True)


def _prepare_sqlite(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # the driver must not open transactions by itself
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


class Database:
    """Opens sessions: `read` for looking, `transact` for work that must happen wholly or not at all."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = make_engine(url)
        self._writer = self.engine.execution_options(**{_WRITES: True})

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self, about: Circumstances | None = None) -> Iterator[Session]:
        """A session for reading; whatever is changed in it is thrown away."""
        with _explained(self.url), Session(self.engine, info={"circumstances": about}, autoflush=False) as session:
            yield session

    def transact(self, work: Callable[[Session], T], about: Circumstances | None = None) -> T:
        """Run `work` in one transaction and return what it returns.

        It is run again from the start when the database was busy, saw a deadlock, or a row had changed meanwhile, so
        it must have no effect outside the session.
        """
        with _explained(self.url):
            for attempt in range(_TRIES):
                try:
                    with (
                        Session(self._writer, info={"circumstances": about}, expire_on_commit=False) as session,
                        session.begin(),
                    ):
                        return work(session)
                except (DBAPIError, StaleDataError) as failure:
                    if attempt + 1 == _TRIES or not is_worth_another_try(failure):
                        raise
                    time.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311
        raise AssertionError("unreachable")

    def close(self) -> None:
        self.engine.dispose()


def is_worth_another_try(failure: Exception) -> bool:
    """Whether a transaction that failed so may succeed when it is run again."""
    if isinstance(failure, StaleDataError):
        return True
    original = getattr(failure, "orig", None)
    return getattr(original, "sqlstate", None) in _RETRIED_SQLSTATES or "database is locked" in str(original)


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Say in one sentence what is wrong with the database itself."""
    try:
        yield
    except OperationalError as failure:
        reason = (str(failure.orig or "").strip() or str(failure)).splitlines()[0]
        if "no such table" in reason:
            raise SetupError("The database has no tables yet. Run `hub db upgrade`.") from failure
        if "disk is full" in reason or "disk I/O" in reason or "No space left" in reason:
            raise SetupError(
                f"The disk of the database is full ({reason}). Free some space and try again."
            ) from failure
        if "unable to open database file" in reason or "readonly database" in reason:
            raise SetupError(f"The database file cannot be written ({reason}). Check HUB_DATA_DIR.") from failure
        if getattr(failure.orig, "sqlstate", None) is None and not url.startswith("sqlite"):
            raise SetupError(f"The database cannot be reached ({reason}). Check HUB_DATABASE_URL.") from failure
        raise
    except DBAPIError as failure:
        if getattr(failure.orig, "sqlstate", None) == "42P01":
            raise SetupError("The database has no tables yet. Run `hub db upgrade`.") from failure
        raise
