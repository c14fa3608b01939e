"""What is set aside for a person, and what a person can do about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from hub.core import audit
from hub.core.database import MAX_ROWS_PER_TRANSACTION
from hub.core.errors import NotFound, RuleBroken
from hub.core.outbox import Link, Subscription
from hub.sync.arrivals import take_in
from hub.sync.connector import Authority
from hub.sync.settle import ignore, wake_children

Block = tuple[Sequence[UUID], int]
"""The links of one transaction, and how many of them are owed again."""


def parked_links(
    session: Session, connection_id: UUID | None = None, *, limit: int = 100, after: UUID | None = None
) -> Sequence[Link]:
    """Links that wait for a person, in a fixed order for paging."""
    query = select(Link).where(Link.parked.is_not(None), Link.ignored.is_(None)).order_by(Link.id).limit(limit)
    if connection_id is not None:
        query = query.where(Link.connection_id == connection_id)
    if after is not None:
        query = query.where(Link.id > after)
    return session.scalars(query).all()


def retry_links(session: Session, ids: Sequence[UUID]) -> int:
    """Owe these again as the records are now, but not where a person has to decide first. Returns how many."""
    query = select(Link).where(Link.id.in_(ids), Link.undecided.is_(None)).order_by(Link.id)
    links = session.scalars(query.with_for_update()).all()
    for link in links:
        link.parked = link.parked_field = link.parked_remedy = link.parked_at = None
        link.ignored, link.due_at, link.failures, link.waiting_for = None, None, 0, None
        owe_again(session, link)
        audit.note(session, "retry", "link", link.id)
    return len(links)


def retry_all(transact: Callable[[Callable[[Session], Block]], Block], *which: ColumnElement[bool]) -> int:
    """Owe again all that is parked, or what of it these clauses choose. Returns how many.

    transact: runs work in a transaction of its own. In blocks that hold the database for a moment only, each once: what
    is parked anew meanwhile stays so. Broken off, what was reached goes and the rest is parked still.
    """
    total, last = 0, None
    while True:
        ids, number = transact(partial(_retry_block, which=which, after=last))
        if not ids:
            return total
        total, last = total + number, ids[-1]


def _retry_block(session: Session, which: Sequence[ColumnElement[bool]], after: UUID | None) -> Block:
    query = select(Link.id).where(Link.parked.is_not(None), Link.ignored.is_(None), *which)
    if after is not None:
        query = query.where(Link.id > after)
    ids = session.scalars(query.order_by(Link.id).limit(MAX_ROWS_PER_TRANSACTION)).all()
    return ids, retry_links(session, ids) if ids else 0


def ignore_link(session: Session, link_id: UUID, reason: str) -> Link:
    """Decide that a record is not to be sent, and why. It comes back with a retry."""
    if not reason.strip():
        raise RuleBroken("Say why it is to be ignored.", fields={"reason": "must not be empty"})
    link = get_link(session, link_id)
    if link.attempt_id is not None:
        raise RuleBroken("A send of this record has no answer yet; wait until it is resolved.", code="link-busy")
    ignore(session, link, reason.strip())
    audit.note(session, "ignore", "link", link.id, reason=reason.strip())
    return link


def settle_conflict(session: Session, link_id: UUID, keep: str) -> Link:
    """Decide on fields that both sides changed and a person is to choose: keep what the hub says, or what they say.

    Raises NotFound, RuleBroken (also when the value of theirs is none that the hub may take in).
    """
    link = get_link(session, link_id)
    if keep not in (Authority.HUB, Authority.REMOTE):
        raise RuleBroken(f"“{keep}” is no side.", fields={"keep": "use hub or remote"})
    if not link.undecided or link.record_id is None:
        raise RuleBroken("There is nothing to decide on this record.", code="nothing-undecided")
    if link.attempt_id is not None:
        raise RuleBroken("A send of this record has no answer yet; wait until it is resolved.", code="link-busy")
    audit.note(session, "settle", "link", link.id, keep=keep, fields=link.undecided)
    if keep == Authority.REMOTE:
        theirs = {name: both["remote"] for name, both in link.undecided.items()}
        take_in(session, link.kind, link.record_id, theirs)
        link.agreed = {**(link.agreed or {}), **theirs}
    link.undecided = link.parked = link.parked_field = link.parked_remedy = link.parked_at = None
    link.due_at, link.failures, link.fence = None, 0, link.fence + 1
    owe_again(session, link)
    return link


def owe_again(session: Session, link: Link) -> None:
    """Let what the record says now be sent, where its stream sends anything."""
    wanted = select(Subscription.id).where(
        Subscription.connection_id == link.connection_id, Subscription.kind == link.kind, Subscription.pushes
    )
    if session.scalar(wanted) is not None:
        link.wanted += 1
        session.info.setdefault("owed", set()).add(link.connection_id)


def unlink(session: Session, link_id: UUID) -> None:
    """Forget which remote record one of ours is; the next send looks for it, or creates it."""
    link = get_link(session, link_id)
    if link.attempt_id is not None:
        raise RuleBroken("A send of this record has no answer yet; wait until it is resolved.", code="link-busy")
    audit.note(session, "unlink", "link", link.id, remote_id=link.remote_id)
    link.remote_id = link.remote_version = link.sent = link.seen = link.agreed = None
    link.fence += 1  # a worker that loaded it as it was sends nothing of it any more


def relink(session: Session, link_id: UUID, remote_id: str) -> Link:
    """Say which remote record one of ours is. Raises RuleBroken when another one has it."""
    link = get_link(session, link_id)
    if link.attempt_id is not None:
        raise RuleBroken("A send of this record has no answer yet; wait until it is resolved.", code="link-busy")
    other = session.scalar(
        select(Link).where(
            Link.connection_id == link.connection_id,
            Link.kind == link.kind,
            Link.remote_id == remote_id,
            Link.id != link.id,
        )
    )
    if other is not None:
        raise RuleBroken(f"{remote_id} is linked to “{other.label}” already.", fields={"remote_id": "is taken"})
    audit.note(session, "relink", "link", link.id, remote_id=[link.remote_id, remote_id])
    link.remote_id, link.remote_version = remote_id, None
    link.sent = link.seen = link.agreed = None
    link.wanted += 1
    link.fence += 1
    wake_children(session, [link.id])
    return link


def get_link(session: Session, link_id: UUID) -> Link:
    link = session.get(Link, link_id, with_for_update=True)
    if link is None:
        raise NotFound(f"There is no link with id {link_id}.")
    return link
