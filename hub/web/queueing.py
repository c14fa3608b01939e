"""Handing work to the workers from a page."""

from __future__ import annotations

from uuid import UUID

import redis

from hub.jobs.queue import enqueue_once, mark
from hub.web.current import current_hub
from hub.web.session import flash


def queue_work(work: str, connection_id: UUID, *, done: str) -> None:
    """Queue a slice of work (push, pull or sync) of a connection, and say so with the sentence `done`."""
    try:
        enqueue_once(current_hub(), work, str(connection_id))
    except redis.RedisError:
        flash("warn", "The queue server cannot be reached. It is done as soon as the workers run again.")
        return
    flash("good", done)


def is_queued(work: str, connection_id: UUID) -> bool:
    """Whether this work waits for a worker; False also when that cannot be found out."""
    try:
        return bool(current_hub().redis.exists(mark(work, str(connection_id))))
    except redis.RedisError:
        return False
