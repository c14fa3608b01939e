"""A worker: one process on one queue, with one hub for all its jobs."""

from __future__ import annotations

import signal
from types import FrameType
from typing import TYPE_CHECKING

import redis
import structlog
from rq import Queue, SimpleWorker
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import UnixSignalDeathPenalty

from hub.core.errors import SetupError
from hub.jobs.queue import TRACE, queue
from hub.tracing import traced

if TYPE_CHECKING:
    from hub.bootstrap import Hub

log = structlog.get_logger("hub.jobs")
_hub: Hub | None = None


class TimeUp(BaseException):
    """A job took longer than it may. No `except Exception` on the way, ours or a plugin's, keeps it from ending."""


class _Timer(UnixSignalDeathPenalty):
    def handle_death_penalty(self, number: int, frame: FrameType | None) -> None:
        raise TimeUp


class _Worker(SimpleWorker):
    death_penalty_class = _Timer

    def perform_job(self, job: Job, queue: Queue, execution: Execution) -> bool:
        """One job, in the trace of what woke it; what no request woke begins one of its own."""
        with traced(str(job.meta.get(TRACE) or "")):
            return super().perform_job(job, queue, execution)


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
        worker = _Worker([queue(hub)], connection=hub.redis, serializer=JSONSerializer)
        signal.signal(signal.SIGTERM, lambda number, frame: _stop(worker, number, frame))
        worker.work(burst=burst, logging_level="WARNING", with_scheduler=False)
    except redis.RedisError as failure:
        raise SetupError(f"The queue server cannot be reached ({failure}). Check HUB_REDIS_URL.") from failure


def _stop(worker: SimpleWorker, number: int, frame: FrameType | None) -> None:
    worker.request_stop(number, frame)
