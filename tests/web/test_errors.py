"""What goes wrong is said in one sentence, to a program as a problem document and to a person as a page."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from hub.core.errors import (
    AccessDenied,
    ConfigurationFailure,
    NotFound,
    OutcomeUnknown,
    PermanentFailure,
    PluginFault,
    RuleBroken,
    SetupError,
    TemporaryFailure,
    WebhookRejected,
)
from hub.web.guard import Guard, guarded

SECRET = "hunter2"


@pytest.fixture
def failing(own_app):
    """Answers of a route of the API and of a page that both fail with this error."""

    def fail(error):
        def view():
            raise error

        for path, by_key in (("/api/v1/boom", True), ("/boom", False)):
            own_app.add_url_rule(path, path, guarded(lambda: view(), Guard("", by_key=by_key)))
        client = own_app.test_client()
        return client.get("/api/v1/boom"), client.get("/boom")

    return fail


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFound("There is no such thing."), 404, "not-found"),
        (AccessDenied("You may not."), 403, "scope-missing"),
        (RuleBroken("Not now."), 409, "rule-broken"),
        (RuleBroken("Not now.", code="time-locked"), 409, "time-locked"),
        (RuleBroken("Not so.", fields={"name": "must not be empty"}), 422, "validation"),
        (WebhookRejected("Not signed."), 401, "not-signed-in"),
        (TemporaryFailure("Busy.", retry_after_s=7.5), 503, "upstream-unavailable"),
        (ConfigurationFailure("Wrong.", field="client_id"), 422, "validation"),
        (PermanentFailure("Refused."), 502, "upstream-refused"),
        (OutcomeUnknown("No answer."), 502, "upstream-refused"),
        (PluginFault("It failed."), 503, "upstream-unavailable"),
        (SetupError("No tables."), 503, "upstream-unavailable"),
        (ZeroDivisionError(SECRET), 500, "internal"),
        (OperationalError("SELECT 1", {"password": SECRET}, Exception(SECRET)), 500, "internal"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_each_error_has_its_status_and_code_for_programs_and_a_page_for_people(failing, error, status, code):
    document, page = failing(error)
    assert (document.status_code, document.json["code"]) == (status, code)
    assert document.mimetype == "application/problem+json"
    assert (page.status_code, page.mimetype) == (status, "text/html")
    for answer in (document, page):
        assert SECRET not in answer.text
        assert "Traceback" not in answer.text


def test_a_problem_has_all_its_members(failing):
    document, _ = failing(RuleBroken("Not so.", fields={"lines.0.amount": "is too much"}))
    problem = document.json
    assert problem.pop("request_id") == document.headers["X-Request-Id"]
    assert problem == {
        "type": "/api/v1/problems/validation",
        "title": "Not valid",
        "status": 422,
        "detail": "Not so.",
        "instance": "/api/v1/boom",
        "code": "validation",
        "errors": [{"pointer": "/lines/0/amount", "code": "invalid", "message": "is too much"}],
    }


def test_a_busy_system_says_when_to_come_again(failing):
    document, page = failing(TemporaryFailure("Busy.", retry_after_s=7.5))
    assert (document.headers["Retry-After"], page.headers["Retry-After"]) == ("7", "7")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/api/v1/nothing", 404), ("PUT", "/api/v1/clients", 405), ("GET", "/api/v1/clients/not-an-id", 404)],
)
def test_what_the_router_refuses_is_a_problem_too(app, method, path, status):
    answer = app.test_client().open(path, method=method)
    assert (answer.status_code, answer.json["status"]) == (status, status)


def test_a_page_that_is_not_there_is_a_page_that_says_so(app):
    answer = app.test_client().get("/nothing")
    assert answer.status_code == 404
    assert "There is nothing at this address." in answer.text


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-123_XYZ", True), ("short", False), ("x" * 65, False), ("a b c d e f", False)]
)
def test_a_sound_request_id_comes_back_and_any_other_is_replaced(app, given, kept):
    answer = app.test_client().get("/api/v1/nothing", headers={"X-Request-Id": given})
    assert (answer.headers["X-Request-Id"] == given) == kept
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]


def test_every_answer_carries_the_headers_that_keep_a_browser_safe(app):
    for path in ("/login", "/api/v1/clients", "/healthz", "/nothing"):
        headers = app.test_client().get(path).headers
        policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
        assert (policy["default-src"], policy["frame-ancestors"], policy["style-src"]) == ("'none'", "'none'", "'self'")
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


def test_each_page_has_a_nonce_of_its_own(app, users):
    client = app.test_client()
    first, second = (client.get("/login") for _ in "ab")
    assert first.headers["Content-Security-Policy"] != second.headers["Content-Security-Policy"]
    assert first.headers["Content-Security-Policy"].split("'nonce-")[1].split("'")[0] in first.text


def test_static_files_may_be_kept(app):
    with app.test_client().get("/static/hub.css") as answer:
        assert "max-age=31536000" in answer.headers["Cache-Control"]


def test_the_log_of_a_failure_names_the_rule_and_not_a_token_in_the_path(own_app):
    def view(token):
        raise RuntimeError("boom")

    own_app.add_url_rule("/reset-me/<token>", "reset-me", guarded(view, Guard("")))
    with capture_logs() as lines:
        own_app.test_client().get("/reset-me/S3CRETTOKEN")
    failed = next(line for line in lines if line["event"] == "request failed")
    assert failed["path"] == "/reset-me/<token>"
