"""Children before their parents: what refers to a record that is not over there yet sleeps until it is.

The parents are looked at once more, locked, before anything goes to sleep: one may have been settled meanwhile, and its
settlement, which wakes its children, has then passed by already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from hub.core import clock
from hub.core.database import uuid7
from hub.core.outbox import Link, Subscription, owe, upsert
from hub.sync.claim import still_ours, write_all
from hub.sync.connector import Ref, Status
from hub.sync.runs import Item, RunLog
from hub.sync.settle import parking

if TYPE_CHECKING:
    from hub.bootstrap import Hub
    from hub.sync.connections import Opened

_WAITS = "It waits for a record it refers to."


def wait_for_parents(hub: Hub, opened: Opened, waiting: Sequence[tuple[Link, Ref, Item]], run: RunLog) -> None:
    """Let links sleep until their parents are there; a parent that has no link yet is owed now, because of its child.

    One whose parent cannot go is set aside with it; one whose parent has arrived meanwhile is due at once.
    """
    if not waiting:
        return

    def work(session: Session) -> list[tuple[UUID, Item]]:
        parents = _parents(session, opened, {parent for _, parent, _ in waiting})
        ours = still_ours(session, [link for link, _, _ in waiting])
        changes: list[tuple[UUID, dict[str, Any]]] = []
        asleep: list[tuple[UUID, Item]] = []
        refused: list[Item] = []
        for link, parent, item in waiting:
            row = parents.get(parent)
            if link.id not in ours:
                continue
            if reason := _why_not(opened, parent, row):
                remedy = "" if row is not None or _is_sent(opened, parent.kind) else "Switch that stream on."
                waits = {"waiting_for": row.id} if row is not None else {}
                changes.append((link.id, {**parking(reason, remedy=remedy), **waits, "label": item.label}))
                refused.append(replace(item, status=Status.REJECTED, reason=reason, remedy=remedy))
            elif row is not None and row.remote_id is None:
                changes.append((link.id, {"waiting_for": row.id, "lease_until": None, "label": item.label}))
                asleep.append((link.id, replace(item, reason=_WAITS)))
            else:
                changes.append((link.id, {"lease_until": None, "label": item.label}))
        write_all(session, changes)
        run.count(session, refused)
        return asleep

    run.waiting |= dict(hub.transact(work))


def _why_not(opened: Opened, parent: Ref, row: Link | None) -> str:
    """Why a child can neither go nor wait; empty if it can."""
    if not _is_sent(opened, parent.kind):
        return f"It needs {parent.kind} over there, which this connection does not send."
    if row is None:
        return f"What it refers to in {parent.kind} is gone here."
    if row.remote_id is None and (row.parked or row.ignored):
        return f"{row.label or parent.kind} has to be mended first: {row.parked or row.ignored}"
    return ""


def _is_sent(opened: Opened, kind: str) -> bool:
    subscription = opened.subscriptions.get(kind)
    return subscription is not None and subscription.pushes


def _parents(session: Session, opened: Opened, refs: set[Ref]) -> dict[Ref, Link]:
    """The locked links of these records, made where there are none; of a record that is gone there is none."""
    found: dict[Ref, Link] = {}
    for kind in sorted({ref.kind for ref in refs}):
        if not _is_sent(opened, kind):
            continue
        wanted = {ref for ref in refs if ref.kind == kind}
        query = _links_of(opened.id, kind, wanted)
        known = _by_ref(session, query)
        if missing := wanted - set(known):
            _owe(session, opened.subscriptions[kind], missing)
            known = _by_ref(session, query)
        found |= {ref: link for ref, link in known.items() if ref in wanted}
    return found


def _links_of(connection_id: UUID, kind: str, refs: set[Ref]) -> Select[Link]:
    query = select(Link).where(Link.connection_id == connection_id, Link.kind == kind)
    return query.where(Link.record_id.in_({ref.id for ref in refs})).order_by(Link.id).with_for_update()


def _by_ref(session: Session, query: Select[Link]) -> dict[Ref, Link]:
    rows = session.scalars(query.execution_options(populate_existing=True))
    return {Ref(row.kind, row.record_id, row.part): row for row in rows if row.record_id is not None}


def _owe(session: Session, subscription: Subscription, missing: set[Ref]) -> None:
    if whole := sorted(ref.id for ref in missing if not ref.part):
        owe(session, subscription, whole, needed=True)
    parts = sorted((ref.id, ref.part) for ref in missing if ref.part)
    if not parts:
        return
    rows = [
        {
            "id": uuid7(),
            "connection_id": subscription.connection_id,
            "kind": subscription.kind,
            "record_id": record_id,
            "part": part,
            "wanted": 1,
            "done": 0,
            "changed_at": clock.now(),
        }
        for record_id, part in parts
    ]
    insert = upsert(session, Link).values(rows)
    session.execute(insert.on_conflict_do_nothing(index_elements=["connection_id", "kind", "record_id", "part"]))
