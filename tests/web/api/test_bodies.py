"""What comes in is refused as a whole, with every fault named, or taken as it is meant."""

from __future__ import annotations

import pytest


def send(api, raw, content_type="application/json", path="/clients"):
    headers = {"Authorization": f"Bearer {api.key}"}
    return api.client.post(f"/api/v1{path}", data=raw, content_type=content_type, headers=headers)


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"{", 400, "malformed"),
        (b'{"name": NaN}', 400, "malformed"),
        (b"\xff", 400, "malformed"),
        (b"[" * 100_000, 400, "malformed"),
        (b"[]", 422, "validation"),
        (b"null", 422, "validation"),
        (b"", 422, "validation"),
        (b'{"name": "a\\u0000b"}', 422, "validation"),
        (b'{"name": "\\ud800"}', 422, "validation"),
    ],
)
def test_a_body_that_is_no_object_of_storable_values_is_refused(api, raw, status, code):
    response = send(api, raw)
    assert (response.status_code, response.json["code"]) == (status, code)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", None])
def test_what_is_not_json_is_refused_by_its_type(api, content_type):
    response = send(api, b'{"name": "Acme"}', content_type)
    assert (response.status_code, response.json["code"]) == (415, "unsupported-media-type")


def test_a_body_that_is_too_large_is_refused(api):
    response = send(api, b'{"name": "' + b"x" * 17_000_000 + b'"}')
    assert (response.status_code, response.json["code"]) == (413, "payload-too-large")


def test_every_fault_is_named_with_its_place(api):
    body = {"colour": "red", "address": {"planet": "Mars"}, "tax_exempt": "maybe"}
    _, problem = api.post("/clients", body)
    found = {(error["pointer"], error["code"]) for error in problem["errors"]}
    assert found == {
        ("/name", "required"),
        ("/colour", "unknown-field"),
        ("/address/planet", "unknown-field"),
        ("/tax_exempt", "invalid"),
    }


def test_what_a_service_refuses_points_to_the_field_too(api):
    _, problem = api.post("/clients", {"name": "Acme", "address": {"country": "XX"}})
    assert (problem["status"], problem["errors"][0]["pointer"]) == (422, "/country")


@pytest.mark.parametrize(
    ("amount", "accepted"),
    [
        ("1250.00", True),
        ("0.0001", True),
        ("1e2", True),
        (1250, False),
        (12.5, False),
        ("NaN", False),
        ("Infinity", False),
        ("ten", False),
        ("0.00001", False),  # more decimals than can be kept
        ("1000000000000", False),
        ("1e999999", False),
    ],
)
def test_money_comes_in_as_a_decimal_string(api, billable, amount, accepted):
    body = {"client_id": billable["client"], "name": "P", "budget": amount}
    status, answer = api.post("/projects", body)
    assert status == (201 if accepted else 422), answer
    if not accepted:
        assert answer["errors"][0]["pointer"] == "/budget"


@pytest.mark.parametrize(("currency", "shown"), [("GBP", "100.00"), ("JPY", "100"), ("KWD", "100.000")])
def test_money_goes_out_with_the_decimals_of_its_currency(api, billable, currency, shown):
    body = {"client_id": billable["client"], "name": "P", "budget": "100", "currency": currency}
    assert api.post("/projects", body)[1]["budget"] == shown


def test_a_patch_changes_what_is_sent_and_null_empties(api, billable):
    path = f"/projects/{billable['project']}"
    api.patch(path, {"budget": "10", "code": "R1"})
    answer = api.client.patch(
        f"/api/v1{path}",
        data='{"budget": null}',
        content_type="application/merge-patch+json",
        headers={"Authorization": f"Bearer {api.key}"},
    )
    assert (answer.json["budget"], answer.json["code"], answer.json["name"]) == (None, "R1", "Roll-out")
