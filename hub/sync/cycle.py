"""One round of a connection: what exists becomes owed, what changed over there is read, what is owed goes out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.errors import RuleBroken
from hub.core.outbox import Subscription, owe_missing
from hub.sync.connections import Opened, open_connection
from hub.sync.models import Connection, ConnectionState
from hub.sync.pull import pull
from hub.sync.push import push
from hub.sync.runs import RunLog, RunSummary

if TYPE_CHECKING:
    from hub.bootstrap import Hub

FOREVER = 24 * 3600.0


def run_connection(
    hub: Hub,
    connection_id: UUID,
    *,
    kinds: Sequence[str] | None = None,
    direction: str | None = None,
    full: bool = False,
    trigger: str = "manual",
    actor: str = "system",
    seconds: float = FOREVER,
) -> RunSummary:
    """A run now, by the caller itself; returns when nothing more is due, with honest counts.

    kinds: these streams only. direction: "push" or "pull" only. full: read from the beginning. Raises NotFound,
    RuleBroken for a paused connection.
    """
    opened = open_connection(hub, connection_id)
    if opened.state not in (ConnectionState.ACTIVE, ConnectionState.READ_ONLY):
        raise RuleBroken(_why_not(hub, opened), code="connection-not-ready")
    pulls, pushes = _streams(opened, kinds, direction)
    run = RunLog(hub, opened, direction or "both", trigger, actor, [*dict.fromkeys((*pulls, *pushes))])
    run.open()
    until = time.monotonic() + seconds
    if opened.may_write:
        scan_owed(hub, opened, pushes)
    pull(hub, opened, run, kinds=pulls, full=full, until=until)
    if opened.may_write and not run.failure:
        push(hub, opened, run, kinds=pushes, until=until)
    return run.finish()


def push_slice(hub: Hub, connection_id: UUID, *, seconds: float) -> RunSummary:
    """What is owed now, for at most so many seconds: the bounded piece of work of a queued job."""
    opened = open_connection(hub, connection_id)
    _, pushes = _streams(opened, None, "push")
    run = RunLog(hub, opened, "push", "queue", "system", pushes)
    if opened.may_write:
        push(hub, opened, run, kinds=pushes, until=time.monotonic() + seconds)
    return run.finish()


def pull_slice(hub: Hub, connection_id: UUID, *, seconds: float) -> RunSummary:
    """What changed over there since the cursors, and what hints point to."""
    opened = open_connection(hub, connection_id)
    pulls, _ = _streams(opened, None, "pull")
    run = RunLog(hub, opened, "pull", "schedule", "system", pulls)
    if opened.state in (ConnectionState.ACTIVE, ConnectionState.READ_ONLY):
        pull(hub, opened, run, kinds=pulls, full=False, until=time.monotonic() + seconds)
    return run.finish()


def scan_owed(hub: Hub, opened: Opened, kinds: Sequence[str]) -> int:
    """Give every record that may be created over there, and has no link, one. Returns how many."""
    total = 0
    for kind in kinds:
        subscription_id = opened.subscriptions[kind].id

        def work(session: Session, subscription_id: UUID = subscription_id) -> int:
            return owe_missing(session, session.get_one(Subscription, subscription_id))

        while found := hub.transact(work):
            total += found
    return total


def _streams(opened: Opened, kinds: Sequence[str] | None, direction: str | None) -> tuple[list[str], list[str]]:
    """The streams to pull and those to push, in the connector's order. Raises NotFound for an unknown one."""
    for kind in kinds or ():
        opened.stream(kind)
    chosen = [item for kind, item in opened.subscriptions.items() if kinds is None or kind in kinds]
    pulls = [item.kind for item in chosen if item.pulls and direction in (None, "pull")]
    pushes = [item.kind for item in chosen if item.pushes and direction in (None, "push")]
    return pulls, pushes


def _why_not(hub: Hub, opened: Opened) -> str:
    with hub.read() as session:
        reason = session.scalar(select(Connection.reason).where(Connection.id == opened.id)) or ""
    if opened.state == ConnectionState.PAUSED:
        return f"The connection {opened.name} is paused. Resume it with `hub connection resume {opened.name}`."
    return f"The connection {opened.name} needs attention: {reason} Then test it: `hub connection check {opened.name}`."
