from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import parse_qs

import pytest
import responses

from hub.sdk import ConfigurationFailure, OutcomeUnknown, PermanentFailure, QuotaSpent, TemporaryFailure
from plugins.crm_salesforce.client import SalesforceClient
from plugins.crm_salesforce.sign_in import audiences
from tests.plugins.crm_salesforce.connecting import MemoryTokens, context
from tests.plugins.crm_salesforce.test_settings import KEY, SECRET, SIGNED

LOGIN = "https://127.0.0.1"  # a name would be looked up
TOKEN = f"{LOGIN}/services/oauth2/token"
DATA = f"{LOGIN}/services/data/v66.0"
SESSION = {"access_token": "00D!fresh", "instance_url": LOGIN, "id": f"{LOGIN}/id/00D/005", "token_type": "Bearer"}
EXPIRED = [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]


@pytest.fixture
def vendor():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as vendor:
        yield vendor


def client(*, token="00D!old", **more):
    tokens = MemoryTokens(token)
    settings = {**SECRET, "login_url": LOGIN}
    return SalesforceClient(context(settings, tokens=tokens), instance_url=LOGIN, **more), tokens


def error(code, **more):
    return [{"message": f"says {code}", "errorCode": code, **more}]


# Errors


@pytest.mark.parametrize(
    ("status", "body", "read", "write"),
    [
        (401, error("SOME_OTHER_401"), ConfigurationFailure, ConfigurationFailure),
        (403, error("REQUEST_LIMIT_EXCEEDED"), QuotaSpent, QuotaSpent),
        (403, error("API_DISABLED_FOR_ORG"), ConfigurationFailure, ConfigurationFailure),
        (403, error("INSUFFICIENT_ACCESS_OR_READONLY"), ConfigurationFailure, ConfigurationFailure),
        (503, error("SERVER_UNAVAILABLE"), TemporaryFailure, OutcomeUnknown),
        (500, error("UNKNOWN_EXCEPTION"), TemporaryFailure, OutcomeUnknown),
        (502, "<html>bad gateway</html>", TemporaryFailure, OutcomeUnknown),
        (429, "", TemporaryFailure, TemporaryFailure),
        (400, error("UNABLE_TO_LOCK_ROW"), TemporaryFailure, TemporaryFailure),
        (400, error("INVALID_QUERY_LOCATOR"), TemporaryFailure, TemporaryFailure),
        (400, error("INVALID_FIELD"), ConfigurationFailure, ConfigurationFailure),
        (400, error("INVALID_FIELD_FOR_INSERT_UPDATE"), ConfigurationFailure, ConfigurationFailure),
        (400, error("JSON_PARSER_ERROR"), PermanentFailure, PermanentFailure),
        (400, error("REQUIRED_FIELD_MISSING", fields=["Name"]), PermanentFailure, PermanentFailure),
        (404, error("NOT_FOUND"), ConfigurationFailure, ConfigurationFailure),
        (404, error("ENTITY_IS_DELETED"), PermanentFailure, PermanentFailure),
        (420, "", TemporaryFailure, OutcomeUnknown),
        (410, error("UNSUPPORTED_API_VERSION"), ConfigurationFailure, ConfigurationFailure),
        (302, "", ConfigurationFailure, ConfigurationFailure),
        (200, "<html>maintenance</html>", TemporaryFailure, OutcomeUnknown),
        (200, {"unexpected": True}, TemporaryFailure, OutcomeUnknown),
    ],
)
def test_every_fault_is_a_typed_failure(vendor, status, body, read, write):
    text = body if isinstance(body, str) else json.dumps(body)
    vendor.get(f"{DATA}/query", body=text, status=status)
    vendor.post(f"{DATA}/composite/sobjects", body=text, status=status)
    subject, _ = client()
    with pytest.raises(read):
        list(subject.query("SELECT Id FROM Account"))
    with pytest.raises(write):
        subject.create_rows([{"Name": "x"}])


def test_the_end_of_the_days_calls_names_the_time_to_look_again(vendor):
    vendor.get(f"{DATA}/limits", json=error("REQUEST_LIMIT_EXCEEDED"), status=403)
    subject, _ = client()
    with pytest.raises(QuotaSpent) as spent:
        subject.limits()
    assert spent.value.resets_at > datetime.now(UTC) + timedelta(minutes=50)


def test_a_refused_value_names_its_field(vendor):
    vendor.post(f"{DATA}/composite/sobjects", json=error("STRING_TOO_LONG", fields=["Name"]), status=400)
    subject, _ = client()
    with pytest.raises(PermanentFailure) as refusal:
        subject.create_rows([{}])
    assert refusal.value.field == "Name"


def test_fewer_results_than_records_leave_the_outcome_unknown(vendor):
    vendor.post(f"{DATA}/composite/sobjects", json=[{"id": "1", "success": True, "errors": []}])
    subject, _ = client()
    with pytest.raises(OutcomeUnknown):
        subject.create_rows([{"Name": "a"}, {"Name": "b"}])


# Session


def test_an_expired_session_is_renewed_once_and_the_call_made_again(vendor):
    vendor.get(f"{DATA}/limits", json=EXPIRED, status=401)
    vendor.get(f"{DATA}/limits", json={"DailyApiRequests": {}})
    vendor.post(TOKEN, json=SESSION)
    subject, tokens = client()
    assert subject.limits() == {"DailyApiRequests": {}}
    assert tokens.renewals == 1
    sent = [call.request.headers["Authorization"] for call in vendor.calls if call.request.method == "GET"]
    assert sent == ["Bearer 00D!old", "Bearer 00D!fresh"]


def test_a_session_that_is_refused_twice_needs_a_person(vendor):
    vendor.get(f"{DATA}/limits", json=EXPIRED, status=401)
    vendor.post(TOKEN, json=SESSION)
    subject, tokens = client()
    with pytest.raises(ConfigurationFailure) as refusal:
        subject.limits()
    assert refusal.value.reauthorise
    assert tokens.renewals == 1


def test_without_a_known_address_the_stored_session_is_not_sent_anywhere(vendor):
    vendor.post(TOKEN, json=SESSION)
    vendor.get(f"{DATA}/limits", json={})
    subject, _ = client()
    subject.instance_url = None
    subject.limits()
    assert [call.request.url for call in vendor.calls] == [TOKEN, f"{DATA}/limits"]


@pytest.mark.parametrize(
    ("answer", "status", "failure", "field"),
    [
        ({"error": "invalid_client_id", "error_description": "client identifier invalid"}, 400, ..., "client_id"),
        ({"error": "invalid_client", "error_description": "invalid client credentials"}, 400, ..., "client_secret"),
        (
            {"error": "invalid_grant", "error_description": "request not supported on this domain"},
            400,
            ...,
            "login_url",
        ),
        ({"error": "invalid_grant", "error_description": "audience is invalid"}, 400, ..., "login_url"),
        ({"error": "invalid_grant", "error_description": "no client credentials user enabled"}, 400, ..., "client_id"),
        ({"error": "invalid_grant", "error_description": "user hasn't approved this consumer"}, 400, ..., "username"),
        ({"error": "invalid_grant", "error_description": "invalid assertion"}, 400, ..., "private_key"),
        ("<html>some other site</html>", 200, ..., "login_url"),
        ("<html>not found</html>", 404, ..., "login_url"),
        ({**SESSION, "instance_url": "http://elsewhere.example"}, 200, ..., "login_url"),
        ("<html>busy</html>", 503, TemporaryFailure, None),
    ],
)
def test_a_failed_login_names_the_setting_to_mend(vendor, answer, status, failure, field):
    vendor.post(TOKEN, body=answer if isinstance(answer, str) else json.dumps(answer), status=status)
    subject, _ = client(token=None)
    with pytest.raises(ConfigurationFailure if failure is ... else failure) as refusal:
        subject.limits()
    assert getattr(refusal.value, "field", None) == field
    assert "s3cret" not in str(refusal.value)


def test_the_private_key_signs_an_assertion_for_three_minutes(vendor):
    import jwt
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    vendor.post(TOKEN, json=SESSION)
    vendor.get(f"{DATA}/limits", json={})
    settings = {**SIGNED, "login_url": LOGIN}
    SalesforceClient(context(settings, tokens=MemoryTokens())).limits()
    form = parse_qs(vendor.calls[0].request.body)
    public = load_pem_private_key(KEY.encode(), None).public_key()
    claims = jwt.decode(form["assertion"][0], public, algorithms=["RS256"], audience="https://login.salesforce.com")
    assert (claims["iss"], claims["sub"]) == ("app", "hub@acme.example")
    assert claims["exp"] <= (datetime.now(UTC) + timedelta(minutes=3)).timestamp()


@pytest.mark.parametrize(
    ("login_url", "audience"),
    [
        ("https://login.salesforce.com", ("https://login.salesforce.com",)),
        ("https://acme.my.salesforce.com", ("https://login.salesforce.com",)),
        ("https://test.salesforce.com", ("https://test.salesforce.com",)),
        ("https://acme--dev.sandbox.my.salesforce.com", ("https://test.salesforce.com",)),
        ("http://127.0.0.1:9", ("https://login.salesforce.com", "http://127.0.0.1:9")),
    ],
)
def test_whom_an_assertion_is_for(login_url, audience):
    assert audiences(login_url) == audience


# Pages and budget


def page(*rows, next=None):
    more = {"nextRecordsUrl": next} if next else {}
    return {"totalSize": 2, "done": next is None, "records": list(rows), **more}


def test_pages_are_followed_where_they_say_and_numbers_are_exact(vendor):
    following = "/services/data/v66.0/query/01g-2"
    vendor.get(f"{DATA}/queryAll", json=page({"Id": "1", "Amount": 0.1}, next=following), headers={"Date": "x"})
    body = '{"totalSize": 2, "done": true, "records": [{"Id": "2", "Amount": 3.5E8}]}'
    vendor.get(LOGIN + following, body=body, headers={"Date": "Tue, 24 Nov 2026 03:00:00 GMT"})
    subject, _ = client()
    first, second = subject.query("SELECT Id FROM Account", deleted=True)
    assert first.rows[0]["Amount"] == Decimal("0.1")
    assert second.rows[0]["Amount"] == Decimal("3.5E8")
    assert (first.server_at, second.server_at) == (None, datetime(2026, 11, 24, 3, tzinfo=UTC))


@pytest.mark.parametrize("address", [None, "https://evil.example/x", "//evil.example/x"])
def test_a_session_follows_no_page_to_another_host(vendor, address):
    vendor.get(f"{DATA}/query", json={"totalSize": 2, "done": False, "records": [], "nextRecordsUrl": address})
    subject, _ = client()
    with pytest.raises(TemporaryFailure):
        list(subject.query("SELECT Id FROM Account"))


def test_reading_stops_at_its_share_of_the_days_calls(vendor):
    headers = {"Sforce-Limit-Info": "api-usage=80/100; per-app-api-usage=17/250(appName=hub)"}
    vendor.get(f"{DATA}/query", json=page(), headers=headers)
    vendor.post(f"{DATA}/composite/sobjects", json=[], headers=headers)
    subject, _ = client(calls_share=80)
    list(subject.query("SELECT Id FROM Account"))
    assert subject.usage == (80, 100)
    with pytest.raises(QuotaSpent):
        list(subject.query("SELECT Id FROM Account"))
    assert subject.create_rows([]) == []
