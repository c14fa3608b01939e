"""The hub against accounting, compared through the page against a running stand-in."""

from __future__ import annotations

import pytest
import requests
from sqlalchemy import select

import plugins.quickbooks
from hub.sync.connections import add_connection
from hub.sync.cycle import run_connection
from hub.sync.models import Plan
from tests.plugins.quickbooks.books import company
from tests.web.pages.firm import issue, set_rate
from tests.web.pages.visitor import Visitor

PAGE = "/reconciliation"


@pytest.fixture
def hub(make_hub):
    return make_hub({"quickbooks": plugins.quickbooks})


@pytest.fixture
def books():
    with company(country="GB").serve() as server:
        yield server


@pytest.fixture
def finance(app, hub, users):
    return Visitor(app, hub, users["finance"])


@pytest.fixture
def connection(hub, books, users):
    set_rate(hub)
    return add_connection(hub, connector="quickbooks", name="books", settings=books.settings)


def compare(visitor, **form):
    return visitor.follow(visitor.post(PAGE, {"connection": "books", **form}, seen_at=PAGE)).text


def test_without_accounting_the_page_says_so(finance):
    assert "No accounting system is connected" in finance.get(PAGE).text


def test_looking_at_the_page_asks_nobody(finance, books, connection):
    calls = books.sandbox.calls()

    assert "Not compared yet" in finance.get(PAGE).text
    assert books.sandbox.calls() == calls


def test_equal_books_are_equal_to_the_cent(finance, hub, connection):
    record = issue(hub, "Brown Ltd")
    run_connection(hub, connection.id)

    page = compare(finance)

    assert "Equal to the cent." in page
    assert f"/invoices/{record.id}" in page


def test_a_payment_says_what_it_is_beside_the_invoices(finance, hub, books, connection):
    record = issue(hub, "Brown Ltd")
    run_connection(hub, connection.id)
    requests.post(f"{books.url}/_control/pay_invoice", json={"number": record.number}, timeout=5).raise_for_status()
    run_connection(hub, connection.id)

    page = compare(finance)

    assert ">Payment " in page
    assert f">{record.number}<" in page


def test_what_is_missing_there_comes_first_and_is_kept_for_another_look(finance, hub, connection):
    issue(hub, "Brown Ltd")
    run_connection(hub, connection.id)
    missing = issue(hub, "Carter Ltd")

    page = compare(finance)

    assert "The two sides differ." in page
    assert page.index(missing.number) < page.index("INV-00001")
    assert "INV-00001" not in finance.get(f"{PAGE}?connection=books&show=missing_there").text


def test_an_invoice_stands_in_accounting_on_its_own_page(finance, hub, connection):
    record = issue(hub, "Brown Ltd")
    assert "To be sent" in finance.get(f"/invoices/{record.id}").text

    run_connection(hub, connection.id)

    page = finance.get(f"/invoices/{record.id}").text
    assert "In step" in page
    assert "Created in books" in page


def test_accounting_that_cannot_be_reached_is_named(finance, books, connection):
    books.stop()

    page = compare(finance)

    assert "books could not be compared" in page


@pytest.mark.parametrize(
    ("form", "status"), [({"connection": "none"}, 404), ({"from": "soon"}, 422)], ids=["unknown", "no day"]
)
def test_a_comparison_that_makes_no_sense_is_refused(finance, connection, form, status):
    assert finance.post(PAGE, {"connection": "books", **form}, seen_at=PAGE).status_code == status


def test_a_period_that_ends_before_it_begins_is_named(finance, connection):
    refused = finance.get(f"{PAGE}?connection=books&from=2026-02-01&to=2026-01-01")

    assert (refused.status_code, "The period ends before it begins." in refused.text) == (422, True)


def test_a_difference_says_what_to_do_and_a_plan_is_one_step_away(app, hub, users, connection):
    admin = Visitor(app, hub, users["admin"])
    missing = issue(hub, "Carter Ltd")

    page = compare(admin)

    assert "It is owed, and was not sent yet." in page
    assert "It goes out with the next run." in page
    answer = admin.post("/reconciliation/plan", {"connection": "books"}, seen_at=PAGE)
    with hub.read() as session:
        plan = session.scalars(select(Plan)).one()
    assert answer.location == f"/plans/{plan.id}"
    assert plan.anew == {"invoices": {str(missing.id): False}}
    assert plan.wish == {"make": True}


def test_with_nothing_to_mend_no_plan_is_asked_for(app, hub, users, connection):
    admin = Visitor(app, hub, users["admin"])
    issue(hub, "Brown Ltd")
    run_connection(hub, connection.id)
    compare(admin)

    answer = admin.follow(admin.post("/reconciliation/plan", {"connection": "books"}, seen_at=PAGE))

    assert "There is nothing to mend by sending it again." in answer.text
