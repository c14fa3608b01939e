"""What a sync would do, seen and applied through the pages, without scripts."""

from __future__ import annotations

import re
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from sqlalchemy import select

from hub.core.clients.service import change_client
from hub.jobs.worker import run_worker
from hub.sync.connections import add_connection, set_state
from hub.sync.cycle import run_connection
from hub.sync.models import Connection, ConnectionState, Plan
from tests.sync.fake_remote import REMOTES, Remote, plugin
from tests.web.pages.firm import issue, set_rate
from tests.web.pages.visitor import Visitor


@pytest.fixture
def hub(make_hub):
    return make_hub({"fake": plugin()})


@pytest.fixture
def remote():
    account = f"account-{uuid4()}"
    REMOTES[account] = Remote()
    REMOTES[account].account = account
    yield REMOTES[account]
    del REMOTES[account]


@pytest.fixture
def books(hub, remote):
    """A connection that only reads."""
    set_rate(hub)
    return add_connection(hub, connector="fake", name="books", settings={"account": remote.account}, read_only=True).id


@pytest.fixture
def visitor(app, hub, users):
    return lambda role="admin": Visitor(app, hub, users[role])


@pytest.fixture
def admin(visitor):
    return visitor()


def planned(hub, visitor):
    """The address of a new plan, worked out."""
    sent = visitor.post("/connections/books/plans")
    run_worker(hub, burst=True)
    address = urlsplit(sent.headers["Location"]).path
    visitor.get(address)
    return address


def state_of(hub):
    with hub.read() as session:
        return session.scalar(select(Connection.state))


def test_a_plan_is_one_click_away_and_says_that_it_is_being_worked_out(hub, books, admin):
    assert "See what a sync would do" in admin.get("/connections/books").get_data(as_text=True)

    admin.follow(admin.post("/connections/books/plans"))

    assert "It is being worked out. Nothing changes on either side." in admin.text
    assert "Apply" not in admin.text


def test_a_plan_shows_the_counts_the_money_and_each_field(hub, books, remote, admin):
    issue(hub, "Harbour Foods")

    planned(hub, admin)

    assert "Documents of" in admin.text
    assert "INV-00001 Harbour Foods" in admin.text
    assert "(new) Harbour Foods" in admin.text  # the client that the invoice refers to is created by the plan
    assert remote.ledger == []


def test_changes_are_filtered_by_action_and_stream(hub, books, admin):
    issue(hub, "Harbour Foods")
    address = planned(hub, admin)

    admin.get(f"{address}?stream=clients&action=create")
    assert ("INV-00001" in admin.text, "Harbour Foods" in admin.text) == (False, True)
    admin.get(f"{address}?action=delete")
    assert "Nothing like that in this plan" in admin.text


def test_a_plan_is_applied_after_one_question_that_says_that_the_connection_writes_then(hub, books, remote, admin):
    issue(hub, "Harbour Foods")
    address = planned(hub, admin)

    question = admin.post(f"{address}/apply", {"which": "all"}).get_data(as_text=True)
    assert "books writes from now on." in question
    assert (state_of(hub), remote.ledger) == (ConnectionState.READ_ONLY, [])
    admin.follow(admin.post(f"{address}/apply", {"confirmed": "yes", "items": ""}))
    assert "What was chosen is being done." in admin.text
    run_worker(hub, burst=True)

    admin.get(address)
    assert "3 created" in admin.text
    assert "There is nothing to apply in it." in admin.text
    assert (state_of(hub), remote.created("invoices")) == (ConnectionState.ACTIVE, 1)


def test_what_is_ticked_goes_and_the_rest_is_held_and_said_to_be(hub, books, remote, admin):
    issue(hub, "Harbour Foods")
    issue(hub, "Meridian Trust")
    address = planned(hub, admin)
    admin.get(f"{address}?stream=invoices")
    ticked = re.search(r'name="item" value="([0-9a-f-]+)" aria-label="INV-00001', admin.text)[1]

    question = admin.post(f"{address}/apply", {"which": "ticked", "item": ticked}).get_data(as_text=True)
    assert f'name="items" value="{ticked}"' in question
    admin.post(f"{address}/apply", {"confirmed": "yes", "items": ticked})
    run_worker(hub, burst=True)

    assert [held["number"] for held in remote.records["invoices"].values()] == ["INV-00001"]
    assert "held back by a plan" in admin.get("/connections/books").get_data(as_text=True)


def test_without_a_tick_nothing_is_applied(hub, books, remote, admin):
    issue(hub, "Harbour Foods")
    address = planned(hub, admin)

    admin.follow(admin.post(f"{address}/apply", {"which": "ticked"}))

    assert "Tick what is to be applied first." in admin.text
    assert remote.ledger == []


def test_beyond_a_guard_the_name_of_the_connection_has_to_be_typed(hub, books, remote, admin):
    records = [issue(hub, f"Client {number} Ltd") for number in range(6)]
    admin.post("/connections/books/enable-writing")
    run_connection(hub, books)
    hub.transact(lambda session: set_state(session, books, ConnectionState.READ_ONLY) and None)
    for record in records:
        hub.transact(
            lambda session, record=record: (
                change_client(session, record.client_id, name=f"New {record.number}") and None
            )
        )
    address, before = planned(hub, admin), len(remote.ledger)

    question = admin.post(f"{address}/apply", {"which": "all"}).get_data(as_text=True)
    assert "It would update 6 of 6 clients, more than the guard of 5." in question
    assert admin.post(f"{address}/apply", {"confirmed": "yes", "typed": "no"}).status_code == 422
    run_worker(hub, burst=True)
    assert len(remote.ledger) == before

    admin.post(f"{address}/apply", {"confirmed": "yes", "typed": "books"})
    run_worker(hub, burst=True)
    assert len(remote.ledger) == before + 6


def test_who_may_not_set_a_connection_up_does_not_let_it_write_by_a_plan(hub, books, remote, visitor):
    issue(hub, "Harbour Foods")
    finance = visitor("finance")
    address = planned(hub, finance)

    assert finance.post(f"{address}/apply", {"confirmed": "yes", "items": ""}).status_code == 403
    assert state_of(hub) == ConnectionState.READ_ONLY


def test_the_plans_of_a_connection_are_listed(hub, books, admin):
    issue(hub, "Harbour Foods")
    address = planned(hub, admin)

    admin.get("/connections/books/plans")

    assert address in admin.text
    assert "create 3" in admin.text


def test_a_page_of_a_plan_asks_the_database_no_more_for_many_changes(hub, books, admin, count_queries):
    issue(hub, "Client 0 Ltd")
    few = planned(hub, admin)
    for number in range(1, 8):
        issue(hub, f"Client {number} Ltd")
    many = planned(hub, admin)

    with count_queries() as first:
        admin.get(few)
    with count_queries() as second:
        admin.get(many)

    assert first.count == second.count


def test_an_expired_plan_cannot_be_applied(hub, books, admin):
    issue(hub, "Harbour Foods")
    address = planned(hub, admin)

    def work(session):
        plan = session.scalars(select(Plan)).one()
        plan.expires_at = plan.created_at

    hub.transact(work)

    admin.get(address)
    assert "It has expired: look again." in admin.text
    admin.follow(admin.post(f"{address}/apply", {"confirmed": "yes"}))
    assert "This plan has expired. Make a new one." in admin.text or "does not write" in admin.text
