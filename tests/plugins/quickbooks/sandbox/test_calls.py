"""Credentials, limits, repeats and formats: what surrounds every call."""

from __future__ import annotations

import pytest
import requests

from hub.testing.sandbox import from_json
from plugins.quickbooks.sandbox.tokens import FIRST_REFRESH_TOKEN
from tests.plugins.quickbooks.books import BASIC, codes, company


def gateway_code(answer):
    """The code of a refusal in the gateway's lower-case spelling."""
    return int(from_json(answer.content)["fault"]["error"][0]["code"])


def test_the_discovery_document_names_the_token_address(us):
    url = us.server.url
    document = requests.get(f"{url}/.well-known/openid_sandbox_configuration", timeout=5).json()
    assert document["token_endpoint"] == f"{url}/oauth2/v1/tokens/bearer"


def test_a_refresh_token_is_good_for_one_use(us):
    first = us.refresh(FIRST_REFRESH_TOKEN)  # the fixture has used it
    assert (first.status_code, first.json()["error"]) == (400, "invalid_grant")


def test_a_refresh_hands_out_the_next_refresh_token(open_books):
    caller = open_books()
    tokens = caller.server.sandbox.state["tokens"]["refresh"]
    (current,) = tokens
    answer = caller.refresh(current).json()
    assert answer["expires_in"] == 3600
    assert caller.refresh(answer["refresh_token"]).status_code == 200
    assert caller.refresh(current).status_code == 400


def test_each_new_connection_gets_a_refresh_token_of_its_own(us):
    given = us.server.settings["refresh_token"]
    assert given != us.server.settings["refresh_token"]
    assert us.refresh(given).status_code == 200


@pytest.mark.parametrize(("text", "value"), [("yes", True), ("false", False)])
def test_options_of_a_command_line_are_texts(text, value):
    sandbox = company(country="gb", multicurrency=text, calls_per_minute="7", currency=None)
    assert (sandbox.state["multicurrency"], sandbox.options["calls_per_minute"]) == (value, 7)
    assert (sandbox.state["country"], sandbox.state["currency"]) == ("GB", "GBP")


@pytest.mark.parametrize("options", [{"multicurrency": "perhaps"}, {"calls_per_minute": "many"}, {"colour": "blue"}])
def test_a_wrong_option_is_refused(options):
    with pytest.raises((TypeError, ValueError)):
        company(**options)


def test_a_wrong_secret_is_an_invalid_client(us):
    answer = us.refresh("any", authorization=BASIC[:-4] + "AAA=")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_a_code_from_the_consent_page_gives_tokens(us):
    query = {"state": "s", "redirect_uri": "https://hub.example/back"}
    url = f"{us.server.url}/connect/oauth2"
    location = requests.get(url, params=query, allow_redirects=False, timeout=5).headers["Location"]
    assert location.startswith("https://hub.example/back?code=sandbox-code-2&state=s&realmId=")
    form = {"grant_type": "authorization_code", "code": "sandbox-code-2", "redirect_uri": query["redirect_uri"]}
    token_url = f"{us.server.url}/oauth2/v1/tokens/bearer"
    answers = [requests.post(token_url, data=form, headers={"Authorization": BASIC}, timeout=5) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 400]  # a code is used once


def test_an_access_token_lives_an_hour(us):
    assert us.call("GET", "preferences").status_code == 200
    us.act("clock", advance_s=3601)
    answer = us.call("GET", "preferences")
    assert (answer.status_code, gateway_code(answer)) == (401, 3200)


def test_a_disconnected_app_has_no_tokens(us):
    us.act("disconnect")
    assert us.call("GET", "preferences").status_code == 401


def test_a_token_is_for_one_company(us):
    us.root = us.root[:-1] + "7"
    answer = us.call("GET", "preferences")
    assert (answer.status_code, gateway_code(answer)) == (403, 3100)


@pytest.mark.parametrize("limit", ["calls_per_minute", "calls_per_second"])
def test_too_many_calls_are_throttled_until_the_window_has_moved(open_books, limit):
    caller = open_books(**{limit: 2})
    answers = [caller.call("GET", "preferences") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert gateway_code(answers[-1]) == 3001
    caller.act("clock", advance_s=61)
    assert caller.call("GET", "preferences").status_code == 200


def test_batches_have_a_limit_of_their_own(open_books):
    caller = open_books(batches_per_minute=1)
    body = {"BatchItemRequest": [{"bId": "1", "Query": "SELECT * FROM Item"}]}
    assert [caller.call("POST", "batch", body).status_code for _ in range(2)] == [200, 429]
    assert caller.call("GET", "preferences").status_code == 200


def test_without_a_json_accept_header_the_answer_is_xml(us):
    answer = us.call("GET", "preferences", headers={"Accept": "*/*"})
    assert answer.headers["Content-Type"].startswith("application/xml")


def test_every_answer_has_an_intuit_tid(us):
    assert us.call("GET", "preferences").headers["intuit_tid"]


def test_a_repeated_requestid_gives_the_first_answer_and_changes_nothing(us):
    first = us.post("customer", {"DisplayName": "Acme"}, requestid="r1")
    again = us.post("customer", {"DisplayName": "Other"}, requestid="r1")
    assert again["Customer"] == first["Customer"]
    assert len(us.server.sandbox.effects("create", "Customer")) == 1


def test_a_repeated_batch_gives_the_first_answers(us):
    body = {
        "BatchItemRequest": [
            {"bId": str(n), "operation": "create", "Customer": {"DisplayName": f"C{n}"}} for n in (1, 2)
        ]
    }
    first, again = (us.post("batch", body, requestid="b1")["BatchItemResponse"] for _ in range(2))
    assert first == again
    assert [effect.key for effect in us.server.sandbox.effects("create", "Customer")] == ["b11", "b12"]


def test_requestid_and_bid_together_have_at_most_50_characters(us):
    item = {"operation": "create", "Customer": {"DisplayName": "Acme"}}
    for request_id, bid, refused in [("x" * 36, "1" * 10, False), ("y" * 37, "1", True), ("z", "1" * 11, True)]:
        body = {"BatchItemRequest": [{**item, "bId": bid, "Customer": {"DisplayName": request_id}}]}
        (answer,) = us.post("batch", body, requestid=request_id)["BatchItemResponse"]
        assert ("Fault" in answer) is refused
    assert codes(us.post("customer", {"DisplayName": "Long"}, requestid="x" * 51)) == [6000]


def test_a_batch_answers_by_bid_and_not_by_position(us):
    customers = [{"DisplayName": "A"}, {"DisplayName": "A"}, {"DisplayName": "B"}]
    items = [{"bId": str(n), "operation": "create", "Customer": body} for n, body in enumerate(customers)]
    answers = us.post("batch", {"BatchItemRequest": items})["BatchItemResponse"]
    assert [answer["bId"] for answer in answers] == ["2", "1", "0"]
    assert {answer["bId"]: codes(answer) for answer in answers} == {"0": [], "1": [6240], "2": []}


def test_a_batch_has_at_most_thirty_items(us):
    items = [{"bId": str(n), "Query": "SELECT * FROM Item"} for n in range(31)]
    assert codes(us.post("batch", {"BatchItemRequest": items})) == [6000]


CREATE = {"operation": "create", "Customer": {"DisplayName": "Acme"}}


@pytest.mark.parametrize(
    ("items", "code"),
    [
        (["1"], 2010),
        ([{**CREATE, "bId": 1}], 2020),
        ([{**CREATE, "bId": "1"}, {**CREATE, "bId": "1"}], 6000),
    ],
)
def test_a_batch_whose_items_cannot_be_told_apart_is_refused(us, items, code):
    assert codes(us.post("batch", {"BatchItemRequest": items})) == [code]


def test_an_item_of_a_batch_says_what_to_do(us):
    body = {"BatchItemRequest": [{"bId": "1", "Customer": {"DisplayName": "Acme"}}]}
    assert codes(us.post("batch", body)["BatchItemResponse"][0]) == [2020]


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"SalesTermRef": {"value": "999"}}, 2500),
        ({"PaymentMethodRef": {"value": "999"}}, 2500),
        ({"ParentRef": {"value": "999"}}, 2500),
        ({"ParentRef": "999"}, 2010),
        ({"PrimaryPhone": {"Number": "1"}}, 2010),
    ],
)
def test_a_customer_refers_to_what_there_is(us, values, code):
    assert codes(us.post("customer", {"DisplayName": "Acme", **values})) == [code]


@pytest.mark.parametrize(
    ("data", "content_type", "code"),
    [
        (b'{"DisplayName": "\xff"}', "application/json", 500),
        (b"{", "application/json", 2010),
        (b"[]", "application/json", 2010),
        (b"{}", "text/plain", 500),
    ],
)
def test_malformed_bodies(us, data, content_type, code):
    answer = us.call("POST", "customer", headers={"Content-Type": content_type}, data=data)
    assert (answer.status_code, codes(from_json(answer.content))) == (400, [code])


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "teapot/1"), ("POST", "Invoice"), ("DELETE", "invoice"), ("GET", "x/y/z")]
)
def test_unknown_operations(us, method, path):
    assert codes(from_json(us.call(method, path, {}).content)) == [500]
