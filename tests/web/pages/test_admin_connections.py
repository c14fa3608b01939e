"""Setting up, running, mending and removing a connection through the pages, against a running stand-in."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

import plugins.quickbooks
from hub.core.outbox import Link, Subscription
from hub.jobs.worker import run_worker
from hub.sync.connections import add_connection, hold
from hub.sync.models import Connection, ConnectionState
from tests.plugins.quickbooks.books import company
from tests.web.pages.firm import issue, set_rate
from tests.web.pages.visitor import Visitor


@pytest.fixture
def hub(make_hub):
    return make_hub({"quickbooks": plugins.quickbooks})


@pytest.fixture
def books():
    with company(country="GB").serve() as server:
        yield server


@pytest.fixture
def visitor(app, hub, users):
    return lambda role="admin": Visitor(app, hub, users[role])


@pytest.fixture
def admin(visitor):
    return visitor()


@pytest.fixture
def connected(hub, books, users):
    """A connection that reads only."""
    set_rate(hub)
    return add_connection(hub, connector="quickbooks", name="books", settings=books.settings, read_only=True)


def stored(hub, name="books"):
    with hub.read() as session:
        return session.scalar(select(Connection).where(Connection.name == name))


def work_off(hub):
    run_worker(hub, burst=True)


def test_the_catalogue_shows_what_a_connector_reads_and_writes(admin):
    admin.get("/connectors")

    assert "QuickBooks Online" in admin.text
    assert "Reads payments. Writes services, clients and invoices." in admin.text
    assert "/connectors/quickbooks/add" in admin.text
    admin.get("/connectors?q=nothing-like-it")
    assert "No connector matches" in admin.text


def test_a_connection_is_set_up_in_three_steps_and_starts_reading_only(hub, books, admin):
    set_rate(hub)
    issue(hub, "Acme Ltd")

    page = admin.get("/connectors/quickbooks/add").text
    assert 'type="password"' in page
    assert "Company ID" in page
    sent = admin.post("/connectors/quickbooks/add", {"name": "books", **books.settings, "action": "save"})
    assert stored(hub).state == ConnectionState.PAUSED  # nothing happens before the streams are chosen

    admin.follow(sent)
    assert "Invoices → Invoices" in admin.text
    chosen = {"stream": ["services", "clients", "invoices"], "start_on.invoices": "2026-01-01"}
    sent = admin.post("/connections/books/streams?setup=1", chosen)
    admin.follow(sent)
    assert stored(hub).state == ConnectionState.READ_ONLY
    assert "services (1) and invoices (1)" in admin.text  # a client goes with its first invoice

    with hub.read() as session:
        streams = {each.kind: each for each in session.scalars(select(Subscription))}
    assert not streams["payments"].pulls
    assert streams["invoices"].start_on.isoformat() == "2026-01-01"


def test_a_test_before_the_next_step_shows_what_was_found_and_keeps_the_secrets(hub, books, admin):
    sent = admin.post("/connectors/quickbooks/add", {"name": "books", **books.settings, "action": "test"})

    page = admin.follow(sent).get_data(as_text=True)

    assert "The connection works" in page
    assert "A value is stored. Leave this empty to keep it." in page
    for secret in ("client_secret", "refresh_token"):
        assert books.settings[secret] not in page
    sent = admin.post(
        "/connections/books/settings?setup=1",
        {**books.settings, "client_secret": "", "refresh_token": "", "action": "save"},
    )
    assert sent.headers["Location"] == "/connections/books/streams?setup=1"


@pytest.mark.parametrize(
    ("changed", "field", "sentence"),
    [
        ({"client_id": ""}, "client_id", "Client ID must not be empty."),
        ({"realm_id": "12x"}, "realm_id", "Company ID: Only digits"),
        ({"name": ""}, "name", "A connection needs a name."),
        ({"name": "my books"}, "name", "“my books” is no name."),
        ({"base_url": "ftp://books"}, "base_url", "Use an https address"),
    ],
)
def test_a_setting_that_is_wrong_is_named_at_its_field_and_nothing_is_kept(hub, books, admin, changed, field, sentence):
    sent = admin.post("/connectors/quickbooks/add", {"name": "books", **books.settings, **changed})

    assert sent.status_code == 422
    assert sentence in admin.text
    assert f'id="{field}-error"' in admin.text
    assert stored(hub) is None


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"client_secret": "wrong"}, "client"),
        ({"refresh_token": "wrong"}, "refresh"),
        ({"base_url": "http://127.0.0.1:1", "discovery_url": "http://127.0.0.1:1"}, "127.0.0.1:1"),
    ],
)
def test_credentials_that_fail_and_a_system_that_is_not_there_leave_no_connection(hub, books, admin, changed, sentence):
    sent = admin.post("/connectors/quickbooks/add", {"name": "books", **books.settings, **changed})

    assert sent.status_code == 422
    assert sentence in admin.text
    assert "message bad" in admin.text
    assert books.settings["client_secret"] not in admin.text
    assert stored(hub) is None


def test_a_name_that_is_taken_is_refused(books, admin, connected):
    sent = admin.post("/connectors/quickbooks/add", {"name": "books", **books.settings})

    assert sent.status_code == 422
    assert "There is a connection called “books” already." in admin.text


def test_writing_is_enabled_after_a_look_at_what_it_would_send(hub, books, admin, connected):
    issue(hub, "Acme Ltd")

    admin.get("/connections/books/enable-writing")
    assert "To be sent first: invoices (1)." in admin.text
    admin.follow(admin.post("/connections/books/enable-writing"))

    assert "books may write now." in admin.text
    assert stored(hub).state == ConnectionState.ACTIVE


def test_a_run_is_queued_and_done_by_a_worker_and_its_records_are_shown(hub, books, admin, connected):
    issue(hub, "Acme Ltd")
    admin.post("/connections/books/enable-writing")

    admin.follow(admin.post("/connections/books/sync"))
    assert "A run of books is queued." in admin.text
    work_off(hub)

    admin.get("/connections/books")
    assert admin.text.count("In step") >= 4
    admin.get("/runs?connection=books")
    run = re.findall(r'href="(/runs/[0-9a-f-]{36})"', admin.text)[-1]  # the oldest: enabling writing sent it
    admin.get(run)
    assert "Acme Ltd" in admin.text
    assert "INV-" in admin.text
    admin.get(f"{run}?outcome=rejected")
    assert "No record with this outcome" in admin.text


def test_a_refused_record_is_seen_by_cause_and_sent_once_it_is_mended(hub, books, admin, connected):
    invoice = issue(hub, "Acme Ltd")
    books.sandbox.close_books(until=str(invoice.dated_on))
    admin.post("/connections/books/enable-writing")
    admin.post("/connections/books/sync")
    work_off(hub)

    admin.get("/parked")
    assert invoice.number in admin.text
    admin.get(re.search(r'href="(/parked\?[^"]*cause=\w+)"', admin.text)[1].replace("&amp;", "&"))
    assert invoice.number in admin.text
    books.sandbox.close_books(until="")
    retry = re.search(r'action="(/parked/[0-9a-f-]+/retry[^"]*)"', admin.text)[1].replace("&amp;", "&")
    admin.follow(admin.post(retry))
    assert "will be sent again." in admin.text
    work_off(hub)

    admin.get("/parked")
    assert "Nothing is parked" in admin.text
    assert len(books.sandbox.effects("create", "Invoice", actor="api")) == 1


def test_all_of_a_cause_is_retried_at_once(hub, books, admin, connected):
    first, _ = issue(hub, "Acme Ltd"), issue(hub, "Brown Ltd")
    books.sandbox.close_books(until=str(first.dated_on))
    admin.post("/connections/books/enable-writing")
    admin.post("/connections/books/sync")
    work_off(hub)
    books.sandbox.close_books(until="")

    admin.follow(admin.post("/parked/retry?connection=books"))

    assert "2 will be sent again." in admin.text
    work_off(hub)
    assert len(books.sandbox.effects("create", "Invoice", actor="api")) == 2


def test_ignoring_a_record_needs_a_reason(hub, books, admin, connected):
    invoice = issue(hub, "Acme Ltd")
    books.sandbox.close_books(until=str(invoice.dated_on))
    admin.post("/connections/books/enable-writing")
    admin.post("/connections/books/sync")
    work_off(hub)
    admin.get("/parked")
    ignore = re.search(r'href="(/parked/[0-9a-f-]+/ignore)"', admin.text)[1]

    assert admin.post(ignore, {"reason": " "}).status_code == 422
    assert "Say why it is to be ignored." in admin.text
    admin.follow(admin.post(ignore, {"reason": "It was booked by hand."}))

    with hub.read() as session:
        assert session.scalar(select(Link.ignored).where(Link.record_id == invoice.id)) == "It was booked by hand."


def test_settings_are_changed_only_if_the_test_succeeds_with_them(hub, books, admin, connected):
    before = stored(hub)

    sent = admin.post("/connections/books/settings", {**books.settings, "client_secret": "wrong"})

    assert sent.status_code == 422
    after = stored(hub)
    assert (after.settings, after.tokens, after.state) == (before.settings, before.tokens, before.state)
    kept = {**books.settings, "client_secret": "", "refresh_token": "", "tax_mode": "none"}
    admin.follow(admin.post("/connections/books/settings", kept))
    assert hub.cipher.decrypt(stored(hub).settings)["tax_mode"] == "none"
    assert hub.cipher.decrypt(stored(hub).settings)["client_secret"] == books.settings["client_secret"]


def test_a_setting_that_is_emptied_gets_its_default_again(hub, books, admin, connected):
    kept = {**books.settings, "client_secret": "", "refresh_token": ""}
    admin.post("/connections/books/settings", {**kept, "income_account": "Sales"})

    admin.post("/connections/books/settings", {**kept, "income_account": ""})

    assert "income_account" not in hub.cipher.decrypt(stored(hub).settings)


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({}, "Choose at least one."),
        ({"stream": ["invoices"], "start_on.invoices": "soon"}, "“soon” is no day."),
    ],
)
def test_a_choice_of_streams_that_makes_no_sense_is_refused(hub, admin, connected, form, sentence):
    assert admin.post("/connections/books/streams", form).status_code == 422
    assert sentence in admin.text
    with hub.read() as session:
        assert session.scalar(select(Subscription.pushes).where(Subscription.kind == "clients"))


def test_a_paused_connection_rests_and_goes_on_as_before(hub, admin, connected):
    admin.follow(admin.post("/connections/books/pause"))
    assert stored(hub).state == ConnectionState.PAUSED
    assert admin.post("/connections/books/sync").status_code == 409

    admin.follow(admin.post("/connections/books/resume"))
    assert stored(hub).state == ConnectionState.READ_ONLY


def test_a_connection_is_removed_only_when_its_name_is_typed(hub, admin, connected):
    assert admin.post("/connections/books/remove", {"typed": "book"}).status_code == 422
    assert stored(hub) is not None

    admin.follow(admin.post("/connections/books/remove", {"typed": "books"}))

    assert stored(hub) is None
    assert "Nothing is connected yet" in admin.text


def test_a_test_that_fails_says_so_on_the_page(hub, books, admin, connected):
    books.sandbox.add_fault(path="*", status=503, times=50)

    admin.follow(admin.post("/connections/books/check"))

    assert "The test failed:" in admin.text


def test_a_connection_that_is_left_alone_says_why_and_a_test_calls_it_at_once(hub, books, admin, connected):
    books.sandbox.add_fault(status=503, times=5)
    for _ in range(5):
        admin.post("/connections/books/check")

    for path in ("/connections", "/connections/books"):
        admin.get(path)
        assert "Left alone" in admin.text
        assert "503" in admin.text

    admin.post("/connections/books/check")
    admin.get("/connections/books")
    assert "Left alone" not in admin.text


@pytest.mark.parametrize(("role", "way"), [("admin", "/connections/books/settings"), ("finance", "/connections/books")])
def test_what_is_to_be_mended_leads_there_whoever_may_and_is_gone_afterwards(hub, books, visitor, connected, role, way):
    hold(hub, connected.id, "The login has ended.")
    somebody = visitor(role)

    for path in ("/", "/parked"):
        somebody.get(path)
        assert "books needs attention" in somebody.text
        assert f'href="{way}"' in somebody.text

    visitor().post("/connections/books/check")
    for path in ("/", "/parked"):
        somebody.get(path)
        assert "books needs attention" not in somebody.text


def test_no_secret_is_ever_on_a_page(books, admin, connected):
    for path in ("/connections", "/connections/books", "/connections/books/settings", "/audit", "/connectors"):
        admin.get(path)
        for secret in ("client_secret", "refresh_token"):
            assert books.settings[secret] not in admin.text


@pytest.mark.parametrize("path", ["/connections/nothing", "/runs/00000000-0000-7000-8000-000000000000", "/runs/1"])
def test_what_is_not_there_is_not_found(admin, path):
    assert admin.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/runs?after=x", "/audit?after=x", "/audit?from=yesterday"])
def test_a_filter_that_cannot_be_read_is_refused_with_a_sentence(admin, path):
    assert admin.get(path).status_code == 422


PAGES = {
    "/connections": {"admin", "finance"},
    "/connections/books": {"admin", "finance"},
    "/connections/books/matching": {"admin", "finance"},
    "/connections/books/settings": {"admin"},
    "/connections/books/streams": {"admin"},
    "/connections/books/ready": {"admin"},
    "/connections/books/enable-writing": {"admin"},
    "/connections/books/remove": {"admin"},
    "/connectors": {"admin"},
    "/connectors/quickbooks/add": {"admin"},
    "/runs": {"admin", "finance"},
    "/parked": {"admin", "finance"},
}


@pytest.mark.parametrize("role", ["admin", "finance", "manager", "consultant", "partner"])
def test_a_page_is_for_whoever_holds_its_permission(visitor, connected, role):
    somebody = visitor(role)

    answers = {path: somebody.get(path).status_code for path in PAGES}

    assert answers == {path: 200 if role in roles else 403 for path, roles in PAGES.items()}


ACTS = {
    "/connections/books/sync": {"admin", "finance"},
    "/connections/books/check": {"admin", "finance"},
    "/parked/retry": {"admin", "finance"},
    "/connections/books/pause": {"admin"},
    "/connections/books/resume": {"admin"},
    "/connections/books/enable-writing": {"admin"},
    "/connections/books/matching/accept": {"admin"},
}


@pytest.mark.parametrize("role", ["admin", "finance", "manager", "consultant", "partner"])
def test_an_act_is_for_whoever_holds_its_permission(visitor, connected, role):
    somebody = visitor(role)

    answers = {path: somebody.post(path).status_code for path in ACTS}

    assert answers == {path: 303 if role in roles else 403 for path, roles in ACTS.items()}


def test_a_form_without_the_token_of_the_session_changes_nothing(hub, admin, connected):
    assert admin.client.post("/connections/books/pause").status_code == 403
    assert stored(hub).state == ConnectionState.READ_ONLY
