"""After a restore: what the other system has and this older database does not know of.

A restored hub reads before it may write. Documents that were sent after the backup are over there already: they are
adopted, so that nothing is created twice. Those that were even issued after it exist over there only: they are
reported, and the number series goes past them, so that no number is given twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core import audit, clock
from hub.core.companies.service import move_series_past
from hub.core.database import MAX_ROWS_PER_TRANSACTION, circumstances
from hub.core.kinds import HubDocument
from hub.core.money import money_text
from hub.core.outbox import Link, lock_records
from hub.sync.connector import StatementLine, Status
from hub.sync.models import Connection
from hub.sync.reconcile import our_documents
from hub.sync.runs import Item, RunLog

if TYPE_CHECKING:
    from hub.bootstrap import Hub
    from hub.sync.connections import Opened

_ADOPTED = "Adopted: it is over there already."


def take_stock(hub: Hub, opened: Opened, run: RunLog) -> None:
    """Compare every stream of documents that is sent, adopt what is there, and note what is there only.

    Raises ConnectorError; then it is done once more by the next run.
    """
    only_there: list[str] = []
    for kind, subscription in opened.subscriptions.items():
        if not subscription.pushes or hub.kinds[kind].documents is None:
            continue
        with opened.breaker.call():
            lines = {line.remote_id: line for line in opened.connector.statement(kind, None, None)}
        ours, remote_ids = our_documents(hub, opened, kind)
        free = {line.number: line for line in lines.values() if line.remote_id not in {*remote_ids.values()}}
        found = [(each, free.pop(each.number)) for each in ours if _is_unsent(each, remote_ids) and each.number in free]
        for start in range(0, len(found), MAX_ROWS_PER_TRANSACTION):
            some = found[start : start + MAX_ROWS_PER_TRANSACTION]
            hub.transact(partial(_adopt, opened=opened, kind=kind, found=some, run=run))
        only_there += sorted(line.number for line in free.values() if line.number and not line.voided)
    hub.transact(partial(_note, connection_id=opened.id, numbers=only_there), actor=f"connection:{opened.name}")


def _is_unsent(document: HubDocument, remote_ids: dict[UUID, str]) -> bool:
    return bool(document.number) and document.record_id not in remote_ids


def _adopt(
    session: Session,
    *,
    opened: Opened,
    kind: str,
    found: Sequence[tuple[HubDocument, StatementLine]],
    run: RunLog,
) -> None:
    """Link our documents to those of the same number over there; where more differs a person decides."""
    ids = [ours.record_id for ours, _ in found]
    known = circumstances(session).kinds[kind]
    lock_records(session, known, ids)
    query = select(Link).where(Link.connection_id == opened.id, Link.kind == kind, Link.record_id.in_(ids))
    links = {link.record_id: link for link in session.scalars(query.order_by(Link.id).with_for_update())}
    records = {record.id: record for record in known.load(session, ids)}
    items: list[Item] = []
    for ours, theirs in found:
        link = links.get(ours.record_id)
        if link is None:
            link = Link(connection_id=opened.id, kind=kind, record_id=ours.record_id, part="", wanted=1, done=0)
            session.add(link)
        if link.remote_id is not None or link.attempt_id is not None:
            continue  # known meanwhile, or about to be found out
        link.label, link.fence = known.label(records[ours.record_id]), (link.fence or 0) + 1
        if (ours.total, ours.currency, ours.dated_on) == (theirs.total, theirs.currency, theirs.on):
            link.remote_id, link.done, link.revision = theirs.remote_id, link.wanted, records[ours.record_id].revision
            link.parked = link.parked_field = link.parked_remedy = link.parked_at = link.due_at = None
            items.append(_item(link, theirs, Status.UNCHANGED, _ADOPTED))
        else:
            link.parked = (
                f"Over there {ours.number} is another document: {money_text(theirs.total, theirs.currency)} "
                f"{theirs.currency} of {theirs.on}, here {money_text(ours.total, ours.currency)} {ours.currency} of "
                f"{ours.dated_on}."
            )
            link.parked_remedy = "Say which is right: link the two with `hub link relink`, or cancel this one."
            link.parked_at = clock.now()
            items.append(_item(link, theirs, Status.CONFLICT, link.parked))
    run.count(session, items)


def _item(link: Link, theirs: StatementLine, status: Status, reason: str) -> Item:
    return Item(link.kind, "pull", status, link.label, link.record_id, theirs.remote_id, reason)


def _note(session: Session, *, connection_id: UUID, numbers: Sequence[str]) -> None:
    """What is over there only, for a person; and no number of it is given again."""
    connection = session.get(Connection, connection_id, with_for_update=True)
    if connection is None:
        return
    connection.only_there = move_series_past(session, numbers)
    audit.note(session, "take-stock", "connection", connection_id, only_there=connection.only_there)
