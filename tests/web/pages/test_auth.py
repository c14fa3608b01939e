"""Signing in and out through the pages."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from hub.access import users as access_users
from hub.access.sign_in import FREE_FAILURES, make_reset_token
from hub.access.users import get_user, new_password, set_password
from hub.core.database import Database

PASSWORD = "correct horse battery"


@pytest.fixture
def browser(app, hub, users):
    hub.transact(lambda session: set_password(session, get_user(session, users["admin"]), new_password(PASSWORD)))
    return app.test_client()


def token_of(browser, path="/login"):
    return re.search(r'name="_csrf" value="(\w+)"', browser.get(path).text)[1]


def send(browser, path, form_on="/login", **form):
    return browser.post(path, data={"_csrf": token_of(browser, form_on), **form})


def sign_in(browser, password=PASSWORD, email="admin@example.com", **form):
    return send(browser, "/login", email=email, password=password, **form)


def is_signed_in(browser):
    return browser.get("/").status_code == 200


def test_a_page_leads_to_the_sign_in_and_back_to_itself_afterwards(browser):
    away = browser.get("/search?q=acme")
    assert (away.status_code, away.location) == (303, "/login?next=/search?q%3Dacme")
    page = browser.get(away.location)
    assert 'name="next" value="/search?q=acme"' in page.text
    assert sign_in(browser, next="/search?q=acme").location == "/search?q=acme"
    assert is_signed_in(browser)


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "evil"]
)
def test_nobody_is_sent_elsewhere_after_signing_in(browser, elsewhere):
    assert sign_in(browser, next=elsewhere).location == "/"


def test_the_cookie_is_for_the_server_alone(browser):
    cookie = sign_in(browser).headers["Set-Cookie"]
    assert cookie.startswith("hub_session=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_a_wrong_password_and_an_unknown_address_get_the_same_page(browser):
    wrong = sign_in(browser, "wrong")
    unknown = sign_in(browser, "wrong", "nobody@example.com")
    assert (wrong.status_code, unknown.status_code) == (422, 422)
    assert wrong.text.replace("admin@", "nobody@") == re.sub(r"\w{64}", _token_in(wrong), unknown.text).replace(
        _nonce_in(unknown), _nonce_in(wrong)
    )
    assert not is_signed_in(browser)


def test_who_guesses_has_to_wait(browser):
    for _ in range(FREE_FAILURES):
        sign_in(browser, "wrong")
    answer = sign_in(browser)
    assert answer.status_code == 429
    assert "Wait" in answer.text


@pytest.mark.parametrize("form", [{}, {"_csrf": "0" * 64}, {"_csrf": "ü€"}])
def test_a_form_without_the_token_of_its_session_is_refused(browser, form):
    browser.get("/login")
    answer = browser.post("/login", data={"email": "admin@example.com", "password": PASSWORD, **form})
    assert answer.status_code == 403
    assert not is_signed_in(browser)


def test_the_token_of_another_session_is_refused(app, browser):
    other = app.test_client()
    foreign = token_of(other)
    browser.get("/login")
    answer = browser.post("/login", data={"_csrf": foreign, "email": "admin@example.com", "password": PASSWORD})
    assert answer.status_code == 403


def test_signing_out_ends_the_session_on_the_server(browser):
    sign_in(browser)
    cookie = browser.get_cookie("hub_session").value
    assert send(browser, "/logout", form_on="/").location == "/login"
    browser.set_cookie("hub_session", cookie)
    assert not is_signed_in(browser)


def test_a_printed_link_sets_the_password_and_signs_in(browser, hub, users):
    token = hub.transact(lambda session: make_reset_token(session, get_user(session, users["partner"])))
    path = f"/reset/{token}"
    assert "partner person" in browser.get(path).text

    assert send(browser, path, form_on=path, password="one long phrase", repeat="another").status_code == 422
    assert send(browser, path, form_on=path, password="short", repeat="short").status_code == 422
    assert send(browser, path, form_on=path, password="one long phrase", repeat="one long phrase").location == "/"
    assert is_signed_in(browser)

    assert "no longer works" in browser.get(path).text


def test_changing_the_password_needs_the_present_one(browser):
    sign_in(browser)
    change = {"password": "one long phrase", "repeat": "one long phrase"}
    refused = send(browser, "/password", form_on="/password", current="wrong", **change)
    assert refused.status_code == 422
    assert "not your current password" in refused.text
    done = send(browser, "/password", form_on="/password", current=PASSWORD, **change)
    assert (done.status_code, done.location) == (303, "/")
    shown = browser.get("/").text
    assert "Your password is changed." in shown
    assert "Your password is changed." not in browser.get("/").text  # once


@pytest.fixture
def hashed_while_writing(monkeypatch):
    """Whether a write transaction was open, for each time that a password was hashed or compared."""
    open_ones, seen = [], []
    transact, hasher = Database.transact, access_users._hasher

    def watched(database, work, about=None):
        open_ones.append(work)
        try:
            return transact(database, work, about)
        finally:
            open_ones.pop()

    def noted(method):
        return lambda *given: (seen.append(bool(open_ones)), method(*given))[1]

    monkeypatch.setattr(Database, "transact", watched)
    watching = SimpleNamespace(hash=noted(hasher.hash), verify=noted(hasher.verify))
    monkeypatch.setattr(access_users, "_hasher", watching)
    return seen


def test_nobody_waits_for_a_password_to_be_hashed(browser, hub, users, api, hashed_while_writing):
    token = hub.transact(lambda session: make_reset_token(session, get_user(session, users["partner"])))
    path, change = f"/reset/{token}", {"password": "one long phrase", "repeat": "one long phrase"}

    sign_in(browser, "wrong")
    sign_in(browser)
    send(browser, "/password", form_on="/password", current=PASSWORD, **change)
    send(browser, path, form_on=path, **change)
    api.post("/users", {"email": "eve@example.com", "name": "Eve", "role": "finance", "password": "one long phrase"})

    # comparing at both sign-ins and at the change; hashing at the change, the link and the new user
    assert hashed_while_writing == [False] * 6


def test_the_theme_is_remembered(browser):
    sign_in(browser)
    send(browser, "/preferences/theme", form_on="/", theme="dark")
    assert 'data-bs-theme="dark"' in browser.get("/").text
    assert send(browser, "/preferences/theme", form_on="/", theme="pink").status_code == 422


def _token_in(response):
    return re.search(r'name="_csrf" value="(\w+)"', response.text)[1]


def _nonce_in(response):
    return re.search(r"nonce-([\w-]+)", response.headers["Content-Security-Policy"])[1]
