"""Issuing: numbers without gaps, whatever goes wrong in between."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal as D
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from hub.core.clients.service import change_client, create_client
from hub.core.errors import NotFound, RuleBroken
from hub.core.invoicing.models import Invoice
from hub.core.invoicing.service import delete_draft, draft_ids, get_invoice, issue_invoice
from hub.core.outbox import Event
from hub.core.projects.service import create_project, create_task
from hub.core.rates.service import add_rate
from hub.sdk import hookimpl


def test_an_issued_invoice_has_a_number_and_the_clients_address_of_the_day(hub, firm):
    draft = hub.transact(lambda session: firm.draft(session).id)
    issued = hub.transact(lambda session: issue_invoice(session, draft).to_record())
    hub.transact(lambda session: change_client(session, firm.client, legal_name="New", city="York") and None)
    with hub.read() as session:
        assert get_invoice(session, draft).to_record() == issued
        assert session.scalars(select(Event.name).where(Event.record_id == draft)).all() == ["invoice_issued"]
    assert (issued.number, issued.status) == ("INV-00001", "issued")
    assert (issued.client_name, issued.bill_to.city) == ("Acme Ltd", "Bath")


def test_another_date_moves_the_due_date_with_it(hub, firm):
    def work(session):
        return issue_invoice(session, firm.draft(session).id, on=date(2026, 2, 10)).to_record()

    issued = hub.transact(work)
    assert (issued.dated_on, issued.due_on) == (date(2026, 2, 10), date(2026, 3, 12))  # 30 days as before


def test_an_issued_invoice_is_neither_issued_again_nor_deleted(hub, firm):
    draft = hub.transact(lambda session: issue_invoice(session, firm.draft(session).id).id)
    for act in (issue_invoice, delete_draft):
        with pytest.raises(RuleBroken, match="INV-00001 is issued"):
            hub.transact(lambda session, act=act: act(session, draft) and None)


def test_an_unknown_invoice_is_said_to_be_so(hub, firm):
    with pytest.raises(NotFound, match=str(firm.client)):
        hub.transact(lambda session: issue_invoice(session, firm.client) and None)


def test_twenty_at_once_get_gapless_numbers_though_a_check_refuses_some(make_hub):
    @hookimpl
    def check_invoice(invoice):
        return ["The period is closed."] if invoice.client_name == "Closed" else []

    hub = make_hub({"books": SimpleNamespace(check_invoice=check_invoice)})
    drafts, refused = hub.transact(twenty_drafts)

    def issue(id):
        try:
            return hub.transact(lambda session: issue_invoice(session, id).number)
        except RuleBroken as refusal:
            return refusal.code

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(issue, [*drafts, *refused]))

    assert sorted(answers[:20]) == [f"INV-{number:05d}" for number in range(1, 21)]
    assert set(answers[20:]) == {"invoice-refused"}
    with hub.read() as session:
        assert sorted(draft_ids(session)) == sorted(refused)
        numbers = session.scalars(select(Invoice.number).where(Invoice.number.is_not(None))).all()
    assert len(set(numbers)) == 20


def test_an_invoice_of_nothing_is_paid_once_it_is_issued(hub, firm):
    def work(session):
        add_rate(session, rate=D(0), currency="GBP", task_id=firm.task)
        return issue_invoice(session, firm.draft(session).id).to_record()

    issued = hub.transact(work)

    assert (issued.total, issued.paid, issued.status) == (0, 0, "paid")
    with hub.read() as session:
        names = session.scalars(select(Event.name).where(Event.record_id == issued.id).order_by(Event.sequence)).all()
    assert names == ["invoice_issued", "invoice_paid"]


def test_a_check_that_breaks_refuses_and_costs_no_number(make_hub):
    broken = [True]

    @hookimpl
    def check_invoice(invoice):
        if broken[0]:
            raise ZeroDivisionError

    hub = make_hub({"books": SimpleNamespace(check_invoice=check_invoice)})
    drafts, _ = hub.transact(twenty_drafts)
    with pytest.raises(RuleBroken, match="The plugin books could not check it"):
        hub.transact(lambda session: issue_invoice(session, drafts[0]) and None)
    broken[0] = False
    assert hub.transact(lambda session: issue_invoice(session, drafts[1]).number) == "INV-00001"


def twenty_drafts(session):
    """Twenty drafts to go, and four of the client called Closed; no tax."""
    from hub.core.companies.service import set_company
    from hub.core.people.service import create_person
    from tests.core.conftest import Firm

    company = set_company(session, name="Firm", country="GB", currency="GBP")
    add_rate(session, rate=D(80), currency="GBP")
    person = create_person(session, name="Ann")
    made = []
    for number in range(24):
        client = create_client(session, name="Closed" if number >= 20 else f"Client {number}")
        project = create_project(session, client_id=client.id, name="Work")
        task = create_task(session, project_id=project.id, name="Advice")
        firm = Firm(company.id, client.id, project.id, task.id, person.id)
        made.append(firm.draft(session).id)
    return made[:20], made[20:]
