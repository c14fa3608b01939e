"""Why does invoice 1042 differ? The page that says it."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import update

from hub.core.outbox import Link
from hub.sync.cycle import run_connection
from tests.sync.conftest import books, firm, invoice_for, remote
from tests.sync.fake_remote import plugin
from tests.web.pages.visitor import Visitor

__all__ = ["books", "firm", "invoice_for", "remote"]


@pytest.fixture
def hub(make_hub):
    return make_hub({"fake": plugin()})


@pytest.fixture
def invoice(hub, books, remote, invoice_for):
    """An invoice of 96.00 that was sent, and over which the other system has found something."""
    made = invoice_for("Acme Ltd")
    run_connection(hub, books)
    finding = {"ok": False, "name": "total", "text": "The total there is 96.01."}
    hub.transact(lambda session: session.execute(update(Link).values(findings=[finding])) and None)
    return made


@pytest.fixture
def visitor(app, hub, users):
    return lambda role: Visitor(app, hub, users[role])


def text_of(visitor):
    return " ".join(re.sub(r"<[^>]+>", " ", visitor.text).split())


def test_the_page_of_an_invoice_leads_to_all_that_happened_to_it(invoice, visitor):
    finance = visitor("finance")
    finance.get(f"/invoices/{invoice.id}")
    [address] = re.findall(r'href="(/timeline[^"]+)"', finance.text)

    finance.get(address.replace("&amp;", "&"))

    shown = text_of(finance)
    assert "i1 The total there is 96.01." in shown  # how it stands, and why
    assert "Sent to books: create" in shown
    assert "Total sent 96.00" in shown  # the money as it went
    assert "Created in books" in shown


@pytest.mark.parametrize("text", ["{number}", "{id}", "i1"])
def test_it_is_found_by_its_number_its_id_and_its_id_over_there(invoice, visitor, text):
    finance = visitor("finance")

    finance.get("/timeline?kind=invoices&q=" + text.format(number=invoice.number, id=invoice.id))

    assert f"Open {invoice.number} Acme Ltd" in text_of(finance)


def test_what_is_not_there_is_said(invoice, visitor):
    finance = visitor("finance")
    assert finance.get("/timeline?kind=invoices&q=9999").status_code == 200
    assert "no invoices with the id, number, name or id over there “9999”" in text_of(finance)


def test_who_may_not_see_connections_sees_the_history_and_no_more(invoice, visitor):
    manager = visitor("manager")
    manager.get(f"/invoices/{invoice.id}")
    assert "Created in books" in text_of(manager)
    assert "/timeline" not in manager.text
    assert manager.get(f"/timeline?kind=invoices&q={invoice.number}").status_code == 403
