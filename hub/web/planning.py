"""Plans for pages and API alike: who may ask for what, and handing the work to the workers."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import redis

from hub.core.errors import AccessDenied
from hub.jobs.queue import enqueue_once
from hub.sync.choose import choose
from hub.sync.models import Plan
from hub.sync.plan import Anew, ask_for_plan, at_work
from hub.web.current import current_hub, current_user


def have_planned(
    connection_id: UUID,
    *,
    kinds: Sequence[str] | None = None,
    direction: str | None = None,
    anew: Anew | None = None,
) -> Plan:
    """A plan that the workers make as soon as they can. Raises NotFound."""
    hub, actor = current_hub(), current_user().actor
    plan = ask_for_plan(hub, connection_id, kinds=kinds, direction=direction, anew=anew, queued=True, actor=actor)
    _wake(plan.id)
    return plan


def have_applied(
    plan_id: UUID, *, only: Sequence[str] = (), go_live: bool = False, beyond_guards: bool = False
) -> None:
    """Have a plan, or a part of it, done by the workers. Raises NotFound, RuleBroken, AccessDenied."""
    if (go_live or beyond_guards) and not current_user().may("connections.write"):
        raise AccessDenied("To let a connection write, or to go beyond its guards, you must be allowed to set it up.")
    hub, actor = current_hub(), current_user().actor
    with at_work(hub, plan_id):
        choose(hub, plan_id, only=only, go_live=go_live, beyond_guards=beyond_guards, actor=actor)
    _wake(plan_id)


def _wake(plan_id: UUID) -> None:
    """Have a worker look at a plan now. Without the queue server one does so when it is back: the plan says it."""
    try:
        enqueue_once(current_hub(), "plan", str(plan_id))
    except redis.RedisError:
        return
