"""Who may do what: every route of the API for every role."""

from __future__ import annotations

import uuid

import pytest

from hub.access.permissions import CORE_PERMISSIONS, Role
from hub.core.errors import SetupError
from hub.web.api import NOUNS
from hub.web.api.rest import ApiBlueprint
from hub.web.app import create_app
from hub.web.guard import Guard, check_guards, guard_of, guarded

NOTHING = str(uuid.UUID(int=7))
HOLDERS = {permission.name: permission.roles for permission in CORE_PERMISSIONS}


def routes(app):
    for rule in app.url_map.iter_rules():
        guard = guard_of(app, rule.endpoint)
        if guard is not None and guard.by_key and guard.permission:
            for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
                yield method, rule, guard


def address(rule):
    values = dict.fromkeys(rule.arguments, NOTHING if "uuid" in rule.rule else "nothing")
    return rule.build(values)[1].removeprefix("/api/v1")


@pytest.mark.parametrize("role", [str(role) for role in Role])
def test_each_role_reaches_the_routes_whose_permission_it_holds_and_no_other(app, api_as, role):
    api = api_as(role)
    for method, rule, guard in routes(app):
        status, _ = api(method, address(rule), {} if method != "GET" else None)
        allowed = role in HOLDERS[guard.permission]
        assert (status != 403) == allowed, f"{role}: {method} {rule.rule} gave {status}"
        assert status < 500, f"{method} {rule.rule} gave {status}"


def test_without_a_key_nothing_opens(app, users, api_as):
    nobody = api_as("nobody")
    for method, rule, _ in routes(app):
        assert nobody(method, address(rule))[0] == 401, rule.rule


@pytest.mark.parametrize("given", ["Bearer nonsense", "Bearer psah_live_" + "a" * 46, "Basic YTpi", "Bearer", ""])
def test_what_is_no_good_key_is_not_let_in(app, users, given):
    response = app.test_client().get("/api/v1/clients", headers={"Authorization": given})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_consultant_sees_and_changes_their_own_time_only(api, api_as, billable, hub, users):
    consultant = api_as("consultant")
    others = billable["entry"]
    mine = {"task_id": billable["task"], "worked_on": "2026-11-02", "seconds": 3600}
    status, entry = consultant.post("/time-entries", mine)
    assert status == 201

    assert [one["id"] for one in consultant.get("/time-entries")[1]["data"]] == [entry["id"]]
    assert consultant.get(f"/time-entries/{others}")[0] == 404
    assert consultant.patch(f"/time-entries/{others}", {"note": "x"})[0] == 404
    assert consultant.delete(f"/time-entries/{others}")[0] == 404
    assert consultant.post("/time-entries/submit", {"ids": [others]})[0] == 404
    assert consultant.post("/time-entries", {**mine, "person_id": billable["person"]})[0] == 422
    assert consultant.patch(f"/time-entries/{entry['id']}", {"note": "x"})[0] == 200
    assert {one["id"] for one in api.get("/time-entries")[1]["data"]} == {entry["id"], others}


def test_nobody_approves_their_own_time(api_as, billable):
    manager = api_as("manager")
    mine = {"task_id": billable["task"], "worked_on": "2026-11-02", "seconds": 3600}
    entry = manager.post("/time-entries", mine)[1]
    manager.post(f"/time-entries/{entry['id']}/submit")
    status, problem = manager.post(f"/time-entries/{entry['id']}/approve")
    assert (status, problem["code"]) == (409, "own-approval")


def test_keys_of_others_are_not_there_for_who_handles_their_own_only(api, api_as):
    partner = api_as("partner")
    assert {key["name"] for key in partner.get("/keys")[1]["data"]} == {"partner"}
    others = next(key["id"] for key in api.get("/keys")[1]["data"] if key["name"] == "finance")
    assert partner.get(f"/keys/{others}")[0] == 404
    assert partner.delete(f"/keys/{others}")[0] == 404


def test_a_key_that_is_limited_cannot_make_one_that_may_do_more(app, api):
    limited = api.post("/keys", {"name": "Limited", "scopes": ["keys.own", "clients.read"]})[1]["secret"]
    small = type(api)(app, limited)
    assert small.get("/users")[0] == 403
    assert small.post("/keys", {"name": "More", "scopes": ["users.read"]})[0] == 422
    assert small.post("/keys", {"name": "Same"})[1]["scopes"] == ["clients.read", "keys.own"]


def test_a_route_without_a_word_on_who_may_use_it_keeps_the_application_from_starting(hub, own_app):
    own_app.add_url_rule("/open", view_func=lambda: "open", endpoint="open")
    with pytest.raises(SetupError, match="/open"):
        check_guards(own_app, hub.plugins.hooks)


def test_a_permission_that_nobody_defined_keeps_the_application_from_starting(hub, own_app):
    own_app.add_url_rule("/typo", view_func=guarded(lambda: "", Guard("client.reed")), endpoint="typo")
    with pytest.raises(SetupError, match="/typo"):
        check_guards(own_app, hub.plugins.hooks)


@pytest.mark.parametrize("options", [{}, {"permission": "clients.read", "public": True}])
def test_a_route_names_one_permission_or_is_public(options):
    with pytest.raises(TypeError):
        ApiBlueprint("x", "", prefix="/x").get("", **options)


def test_every_noun_of_the_public_surface_is_there(hub):
    served = {rule.rule.split("/")[3] for rule in create_app(hub).url_map.iter_rules() if rule.rule.startswith("/api/")}
    assert {noun.replace("_", "-") for noun in NOUNS} <= served


def test_what_a_project_may_cost_is_for_those_who_see_rates(api, api_as, billable):
    project = api.get("/projects")[1]["data"][0]
    api("PATCH", f"/projects/{project['id']}", {"budget": "50000.00"})
    seen = {role: api_as(role).get("/projects")[1]["data"][0]["budget"] for role in ("finance", "consultant")}
    assert seen == {"finance": "50000.00", "consultant": None}
