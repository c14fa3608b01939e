"""Alive, ready, and in figures."""

from __future__ import annotations

import dataclasses

import pytest
from sqlalchemy import create_engine

from hub.bootstrap import build_hub
from hub.web.app import create_app


def test_a_hub_with_database_and_queue_is_ready(app):
    client = app.test_client()
    assert client.get("/healthz").json == {"status": "ok"}
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["status"]) == (200, "ready")


def test_without_the_queue_it_is_degraded_and_goes_on(settings, hub):
    lame = build_hub(dataclasses.replace(settings, redis_url="redis://127.0.0.1:1/0"), plugins={})
    answer = create_app(lame).test_client().get("/readyz")
    assert (answer.status_code, answer.json) == (
        200,
        {"status": "degraded", "checks": {"database": True, "queue": False}},
    )
    lame.close()


def test_without_the_database_it_is_not_ready_but_alive(app, hub, tmp_path):
    hub.database.engine.dispose()
    hub.database.engine = create_engine(f"sqlite:///{tmp_path}/nowhere/hub.db")
    client = app.test_client()
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200
    hub.database.engine.dispose()


@pytest.mark.parametrize(
    ("address", "role", "headers", "status"),
    [
        ("127.0.0.1", None, {}, 200),
        ("::1", None, {}, 200),
        ("127.0.0.1", None, {"X-Forwarded-For": "203.0.113.9"}, 403),  # through a proxy: not this machine
        ("203.0.113.9", None, {}, 403),
        ("203.0.113.9", "admin", {}, 200),
        ("203.0.113.9", "finance", {}, 403),
    ],
)
def test_figures_are_for_this_machine_or_whoever_holds_the_permission(app, keys, address, role, headers, status):
    given = dict(headers) | ({"Authorization": f"Bearer {keys[role]}"} if role else {})
    answer = app.test_client().get("/metrics", headers=given, environ_base={"REMOTE_ADDR": address})
    assert answer.status_code == status
    assert ("hub_queue_up 1.0" in answer.text) == (status == 200)
