"""Plans through the API: asked for, made by the workers, looked at in pages, applied."""

from __future__ import annotations

import uuid

import pytest

from hub.jobs.worker import run_worker
from tests.sync.fake_remote import REMOTES, Remote, plugin


@pytest.fixture
def hub(make_hub):
    return make_hub({"fake": plugin()})


@pytest.fixture
def remote():
    account = f"account-{uuid.uuid4()}"
    REMOTES[account] = Remote()
    REMOTES[account].account = account
    yield REMOTES[account]
    del REMOTES[account]


@pytest.fixture
def connection_id(api, remote, billable):
    """A connection that only reads, to books without the one invoice there is."""
    given = {"connector": "fake", "name": "books", "settings": {"account": remote.account}, "read_only": True}
    connection_id = api.post("/connections", given)[1]["id"]
    draft = api.post("/invoices", {})[1]["data"][0]
    api.post(f"/invoices/{draft['id']}/issue", {})
    return connection_id


@pytest.fixture
def plan(api, hub, connection_id):
    """A plan, worked out."""
    plan_id = api.post("/plans", {"connection_id": connection_id})[1]["id"]
    run_worker(hub, burst=True)
    return api.get(f"/plans/{plan_id}")[1]


def test_a_plan_is_made_by_the_workers(api, hub, connection_id):
    status, asked = api.post("/plans", {"connection_id": connection_id})
    assert (status, asked["state"], asked["counts"]) == (201, "making", {})
    assert api.last.headers["Location"] == f"/api/v1/plans/{asked['id']}"

    run_worker(hub, burst=True)

    made = api.get(f"/plans/{asked['id']}")[1]
    assert (made["state"], made["counts"]["push"]["invoices"]) == ("ready", {"create": 1})
    assert list(made["totals"].values()) != []
    assert [each["id"] for each in api.get(f"/plans?connection_id={connection_id}")[1]["data"]] == [asked["id"]]


def test_the_changes_of_a_plan_come_in_pages_and_by_action(api, plan):
    status, page = api.get(f"/plans/{plan['id']}/items?limit=1")
    assert (status, len(page["data"]), page["next_cursor"] is not None) == (200, 1, True)

    invoices = api.get(f"/plans/{plan['id']}/items?kind=invoices&action=create")[1]["data"]

    assert [(each["direction"], each["status"]) for each in invoices] == [("push", "planned")]
    assert invoices[0]["differences"]["number"]["remote"] is None


def test_a_plan_is_applied_by_the_workers_and_lets_the_connection_write_only_if_asked(api, hub, remote, plan):
    status, problem = api.post(f"/plans/{plan['id']}/apply", {})
    assert (status, problem["code"]) == (409, "connection-not-ready")

    status, applying = api.post(f"/plans/{plan['id']}/apply", {"go_live": True})
    assert (status, applying["state"], remote.ledger) == (202, "applying", [])
    run_worker(hub, burst=True)

    done = api.get(f"/plans/{plan['id']}")[1]
    assert (done["state"], remote.created("invoices")) == ("ready", 1)
    assert api.get(f"/runs/{done['run_id']}")[1]["status"] == "success"
    assert {each["status"] for each in api.get(f"/plans/{plan['id']}/items")[1]["data"]} == {"created"}


def test_a_part_of_a_plan_is_applied(api, hub, remote, plan):
    services = api.get(f"/plans/{plan['id']}/items?kind=services")[1]["data"]

    api.post(f"/plans/{plan['id']}/apply", {"only": [services[0]["id"]], "go_live": True})
    run_worker(hub, burst=True)

    assert [kind for _, kind, _ in remote.ledger] == ["services"]


def test_what_is_not_in_the_plan_is_refused_by_name(api, plan):
    status, problem = api.post(f"/plans/{plan['id']}/apply", {"only": ["INV-7"], "go_live": True})

    assert (status, "INV-7" in problem["detail"]) == (404, True)


def test_going_live_is_for_who_may_set_connections_up(api_as, remote, plan):
    finance = api_as("finance")

    assert finance.post(f"/plans/{plan['id']}/apply", {"go_live": True})[0] == 403
    assert remote.ledger == []


def test_the_guards_of_a_connection_are_set_and_shown(api, connection_id):
    shown = api.get(f"/connections/{connection_id}")[1]
    assert (shown["guard_updates"], shown["guard_deletes"]) == (30, 2)

    assert api.patch(f"/connections/{connection_id}", {"guard_updates": 50})[1]["guard_updates"] == 50
    assert api.patch(f"/connections/{connection_id}", {"guard_deletes": 101})[0] == 422
