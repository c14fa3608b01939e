"""A worker: one process on one queue, with one hub for all its jobs."""

from __future__ import annotations

import signal
from types import FrameType
from typing import TYPE_CHECKING

import redis
import structlog
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from hub.core.errors import SetupError
from hub.jobs.queue import queue

if TYPE_CHECKING:
    from hub.bootstrap import Hub

log = structlog.get_logger("hub.jobs")
_hub: Hub | None = None


def current_hub() -> Hub:
    """The hub of this worker process."""
    if _hub is None:
        raise SetupError("This process is no worker of a hub. Start one with `hub worker`.")
    return _hub


def run_worker(hub: Hub, *, burst: bool = False) -> None:
    """Work until told to stop (burst: until the queue is empty). Without the queue server it ends, to be restarted.

    Jobs run in this process: a slice is bounded and leases are in the database, so a fork per job would only cost.
    """
    global _hub
    _hub = hub
    try:
        worker = SimpleWorker([queue(hub)], connection=hub.redis, serializer=JSONSerializer)
        signal.signal(signal.SIGTERM, lambda number, frame: _stop(worker, number, frame))
        worker.work(burst=burst, logging_level="WARNING", with_scheduler=False)
    except redis.RedisError as failure:
        raise SetupError(f"The queue server cannot be reached ({failure}). Check HUB_REDIS_URL.") from failure


def _stop(worker: SimpleWorker, number: int, frame: FrameType | None) -> None:
    worker.request_stop(number, frame)
