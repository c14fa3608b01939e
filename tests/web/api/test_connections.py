"""Connections, their runs and links through the API."""

from __future__ import annotations

import uuid
from contextlib import suppress

import pytest

from hub.core.errors import TemporaryFailure
from hub.sync.connections import open_connection
from tests.sync.fake_remote import REMOTES, Remote, plugin


@pytest.fixture
def hub(make_hub):
    return make_hub({"fake": plugin()})


@pytest.fixture
def account():
    name = f"account-{uuid.uuid4()}"
    REMOTES[name] = Remote()
    yield name
    del REMOTES[name]


def connection(account, **more):
    return {"connector": "fake", "name": "books", "settings": {"account": account, "token": "s3cret!"}} | more


def test_a_connection_is_set_up_tested_and_shown_without_its_secrets(api, account):
    status, shown = api.post("/connections", connection(account))
    assert (status, shown["state"], shown["account_id"]) == (201, "active", account)
    assert (shown["settings"], shown["secrets"]) == ({"account": account}, ["token"])
    assert {stream["kind"] for stream in shown["streams"]} >= {"invoices"}
    for path in ("/connections", f"/connections/{shown['id']}", "/audit"):
        api.get(path)
        assert "s3cret" not in api.last.text


def test_wrong_settings_are_named_and_leave_nothing_behind(api, account):
    status, problem = api.post("/connections", connection(account, settings={"token": "s3cret!"}))
    assert (status, problem["errors"][0]["pointer"]) == (422, "/settings/account")
    assert "s3cret" not in api.last.text
    assert api.get("/connections")[1]["data"] == []


def test_an_unknown_connector_is_said_with_those_there_are(api, account):
    status, problem = api.post("/connections", connection(account, connector="ledger"))
    assert status == 404
    assert "fake" in problem["detail"]


def test_a_repeated_set_up_makes_one_connection(api, account):
    first = api.post("/connections", connection(account), Idempotency_Key="k")
    assert api.post("/connections", connection(account), Idempotency_Key="k") == first
    assert len(api.get("/connections")[1]["data"]) == 1


def test_a_connection_is_changed_only_in_the_state_that_was_seen(api, account):
    path = f"/connections/{api.post('/connections', connection(account))[1]['id']}"
    seen = api.last.headers["ETag"]
    api.post(f"{path}/pause")
    assert api.patch(path, {"settings": {"token": "new"}}, If_Match=seen)[0] == 412
    assert api.patch(path, {"settings": {"token": "new"}}, If_Match=api.last.headers.get("ETag", '"x"'))[0] == 412
    api.get(path)
    assert api.patch(path, {"settings": {"token": "new"}}, If_Match=api.last.headers["ETag"])[0] == 200


def test_a_pause_ends_as_it_began(api, account):
    path = f"/connections/{api.post('/connections', connection(account, read_only=True))[1]['id']}"
    assert api.post(f"{path}/pause")[1]["state"] == "paused"
    assert api.post(f"{path}/sync", {})[0] == 409
    assert api.post(f"{path}/resume", {})[1]["state"] == "read_only"
    assert api.post(f"{path}/resume", {"read_only": False})[1]["state"] == "active"


def test_a_run_says_what_became_of_every_record(api, account, billable):
    connection_id = api.post("/connections", connection(account))[1]["id"]
    draft = api.post("/invoices", {})[1]["data"][0]
    api.post(f"/invoices/{draft['id']}/issue", {})

    status, run = api.post(f"/connections/{connection_id}/sync", {})

    assert (status, run["status"]) == (200, "success")
    assert run["counts"]["read"] == run["counts"]["created"] > 0
    assert api.get(f"/runs/{run['id']}")[1] == run
    items = api.get(f"/runs/{run['id']}/items?kind=invoices")[1]["data"]
    assert [(item["record_id"], item["outcome"]) for item in items] == [(draft["id"], "created")]
    links = api.get(f"/links?record_id={draft['id']}")[1]["data"]
    assert [(link["remote_id"] is not None, link["owed"], link["parked"]) for link in links] == [(True, False, None)]
    assert len(REMOTES[account].records["invoices"]) == 1


def test_a_link_that_is_retried_is_owed_again_and_one_that_is_ignored_says_why(api, account, billable):
    connection_id = api.post("/connections", connection(account))[1]["id"]
    draft = api.post("/invoices", {})[1]["data"][0]
    api.post(f"/invoices/{draft['id']}/issue", {})
    api.post(f"/connections/{connection_id}/sync", {})
    link = api.get(f"/links?record_id={draft['id']}")[1]["data"][0]

    assert api.post(f"/links/{link['id']}/retry")[1]["owed"] is True
    assert api.post("/links/retry", {"ids": [link["id"]]})[1] == {"retried": 1}
    assert api.post("/links/retry", {})[0] == 422
    assert api.post(f"/links/{link['id']}/ignore", {"reason": "sent by hand"})[1]["ignored"] == "sent by hand"


def test_why_and_until_when_a_connection_is_left_alone_is_shown(hub, api, account):
    shown = api.post("/connections", connection(account))[1]
    assert shown["tried_again_at"] is None
    breaker = open_connection(hub, uuid.UUID(shown["id"])).breaker
    for _ in range(5):
        with suppress(TemporaryFailure), breaker.call():
            raise TemporaryFailure("It cannot be reached.")

    seen = api.get(f"/connections/{shown['id']}")[1]
    run = api.post(f"/connections/{shown['id']}/sync", {})[1]

    assert (seen["failed_in_row"], seen["last_failure"]) == (5, "It cannot be reached.")
    assert seen["left_alone_since"] < seen["tried_again_at"]
    assert (run["status"], run["resumes_at"]) == ("deferred", seen["tried_again_at"])


def test_a_removed_connection_is_gone_and_its_account_free(api, account):
    path = f"/connections/{api.post('/connections', connection(account))[1]['id']}"
    assert api.delete(path) == (204, None)
    assert api.get(path)[0] == 404
    assert api.post("/connections", connection(account))[0] == 201


def test_plugins_are_listed_with_what_they_bring(api):
    data = api.get("/plugins")[1]["data"]
    assert [(one["name"], one["enabled"] or one["status"]) for one in data]
    assert data[0]["connectors"][0]["name"] == "fake"
    assert api.get("/plugins/nothing")[0] == 404
    assert api.post("/plugins/nothing/enable")[0] == 404
