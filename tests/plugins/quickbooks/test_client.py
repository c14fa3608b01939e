"""What the vendor's refusals mean, in every spelling they come in."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import responses

from hub.http import HttpClient
from hub.sdk import Busy, ConfigurationFailure, ConnectionContext, OutcomeUnknown, PermanentFailure, TemporaryFailure
from plugins.quickbooks.client import QuickBooksClient, quoted
from plugins.quickbooks.faults import Fault, fault_in, refusal_of
from plugins.quickbooks.settings import QuickBooksSettings
from tests.plugins.quickbooks.connection import SILENT, OneTokenStore

BASE = "http://127.0.0.1:9"
COMPANY = f"{BASE}/v3/company/123"
TOKEN = f"{BASE}/token"


@pytest.fixture
def vendor():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.get(f"{BASE}/discovery", json={"token_endpoint": TOKEN})
        mock.post(TOKEN, json={"access_token": "a", "refresh_token": "r2", "expires_in": 3600})
        yield mock


@pytest.fixture
def client():
    given = {"client_id": "id", "client_secret": "secret", "realm_id": "123", "refresh_token": "r1"}
    settings = QuickBooksSettings().load({**given, "base_url": BASE, "discovery_url": f"{BASE}/discovery"})
    return QuickBooksClient(ConnectionContext("books", settings, {}, HttpClient(), OneTokenStore("r1"), SILENT))


def fault(code, **more):
    return {"Fault": {"Error": [{"Message": "m", "Detail": "d", "code": code, **more}], "type": "ValidationFault"}}


def gateway(code):
    return {"warnings": None, "fault": {"error": [{"message": "m", "detail": "d", "code": code}], "type": "X"}}


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (fault("6240"), 6240),
        (fault("003001"), 3001),
        (gateway("3200"), 3200),
        (fault(""), 0),
        ({"Fault": {}}, 0),
        ({"Invoice": {}}, None),
        ("text", None),
        (None, None),
    ],
)
def test_a_fault_is_found_in_both_spellings(answer, code):
    found = fault_in(answer)
    assert (found.code if found else None) == code


@pytest.mark.parametrize(
    ("status", "body", "read", "write"),
    [
        (429, gateway("003001"), Busy, Busy),
        (429, "<xml/>", Busy, Busy),
        (400, fault("3001"), Busy, Busy),
        (403, gateway("3100"), ConfigurationFailure, ConfigurationFailure),
        (403, "<html>", ConfigurationFailure, ConfigurationFailure),
        (400, fault("120"), ConfigurationFailure, ConfigurationFailure),
        (400, fault("6190"), ConfigurationFailure, ConfigurationFailure),
        (500, fault("10000"), TemporaryFailure, OutcomeUnknown),
        (200, fault("10000"), TemporaryFailure, OutcomeUnknown),
        (502, "<html>", TemporaryFailure, OutcomeUnknown),
        (504, "", TemporaryFailure, OutcomeUnknown),
        (200, "<html>", TemporaryFailure, OutcomeUnknown),
        (200, fault("4000"), PermanentFailure, PermanentFailure),
        (400, fault("2010"), PermanentFailure, PermanentFailure),
        (404, "nothing here", ConfigurationFailure, ConfigurationFailure),
        (302, "", ConfigurationFailure, ConfigurationFailure),
    ],
)
def test_what_a_refused_call_means(vendor, client, status, body, read, write):
    text = body if isinstance(body, str) else json.dumps(body)
    vendor.get(f"{COMPANY}/preferences", body=text, status=status)
    vendor.post(f"{COMPANY}/batch", body=text, status=status)
    with pytest.raises(read) as on_read:
        client.preferences()
    with pytest.raises(write) as on_write:
        client.batch([], request_id="r")
    assert (type(on_read.value), type(on_write.value)) == (read, write)


@pytest.mark.parametrize(
    ("status", "body", "headers", "seconds"),
    [
        (429, "<xml/>", {}, 60),
        (429, "", {"Retry-After": "7"}, 7),
        (400, json.dumps({"Fault": {"Error": [{"code": "3001"}]}}), {}, 60),
    ],
)
def test_when_one_call_is_throttled_every_call_to_the_company_waits(vendor, client, status, body, headers, seconds):
    pauses = []
    client._http.pause = pauses.append
    vendor.get(f"{COMPANY}/preferences", body=body, status=status, headers=headers)
    with pytest.raises(TemporaryFailure):
        client.preferences()
    assert pauses == [seconds]


@pytest.mark.parametrize("body", [{"error": "odd"}, {"QueryResponse": None}, {"time": "2026-01-01"}])
def test_an_answer_that_lacks_what_was_asked_for_is_no_empty_result(vendor, client, body):
    for path in ("preferences", "companyinfo/123", "query"):
        vendor.get(f"{COMPANY}/{path}", json=body)
    for ask in (client.preferences, client.company_info, lambda: client.query("select * from Item")):
        with pytest.raises(TemporaryFailure, match="no result"):
            ask()


def test_a_refused_token_is_renewed_once_and_the_same_call_made_again(vendor, client):
    refused = vendor.post(f"{COMPANY}/batch", json=gateway("003200"), status=401)
    done = vendor.post(f"{COMPANY}/batch", json={"BatchItemResponse": [{"bId": "1"}]})
    assert client.batch([{"bId": "1"}], request_id="same") == {"1": {"bId": "1"}}
    first, second = (response.calls[0].request for response in (refused, done))
    assert first.body == second.body
    assert first.url == second.url
    assert "requestid=same" in first.url


def test_a_token_refused_twice_needs_a_person(vendor, client):
    vendor.get(f"{COMPANY}/preferences", status=401, body="<html>")
    with pytest.raises(ConfigurationFailure) as refused:
        client.preferences()
    assert (refused.value.field, refused.value.reauthorise) == ("refresh_token", True)
    assert len([call for call in vendor.calls if call.request.url == TOKEN]) == 2  # the first token, one renewal


@pytest.mark.parametrize(
    ("status", "body", "failure", "field"),
    [
        (400, {"error": "invalid_grant"}, ConfigurationFailure, "refresh_token"),
        (401, {"error": "invalid_client"}, ConfigurationFailure, "client_secret"),
        (401, {}, ConfigurationFailure, "client_secret"),
        (503, {}, TemporaryFailure, None),
        (429, {}, TemporaryFailure, None),
        (200, {"error": "odd"}, TemporaryFailure, None),  # a body without tokens must not overwrite ours
    ],
)
def test_what_a_refused_renewal_means(vendor, client, status, body, failure, field):
    vendor.replace(responses.POST, TOKEN, json=body, status=status)
    with pytest.raises(failure) as refused:
        client.preferences()
    assert getattr(refused.value, "field", None) == field


@pytest.mark.parametrize(
    ("status", "body", "failure"),
    [(503, "", TemporaryFailure), (404, "", ConfigurationFailure), (200, "<html>", ConfigurationFailure)],
)
def test_a_bad_discovery_document(vendor, client, status, body, failure):
    vendor.replace(responses.GET, f"{BASE}/discovery", body=body, status=status)
    with pytest.raises(failure):
        client.preferences()


def test_the_discovery_document_is_read_once_a_day(vendor, client):
    client.renew({"refresh_token": "r1"})
    tokens = client.renew({"refresh_token": "r1"})
    read = len([call for call in vendor.calls if call.request.url.endswith("/discovery")])
    client.renew(tokens)
    assert len([call for call in vendor.calls if call.request.url.endswith("/discovery")]) == read
    old = {**tokens["discovered"], "at": (datetime.now(UTC) - timedelta(days=2)).isoformat()}
    client.renew(tokens | {"discovered": old})
    client.renew(tokens | {"discovered": {**tokens["discovered"], "url": "http://127.0.0.1:9/other"}})
    assert len([call for call in vendor.calls if call.request.url.endswith("/discovery")]) == read + 2


@pytest.mark.parametrize("code", ["000120", "003100"])
def test_a_401_of_another_kind_is_for_a_person_and_renews_nothing(vendor, client, code):
    vendor.get(f"{COMPANY}/preferences", json=gateway(code), status=401)
    with pytest.raises(ConfigurationFailure) as refused:
        client.preferences()
    renewals = [call for call in vendor.calls if call.request.url == TOKEN]
    assert (refused.value.field, refused.value.reauthorise, len(renewals)) == ("realm_id", True, 1)  # the first token


def test_amounts_travel_as_numbers_with_every_digit(vendor, client):
    sent = vendor.post(f"{COMPANY}/batch", json={})
    client.batch([{"bId": "1", "Invoice": {"DocNumber": "0010", "Line": [{"Amount": "1861.10"}]}}], request_id="r")
    body = sent.calls[0].request.body
    assert b'"Amount":1861.10' in body
    assert b'"DocNumber":"0010"' in body


def test_numbers_are_read_exactly(vendor, client):
    vendor.get(f"{COMPANY}/query", body='{"QueryResponse": {"Invoice": [{"TotalAmt": 1861.10}]}}')
    assert client.query("SELECT * FROM Invoice") == [{"TotalAmt": Decimal("1861.10")}]


@pytest.mark.parametrize(
    ("text", "literal"), [("Acme", "'Acme'"), ("O'Brien", r"'O\'Brien'"), ("a\\b", r"'a\\b'"), ("' OR 1", r"'\' OR 1'")]
)
def test_a_text_in_a_query_cannot_end_it(text, literal):
    assert quoted(text) == literal


@pytest.mark.parametrize(
    ("fault", "field", "remedy"),
    [
        (Fault(6210, detail="closed up to 2025-12-31"), "dated_on", "does not move dates"),
        (Fault(2050, detail="Max:21 supported", element="DocNumber"), "number", "Shorten"),
        (Fault(610), "", "Make it active again"),
        (Fault(2210, element="BillEmail"), "bill_to_email", "Mend it on the client"),
        (Fault(9999, detail="new rule"), "", "Mend it"),
    ],
)
def test_a_refusal_says_what_to_do(fault, field, remedy):
    refusal = refusal_of(fault)
    assert refusal.field == field
    assert remedy in refusal.remedy
    assert f"code {fault.code}" in refusal.reason
