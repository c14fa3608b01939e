"""Telling plugins what happened: each notice until it is done, in the order of the record's events.

A notice that fails for good is parked, and holds back only later ones of the same record for the same plugin.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from sqlalchemy import and_, or_, select, tuple_, update
from sqlalchemy.orm import Session, aliased

from hub.core import clock
from hub.core.clock import database_now
from hub.core.errors import HubError, PluginFault, TemporaryFailure
from hub.core.frozen import thaw
from hub.core.outbox import Event, Link, Notice
from hub.notify.context import PluginContext
from hub.notify.plugin_http import PluginHttp
from hub.plugin_host import PluginState
from hub.sync.claim import beating
from hub.sync.models import Connection
from hub.sync.settle import pause

if TYPE_CHECKING:
    from hub.bootstrap import Hub

log = structlog.get_logger("hub.notices")
LEASE_S = 60
BLOCK = 50


@dataclass(frozen=True, slots=True)
class Told:
    notice: Notice
    event: Event


def deliver_notices(hub: Hub, *, seconds: float) -> int:
    """Tell what is due for at most so many seconds. Returns how many notices were handled."""
    until, handled = time.monotonic() + seconds, 0
    while time.monotonic() < until and (block := _claim(hub)):
        with beating(hub, partial(_stay, block=block), LEASE_S):
            for told in block:
                _deliver(hub, told)
                handled += 1
    return handled


def _stay(session: Session, *, block: Sequence[Told]) -> None:
    """Keep what is not told yet, however long the plugins before it take."""
    ours = [(told.notice.id, told.notice.fence) for told in block]
    session.execute(
        update(Notice)
        .where(tuple_(Notice.id, Notice.fence).in_(ours), Notice.lease_until.is_not(None))
        .values(lease_until=database_now(plus_s=LEASE_S))
        .execution_options(synchronize_session=False)
    )


def _claim(hub: Hub) -> list[Told]:
    earlier = aliased(Notice)
    blocked = (
        select(earlier.id)
        .where(
            earlier.record_id == Notice.record_id,
            earlier.subscriber == Notice.subscriber,
            earlier.event_sequence < Notice.event_sequence,
            earlier.done_at.is_(None),
        )
        .exists()
    )
    due = and_(
        Notice.done_at.is_(None),
        Notice.parked.is_(None),
        or_(Notice.due_at.is_(None), Notice.due_at <= database_now()),
        or_(Notice.lease_until.is_(None), Notice.lease_until <= database_now()),
        Notice.subscriber.in_(list(hub.plugins.modules)),
        ~blocked,
    )

    def work(session: Session) -> list[Told]:
        query = select(Notice.id).where(due).order_by(Notice.event_sequence).limit(BLOCK)
        ids = session.scalars(query.with_for_update(skip_locked=True)).all()
        session.execute(
            update(Notice)
            .where(Notice.id.in_(ids))
            .values(lease_until=database_now(plus_s=LEASE_S), fence=Notice.fence + 1)
            .execution_options(synchronize_session=False)
        )
        rows = session.execute(
            select(Notice, Event)
            .join(Event, Event.sequence == Notice.event_sequence)
            .where(Notice.id.in_(ids))
            .order_by(Notice.event_sequence)
            .execution_options(populate_existing=True)
        )
        return [Told(notice, event) for notice, event in rows]

    return hub.transact(work)


def _deliver(hub: Hub, told: Told) -> None:
    notice, event = told.notice, told.event
    context = _context(hub, notice.subscriber, event)
    try:
        told_it = hub.plugins.hooks.tell(event.name, notice.subscriber, **_arguments(hub, event), context=context)
    except TemporaryFailure as failure:
        due_at = pause(notice.failures, failure.retry_after_s)
        _close(hub, notice, due_at=due_at, failures=notice.failures + 1, lease_until=None)
    except HubError as failure:
        _close(hub, notice, parked=str(failure), lease_until=None)
        log.warning("notice parked", plugin=notice.subscriber, hook=event.name, reason=str(failure))
    except BaseException:  # the job's time is over: whoever hangs is told again after a pause that grows
        _close(hub, notice, due_at=pause(notice.failures), failures=notice.failures + 1, lease_until=None)
        raise
    else:
        # A plugin that was switched off since the block was claimed is told when it is back.
        is_settled = told_it or notice.subscriber in hub.plugins.modules
        _close(hub, notice, done_at=clock.now() if is_settled else None, lease_until=None)


def _arguments(hub: Hub, event: Event) -> dict[str, Any]:
    """The hook's arguments from the payload that was frozen with the event."""
    if event.name == "lineage_recorded":
        return {
            **event.payload,
            "origin_id": UUID(event.payload["origin_id"]),
            "record_id": UUID(event.payload["record_id"]),
        }
    kind = hub.kinds.get(event.kind)
    if kind is None:
        raise TemporaryFailure(f"Nobody here knows {event.kind} now; the plugin they belong to is switched off.")
    names = {"client_changed": "client", "project_changed": "project", "time_approved": "entry"}
    name = names.get(event.name, "payment" if event.name.startswith("payment") else "invoice")
    try:
        return {name: thaw(kind.record, event.payload)}
    except (TypeError, ValueError, KeyError) as failure:
        raise PluginFault(f"What was kept of it cannot be read any more: {failure}") from failure


def _context(hub: Hub, plugin: str, event: Event) -> PluginContext:
    with hub.read() as session:
        stored = session.scalar(select(PluginState.settings).where(PluginState.name == plugin))
    return PluginContext(
        settings=hub.cipher.decrypt(stored),
        http=PluginHttp(),
        external_id=lambda kind, record_id: _external_id(hub, plugin, kind, record_id),
        idempotency_key=f"event-{event.sequence}",
        log=log.bind(plugin=plugin),
        transact=hub.transact,
    )


def _external_id(hub: Hub, plugin: str, kind: str, record_id: UUID) -> str | None:
    """What one of our records is called where this plugin connects to."""
    with hub.read() as session:
        return session.scalar(
            select(Link.remote_id)
            .join(Connection, Connection.id == Link.connection_id)
            .where(Connection.plugin == plugin, Link.kind == kind, Link.record_id == record_id)
            .limit(1)
        )


def _close(hub: Hub, notice: Notice, **values: Any) -> None:
    def work(session: Session) -> None:
        session.execute(
            update(Notice)
            .where(Notice.id == notice.id, Notice.fence == notice.fence)
            .values(**values)
            .execution_options(synchronize_session=False)
        )

    hub.transact(work)
