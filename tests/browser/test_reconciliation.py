"""Finance compares the hub with accounting in a real browser, against a running stand-in."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

import plugins.quickbooks
from hub.access.models import User
from hub.access.sign_in import open_session
from hub.access.users import create_user
from hub.core.clients.service import change_client
from hub.sync.connections import add_connection
from hub.sync.cycle import run_connection
from hub.web.app import create_app
from hub.web.csrf import SESSION_COOKIE
from tests.plugins.quickbooks.books import company
from tests.web.pages.firm import issue, set_rate

pytestmark = pytest.mark.browser


@pytest.fixture
def hub(make_hub):
    return make_hub({"quickbooks": plugins.quickbooks})


@pytest.fixture
def books(hub):
    """Accounting with one invoice of the hub's; a second one is issued here only."""
    set_rate(hub)
    with company(country="GB").serve() as server:
        connection = add_connection(hub, connector="quickbooks", name="books", settings=server.settings)
        record = issue(hub, "Océane Énergie SA", hours=12)
        hub.transact(lambda session: change_client(session, record.client_id, country="GB"))
        run_connection(hub, connection.id)
        issue(hub, "Meridian Health Trust of the South West")
        yield connection


@pytest.fixture
def finance(hub, books, open_page, serve):
    """The page of somebody of finance, with scripts or without."""

    def sign_in(session):
        user = create_user(session, email="felix@example.com", name="Felix Brandt", role="finance")
        return open_session(session, session.get_one(User, user.id))[1]

    address, token = serve(create_app(hub)), hub.transact(sign_in)

    def open_it(path, **look):
        page = open_page(**look)
        page.context.add_cookies([{"name": SESSION_COOKIE, "value": token, "url": address}])
        page.goto(address + path)
        return page

    return open_it


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_finance_finds_the_difference_and_then_none(hub, books, finance, scripts):
    page = finance("/reconciliation", scripts=scripts)
    page.get_by_role("button", name="Compare now").click()
    page.get_by_text("The two sides differ.").first.wait_for()
    page.get_by_label("Outcome").get_by_role("link", name="Missing there").click()
    documents = page.get_by_role("table", name="Documents", exact=True).get_by_role("link")
    expect(documents).to_have_text(["INV-00002"])

    run_connection(hub, books.id)
    page.get_by_role("button", name="Compare now").click()

    page.get_by_text("Every invoice, tax and payment agrees.").wait_for()


def test_a_comparison_and_its_invoice_have_no_barriers(finance, look_at):
    page = finance("/reconciliation")
    page.get_by_role("button", name="Compare now").click()
    page.get_by_role("table", name="Documents", exact=True).wait_for()

    look_at(page, "work-comparison")
    page.get_by_role("link", name="INV-00001").click()
    page.get_by_role("heading", name="Invoice INV-00001").wait_for()
    look_at(page, "work-invoice-in-step")
