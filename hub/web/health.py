"""Whether the hub is alive and ready, and its figures for a monitoring system."""

from __future__ import annotations

import ipaddress

import redis
import structlog
from flask import Response, request
from flask.typing import ResponseReturnValue
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from hub.access.identity import key_identity
from hub.access.keys import key_of
from hub.core.errors import AccessDenied, HubError
from hub.core.outbox import Link, Notice
from hub.plugin_host import PluginState
from hub.sync.models import Attempt, Connection, Run
from hub.web.current import current_hub, current_user_or_none, fingerprints, reading
from hub.web.session import page_blueprint

health = page_blueprint("health", __name__)
log = structlog.get_logger("hub.web")


@health.get("/healthz", public=True)
def healthz() -> ResponseReturnValue:
    """200 while this process answers at all."""
    return {"status": "ok"}


@health.get("/readyz", public=True)
def readyz() -> ResponseReturnValue:
    """200 when requests can be served: "ready", or "degraded" without the queue server; 503 without the database."""
    checks = {"database": _database(), "queue": _queue()}
    if not checks["database"]:
        return {"status": "down", "checks": checks}, 503
    return {"status": "ready" if checks["queue"] else "degraded", "checks": checks}


@health.get("/metrics", public=True)
def metrics() -> ResponseReturnValue:
    """Figures in Prometheus' text form, for this machine or whoever holds metrics.read. Raises AccessDenied."""
    _check_reader()
    registry = CollectorRegistry()
    with reading() as session:
        _fill(registry, session)
    Gauge("hub_queue_up", "Whether the queue server answers.", registry=registry).set(int(_queue()))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _check_reader() -> None:
    forwarded = "X-Forwarded-For" in request.headers or "Forwarded" in request.headers
    if not forwarded and request.remote_addr and ipaddress.ip_address(request.remote_addr).is_loopback:
        return
    user = current_user_or_none()
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if user is None and scheme.lower() == "bearer":
        with reading() as session:
            key = key_of(session, fingerprints(), text.strip())
            user = key_identity(key, current_hub().plugins.hooks) if key else None
    if user is None or not user.may("metrics.read"):
        raise AccessDenied("Metrics are for this machine, or whoever holds metrics.read.")


def _database() -> bool:
    try:
        with reading() as session:
            session.execute(select(1))
    except (HubError, SQLAlchemyError) as failure:
        log.warning("the database cannot be reached", error=str(failure))
        return False
    return True


def _queue() -> bool:
    try:
        return bool(current_hub().redis.ping())
    except (redis.RedisError, HubError, OSError) as failure:
        log.warning("the queue server cannot be reached", error=str(failure))
        return False


def _fill(registry: CollectorRegistry, session: Session) -> None:
    links = Gauge("hub_links", "Links per connection and state.", ["connection", "state"], registry=registry)
    names = dict(session.execute(select(Connection.id, Connection.name)).all())
    owed = (Link.wanted > Link.done) & Link.parked.is_(None)
    for state, condition in (("owed", owed), ("parked", Link.parked.is_not(None) & Link.ignored.is_(None))):
        found = dict(
            session.execute(
                select(Link.connection_id, func.count()).where(condition).group_by(Link.connection_id)
            ).all()
        )
        for connection_id, name in names.items():
            links.labels(name, state).set(found.get(connection_id, 0))
    states = Gauge(
        "hub_connection_state", "1 for the state a connection is in.", ["connection", "state"], registry=registry
    )
    for name, state in session.execute(select(Connection.name, Connection.state)):
        states.labels(name, state).set(1)
    runs = Gauge("hub_runs", "Runs by status.", ["status"], registry=registry)
    for status, number in session.execute(select(Run.status, func.count()).group_by(Run.status)):
        runs.labels(status).set(number)
    _count(
        registry, session, "hub_attempts_unanswered", "Sends without an answer.", Attempt, Attempt.answered_at.is_(None)
    )
    waiting = Notice.done_at.is_(None) & Notice.parked.is_(None)
    _count(registry, session, "hub_notices_waiting", "Notices that plugins are still to be told.", Notice, waiting)
    _count(registry, session, "hub_plugins_enabled", "Plugins that are enabled.", PluginState, PluginState.enabled)


def _count(registry: CollectorRegistry, session: Session, name: str, text: str, table: type, condition: object) -> None:
    number = session.scalar(select(func.count()).select_from(table).where(condition))  # type: ignore[arg-type]
    Gauge(name, text, registry=registry).set(number or 0)
