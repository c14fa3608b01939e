"""What changed, and who is owed it: written in the business transaction, read by the sync engine and the notices.

A committed change reaches every subscribed connection because it stands in a link row; a rolled-back one reaches none.
There is no other list of work: `wanted` > `done` says that something is owed, and nothing else does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from functools import cache
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    and_,
    bindparam,
    case,
    exists,
    insert,
    literal,
    null,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column
from sqlalchemy.sql.dml import ReturningUpdate

from hub.core import clock
from hub.core.database import MAX_ROWS_PER_TRANSACTION, Base, Identified, circumstances, uuid7
from hub.core.frozen import freeze
from hub.core.kinds import RecordKind


class Subscription(Identified, Base):
    """One stream of one connection: which way it runs, and what is created over there.

    position: parents before children. on_demand: records are created there only when another one needs them.
    start_on and conditions gate creates only: what has a link stays in step.
    """

    __tablename__ = "subscription"
    __table_args__ = (UniqueConstraint("connection_id", "kind"),)

    connection_id: Mapped[UUID]
    kind: Mapped[str]
    position: Mapped[int]
    pushes: Mapped[bool]
    pulls: Mapped[bool]
    on_demand: Mapped[bool] = mapped_column(default=False)
    start_on: Mapped[date | None]
    conditions: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Link(Identified, Base):
    """One record and one connection: what it is called there, what each side last showed, what is owed.

    part: which of several things the record is there (a client billed in two currencies is two customers), usually
    empty. sent: per vendor field, what we last sent; seen: per hub field, what they last showed; agreed: per hub field,
    what our record said when both last were the same. undecided: per hub field, both values a person has to choose
    from. delivered_at: when the last answer to a send was settled, by the database's clock. wanted and done are
    counters. key_number grows after each definite answer, so that only a repeat has the same key. held: kept back by
    a plan or a match that a person has to settle. attempt_id: a send that has no answer yet. tombstone_at: since
    when it is known to be deleted over there. shown_at: when what is known of it was asked for. full_read: which read
    of all of its stream showed it last, where that matters.
    """

    __tablename__ = "link"
    __table_args__ = (
        UniqueConstraint("connection_id", "kind", "record_id", "part"),
        UniqueConstraint("connection_id", "kind", "remote_id"),
        Index("ix_link_owed", "connection_id", "kind", "due_at"),
        CheckConstraint("done <= wanted", name="done_at_most_wanted"),
    )

    connection_id: Mapped[UUID]
    kind: Mapped[str]
    record_id: Mapped[UUID | None] = mapped_column(index=True)
    part: Mapped[str] = mapped_column(default="", server_default="")
    remote_id: Mapped[str | None]
    remote_version: Mapped[str | None]
    label: Mapped[str] = mapped_column(default="", server_default="")
    sent: Mapped[dict[str, Any] | None]
    seen: Mapped[dict[str, Any] | None]
    agreed: Mapped[dict[str, Any] | None]
    undecided: Mapped[dict[str, Any] | None]
    delivered_at: Mapped[datetime | None]
    wanted: Mapped[int] = mapped_column(default=0, server_default="0")
    done: Mapped[int] = mapped_column(default=0, server_default="0")
    revision: Mapped[int | None]
    """The business revision last delivered."""
    key_number: Mapped[int] = mapped_column(default=0, server_default="0")
    fence: Mapped[int] = mapped_column(default=0, server_default="0")
    lease_until: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0, server_default="0")
    waiting_for: Mapped[UUID | None] = mapped_column(index=True)
    attempt_id: Mapped[UUID | None] = mapped_column(index=True)
    held: Mapped[bool] = mapped_column(default=False, server_default="0")
    parked: Mapped[str | None] = mapped_column(Text)
    parked_field: Mapped[str | None]
    parked_remedy: Mapped[str | None] = mapped_column(Text)
    parked_at: Mapped[datetime | None]
    ignored: Mapped[str | None] = mapped_column(Text)
    """Why a person decided that this record is not to be sent."""
    findings: Mapped[list[Any] | None]
    tombstone_at: Mapped[datetime | None]
    shown_at: Mapped[datetime | None]
    full_read: Mapped[int] = mapped_column(default=0, server_default="0")
    changed_at: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)


class Lineage(Identified, Base):
    """A record that came out of another one, or a remote thing that a record stands for besides its own link."""

    __tablename__ = "lineage"
    __table_args__ = (UniqueConstraint("origin_kind", "origin_id", "kind", "record_id"),)

    origin_kind: Mapped[str]
    origin_id: Mapped[UUID] = mapped_column(index=True)
    kind: Mapped[str]
    record_id: Mapped[UUID] = mapped_column(index=True)
    connection_id: Mapped[UUID | None]
    remote_id: Mapped[str | None]
    recorded_at: Mapped[datetime] = mapped_column(default=clock.now)


class Event(Base):
    """Something that happened, with the record as it was then. Append-only."""

    __tablename__ = "event"

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    name: Mapped[str]
    kind: Mapped[str]
    record_id: Mapped[UUID] = mapped_column(index=True)
    revision: Mapped[int]
    happened_at: Mapped[datetime]
    actor: Mapped[str]
    payload: Mapped[dict[str, Any]]


class Notice(Identified, Base):
    """One subscriber to be told of one event. Parked: held back, with all later ones of the record, for a person."""

    __tablename__ = "notice"
    __table_args__ = (UniqueConstraint("event_sequence", "subscriber"),)

    event_sequence: Mapped[int] = mapped_column(ForeignKey("event.sequence"))
    subscriber: Mapped[str]
    record_id: Mapped[UUID] = mapped_column(index=True)
    done_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(default=0)
    failures: Mapped[int] = mapped_column(default=0)
    parked: Mapped[str | None] = mapped_column(Text)


def announce(session: Session, kind: str, ids: Iterable[UUID], *, event: str | None = None) -> None:
    """These records changed. Owe them to every connection that subscribes to their kind, the one it came from too.

    Where it came from nothing differs from what is known there, so that the echo ends without a call. event: the
    name of the tell hook; each plugin that listens gets a notice, with the record as it is now.
    """
    wanted = sorted(set(ids))
    if not wanted:
        return
    session.flush()
    for subscription in session.scalars(
        select(Subscription).where(Subscription.kind == kind, Subscription.pushes).order_by(Subscription.id)
    ):
        for start in range(0, len(wanted), MAX_ROWS_PER_TRANSACTION):
            owe(session, subscription, wanted[start : start + MAX_ROWS_PER_TRANSACTION])
        session.info.setdefault("owed", set()).add(subscription.connection_id)
    if event is not None:
        record_event(session, event, kind, wanted)


def owe(session: Session, subscription: Subscription, ids: Sequence[UUID], *, needed: bool = False) -> None:
    """Raise what one connection wants of these records; those that have no link yet get one if they may be created.

    needed: another record needs them there, so they are created whatever the conditions say.
    """
    kind = circumstances(session).kinds[subscription.kind]
    lock_records(session, kind, ids)
    about = {"of_connection": subscription.connection_id, "of_kind": subscription.kind, "of_records": list(ids)}
    linked = set(session.connection().scalars(_raise_wanted(), {**about, "at": clock.now()}))
    unlinked = [record_id for record_id in ids if record_id not in linked]
    if not unlinked:
        return
    rows = select(kind.model.id).where(kind.model.id.in_(unlinked))
    if not needed:
        rows = rows.where(*creates(kind, subscription))
    _insert_links(session, subscription, session.connection().scalars(rows).all())


@cache
def _raise_wanted() -> ReturningUpdate[Any]:
    """Want one more of the links that there are; tells whose they are. Made once: it runs with every change.

    What was refused may go again once the record has changed; what waits for another record waits on.
    """
    link = Link.__table__.c
    goes_again = and_(link.parked.is_not(None), link.waiting_for.is_(None))
    empty: dict[str, Any] = dict.fromkeys(("parked", "parked_field", "parked_remedy", "parked_at", "due_at"), null())
    empty["failures"] = literal(0)
    return (
        update(cast(Table, Link.__table__))
        .where(link.connection_id == bindparam("of_connection"), link.kind == bindparam("of_kind"))
        .where(link.record_id.in_(bindparam("of_records", expanding=True)))
        .values({"wanted": link.wanted + 1, "changed_at": bindparam("at")})
        .values({name: case((goes_again, value), else_=link[name]) for name, value in empty.items()})
        .returning(link.record_id)
    )


def lock_records(session: Session, kind: RecordKind, ids: Sequence[UUID]) -> None:
    """Let nobody else change these records, or give them a link, until this transaction ends.

    Without it, one transaction could make a record's link while another one changes the record: neither would see the
    other, and the change would be owed to nobody. SQLite has one writer at a time anyway.
    """
    if session.get_bind().dialect.name != "sqlite":
        rows = select(kind.model.id).where(kind.model.id.in_(ids)).order_by(kind.model.id)
        session.execute(rows.with_for_update(key_share=True))


def owe_missing(session: Session, subscription: Subscription, *, after: UUID | None = None) -> Sequence[UUID]:
    """A block of the owed scan: give records that may be created, and have no link, one, in the order of their ids.

    after: the last one of the block before. Returns those of this block; with none the scan is over.
    """
    kind = circumstances(session).kinds[subscription.kind]
    rows = select(kind.model.id).where(*creates(kind, subscription), ~_has_link(kind, subscription))
    if after is not None:
        rows = rows.where(kind.model.id > after)
    rows = rows.order_by(kind.model.id).limit(MAX_ROWS_PER_TRANSACTION)
    ids = session.scalars(rows.with_for_update(key_share=True, of=kind.model)).all()  # see lock_records
    _insert_links(session, subscription, ids)
    return ids


def creates(kind: RecordKind, subscription: Subscription) -> list[Any]:
    """Which records of a kind a connection creates over there by itself."""
    if kind.owed is None or subscription.on_demand:
        return [literal(False)]
    clauses: list[Any] = [kind.owed]
    if subscription.start_on is not None and kind.dated_by is not None:
        clauses.append(kind.dated_by >= subscription.start_on)
    for name, column in kind.conditions.items():
        if name in subscription.conditions:
            clauses.append(column.in_([_typed(column, value) for value in subscription.conditions[name]]))
    return clauses


def _typed(column: Any, value: Any) -> Any:
    return UUID(value) if isinstance(column.type, Uuid) else value


def _has_link(kind: RecordKind, subscription: Subscription) -> Any:
    return exists().where(
        and_(
            Link.connection_id == subscription.connection_id,
            Link.kind == subscription.kind,
            Link.record_id == kind.model.id,
        )
    )


def _insert_links(session: Session, subscription: Subscription, ids: Sequence[UUID]) -> None:
    if not ids:
        return
    rows = [
        {
            "id": uuid7(),
            "connection_id": subscription.connection_id,
            "kind": subscription.kind,
            "record_id": record_id,
            "part": "",
            "wanted": 1,
            "done": 0,
            "changed_at": clock.now(),
        }
        for record_id in ids
    ]
    session.connection().execute(_new_links(session.get_bind().dialect.name), rows)


@cache
def _new_links(dialect: str) -> sqlite.Insert | postgresql.Insert:
    """Two transactions can find the same record without a link; the second one's insert becomes a raise."""
    statement = sqlite.insert(Link) if dialect == "sqlite" else postgresql.insert(Link)
    return statement.on_conflict_do_update(
        index_elements=["connection_id", "kind", "record_id", "part"],
        set_={"wanted": Link.__table__.c.wanted + 1, "changed_at": statement.excluded.changed_at},
    )


def upsert(session: Session, table: type[Base]) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows ON CONFLICT, for the database of this session."""
    return sqlite.insert(table) if session.get_bind().dialect.name == "sqlite" else postgresql.insert(table)


def record_event(session: Session, name: str, kind: str, ids: Sequence[UUID]) -> None:
    """Note that something happened to these records, and owe a notice to every plugin that listens."""
    records = circumstances(session).kinds[kind].load(session, ids)
    append_events(session, name, kind, [(record.id, record.revision, freeze(record)) for record in records])


def append_events(session: Session, name: str, kind: str, happened: Sequence[tuple[UUID, int, dict[str, Any]]]) -> None:
    """An event each for what happened, (record, revision, the tell hook's arguments as JSON), with its notices."""
    about = circumstances(session)
    rows = [
        {
            "name": name,
            "kind": kind,
            "record_id": record_id,
            "revision": revision,
            "happened_at": clock.now(),
            "actor": about.actor,
            "payload": payload,
        }
        for record_id, revision, payload in happened
    ]
    listeners = about.hooks.listeners(name) if about.hooks is not None else ()
    if not rows:
        return
    if not listeners:
        session.execute(insert(Event), rows)
        return
    sequences = session.scalars(insert(Event).returning(Event.sequence, sort_by_parameter_order=True), rows)
    session.add_all(
        Notice(event_sequence=sequence, subscriber=listener, record_id=row["record_id"])
        for sequence, row in zip(sequences.all(), rows, strict=True)
        for listener in listeners
    )


def record_lineage(
    session: Session,
    origin: tuple[str, UUID],
    record: tuple[str, UUID],
    *,
    connection_id: UUID | None = None,
    remote_id: str | None = None,
) -> None:
    """Remember that one record came out of another, once, and tell it."""
    (origin_kind, origin_id), (kind, record_id) = origin, record
    known = select(Lineage.id).where(
        Lineage.origin_kind == origin_kind,
        Lineage.origin_id == origin_id,
        Lineage.kind == kind,
        Lineage.record_id == record_id,
    )
    if session.scalar(known) is not None:
        return
    session.add(
        Lineage(
            origin_kind=origin_kind,
            origin_id=origin_id,
            kind=kind,
            record_id=record_id,
            connection_id=connection_id,
            remote_id=remote_id,
        )
    )
    payload = {
        "origin_kind": origin_kind,
        "origin_id": str(origin_id),
        "kind": kind,
        "record_id": str(record_id),
    }
    append_events(session, "lineage_recorded", kind, [(record_id, 0, payload)])
