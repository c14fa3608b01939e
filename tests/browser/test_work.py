"""The firm's people at work in a real browser: a week is filled, approved, billed and paid."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from hub.access.models import User
from hub.access.permissions import Role
from hub.access.sign_in import open_session
from hub.access.users import create_user
from hub.core.clients.service import create_client, create_contact
from hub.core.people.service import create_person
from hub.core.projects.service import create_project, create_tasks
from hub.core.timesheets.service import Block, approve_time, record_blocks, submit_time
from hub.web.app import create_app
from hub.web.csrf import SESSION_COOKIE
from tests.web.pages.firm import issue, set_rate

pytestmark = pytest.mark.browser

NAMES = {
    Role.ADMIN: "Amara Okafor",
    Role.FINANCE: "Felix Brandt",
    Role.MANAGER: "Mira Lang",
    Role.CONSULTANT: "Chloé Martin",
}
MONDAY = date.today() - timedelta(days=date.today().weekday())
LAST_MONDAY = MONDAY - timedelta(days=7)


@pytest.fixture
def address(hub, serve):
    return serve(create_app(hub))


@pytest.fixture
def people(hub):
    """The id of one user of each role, and a project of theirs to work on."""
    set_rate(hub)  # 80.00 an hour, 20 % tax

    def work(session):
        found = {}
        for role, name in NAMES.items():
            person = create_person(session, name=name)
            session.flush()
            user = create_user(session, email=f"{role}@example.com", name=name, role=role, person_id=person.id)
            found[role] = user.id
        client = create_client(session, name="Hartwell & Sons", legal_name="Hartwell and Sons Limited", country="GB")
        project = create_project(session, client_id=client.id, name="Warehouse planning", budget=Decimal(40000))
        session.flush()
        create_contact(session, client_id=client.id, first_name="Dora", last_name="Hartwell", email="dora@h.example")
        create_tasks(session, project.id, ["Engineering", "Workshops"])
        return found

    return hub.transact(work)


@pytest.fixture
def at(hub, people, open_page, address):
    """A page of somebody who is signed in: at("finance", "/invoices")."""

    def at(role, path="/", **look):
        page = open_page(**look)
        token = hub.transact(lambda session: open_session(session, session.get_one(User, people[role]))[1])
        page.context.add_cookies([{"name": SESSION_COOKIE, "value": token, "url": address}])
        page.goto(address + path)
        return page

    return at


def press(page, name):
    page.get_by_role("main").get_by_role("button", name=name).first.click()


def told(page, text):
    page.get_by_text(text).first.wait_for()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_week_of_work_becomes_a_paid_invoice(at, scripts):
    # The consultant fills last week and hands it in.
    week = f"{LAST_MONDAY.isocalendar().year}-W{LAST_MONDAY.isocalendar().week:02}"
    consultant = at("consultant", f"/time?week={week}", scripts=scripts)
    consultant.get_by_label("Add a task").select_option(label="Warehouse planning · Engineering")
    press(consultant, "Add")
    hours = consultant.get_by_role("textbox", name="Warehouse planning, Engineering")
    hours.first.wait_for()
    hours.nth(0).fill("7:30")
    hours.nth(1).fill("8,5")
    press(consultant, "Submit for approval")
    told(consultant, "is submitted for approval.")
    expect(consultant.locator("[data-week-total]")).to_have_text("16:00")

    # The manager finds it on the home page and approves it.
    manager = at("manager", scripts=scripts)
    manager.get_by_role("link", name="Time of 1 person waits for approval").click()
    press(manager, "Approve what is ticked")
    told(manager, "2 entries approved.")
    told(manager, "Nothing to approve")

    # Finance drafts, issues, and looks at the invoice: 16 h x 80 = 1,280, and 20 % tax.
    finance = at("finance", scripts=scripts)
    finance.get_by_role("link", name="16:00 h to bill").click()
    expect(finance.get_by_role("row", name="Warehouse planning").get_by_text("£1,280.00")).to_be_visible()
    press(finance, "Draft 1 invoice")
    told(finance, "1 invoice is drafted.")
    finance.get_by_role("row", name="Hartwell and Sons Limited").get_by_role("link").click()
    press(finance, "Issue")
    told(finance, "Invoice INV-00001 is issued.")
    expect(finance.get_by_role("row", name="Total", exact=False).get_by_text("£1,536.00").first).to_be_visible()

    # The money comes in.
    finance.get_by_role("link", name="Record a payment").click()
    finance.get_by_label("Reference").fill("BACS 4711")
    press(finance, "Record payment")
    told(finance, "£1,536.00 is entered.")
    expect(finance.get_by_role("heading", name="Invoice INV-00001 Paid")).to_be_visible()


def test_a_wrong_cell_is_marked_and_totals_follow_what_is_typed(at):
    consultant = at("consultant", "/time")
    consultant.get_by_label("Add a task").select_option(index=1)
    press(consultant, "Add")
    hours = consultant.get_by_role("textbox", name="Warehouse planning, Engineering")
    hours.nth(0).fill("7.5")
    expect(consultant.locator("[data-week-total]")).to_have_text("7:30")

    hours.nth(1).fill("25")
    press(consultant, "Save")

    told(consultant, "25 is more than the 24 hours of a day.")
    expect(hours.nth(0)).to_have_value("7.5")
    expect(hours.nth(1)).to_have_attribute("aria-invalid", "true")


def test_returned_time_reaches_the_consultant_with_its_comment(hub, at, people):
    busy_week(hub, people, LAST_MONDAY, approved=False)
    manager = at("manager", "/approvals")
    manager.get_by_label("Comment").first.fill("Which client was this for?")
    press(manager, "Return what is ticked")
    told(manager, "5 entries returned.")

    consultant = at("consultant")
    consultant.get_by_role("link", name="was returned to you").click()

    told(consultant, "Which client was this for?")


def busy_week(hub, people, monday, *, approved):
    """Five days of the consultant on the project."""
    from sqlalchemy import select

    from hub.core.projects.models import Task

    def work(session):
        task_ids = session.scalars(select(Task.id).where(Task.name.in_(("Engineering", "Workshops")))).all()
        person_id = session.get_one(User, people["consultant"]).person_id
        blocks = [
            Block(task_ids[day % 2], person_id, monday + timedelta(days=day), 27_000, "Ingestion, retries")
            for day in range(5)
        ]
        ids = [entry.id for entry in record_blocks(session, blocks)]
        submit_time(session, ids)
        if approved:
            approve_time(session, ids)

    hub.transact(work)


@pytest.fixture
def busy(hub, people):
    """A firm in the middle of its month; the addresses of one client, project and invoice."""
    for weeks in range(1, 4):
        busy_week(hub, people, MONDAY - timedelta(weeks=weeks), approved=weeks > 1)
    record = issue(hub, "Océane Énergie SA", hours=12)
    issue(hub, "Meridian Health Trust of the South West and the Isles")
    return {
        "client": f"/clients/{record.client_id}",
        "project": f"/projects/{record.project_id}",
        "invoice": f"/invoices/{record.id}",
        "payment": f"/invoices/{record.id}/payment",
    }


PAGES = {
    "admin": ["/", "/import", "/reconciliation"],
    "finance": ["/", "/clients", "/clients/add", "client", "/invoices", "invoice", "payment", "/invoices/draft"],
    "manager": ["/", "/approvals", "/projects", "project", "/search?q=a"],
    "consultant": ["/", "/time", f"/time?week={LAST_MONDAY:%G-W%V}", "client", "project", "/shortcuts", "/password"],
}


@pytest.mark.parametrize("role", PAGES)
def test_no_page_of_daily_work_has_barriers(at, look_at, busy, address, role):
    page = at(role)

    for name in PAGES[role]:
        page.goto(address + busy.get(name, name))
        look_at(page, f"work-{role}-{name.strip('/').replace('/', '-') or 'home'}")
