"""Drafting, issuing and collecting invoices through the pages."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import select

from hub.core.clients.service import change_client
from hub.core.invoicing.models import Invoice
from hub.core.projects.service import change_project
from hub.core.timesheets.service import approve_time
from tests.web.pages.firm import issue, set_rate
from tests.web.pages.visitor import Visitor
from tests.web.pages.work import MONDAY, enter, entries, make_project


@pytest.fixture
def finance(app, hub, users):
    return Visitor(app, hub, users["finance"])


@pytest.fixture
def project(hub, users):
    set_rate(hub)  # 80.00 an hour, 20 % tax
    return make_project(hub)


def approved(hub, users, project, *, task="Advice", **values):
    entry_id = enter(hub, users["consultant"], project.tasks[task], submitted=True, **values)
    hub.transact(lambda session: approve_time(session, [entry_id]))


def draft(visitor, by="project", until="2026-11-30"):
    return visitor.post("/invoices/draft", {"by": by, "until": until}, seen_at="/invoices/draft")


def only_invoice(hub):
    with hub.read() as session:
        return session.scalars(select(Invoice)).one().to_record()


def numbers(page):
    return re.findall(r"INV-\d+", page)


def test_the_preview_shows_what_is_drafted_to_the_cent(finance, hub, users, project):
    approved(hub, users, project, seconds=5_400)
    approved(hub, users, project, task="Build", seconds=600)

    page = finance.get("/invoices/draft?until=2026-11-30").text

    assert "£133.60" in page  # 1.50 h x 80 + 0.17 h x 80 = 120.00 + 13.60
    draft(finance)
    assert only_invoice(hub).net == Decimal("133.60")


def test_time_without_a_rate_is_named_beforehand_and_left_out(finance, hub, users, project):
    hub.transact(lambda session: change_project(session, project.project_id, currency="EUR"))
    approved(hub, users, project)

    assert "No EUR rate for consultant person on Advice" in finance.get("/invoices/draft?until=2026-11-30").text
    page = finance.follow(draft(finance))
    assert "There is no EUR rate for consultant person" in page.text


def test_a_draft_is_issued_and_gets_its_number(finance, hub, users, project):
    approved(hub, users, project)
    page = finance.follow(draft(finance)).text
    address = re.search(r"/invoices/[0-9a-f-]{36}", page)[0]

    finance.get(address)
    done = finance.follow(finance.post(f"{address}/issue", seen_at=address))

    assert "Invoice INV-00001 is issued." in done.text
    assert only_invoice(hub).status == "issued"


def test_a_draft_shows_the_address_it_will_be_issued_to(finance, hub, users, project):
    hub.transact(lambda session: change_client(session, project.client_id, street="1 High Street", city="Leeds"))
    approved(hub, users, project)
    draft(finance)

    assert "1 High Street" in finance.get(f"/invoices/{only_invoice(hub).id}").text


def test_a_draft_is_deleted_after_a_question_and_its_time_is_free_again(finance, hub, users, project):
    approved(hub, users, project)
    draft(finance)
    address = f"/invoices/{only_invoice(hub).id}/delete"

    assert "Delete this draft?" in finance.get(address).text
    finance.follow(finance.post(address, seen_at=address))

    assert entries(hub) == [(MONDAY, 3_600, "approved", "")]
    assert finance.get(address).status_code == 404


def test_an_issued_invoice_is_neither_issued_again_nor_deleted(finance, hub, users, project):
    record = issue(hub, "Brown Ltd")
    address = f"/invoices/{record.id}"

    again = finance.follow(finance.post(f"{address}/issue", seen_at=address))

    assert "Invoice INV-00001 is issued; only a draft can be issued." in again.text
    assert finance.post(f"{address}/delete", seen_at=address).status_code == 409
    assert "Delete draft" not in finance.get(address).text


@pytest.mark.parametrize(
    ("form", "sentence"),
    [({"by": "colour"}, "cannot be drafted by “colour”"), ({"until": "soon"}, "“soon” is no day.")],
)
def test_drafting_by_what_is_unknown_is_refused(finance, project, form, sentence):
    refused = draft(finance, **form)

    assert (refused.status_code, sentence in refused.text) == (422, True)


# Payments -------------------------------------------------------------------------------------------------------------


def pay(visitor, record, **form):
    address = f"/invoices/{record.id}/payment"
    given = {"amount": "96.00", "received_on": "2026-11-24", "reference": "BACS 7", **form}
    return visitor.post(address, given, seen_at=address)


def test_a_payment_pays_an_invoice(finance, hub, project):
    record = issue(hub, "Brown Ltd")  # 80.00 + 20 % = 96.00
    assert 'value="96.00"' in finance.get(f"/invoices/{record.id}/payment").text

    page = finance.follow(pay(finance, record)).text

    assert only_invoice(hub).status == "paid"
    assert "£96.00 is entered." in page
    assert "BACS 7" in page


def test_what_exceeds_the_open_amount_is_the_clients_credit(finance, hub, project):
    page = finance.follow(pay(finance, issue(hub, "Brown Ltd"), amount="100")).text

    assert "£4.00 of it is the client&#39;s credit." in page
    assert only_invoice(hub).paid == Decimal("96.00")


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("amount", "", "Say how much was paid."),
        ("amount", "0", "Say how much was paid."),
        ("amount", "-5", "Say how much was paid."),
        ("amount", "1.005", "“1.005” is not an amount in GBP. Write it as 1234.50."),
        ("amount", "NaN", "is not an amount in GBP."),
        ("received_on", "", "Received on: choose a day."),
        ("received_on", "2026-02-30", "“2026-02-30” is no day."),
    ],
)
def test_a_payment_that_makes_no_sense_is_refused_and_what_was_typed_stays(
    finance, hub, project, field, value, sentence
):
    refused = pay(finance, issue(hub, "Brown Ltd"), **{field: value})

    assert (refused.status_code, sentence in refused.text) == (422, True)
    assert 'value="BACS 7"' in refused.text
    assert only_invoice(hub).paid == 0


def test_a_paid_invoice_is_not_paid_again(finance, hub, project):
    record = issue(hub, "Brown Ltd")
    pay(finance, record)

    assert finance.get(f"/invoices/{record.id}/payment").status_code == 409
    assert "Record a payment" not in finance.get(f"/invoices/{record.id}").text


def form_key(visitor, record):
    page = visitor.get(f"/invoices/{record.id}/payment").text
    return re.search(r'name="_once" value="([^"]+)"', page)[1]


def test_a_part_payment_that_is_sent_twice_is_entered_once_and_both_show_it(finance, hub, project):
    record = issue(hub, "Brown Ltd")  # 96.00
    key = form_key(finance, record)

    pages = [finance.follow(pay(finance, record, amount="40", _once=key)).text for _ in "ab"]

    assert ["£40.00 is entered." in page for page in pages] == [True, True]
    assert only_invoice(hub).paid == 40
    finance.follow(pay(finance, record, amount="40", _once=form_key(finance, record)))  # a form of its own
    assert only_invoice(hub).paid == 80


def test_two_submissions_of_one_form_at_the_same_moment_enter_one_payment(app, hub, users, project):
    record = issue(hub, "Brown Ltd")
    visitors = [Visitor(app, hub, users["finance"]) for _ in "ab"]
    key = form_key(visitors[0], record)

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda visitor: pay(visitor, record, amount="40", _once=key).status_code, visitors))

    assert answers == [303, 303]
    assert only_invoice(hub).paid == 40


def test_the_same_form_with_another_amount_is_asked_about(finance, hub, project):
    record = issue(hub, "Brown Ltd")
    key = form_key(finance, record)
    finance.follow(pay(finance, record, amount="40", _once=key))

    asked = pay(finance, record, amount="30", _once=key)

    assert asked.status_code == 422
    assert "This form was sent before with other values" in asked.text
    assert 'value="30"' in asked.text
    assert key not in asked.text
    assert only_invoice(hub).paid == 40


def test_a_refused_payment_can_be_corrected_in_the_same_form(finance, hub, project):
    record = issue(hub, "Brown Ltd")
    key = form_key(finance, record)
    assert pay(finance, record, amount="0", _once=key).status_code == 422

    finance.follow(pay(finance, record, amount="40", _once=key))

    assert only_invoice(hub).paid == 40


# The list -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["INV-00002", "INV-00001"]),
        ("?q=brown", ["INV-00001"]),
        ("?q=00002", ["INV-00002"]),
        ("?q=%25", []),
        ("?status=paid", []),
        ("?status=overdue", ["INV-00002", "INV-00001"]),  # dated 31 January 2026, due 30 days later
        ("?from=2026-02-01", []),
        ("?to=2026-01-31", ["INV-00002", "INV-00001"]),
    ],
)
def test_the_list_is_filtered(finance, hub, project, query, found):
    issue(hub, "Brown Ltd")
    issue(hub, "Carter Ltd")

    assert numbers(finance.get(f"/invoices{query}").text) == found


@pytest.mark.parametrize("query", ["from=soon", "client=x", "after=x"])
def test_a_filter_that_makes_no_sense_is_named(finance, query):
    assert finance.get(f"/invoices?{query}").status_code == 422


def test_a_long_list_is_turned_over_and_back(finance, hub, project, monkeypatch):
    monkeypatch.setattr("hub.web.pages.invoices.sorted_listing", _two_a_page())
    for client in ("Brown Ltd", "Carter Ltd", "Dunn Ltd"):
        issue(hub, client)

    first = finance.get("/invoices").text
    second = finance.get(_link(first, "next")).text
    back = finance.get(_link(second, "prev")).text

    assert (numbers(first), numbers(second)) == (["INV-00003", "INV-00002"], ["INV-00001"])
    assert numbers(back) == numbers(first)


def _two_a_page():
    from functools import partial

    from hub.web.sorted_listing import sorted_listing

    return partial(sorted_listing, size=2)


def _link(page, rel):
    return re.search(rf'rel="{rel}" href="([^"]+)"', page)[1].replace("&amp;", "&")


def test_the_totals_count_what_is_open_and_late(finance, hub, project):
    issue(hub, "Brown Ltd")
    issue(hub, "Carter Ltd", hours=2)

    page = finance.get("/invoices").text

    assert "£288.00" in page  # 96.00 + 192.00


def test_the_day_of_an_invoice_is_the_end_of_its_month(finance, hub, users, project):
    approved(hub, users, project)
    draft(finance)

    assert only_invoice(hub).dated_on == date(2026, 11, 30)
