"""Handing work to the workers from a page."""

from __future__ import annotations

from uuid import UUID

import redis

from hub.jobs.queue import enqueue_once
from hub.sync.cycle import ask_for_run
from hub.web.current import current_hub, transact
from hub.web.session import flash


def queue_run(connection_id: UUID, *, done: str) -> None:
    """Have a whole run of a connection made by the workers, and say so with the sentence `done`."""
    transact(lambda session: ask_for_run(session, connection_id))
    try:
        enqueue_once(current_hub(), "sync", str(connection_id))
    except redis.RedisError:
        flash("warn", "The queue server cannot be reached. It is done as soon as the workers run again.")
        return
    flash("good", done)
