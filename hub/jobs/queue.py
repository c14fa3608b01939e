"""The queue: RQ jobs that wake workers up. What there is to do stands in the database; losing a job loses time only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from rq import Queue
from rq.serializers import JSONSerializer

from hub.tracing import current_trace

if TYPE_CHECKING:
    from hub.bootstrap import Hub

QUEUE = "hub"
"""Every worker listens to this one queue: with two, a worker that dies at the wrong moment would lose the job."""

SLICE_S = 10
JOB_TIMEOUT_S = 180
PLAN_TIMEOUT_S = 3600
"""A plan is no slice: it is made, or applied, as a whole."""
MOST_QUEUED = 500
"""While no worker comes for them, jobs do not pile up: what is left out is queued by a later sweep."""
_WOKEN_FOR_S = 3
TRACE = "trace"
"""Under which a job's meta names the trace of what woke it."""


def queue(hub: Hub) -> Queue:
    """The queue, with JSON instead of pickle: whoever can write to it must not be able to run code."""
    return Queue(QUEUE, connection=hub.redis, serializer=JSONSerializer, default_timeout=JOB_TIMEOUT_S)


def wake_connections(hub: Hub, connection_ids: Sequence[UUID]) -> None:
    """Have what is owed to these connections sent."""
    for connection_id in connection_ids:
        enqueue_once(hub, "push", str(connection_id))


def enqueue_once(hub: Hub, work: str, name: str) -> None:
    """Queue a piece of work unless it is queued already. The mark runs out by itself: a lost job blocks nothing."""
    if hub.redis.set(mark(work, name), 1, nx=True, ex=_WOKEN_FOR_S) and queue(hub).count < MOST_QUEUED:
        function, timeout = f"hub.jobs.slices.{work}", PLAN_TIMEOUT_S if work == "plan" else None
        queue(hub).enqueue_call(
            function,
            args=(name,),
            timeout=timeout,
            result_ttl=0,
            failure_ttl=24 * 3600,
            meta={TRACE: current_trace()},
        )


def mark(work: str, name: str) -> str:
    """The key that says a piece of work is queued; the job takes it away when it starts."""
    return f"hub:queued:{work}:{name}"
