"""Taking owed links for work: each by one worker at a time, for as long as its lease runs.

A fence grows with every claim. Whoever settles names the fence it claimed with, so that a worker whose lease ran out
can change nothing any more.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import structlog
from sqlalchemy import ClauseElement, ColumnElement, Table, and_, bindparam, or_, select, tuple_, update
from sqlalchemy.orm import Session

from hub.core.clock import database_now
from hub.core.outbox import Link
from hub.sync.models import Batch, Connection, ConnectionState

if TYPE_CHECKING:
    from hub.bootstrap import Hub

log = structlog.get_logger("hub.sync")

_LINKS = cast(Table, Link.__table__)

LEASE_S = 5.0
"""How long a claim lasts without a heartbeat: after this, another worker takes over."""
BLOCK = 150
"""Links claimed at once, unless it is said otherwise, in one short transaction."""


def is_due() -> ColumnElement[bool]:
    """Whether a link may be worked on now: the one place that says so."""
    return and_(
        Link.wanted > Link.done,
        Link.parked.is_(None),
        Link.ignored.is_(None),
        Link.held.is_(False),
        Link.waiting_for.is_(None),
        Link.record_id.is_not(None),
        or_(Link.due_at.is_(None), Link.due_at <= database_now()),
        or_(Link.lease_until.is_(None), Link.lease_until <= database_now()),
    )


def claim(hub: Hub, connection_id: UUID, kind: str, most: int = BLOCK) -> list[Link]:
    """Take a block of due links of one stream; none while the connection may not write."""

    def work(session: Session) -> list[Link]:
        if kind not in hub.kinds or not may_write(hub, session, connection_id):
            return []
        due = select(Link.id).where(Link.connection_id == connection_id, Link.kind == kind, is_due())
        due = due.order_by(Link.due_at.is_not(None), Link.due_at, Link.id).limit(most)
        return lease(session, session.scalars(due.with_for_update(skip_locked=True)).all())

    return hub.transact(work)


def lease(session: Session, ids: Sequence[UUID]) -> list[Link]:
    """Raise the fence of these links and lease them; returns them as they are now."""
    if not ids:
        return []
    session.execute(
        update(Link)
        .where(Link.id.in_(ids))
        .values(fence=Link.fence + 1, lease_until=database_now(plus_s=LEASE_S))
        .execution_options(synchronize_session=False)
    )
    found = session.scalars(
        select(Link).where(Link.id.in_(ids)).order_by(Link.id).execution_options(populate_existing=True)
    )
    return list(found)


def may_write(hub: Hub, session: Session, connection_id: UUID) -> bool:
    """Whether a connection may write at this moment: it is active, and its plugin enabled."""
    found = session.execute(
        select(Connection.state, Connection.connector).where(Connection.id == connection_id)
    ).one_or_none()
    return found is not None and found.state == ConnectionState.ACTIVE and found.connector in hub.connector_classes()


def renew(session: Session, links: Sequence[Link]) -> set[UUID]:
    """Lease these links anew. Returns the ids of those that are still ours; the others were taken over."""
    if not links:
        return set()
    kept = session.scalars(
        update(Link)
        .where(tuple_(Link.id, Link.fence).in_([(link.id, link.fence) for link in links]))
        .values(lease_until=database_now(plus_s=LEASE_S))
        .returning(Link.id)
        .execution_options(synchronize_session=False)
    )
    return set(kept)


def renew_batch(session: Session, batch: Batch, **more: Any) -> bool:
    """Lease a batch anew. Returns whether it is still ours.

    Before its links are: its lease never ends after theirs, so that whoever finds them free may take it at once.
    """
    renewed = session.execute(
        update(Batch)
        .where(Batch.id == batch.id, Batch.fence == batch.fence, Batch.answered_at.is_(None))
        .values(lease_until=database_now(plus_s=LEASE_S), **more)
        .execution_options(synchronize_session=False)
    )
    return bool(getattr(renewed, "rowcount", 0))


@contextmanager
def heartbeat(hub: Hub, links: Sequence[Link], batch: Batch | None = None) -> Iterator[None]:
    """Keep links, and the batch they are sent in, leased while a call is open, however long it takes."""

    def work(session: Session) -> None:
        if batch is None or renew_batch(session, batch):
            renew(session, links)

    with beating(hub, work, LEASE_S):
        yield


@contextmanager
def beating(hub: Hub, work: Callable[[Session], None], lease_s: float) -> Iterator[None]:
    """Renew a lease three times within its length, for as long as the block takes.

    A beat that fails is said and made again: a database that is away for a moment must not end the lease for good.
    """
    done = threading.Event()

    def beat() -> None:
        while not done.wait(lease_s / 3):
            try:
                hub.transact(work)
            except Exception as failure:
                log.warning("a lease could not be renewed", error=str(failure))

    thread = threading.Thread(target=beat, daemon=True, name="heartbeat")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@dataclass(frozen=True, slots=True)
class Ours:
    """A link that nobody has taken over, locked, as it stands at this moment."""

    id: UUID
    wanted: int
    remote_id: str | None


def still_ours(session: Session, links: Iterable[Link]) -> dict[UUID, Ours]:
    """Those of these links that are still ours, locked until the transaction ends, by id."""
    pairs = sorted({(link.id, link.fence) for link in links})
    if not pairs:
        return {}
    columns = select(Link.id, Link.wanted, Link.remote_id).where(tuple_(Link.id, Link.fence).in_(pairs))
    rows = session.execute(columns.order_by(Link.id).with_for_update())
    return {row.id: Ours(row.id, row.wanted, row.remote_id) for row in rows}


def write_all(session: Session, changes: Iterable[tuple[UUID, Mapping[str, Any]]]) -> None:
    """Change links that are ours (`still_ours`), each to values of its own: a statement for each set of fields.

    A value that is an SQL expression must be the same for all changes with these fields.
    """
    alike: defaultdict[tuple[str, ...], list[tuple[UUID, Mapping[str, Any]]]] = defaultdict(list)
    for link_id, values in changes:
        alike[tuple(sorted(values))].append((link_id, values))
    for some in alike.values():
        shared = {name: value for name, value in some[0][1].items() if isinstance(value, ClauseElement)}
        statement = update(_LINKS).where(_LINKS.c.id == bindparam("of_link")).values(shared)
        rows = [
            {"of_link": link_id, **{name: value for name, value in values.items() if name not in shared}}
            for link_id, values in some
        ]
        session.connection().execute(statement, rows)


def write(session: Session, link: Link, *conditions: ColumnElement[bool], **values: Any) -> bool:
    """Change a link if it is still ours, and the conditions hold. Returns whether it was."""
    return bool(getattr(session.execute(_mine(link, values).where(*conditions)), "rowcount", 0))


def release(session: Session, links: Sequence[Link], **values: Any) -> None:
    """Give links back without having done anything."""
    ours = still_ours(session, links)
    write_all(session, [(link_id, {"lease_until": None, **values}) for link_id in ours])


def _mine(link: Link, values: dict[str, Any]) -> Any:
    return (
        update(Link)
        .where(Link.id == link.id, Link.fence == link.fence)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
