"""First matching on the page: linking, creating, ignoring, and linking all at once."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

import plugins.quickbooks
from hub.core.outbox import Link
from hub.jobs.worker import run_worker
from hub.sync.connections import add_connection
from hub.sync.cycle import run_connection
from hub.sync.models import MatchCase
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
def admin(app, hub, users):
    return Visitor(app, hub, users["admin"])


@pytest.fixture
def undecided(hub, books, users):
    """Invoices of two clients, of whom customers of nearly the same name are there already."""
    set_rate(hub)
    for name in ("Harbour Foods Limited", "Harbour Foods (old)", "Kestrel Limited"):
        books.sandbox.create_customer(DisplayName=name)
    issue(hub, "Harbour Foods")
    issue(hub, "Kestrel Ltd")
    connection_id = add_connection(hub, connector="quickbooks", name="books", settings=books.settings).id
    run_connection(hub, connection_id)


def customers(books):
    return {each["DisplayName"] for each in books.sandbox.state["entities"]["Customer"].values()}


def case_of(hub, label):
    with hub.read() as session:
        return session.scalar(select(MatchCase).where(MatchCase.label == label))


def test_the_page_names_what_is_like_each_record_and_how_many_wait_for_it(admin, undecided):
    admin.get("/connections/books/matching")

    assert "Harbour Foods Limited" in admin.text
    assert "Harbour Foods (old)" in admin.text
    assert "1 record waits for it" in admin.text
    admin.get("/connections/books")
    assert "2 to match" in admin.text


def test_linking_to_the_one_that_was_chosen_lets_its_invoice_go(hub, books, admin, undecided):
    case = case_of(hub, "Harbour Foods")
    old = next(each for each in case.candidates if each["label"] == "Harbour Foods (old)")

    admin.follow(admin.post(f"/connections/books/matching/{case.id}", {"action": "link", "remote_id": old["id"]}))
    assert "“Harbour Foods” is linked." in admin.text
    run_worker(hub, burst=True)

    with hub.read() as session:
        assert session.scalar(select(Link.remote_id).where(Link.record_id == case.record_id)) == old["id"]
    assert len(books.sandbox.effects("create", "Invoice", actor="api")) == 1


def test_creating_a_new_one_leaves_those_that_are_like_it_alone(hub, books, admin, undecided):
    before = customers(books)

    admin.follow(admin.post(f"/connections/books/matching/{case_of(hub, 'Harbour Foods').id}", {"action": "create"}))
    run_worker(hub, burst=True)

    assert customers(books) - before == {"Harbour Foods"}


def test_all_are_linked_to_their_best_match_at_once(hub, books, admin, undecided):
    before = customers(books)

    admin.follow(admin.post("/connections/books/matching/accept"))
    assert "2 records are linked to their best match." in admin.text
    run_worker(hub, burst=True)

    assert "Nothing to decide" in admin.get("/connections/books/matching").get_data(as_text=True)
    assert len(customers(books)) == len(before)
    assert len(books.sandbox.effects("create", "Invoice", actor="api")) == 2


@pytest.mark.parametrize(
    ("form", "status"),
    [({"action": "link", "remote_id": "no such one"}, 422), ({"action": "dance"}, 422), ({}, 422)],
)
def test_a_decision_that_makes_no_sense_changes_nothing(hub, admin, undecided, form, status):
    case = case_of(hub, "Harbour Foods")

    assert admin.post(f"/connections/books/matching/{case.id}", form).status_code == status

    assert case_of(hub, "Harbour Foods").decision is None


def test_a_case_is_settled_once(hub, admin, undecided):
    address = f"/connections/books/matching/{case_of(hub, 'Harbour Foods').id}"
    admin.post(address, {"action": "ignore"})

    assert admin.post(address, {"action": "create"}).status_code == 409
    assert "was settled by somebody else meanwhile" in admin.text
    assert admin.post(re.sub(r"[^/]+$", "00000000-0000-7000-8000-000000000000", address)).status_code == 404
