"""An administrator looks at what a sync would do, and applies a part of it, in a real browser."""

from __future__ import annotations

import pytest

import plugins.quickbooks
from hub.access.models import User
from hub.access.sign_in import open_session
from hub.access.users import create_user
from hub.core.clients.service import change_client
from hub.jobs.worker import run_worker
from hub.sync.connections import add_connection
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
    """A connection to accounting that only reads; two invoices are issued here."""
    set_rate(hub)
    with company(country="GB").serve() as server:
        connection = add_connection(hub, connector="quickbooks", name="books", settings=server.settings, read_only=True)
        for name in ("Océane Énergie SA", "Meridian Health Trust of the South West"):
            record = issue(hub, name, hours=12)
            hub.transact(lambda session, record=record: change_client(session, record.client_id, country="GB") and None)
        yield connection


@pytest.fixture
def admin(hub, books, open_page, serve):
    """The page of an administrator, with scripts or without."""

    def sign_in(session):
        user = create_user(session, email="ada@example.com", name="Ada Byron", role="admin")
        return open_session(session, session.get_one(User, user.id))[1]

    address, token = serve(create_app(hub)), hub.transact(sign_in)

    def open_it(path, **look):
        page = open_page(**look)
        page.context.add_cookies([{"name": SESSION_COOKIE, "value": token, "url": address}])
        page.goto(address + path)
        return page

    return open_it


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_plan_is_seen_and_a_part_of_it_applied(hub, admin, axe, look_at, screenshot, scripts):
    page = admin("/connections/books", scripts=scripts)
    page.get_by_role("button", name="See what a sync would do").click()
    page.get_by_text("It is being worked out.").wait_for()
    run_worker(hub, burst=True)
    if not scripts:
        page.reload()
    page.get_by_role("table", name="Counts").wait_for()

    if scripts:
        look_at(page, "work-plan")

    page.get_by_role("checkbox", name="INV-00001").check()
    page.get_by_role("button", name="Apply what is ticked").click()
    page.get_by_role("button", name="Apply and let it write").click()
    page.get_by_text("What was chosen is being done.").wait_for()
    run_worker(hub, burst=True)
    if not scripts:
        page.reload()

    page.get_by_text("3 created").wait_for()
    if scripts:
        screenshot(page, "work-plan-applied")
        axe(page)
        page.goto(page.url.split("/plans/")[0] + "/connections/books/plans")
        screenshot(page, "work-plans")
        axe(page)
