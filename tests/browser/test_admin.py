"""An administrator sets a hub up, connects accounting, runs it and mends a record, in a real browser."""

from __future__ import annotations

from decimal import Decimal

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

import plugins.quickbooks
from hub.access.fingerprints import Fingerprints
from hub.access.keys import create_key, revoke_key
from hub.access.models import User
from hub.access.sign_in import open_session
from hub.access.users import create_user
from hub.bootstrap import build_hub
from hub.config import secret_keys
from hub.core.outbox import Link
from hub.core.people.service import create_person
from hub.core.rates.service import add_rate
from hub.jobs.worker import run_worker
from hub.sync.connections import add_connection
from hub.sync.cycle import run_connection
from hub.sync.models import Run
from hub.web.csrf import SESSION_COOKIE
from hub.web.wsgi import HubApplication
from tests.web.pages.firm import issue, set_rate

pytestmark = pytest.mark.browser


@pytest.fixture
def hub(settings):
    """A hub on an empty database, with the installed plugins, none of them enabled."""
    hub = build_hub(settings)
    yield hub
    hub.close()


@pytest.fixture
def address(hub, serve):
    return serve(HubApplication(hub))


@pytest.fixture
def books():
    """A British company in the vendor's stand-in."""
    (spec,) = plugins.quickbooks.sandboxes()
    with spec.create(country="GB", company="Ada Ltd").serve() as server:
        yield server


def work_off(hub):
    """What the workers would do now."""
    run_worker(hub, burst=True)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_an_admin_goes_from_an_empty_hub_to_a_mended_record(open_page, hub, address, books, scripts):
    page = open_page(scripts=scripts)
    page.set_default_timeout(60_000)  # the catalogue starts a process for each plugin it has not seen yet

    # Nobody can sign in yet: whoever comes first becomes the admin.
    page.goto(address)
    for label, value in {
        "Your name": "Ada Lovelace",
        "E-mail": "ada@example.com",
        "Password": "correct horse battery",
        "The same again": "correct horse battery",
        "Name of the firm": "Ada Ltd",
        "Country": "GB",
        "Currency": "GBP",
    }.items():
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Create the hub").click()
    page.get_by_role("heading", name="Welcome to PSA Hub").wait_for()
    expect(page.get_by_text("1 of 6 done")).to_be_visible()

    # The catalogue shows connectors whose plugins are not enabled yet.
    page.get_by_role("main").get_by_role("link", name="Connect", exact=True).click()
    page.get_by_role("button", name="Enable and connect QuickBooks Online").click()
    page.get_by_role("heading", name="Connect QuickBooks Online").wait_for()

    # Step 1: a wrong secret is refused, the right one tested.
    page.get_by_label("Name of this connection").fill("books")
    labels = {"client_id": "Client ID", "realm_id": "Company ID", "base_url": "Address"}
    for name, label in labels.items():
        page.get_by_label(label).fill(books.settings[name])
    page.get_by_label("OAuth discovery document").fill(books.settings["discovery_url"])
    page.get_by_label("Refresh token").fill(books.settings["refresh_token"])
    page.get_by_label("Client secret").fill("wrong")
    page.get_by_role("button", name="Test connection").click()
    page.locator(".message.bad").first.wait_for()
    page.get_by_label("Client secret").fill(books.settings["client_secret"])
    page.get_by_label("Refresh token").fill(books.settings["refresh_token"])
    page.get_by_role("button", name="Test connection").click()
    page.get_by_role("heading", name="The connection works").wait_for()
    page.get_by_role("button", name="Test and continue").click()

    # Steps 2 and 3: what travels, from when on; it reads only until writing is enabled.
    page.get_by_role("checkbox", name="Invoices → Invoices").wait_for()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("heading", name="Ready").wait_for()
    hub.transact(lambda session: add_rate(session, rate=Decimal(80), currency="GBP"))
    first, second = issue(hub, "Acme Ltd"), issue(hub, "Brown Ltd", hours=2)
    books.sandbox.close_books(until=str(second.dated_on))
    page.get_by_role("link", name="Enable writing").click()
    expect(page.get_by_text("To be sent first: invoices (2).")).to_be_visible()
    page.get_by_role("button", name="Enable writing").click()
    page.get_by_text("books may write now.").wait_for()

    # A run, by a worker. The period is closed over there, so the invoices are refused and wait.
    page.get_by_role("button", name="Sync now").click()
    page.get_by_text("A run of books is queued.").wait_for()
    work_off(hub)
    page.get_by_role("link", name="All runs").click()
    page.get_by_role("table", name="Runs").get_by_role("link").last.click()
    page.get_by_role("heading", name="What it did").wait_for()
    expect(page.get_by_text("Partly failed")).to_be_visible()
    expect(page.get_by_role("row", name=first.number)).to_be_visible()

    # Mended over there, and sent again.
    page.get_by_role("navigation").get_by_role("link", name="Needs repair").click()
    page.get_by_role("row", name=second.number).wait_for()
    books.sandbox.close_books(until="")
    page.get_by_role("button", name="Retry all").click()
    page.get_by_text("2 will be sent again.").wait_for()
    work_off(hub)
    page.get_by_role("navigation").get_by_role("link", name="Needs repair").click()
    page.get_by_text("Nothing is parked").wait_for()
    numbers = {each["DocNumber"] for each in books.sandbox.state["entities"]["Invoice"].values()}
    assert numbers == {first.number, second.number}


@pytest.fixture
def busy_hub(hub, books):
    """A hub in the middle of its life: runs, parked records, an open match, users."""
    set_rate(hub)
    hub.plugins.enable("quickbooks", actor="system")
    for client in ("Acme Ltd", "Brown & O'Neill", "Kestrel Planning"):
        issue(hub, client)
    connection_id = add_connection(hub, connector="quickbooks", name="books", settings=books.settings).id
    run_connection(hub, connection_id)
    books.sandbox.create_customer(DisplayName="Harbour Foods Limited")
    books.sandbox.create_customer(DisplayName="Harbour Foods (old)")
    run_connection(hub, connection_id)
    for client in ("Harbour Foods", "Meridian Health Trust", "Northwind"):
        last = issue(hub, client, hours=3)
    books.sandbox.close_books(until=str(last.dated_on))
    run_connection(hub, connection_id)

    def people(session):
        person = create_person(session, name="Ada Lovelace", email="ada@example.com")
        session.flush()
        admin = create_user(session, email="ada@example.com", name="Ada Lovelace", role="admin", person_id=person.id)
        create_user(session, email="grace@example.com", name="Grace Hopper", role="finance")
        return admin.id

    hub.admin_id = hub.transact(people)
    hub.transact(lambda session: give_keys(session, hub))
    hub.connection_id = connection_id
    return hub


def give_keys(session, hub):
    """Two keys of the admin: one that may do little, and one that was revoked."""
    admin, fingerprints = session.get_one(User, hub.admin_id), Fingerprints(secret_keys(hub.settings))
    create_key(session, fingerprints, owner=admin, name="Nightly export", scopes=["invoices.read", "clients.read"])
    revoke_key(session, create_key(session, fingerprints, owner=admin, name="Old script").key.id)


def admin_page(open_page, hub, address, **look):
    page = open_page(**look)
    token = hub.transact(lambda session: open_session(session, session.get_one(User, hub.admin_id))[1])
    page.context.add_cookies([{"name": SESSION_COOKIE, "value": token, "url": address}])
    return page


def paths_of(hub):
    with hub.read() as session:
        run_id = session.scalar(select(Run.id).where(Run.rejected > 0).order_by(Run.id.desc()).limit(1))
        parked_id = session.scalar(select(Link.id).where(Link.parked.is_not(None)).limit(1))
    return {
        "first-run": "/welcome",
        "connectors": "/connectors",
        "add-connection": "/connectors/quickbooks/add",
        "connections": "/connections",
        "connection": "/connections/books",
        "settings": "/connections/books/settings",
        "streams": "/connections/books/streams",
        "ready": "/connections/books/ready",
        "remove": "/connections/books/remove",
        "matching": "/connections/books/matching",
        "runs": "/runs",
        "run": f"/runs/{run_id}",
        "parked": "/parked",
        "ignore": f"/parked/{parked_id}/ignore",
        "plugins": "/plugins",
        "users": "/users",
        "add-user": "/users/add",
        "user": f"/users/{hub.admin_id}",
        "keys": "/keys",
        "audit": "/audit",
    }


@pytest.mark.slow
def test_no_page_of_the_administration_has_barriers(open_page, look_at, busy_hub, address):
    page = admin_page(open_page, busy_hub, address)

    for name, path in paths_of(busy_hub).items():
        page.goto(address + path)
        look_at(page, f"admin-{name}")
