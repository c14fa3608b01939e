"""Clients, projects, search and home, as the firm's people see them."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from hub.core.clients.models import Client
from hub.core.clients.service import create_client
from hub.core.outbox import Link
from hub.core.timesheets.service import approve_time, reject_time
from tests.web.pages.firm import issue, set_rate
from tests.web.pages.visitor import Visitor
from tests.web.pages.work import MONDAY, enter, make_project

PEOPLE = ["admin", "finance", "manager", "consultant"]


@pytest.fixture
def visitor(app, hub, users):
    return lambda role: Visitor(app, hub, users[role])


@pytest.fixture
def finance(visitor):
    return visitor("finance")


def add(visitor, **form):
    return visitor.post("/clients/add", form, seen_at="/clients/add")


def stored(hub):
    with hub.read() as session:
        return session.scalars(select(Client)).one().to_record()


# Clients --------------------------------------------------------------------------------------------------------------


def test_a_client_is_added_and_changed(finance, hub):
    page = finance.follow(add(finance, name="Acme GmbH", country="de", currency="eur", tax_exempt="true"))
    assert "Acme GmbH is added." in page.text
    address = f"/clients/{stored(hub).id}"

    finance.follow(finance.post(f"{address}/edit", {"name": "Acme AG", "city": "Köln"}, seen_at=f"{address}/edit"))

    client = stored(hub)
    assert (client.name, client.address.city, client.currency, client.tax_exempt) == ("Acme AG", "Köln", None, False)


def test_what_changed_while_the_form_was_open_is_overwritten_only_knowingly(visitor, hub):
    finance, manager = visitor("finance"), visitor("manager")
    finance.follow(add(finance, name="Acme GmbH", city="Köln"))
    address = f"/clients/{stored(hub).id}/edit"

    def revision(page):
        return re.search(r'name="_revision" value="(\d+)"', page)[1]

    seen = revision(manager.get(address).text)
    finance.post(address, {"name": "Acme AG", "city": "Köln", "_revision": seen}, seen_at=address)
    mine = {"name": "Acme GmbH", "city": "Bonn"}
    shown = manager.post(address, {**mine, "_revision": seen}, seen_at=address)

    assert shown.status_code == 422
    assert "This was changed by finance person while the form was open: Name." in shown.text
    assert 'value="Bonn"' in shown.text
    assert (stored(hub).name, stored(hub).address.city) == ("Acme AG", "Köln")
    manager.follow(manager.post(address, {**mine, "_revision": revision(shown.text)}, seen_at=address))
    assert (stored(hub).name, stored(hub).address.city) == ("Acme GmbH", "Bonn")


def test_a_form_that_is_refused_for_a_value_still_notices_what_changed(visitor, hub):
    finance = visitor("finance")
    finance.follow(add(finance, name="Acme GmbH"))
    address = f"/clients/{stored(hub).id}/edit"
    finance.post(address, {"name": "Acme AG", "_revision": 1}, seen_at=address)

    refused = finance.post(address, {"name": "", "_revision": 2}, seen_at=address)

    assert 'name="_revision" value="2"' in refused.text


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"name": ""}, "A client needs a name."),
        ({"currency": "XQX"}, "“XQX” is not a currency."),
        ({"country": "ZZX"}, "“ZZX” is not a country."),
    ],
)
def test_a_client_that_cannot_be_is_refused_beside_the_field(finance, hub, form, sentence):
    refused = add(finance, **{"name": "Acme", "street": "1 High Street", **form})

    assert (refused.status_code, sentence in refused.text) == (422, True)
    assert f'id="{next(iter(form))}-error"' in refused.text
    assert 'value="1 High Street"' in refused.text


def test_an_archived_client_leaves_the_list_and_can_come_back(finance, hub):
    add(finance, name="Acme")
    address = f"/clients/{stored(hub).id}"

    finance.post(f"{address}/archive", {"archived": "yes"}, seen_at=address)
    assert address not in finance.get("/clients").text
    assert address in finance.get("/clients?show=archived").text

    finance.post(f"{address}/archive", {"archived": "no"}, seen_at=address)
    assert address in finance.get("/clients").text


def test_clients_stand_by_name_whatever_the_letters_and_are_counted(finance, hub):
    hub.transact(lambda session: [create_client(session, name=name) for name in ("beta", "Alpha", "Gamma")])

    page = finance.get("/clients").text

    assert re.findall(r">(beta|Alpha|Gamma)<", page) == ["Alpha", "beta", "Gamma"]
    assert "3 clients" in page


@pytest.mark.parametrize("place", ["x", "019ab0aa-0000-7000-8000-000000000000"])
def test_a_place_in_the_list_that_is_none_is_named(finance, place):
    assert finance.get(f"/clients?after={place}").status_code == 422


def test_markup_in_a_name_is_shown_as_text(finance, hub):
    add(finance, name="<script>alert(1)</script>")

    page = finance.get("/clients").text

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_history_says_who_changed_what(finance, hub):
    add(finance, name="Acme")
    address = f"/clients/{stored(hub).id}"
    finance.post(f"{address}/edit", {"name": "Acme", "city": "Leeds"}, seen_at=f"{address}/edit")

    page = finance.get(address).text

    assert "finance person" in page
    assert re.search(r"Changed</p>\s*<p class=\"soft small\">[^<]*City", page)


# Money is for those who may see it ------------------------------------------------------------------------------------


def test_consultants_see_clients_and_projects_without_money(visitor, hub, users):
    set_rate(hub)
    record = issue(hub, "Brown Ltd")
    consultant = visitor("consultant")

    for path in ("/clients", f"/clients/{record.client_id}", "/projects", f"/projects/{record.project_id}"):
        assert "£" not in consultant.get(path).text, path
    assert "£96.00" in visitor("finance").get(f"/clients/{record.client_id}").text


def test_consultants_do_not_see_who_else_worked_how_long(visitor, hub, users):
    project = make_project(hub)
    enter(hub, users["manager"], project.tasks["Advice"], seconds=5_400)
    path = f"/projects/{project.project_id}"

    assert ">Team<" in visitor("manager").get(path).text
    assert ">Team<" not in visitor("consultant").get(path).text


def test_a_text_that_no_database_holds_is_refused(finance, hub):
    answer = add(finance, name="Acme\0GmbH")

    assert answer.status_code == 422
    assert "A text cannot hold the character NUL" in finance.text


# Projects -------------------------------------------------------------------------------------------------------------


def test_a_project_shows_the_value_of_approved_time(finance, hub, users):
    set_rate(hub)  # 80.00 an hour
    project = make_project(hub)
    first = enter(hub, users["consultant"], project.tasks["Advice"], seconds=5_400, submitted=True)
    enter(hub, users["consultant"], project.tasks["Build"], seconds=3_600)
    hub.transact(lambda session: approve_time(session, [first]))

    page = finance.get(f"/projects/{project.project_id}").text

    assert "£120.00" in page  # 1.50 h x 80; the open hour is worth nothing yet
    assert "2:30" in finance.get("/projects").text  # all time is counted on the list


@pytest.mark.parametrize(
    ("query", "found"), [("", True), ("?q=roll", True), ("?q=acme", True), ("?q=_", False), ("?status=done", False)]
)
def test_projects_are_found_by_name_client_and_status(finance, hub, users, query, found):
    make_project(hub)

    assert ("Roll-out" in finance.get(f"/projects{query}").text) is found


# Search ---------------------------------------------------------------------------------------------------------------


def test_search_finds_what_the_user_may_see(visitor, hub, users):
    set_rate(hub)
    record = issue(hub, "Brown Ltd")

    assert f"/clients/{record.client_id}" in visitor("consultant").get("/search?q=brown").text
    assert f"/invoices/{record.id}" in visitor("finance").get("/search?q=inv-00001").text
    assert f"/invoices/{record.id}" not in visitor("consultant").get("/search?q=inv-00001").text
    assert "Nothing found" in visitor("partner").get("/search?q=brown").text


def test_search_escapes_what_it_looked_for(finance):
    page = finance.get("/search?q=<b>%25").text

    assert "&lt;b&gt;%" in page
    assert "Nothing found" in page


# Home -----------------------------------------------------------------------------------------------------------------


def test_home_says_what_each_role_has_to_do(visitor, hub, users):
    set_rate(hub)
    issue(hub, "Brown Ltd")
    project = make_project(hub)
    enter(hub, users["consultant"], project.tasks["Advice"], submitted=True)
    own = enter(hub, users["consultant"], project.tasks["Build"], submitted=True)
    hub.transact(lambda session: reject_time(session, [own], reason="Which client?"))

    assert "Time of 1 person waits for approval" in visitor("manager").get("/").text
    assert "1 invoice overdue" in visitor("finance").get("/").text
    consultant = visitor("consultant").get("/").text
    assert f"{MONDAY:Week %V} was returned to you" in consultant
    assert "Which client?" in consultant
    assert "Nothing is waiting for you" in visitor("partner").get("/").text


def test_home_tells_what_happened_to_those_who_may_know(visitor, hub, users):
    set_rate(hub)
    issue(hub, "Brown Ltd")

    page = visitor("finance").get("/").text
    assert "Invoice INV-00001 issued to Brown Ltd" in page
    assert "1 time entry approved" in page
    assert "INV-00001" not in visitor("consultant").get("/").text


@pytest.mark.parametrize("role", [*PEOPLE, "partner"])
def test_home_asks_the_database_a_fixed_number_of_times(visitor, hub, users, count_queries, role):
    set_rate(hub)
    issue(hub, "Brown Ltd")
    someone = visitor(role)
    with count_queries() as one:
        someone.get("/")
    for number in range(4):
        issue(hub, f"Client {number}")

    with count_queries() as many:
        someone.get("/")

    assert many.count == one.count


@pytest.mark.parametrize("path", ["/clients", "/projects", "/invoices", "/search?q=Ltd", "/approvals"])
def test_a_list_asks_the_database_a_fixed_number_of_times(visitor, hub, users, count_queries, path):
    def grow(client):
        issue(hub, client)
        project = make_project(hub, client=f"{client} too")
        enter(hub, users["consultant"], project.tasks["Advice"], submitted=True)

    set_rate(hub)
    grow("Brown Ltd")
    grow("Carter Ltd")
    admin = visitor("admin")
    with count_queries() as two:
        admin.get(path)
    for number in range(4):
        grow(f"Client {number} Ltd")

    with count_queries() as many:
        admin.get(path)

    assert many.count == two.count


# Where a record stands ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ({"wanted": 1, "done": 1, "remote_id": "7"}, "in_step"),
        ({"wanted": 2, "done": 1, "remote_id": "7"}, "owed"),
        ({"wanted": 0, "done": 0}, "not_sent"),
        ({"wanted": 1, "done": 0, "held": True}, "waiting"),
        ({"wanted": 1, "done": 0, "parked": "no e-mail"}, "parked"),
        ({"wanted": 1, "done": 0, "parked": "no e-mail", "ignored": "a test"}, "ignored"),
    ],
)
def test_a_link_shows_the_gravest_thing_first(values, state):
    from hub.web.record_standing import link_state

    assert link_state(Link(kind="clients", **values)) == state
