"""Users, API keys, plugins, the audit log and the first run, through the pages."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from hub.access.fingerprints import Fingerprints
from hub.access.keys import key_of
from hub.access.models import ApiKey, User
from hub.access.users import find_user, password_is
from hub.config import secret_keys
from hub.core.audit import AuditEntry
from hub.core.clients.service import change_client, create_client
from hub.core.companies.models import Company
from tests.web.pages.visitor import Visitor

FIRST = {
    "name": "Ada Lovelace",
    "email": "ada@example.com",
    "password": "correct horse battery",
    "repeat": "correct horse battery",
    "company": "Ada Ltd",
    "country": "gb",
    "currency": "gbp",
}


@pytest.fixture
def visitor(app, hub, users):
    return lambda role="admin": Visitor(app, hub, users[role])


@pytest.fixture
def admin(visitor):
    return visitor()


@pytest.fixture
def stranger(app, hub):
    return Visitor(app, hub)


# The first run --------------------------------------------------------------------------------------------------------


def test_a_hub_without_users_leads_to_the_form_for_the_first_admin(stranger):
    assert stranger.follow(stranger.get("/login")).request.path == "/welcome/start"
    assert "Whoever fills this in becomes the administrator." in stranger.text


def test_the_first_admin_is_signed_in_and_sees_what_is_to_be_done(hub, stranger):
    stranger.follow(stranger.post("/welcome/start", FIRST, seen_at="/welcome/start"))

    assert "1 of 6 done" in stranger.text
    assert "Ada Ltd, GB, GBP" in stranger.text
    with hub.read() as session:
        admin = find_user(session, "ada@example.com")
        assert (admin.role, admin.person_id is not None) == ("admin", True)
        assert password_is(admin, FIRST["password"])


@pytest.mark.parametrize(
    "came_by",
    [
        {"environ_overrides": {"REMOTE_ADDR": "203.0.113.9"}},
        {"headers": {"X-Forwarded-For": "203.0.113.9"}},
    ],
    ids=["from another machine", "through a proxy"],
)
def test_a_stranger_cannot_make_himself_the_first_admin(stranger, came_by):
    refused = stranger.client.get("/welcome/start", **came_by)

    assert refused.status_code == 403
    assert "hub user add" in refused.text


@pytest.mark.parametrize(
    ("changed", "field", "sentence"),
    [
        ({"repeat": "something else"}, "repeat", "This is not the same as above."),
        ({"password": "short", "repeat": "short"}, "password", "A password has 12 to 200 characters"),
        ({"email": "ada"}, "email", "“ada” is not an e-mail address."),
        ({"name": " "}, "name", "A user needs a name."),
        ({"company": ""}, "company", "The firm needs a name."),
        ({"country": "XX"}, "country", "“XX” is not a country."),
        ({"currency": "POUND"}, "currency", "POUND"),
    ],
)
def test_a_first_form_that_is_wrong_leaves_an_empty_hub(hub, stranger, changed, field, sentence):
    sent = stranger.post("/welcome/start", {**FIRST, **changed}, seen_at="/welcome/start")

    assert sent.status_code == 422
    assert sentence in stranger.text
    assert f'id="{field}-error"' in stranger.text
    with hub.read() as session:
        assert session.scalar(select(User.id)) is None
        assert session.scalar(select(Company.id)) is None


def test_nobody_becomes_admin_once_there_is_a_user(hub, users, stranger):
    assert stranger.get("/welcome/start").headers["Location"] == "/login"
    sent = stranger.post("/welcome/start", FIRST, seen_at="/login")

    assert sent.headers["Location"] == "/login"
    with hub.read() as session:
        assert find_user(session, "ada@example.com") is None


def test_a_step_is_skipped_and_stays_so(admin):
    admin.follow(admin.post("/welcome/skip/rates"))

    assert "Skipped" in admin.text
    assert admin.post("/welcome/skip/dance").status_code == 404


# Users ----------------------------------------------------------------------------------------------------------------


def test_a_new_user_gets_a_link_that_is_shown_once(hub, admin, stranger):
    sent = admin.post("/users/add", {"name": "Grace Hopper", "email": "grace@example.com", "role": "finance"})

    assert sent.status_code == 200
    path = re.search(r"(/reset/[\w-]+)", admin.text)[1]
    stranger.get(path)
    assert "For Grace Hopper" in stranger.text
    admin.get("/users")
    assert "has not set a password yet" in admin.text
    assert path not in admin.text


@pytest.mark.parametrize(
    ("changed", "field", "sentence"),
    [
        ({"name": ""}, "name", "A user needs a name."),
        ({"email": "grace"}, "email", "“grace” is not an e-mail address."),
        ({"email": "admin@example.com"}, "email", "There is a user with the address admin@example.com already."),
        ({"role": "king"}, "role", "“king” is no role."),
        ({"person": "nobody"}, "person", "Choose a person of the list."),
    ],
)
def test_a_user_that_is_wrong_is_refused_at_the_field(hub, admin, users, changed, field, sentence):
    form = {"name": "Grace Hopper", "email": "grace@example.com", "role": "finance", **changed}

    assert admin.post("/users/add", form).status_code == 422

    assert sentence in admin.text
    assert "Please mend what is marked." in admin.text
    with hub.read() as session:
        assert len(session.scalars(select(User)).all()) == len(users)


def test_a_user_who_may_not_sign_in_any_more_is_out_at_once(visitor, admin, users):
    manager = visitor("manager")
    assert manager.get("/keys").status_code == 200

    form = {"name": "Mana", "email": "manager@example.com", "role": "manager"}  # the box “May sign in” is not ticked
    admin.follow(admin.post(f"/users/{users['manager']}", form))

    assert manager.get("/keys").headers["Location"].startswith("/login")
    assert admin.post(f"/users/{users['manager']}/reset-link").status_code == 409


def test_the_last_admin_stays_one(hub, admin, users):
    form = {"name": "Ada", "email": "admin@example.com", "role": "finance", "active": "true"}

    assert admin.post(f"/users/{users['admin']}", form).status_code == 422

    assert "The last active admin cannot go" in admin.text
    with hub.read() as session:
        assert session.get_one(User, users["admin"]).role == "admin"


# Keys -----------------------------------------------------------------------------------------------------------------


def test_a_key_is_shown_once_and_works_until_it_is_revoked(hub, visitor):
    finance = visitor("finance")
    finance.post("/keys", {"name": "Export", "may": "some", "scope": ["invoices.read"], "expires_on": ""})
    secret = re.search(r"psah_live_\w+", finance.text)[0]
    fingerprints = Fingerprints(secret_keys(hub.settings))
    with hub.read() as session:
        assert key_of(session, fingerprints, secret).scopes == ["invoices.read"]

    finance.get("/keys")
    assert secret not in finance.text
    revoke = re.search(r'href="(/keys/[0-9a-f-]+/revoke)"', finance.text)[1]
    finance.get(revoke)
    assert "Revoke the key Export?" in finance.text
    finance.follow(finance.post(revoke))

    with hub.read() as session:
        assert key_of(session, fingerprints, secret) is None


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"name": ""}, "A key needs a name"),
        ({"name": "x", "expires_on": "soon"}, "“soon” is no day."),
        ({"name": "x", "expires_on": "2020-01-01"}, "The key would be expired already."),
        ({"name": "x", "may": "some"}, "Choose what the key may do."),
        ({"name": "x", "may": "some", "scope": "users.write"}, "does not hold users.write"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(hub, visitor, form, sentence):
    finance = visitor("finance")

    assert finance.post("/keys", form).status_code == 422

    assert sentence in finance.text
    with hub.read() as session:
        assert session.scalar(select(ApiKey.id)) is None


def test_everybody_sees_their_own_keys_and_the_admin_all(visitor, admin):
    finance, manager = visitor("finance"), visitor("manager")
    finance.post("/keys", {"name": "Export", "may": "all"})

    assert "Export" in finance.text
    assert "Export" not in manager.get("/keys").get_data(as_text=True)
    assert "Export" in admin.get("/keys").get_data(as_text=True)
    revoke = re.search(r'href="(/keys/[0-9a-f-]+/revoke)"', admin.text)[1]
    assert manager.get(revoke).status_code == 404
    assert manager.post(revoke).status_code == 404


# Plugins --------------------------------------------------------------------------------------------------------------


def test_a_plugin_is_shown_with_what_it_takes_part_in_and_why_it_fails(make_hub, users, app):
    hub = make_hub({"chat": SimpleNamespace(), "broken": _broken()})
    from hub.web.app import create_app

    admin = Visitor(create_app(hub), hub, users["admin"])

    admin.get("/plugins")

    assert "Chat" in admin.text
    assert "it implements the hook “no_such_hook”" in admin.text.replace("It implements", "it implements")
    assert admin.post("/plugins/broken/enable").status_code == 409
    assert admin.post("/plugins/nothing/enable").status_code == 404


def test_a_plugin_is_disabled_after_a_question(make_hub, users):
    from hub.web.app import create_app

    hub = make_hub({"chat": SimpleNamespace()})
    admin = Visitor(create_app(hub), hub, users["admin"])
    admin.follow(admin.post("/plugins/chat/enable"))
    assert "Chat is enabled." in admin.text

    admin.get("/plugins/chat/disable")
    assert "Disable Chat?" in admin.text
    admin.follow(admin.post("/plugins/chat/disable"))

    assert "Chat is disabled. Its data stays." in admin.text


def _broken():
    from hub.sdk import hookimpl

    @hookimpl
    def no_such_hook():
        return []

    return SimpleNamespace(no_such_hook=no_such_hook)


# The audit log --------------------------------------------------------------------------------------------------------


@pytest.fixture
def changed_client(hub, users):
    actor = f"user:{users['manager']}"
    client_id = hub.transact(lambda session: create_client(session, name="Acme Ltd").id, actor=actor)
    hub.transact(lambda session: change_client(session, client_id, name="Acme plc"), actor=actor)
    return client_id


def test_a_change_is_listed_with_who_did_it_and_what_it_was_before(admin, changed_client):
    admin.get("/audit?kind=client")

    assert "manager person" in admin.text
    assert re.search(r"<del[^>]*>Acme Ltd</del> → <ins[^>]*>Acme plc</ins>", admin.text)
    assert f'href="/clients/{changed_client}"' in admin.text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=Acme", True),
        ("q=manager+person", True),
        ("q=100%25", False),
        ("q=nobody", False),
        ("from=2020-01-01", True),
        ("from=2999-01-01", False),
        ("to=2020-01-01", False),
        ("kind=person", False),
    ],
)
def test_the_log_is_filtered(admin, changed_client, query, found):
    admin.get(f"/audit?{query}")

    assert ("Acme plc" in admin.text) is found


def test_a_long_log_is_read_page_by_page_both_ways(hub, admin):
    for number in range(60):
        hub.transact(lambda session, number=number: create_client(session, name=f"Client {number:02d}"))

    newest = admin.get("/audit?kind=client").get_data(as_text=True)
    assert "Client 59" in newest
    assert "Client 09" not in newest
    older = re.search(r'rel="next" href="([^"]+)"', newest)[1].replace("&amp;", "&")
    assert "Client 09" in admin.get(older).get_data(as_text=True)
    newer = re.search(r'rel="prev" href="([^"]+)"', admin.text)[1].replace("&amp;", "&")
    assert "Client 59" in admin.get(newer).get_data(as_text=True)
    with hub.read() as session:
        assert len(session.scalars(select(AuditEntry).where(AuditEntry.record_kind == "client")).all()) == 60


# Who may see what -----------------------------------------------------------------------------------------------------

PAGES = {
    "/welcome": {"admin"},
    "/plugins": {"admin"},
    "/users": {"admin"},
    "/users/add": {"admin"},
    "/audit": {"admin"},
    "/keys": {"admin", "finance", "manager", "consultant", "partner"},
}


@pytest.mark.parametrize("role", ["admin", "finance", "manager", "consultant", "partner"])
def test_a_page_is_for_whoever_holds_its_permission(visitor, role):
    somebody = visitor(role)

    answers = {path: somebody.get(path).status_code for path in PAGES}

    assert answers == {path: 200 if role in roles else 403 for path, roles in PAGES.items()}


@pytest.mark.parametrize("path", [*PAGES, "/connections", "/runs", "/parked", "/connectors"])
def test_a_stranger_is_led_to_the_sign_in(users, stranger, path):
    assert stranger.get(path).headers["Location"] == f"/login?next={path}"
