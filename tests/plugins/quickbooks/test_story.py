"""The whole way: invoices of a real hub, through its sync engine, into the stand-in, and payments back."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import select, update

import plugins.quickbooks
from hub.core.clients.service import create_client
from hub.core.companies.service import set_company
from hub.core.invoicing.drafts import billable_groups, draft_invoice
from hub.core.invoicing.models import Invoice, InvoiceStatus
from hub.core.invoicing.service import issue_invoice
from hub.core.outbox import Link
from hub.core.payments.models import Payment
from hub.core.people.service import create_person
from hub.core.projects.service import create_project, create_task
from hub.core.rates.service import add_rate
from hub.core.timesheets.service import record_time, submit_and_approve
from hub.sync.connections import add_connection
from hub.sync.cycle import run_connection
from hub.sync.reconcile import reconcile
from hub.sync.repairs import retry_all
from tests.plugins.quickbooks.books import company


@pytest.fixture
def hub(make_hub):
    return make_hub({"quickbooks": plugins.quickbooks})


@pytest.fixture
def books():
    """A British company in the stand-in."""
    with company(country="GB").serve() as server:
        yield server


@pytest.fixture
def connection(hub, books):
    return add_connection(hub, connector="quickbooks", name="books", settings=books.settings).id


@pytest.fixture
def issue(hub):
    """Issues an invoice over so many hours at 80.00 with 20 % tax: 1 h is 80.00 + 16.00 = 96.00."""

    def firm(session):
        set_company(session, name="Firm", country="GB", currency="GBP", tax_rate=Decimal(20))
        for currency in ("GBP", "EUR"):
            add_rate(session, rate=Decimal(80), currency=currency)

    hub.transact(firm)

    def make(client, *hours, currency="GBP", client_id=None):
        def work(session):
            whose = client_id or create_client(session, name=client).id
            project = create_project(session, client_id=whose, name=f"{currency} for {client}", currency=currency)
            person = create_person(session, name="Ann")
            for number, each in enumerate(hours):
                task = create_task(session, project_id=project.id, name=f"Advice {number}")
                seconds = int(Decimal(each) * 3600)
                entry = record_time(
                    session, task_id=task.id, person_id=person.id, worked_on=date(2026, 1, 5), seconds=seconds
                )
                submit_and_approve(session, [entry.id])
            group = next(g for g in billable_groups(session, ["project"]) if g.project_id == project.id)
            return issue_invoice(session, draft_invoice(session, group).id).to_record()

        return hub.transact(work)

    return make


def let_time_pass(hub):
    hub.transact(lambda session: session.execute(update(Link).values(due_at=None)))


def created(books, kind):
    return len(books.sandbox.effects("create", kind, actor="api"))


def test_invoices_arrive_once_to_the_cent_and_payments_come_back(hub, books, connection, issue):
    first, second = issue("Acme Ltd", "1.25", "0.01"), issue("Brown & O'Neill", "14.5")

    run = run_connection(hub, connection)

    assert run.status == "success", run.headline
    assert run.counts["created"] == 5  # a service, two customers, two invoices
    assert (created(books, "Item"), created(books, "Customer"), created(books, "Invoice")) == (1, 2, 2)

    books.sandbox.pay_invoice(number=first.number)
    books.sandbox.pay_invoice(number=second.number, amount="100.00")
    run = run_connection(hub, connection)

    assert run.status == "success", run.headline
    with hub.read() as session:
        paid = {row.number: (row.status, row.paid) for row in session.scalars(select(Invoice))}
    assert paid == {
        first.number: (InvoiceStatus.PAID, first.total),
        second.number: (InvoiceStatus.ISSUED, Decimal("100.00")),
    }
    result = reconcile(hub, connection)
    assert result.equal, result.rows
    # 1.26 h x 80.00 = 100.80 + 20.16; 14.5 h x 80.00 = 1160.00 + 232.00
    invoices = next(total for total in result.totals if total.kind == "invoices")
    assert (invoices.count, invoices.ours, invoices.theirs) == (2, Decimal("1512.96"), Decimal("1512.96"))


def test_a_second_run_writes_nothing(hub, books, connection, issue):
    issue("Acme Ltd", "1")
    run_connection(hub, connection)
    before = books.sandbox.effects()

    again = run_connection(hub, connection)

    assert again.status == "success"
    assert books.sandbox.effects() == before


@pytest.mark.parametrize("fault", [{"close": True}, {"status": 500}, {"status": 504, "body": "<html>"}])
def test_an_answer_lost_anywhere_makes_no_duplicate(hub, books, connection, issue, fault):
    issue("Acme Ltd", "1")
    books.sandbox.add_fault(path="*/batch", times=3, apply=True, **fault)

    for _ in range(5):
        run_connection(hub, connection)
        let_time_pass(hub)

    assert (created(books, "Item"), created(books, "Customer"), created(books, "Invoice")) == (1, 1, 1)
    assert reconcile(hub, connection).equal


def test_an_invoice_in_a_closed_period_is_set_aside_and_goes_when_it_is_opened(hub, books, connection, issue):
    invoice = issue("Acme Ltd", "1")
    books.sandbox.close_books(until=str(invoice.dated_on))

    run = run_connection(hub, connection)

    assert (run.status, run.counts["rejected"]) == ("partial", 1)
    books.sandbox.close_books(until="")
    retry_all(hub.transact)
    assert run_connection(hub, connection).counts["created"] == 1


def test_an_existing_customer_is_adopted_and_a_near_one_is_asked_about(hub, books, connection, issue):
    books.sandbox.create_customer(DisplayName="Acme Ltd")
    books.sandbox.create_customer(DisplayName="Brown Limited")
    issue("Acme Ltd", "1")
    issue("Brown Ltd", "1")

    run = run_connection(hub, connection)

    assert created(books, "Customer") == 0
    assert created(books, "Invoice") == 1
    assert run.counts["deferred"] >= 1


def test_a_client_billed_in_two_currencies_becomes_two_customers_and_stays_one_here(hub, issue):
    first = issue("Acme Ltd", "1")
    second = issue("Acme Ltd", "2", currency="EUR", client_id=first.client_id)
    with company(country="GB", multicurrency=True).serve() as books:
        connection = add_connection(hub, connector="quickbooks", name="books", settings=books.settings).id
        assert run_connection(hub, connection).status == "success"
        customers = books.sandbox.state["entities"]["Customer"].values()
        assert {row["DisplayName"]: row["CurrencyRef"]["value"] for row in customers} == {
            "Acme Ltd": "GBP",
            "Acme Ltd (EUR)": "EUR",
        }

        books.sandbox.pay_invoice(number=second.number)
        assert run_connection(hub, connection).status == "success"

        assert reconcile(hub, connection).equal
    with hub.read() as session:
        (payment,) = session.scalars(select(Payment))
        assert (payment.client_id, payment.currency, payment.amount) == (first.client_id, "EUR", Decimal("192.00"))
