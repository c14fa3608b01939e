"""The partner API over HTTP, against real databases."""

from datetime import timedelta

import pytest

DEALS, REVIEW = "/deal-registrations", "/review"


def refusal(response):
    return response.status_code, response.json["code"]


def test_a_deal_from_draft_to_won(caller, story, today):
    north, firm = caller("Northwind"), caller(role="manager")
    made = north.create()
    assert (made.status_code, made.headers["ETag"], made.json["number"]) == (201, '"1"', "D-00001")
    assert made.headers["Location"] == f"/api/v1/partner/deal-registrations/{made.json['id']}"
    address = f"{DEALS}/{made.json['id']}"

    submitted = north.send("POST", f"{address}/submit", match=1)
    assert (submitted.status_code, submitted.json["state"]) == (200, "submitted")
    assert submitted.json["allowed_actions"] == ["withdraw"]

    review = f"{REVIEW}/{made.json['id']}"
    seen = firm.send("GET", review)
    assert (seen.json["partner_name"], seen.json["allowed_actions"]) == ("Northwind", ["approve", "reject"])
    approved = firm.send("POST", f"{review}/approve", match=seen.json["revision"])
    assert (approved.status_code, approved.json["state"]) == (200, "approved")
    assert approved.json["protected_until"] == str(today + timedelta(days=90))

    won = north.send("POST", f"{address}/close-won", match=approved.json["revision"])
    assert (won.status_code, won.json["state"], won.json["allowed_actions"]) == (200, "won", [])


def test_money_is_a_string_both_ways(caller):
    north = caller("Northwind")
    assert north.create(amount="25000.5").json["amount"] == "25000.50"
    wrong = north.create(amount=25000.5)
    assert refusal(wrong) == (422, "validation")
    assert wrong.json["errors"][0]["pointer"] == "/amount"


def test_an_incomplete_deal_names_every_field_by_its_pointer(caller):
    north = caller("Northwind")
    made = north.create(contact_email=None, products=[], customer_postcode="").json
    refused = north.send("POST", f"{DEALS}/{made['id']}/submit", match=made["revision"])
    assert refusal(refused) == (422, "validation")
    assert {error["pointer"] for error in refused.json["errors"]} == {
        "/contact_email",
        "/products",
        "/customer_postcode",
    }
    assert refused.content_type == "application/problem+json"


def test_an_unknown_field_is_refused_by_name(caller):
    refused = caller("Northwind").create(colour="red")
    assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (422, "/colour")


def test_an_illegal_action_lists_the_legal_ones(caller):
    north = caller("Northwind")
    made = north.create().json
    refused = north.send("POST", f"{DEALS}/{made['id']}/withdraw", match=made["revision"])
    assert refusal(refused) == (409, "invalid-transition")
    assert refused.json["type"].endswith("/invalid-transition")
    assert refused.json["detail"].endswith("Possible now: submit, delete.")


def test_a_patch_changes_what_is_given_and_null_empties(caller):
    north = caller("Northwind")
    made = north.create(contact_phone="+49 30 901820").json
    changed = north.send("PATCH", f"{DEALS}/{made['id']}", {"title": "Other", "contact_phone": None}, match=1)
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"2"')
    assert (changed.json["title"], changed.json["contact_phone"]) == ("Other", "")
    assert changed.json["customer_name"] == made["customer_name"]


def test_a_frozen_field_is_refused_by_name(caller):
    north, firm = caller("Northwind"), caller(role="manager")
    deal = north.submitted()
    deal = firm.send("POST", f"{REVIEW}/{deal['id']}/approve", match=deal["revision"]).json
    refused = north.send("PATCH", f"{DEALS}/{deal['id']}", {"customer_country": "AT"}, match=deal["revision"])
    assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (422, "/customer_country")


def test_a_draft_is_deleted(caller):
    north = caller("Northwind")
    made = north.create().json
    assert north.send("DELETE", f"{DEALS}/{made['id']}", match=1).status_code == 204
    assert north.send("GET", f"{DEALS}/{made['id']}").status_code == 404


def test_a_rejection_is_read_by_the_partner(caller):
    north, firm = caller("Northwind"), caller(role="manager")
    deal = north.submitted()
    body = {"reason": "outside_territory", "text": "Your territory is the north."}
    assert firm.send("POST", f"{REVIEW}/{deal['id']}/reject", body, match=deal["revision"]).status_code == 200
    seen = north.send("GET", f"{DEALS}/{deal['id']}").json
    assert (seen["state"], seen["rejection_reason"]) == ("rejected", "outside_territory")
    assert seen["next_step"] == "The customer is outside your territory. Your territory is the north."


def test_a_rejection_for_another_reason_needs_a_text(caller):
    north, firm = caller("Northwind"), caller(role="manager")
    deal = north.submitted()
    refused = firm.send("POST", f"{REVIEW}/{deal['id']}/reject", {"reason": "other"}, match=deal["revision"])
    assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (422, "/text")


def test_a_lost_deal_needs_a_reason(caller):
    north, firm = caller("Northwind"), caller(role="manager")
    deal = north.submitted()
    deal = firm.send("POST", f"{REVIEW}/{deal['id']}/approve", match=deal["revision"]).json
    address = f"{DEALS}/{deal['id']}/close-lost"
    assert north.send("POST", address, {}, match=deal["revision"]).status_code == 422
    assert north.send("POST", address, {"reason": "price"}, match=deal["revision"]).json["state"] == "lost"


def test_the_second_of_two_partners_is_refused_and_learns_no_name(caller):
    north, south, firm = caller("Northwind"), caller("Southsea"), caller(role="manager")
    first, second = north.submitted(), south.submitted()
    assert firm.send("POST", f"{REVIEW}/{first['id']}/approve", match=first["revision"]).status_code == 200
    refused = firm.send("POST", f"{REVIEW}/{second['id']}/approve", match=second["revision"])
    assert refusal(refused) == (409, "conflict-registered")
    seen = south.send("GET", f"{DEALS}/{second['id']}")
    assert [conflict["code"] for conflict in seen.json["conflicts"]] == ["conflict.registered"]
    assert "Northwind" not in seen.text
    assert first["id"] not in seen.text


# What partners and the firm can reach ---------------------------------------------------------------------------------

OWN_ROUTES = [
    ("GET", "", None),
    ("PATCH", "", {"title": "Mine now"}),
    ("DELETE", "", None),
    ("POST", "/submit", None),
    ("POST", "/withdraw", None),
    ("POST", "/close-won", None),
    ("POST", "/close-lost", {"reason": "price"}),
]


def test_every_route_of_one_deal_is_among_the_cases(app):
    rules = {
        (method, rule.rule.partition(">")[2])
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/partner/deal-registrations/<")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert rules == {(method, end) for method, end, _ in OWN_ROUTES}


@pytest.mark.parametrize(("method", "end", "body"), OWN_ROUTES)
def test_another_partners_deal_does_not_exist(caller, method, end, body):
    north, south = caller("Northwind"), caller("Southsea")
    deal = north.create().json
    refused = south.send(method, f"{DEALS}/{deal['id']}{end}", body, match=1)
    unknown = south.send(method, f"{DEALS}/{north.user_id}{end}", body, match=1)
    assert refusal(refused) == refusal(unknown) == (404, "not-found")
    assert north.send("GET", f"{DEALS}/{deal['id']}").json["revision"] == 1


def test_a_list_holds_ones_own_deals_only(caller):
    north, south = caller("Northwind"), caller("Southsea")
    mine = [north.create(external_id=f"X-{n}").json["id"] for n in range(3)]
    south.create(external_id="X-1")
    page = north.send("GET", f"{DEALS}?limit=2").json
    rest = north.send("GET", f"{DEALS}?limit=2&cursor={page['next_cursor']}").json
    assert [deal["id"] for deal in page["data"] + rest["data"]] == mine[::-1]
    assert rest["next_cursor"] is None
    found = north.send("GET", f"{DEALS}?external_id=X-1").json["data"]
    assert [deal["id"] for deal in found] == [mine[1]]


def test_a_partner_reaches_nothing_of_the_review(caller):
    north = caller("Northwind")
    deal = north.submitted()
    assert refusal(north.send("GET", REVIEW)) == (403, "scope-missing")
    assert refusal(north.send("GET", f"{REVIEW}/{deal['id']}")) == (403, "scope-missing")
    approval = north.send("POST", f"{REVIEW}/{deal['id']}/approve", match=deal["revision"])
    assert refusal(approval) == (403, "scope-missing")


@pytest.mark.parametrize("role", ["finance", "consultant"])
def test_only_managers_and_admins_decide(caller, role):
    assert refusal(caller(role=role).send("GET", REVIEW)) == (403, "scope-missing")


def test_drafts_are_the_partners_own_business(caller):
    draft, firm = caller("Northwind").create().json, caller(role="admin")
    assert firm.send("GET", REVIEW).json["data"] == []
    assert firm.send("GET", f"{REVIEW}/{draft['id']}").status_code == 404


def test_a_user_of_no_partner_is_told_what_is_missing(caller):
    refused = caller(None).send("GET", DEALS)
    assert refusal(refused) == (403, "scope-missing")
    assert "belongs to no partner yet" in refused.json["detail"]


# Idempotency-Key and If-Match -----------------------------------------------------------------------------------------


def test_a_repeated_create_makes_one_deal(caller):
    north = caller("Northwind")
    said = {"title": "Once"}
    answers = [north.send("POST", DEALS, said, key="a-key-of-mine") for _ in range(3)]
    assert {answer.json["id"] for answer in answers} == {answers[0].json["id"]}
    assert len(north.send("GET", DEALS).json["data"]) == 1
    other = north.send("POST", DEALS, {"title": "Twice"}, key="a-key-of-mine")
    assert refusal(other) == (422, "idempotency-mismatch")


def test_the_key_is_demanded(caller):
    assert refusal(caller("Northwind").send("POST", DEALS, {}, key="")) == (400, "idempotency-key-missing")


@pytest.mark.parametrize(("method", "end", "body"), [case for case in OWN_ROUTES if case[0] != "GET"])
def test_the_revision_is_demanded_and_compared(caller, method, end, body):
    north = caller("Northwind")
    deal = north.create().json
    address = f"{DEALS}/{deal['id']}{end}"
    assert refusal(north.send(method, address, body)) == (428, "precondition-required")
    assert refusal(north.send(method, address, body, match=7)) == (412, "precondition-failed")


# Pre-check and product families ---------------------------------------------------------------------------------------

ASKED = {
    "customer_name": "ACME",
    "customer_country": "de",
    "customer_website": "https://www.acme.de",
    "products": ["erp"],
}


def test_a_precheck_answers_one_word(caller):
    north, south = caller("Northwind"), caller("Southsea")
    deal = north.submitted()
    assert south.send("POST", f"{DEALS}/precheck", ASKED).json == {"answer": "taken", "own_deal_ids": []}
    assert north.send("POST", f"{DEALS}/precheck", ASKED).json == {"answer": "clear", "own_deal_ids": [deal["id"]]}


def test_prechecks_are_rationed(caller, monkeypatch):
    monkeypatch.setattr("plugins.partner_portal.detection.PRECHECKS_PER_HOUR", 2)
    north = caller("Northwind")
    answers = [north.send("POST", f"{DEALS}/precheck", ASKED) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].json["code"] == "quota-exceeded"
    assert 1800 < int(answers[2].headers["Retry-After"]) <= 3600


def test_product_families_are_listed(caller):
    shown = caller("Northwind").send("GET", "/product-families").json["data"]
    assert shown == [{"code": "erp", "name": "ERP"}, {"code": "crm", "name": "CRM"}]


def test_the_openapi_document_names_every_operation(app):
    paths = app.test_client().get("/api/v1/openapi.json").json["paths"]
    own = {path: set(item) for path, item in paths.items() if path.startswith("/api/v1/partner/")}
    assert own["/api/v1/partner/deal-registrations"] >= {"get", "post"}
    assert own["/api/v1/partner/deal-registrations/{deal_id}"] >= {"get", "patch", "delete"}
    assert "/api/v1/partner/review/{deal_id}/approve" in own
