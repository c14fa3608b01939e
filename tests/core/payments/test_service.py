"""Payments and what they make of invoices. One hour is 80.00 + 16.00 tax = 96.00 GBP."""

from __future__ import annotations

from datetime import date
from decimal import Decimal as D
from uuid import uuid4

import pytest
from sqlalchemy import select

from hub.core.audit import AuditEntry
from hub.core.clients.service import create_client
from hub.core.errors import NotFound, RuleBroken
from hub.core.invoicing.service import get_invoice, issue_invoice
from hub.core.outbox import Event
from hub.core.payments.models import Payment
from hub.core.payments.service import (
    apply_payment_change,
    change_payment,
    payment_documents,
    record_payment,
    withdraw_payment,
)


@pytest.fixture
def invoices(hub, firm):
    """Two issued invoices over 96.00 GBP."""
    return [hub.transact(lambda session: issue_invoice(session, firm.draft(session).id).id) for _ in range(2)]


@pytest.fixture
def pay(hub, firm):
    def pay(amount, *allocations, **values):
        values = {"client_id": firm.client, "currency": "GBP", "received_on": date(2026, 2, 1), **values}
        items = [{"invoice_id": id, "amount": D(part)} for id, part in allocations]
        return hub.transact(lambda session: record_payment(session, amount=D(amount), allocations=items, **values).id)

    return pay


def standing(hub, *ids):
    with hub.read() as session:
        return [(get_invoice(session, id).status, get_invoice(session, id).paid) for id in ids]


def credit(hub, payment):
    with hub.read() as session:
        return payment_documents(session, [payment], None, None)[0].open


def told(hub, name):
    with hub.read() as session:
        return session.scalars(select(Event.record_id).where(Event.name == name)).all()


def test_an_invoice_is_paid_when_payments_cover_it_in_full(hub, invoices, pay):
    pay("50", (invoices[0], "50"))
    assert standing(hub, invoices[0]) == [("issued", 50)]
    assert told(hub, "invoice_paid") == []
    pay("46", (invoices[0], "46"))  # 50 + 46 = 96
    assert standing(hub, invoices[0]) == [("paid", 96)]
    assert told(hub, "invoice_paid") == [invoices[0]]


def test_one_payment_pays_several_invoices(hub, invoices, pay):
    pay("150", (invoices[0], "96"), (invoices[1], "54"))
    assert standing(hub, *invoices) == [("paid", 96), ("issued", 54)]


def test_what_is_paid_too_much_is_the_clients_credit(hub, invoices, pay):
    payment = pay("120", (invoices[0], "96"))
    assert standing(hub, invoices[0]) == [("paid", 96)]
    assert credit(hub, payment) == 24  # 120 - 96


def test_a_payment_may_wait_for_its_invoice(hub, firm, pay):
    assert credit(hub, pay("10.50")) == D("10.50")


def test_the_same_invoice_named_twice_gets_the_sum(hub, invoices, pay):
    pay("96", (invoices[0], "40"), (invoices[0], "56"))
    assert standing(hub, invoices[0]) == [("paid", 96)]


def test_a_new_allocation_opens_one_invoice_again_and_pays_the_other(hub, invoices, pay):
    payment = pay("96", (invoices[0], "96"))
    hub.transact(
        lambda session: (
            change_payment(session, payment, allocations=[{"invoice_id": invoices[1], "amount": D(96)}]) and None
        )
    )
    assert standing(hub, *invoices) == [("issued", 0), ("paid", 96)]


def test_other_changes_keep_the_allocations(hub, invoices, pay):
    payment = pay("96", (invoices[0], "96"))
    hub.transact(lambda session: change_payment(session, payment, reference="RF18", amount=D(100)) and None)
    assert standing(hub, invoices[0]) == [("paid", 96)]
    assert credit(hub, payment) == 4


def test_a_withdrawn_payment_opens_its_invoices_again(hub, invoices, pay):
    payment = pay("96", (invoices[0], "96"))
    hub.transact(lambda session: withdraw_payment(session, payment))
    assert standing(hub, invoices[0]) == [("issued", 0)]
    with hub.read() as session:
        assert session.get_one(Payment, payment).amount == 0


def test_more_than_was_paid_cannot_be_allocated(hub, invoices, pay):
    with pytest.raises(RuleBroken, match=r"96 is allocated, but only 95\.99 was paid"):
        pay("95.99", (invoices[0], "96"))
    assert standing(hub, invoices[0]) == [("issued", 0)]


def test_a_payment_cannot_become_less_than_what_it_pays(hub, invoices, pay):
    payment = pay("96", (invoices[0], "96"))
    with pytest.raises(RuleBroken, match="only 50 was paid"):
        hub.transact(lambda session: change_payment(session, payment, amount=D(50)) and None)
    assert standing(hub, invoices[0]) == [("paid", 96)]


def test_a_negative_part_makes_no_room_for_a_larger_one(hub, invoices, pay):
    with pytest.raises(RuleBroken, match="below zero"):
        pay("96", (invoices[0], "150"), (invoices[1], "-54"))  # adds up to 96


def test_a_negative_payment_is_refused(hub, firm, pay):
    with pytest.raises(RuleBroken) as refusal:
        pay("-1")
    assert list(refusal.value.fields) == ["amount"]


def test_a_payment_in_another_currency_is_refused(hub, invoices, pay):
    with pytest.raises(RuleBroken, match="INV-00001 is in GBP, the payment in EUR"):
        pay("96", (invoices[0], "96"), currency="EUR")


def test_a_draft_cannot_be_paid(hub, firm, pay):
    draft = hub.transact(lambda session: firm.draft(session).id)
    with pytest.raises(RuleBroken, match="issue it first") as refusal:
        pay("96", (draft, "96"))
    assert refusal.value.code == "invoice-is-draft"


def test_what_does_not_exist_cannot_be_paid(hub, firm, pay):
    with pytest.raises(NotFound):
        pay("96", (uuid4(), "96"))
    with pytest.raises(NotFound):
        pay("96", client_id=uuid4())


def test_more_than_is_open_of_an_invoice_is_refused_and_nothing_is_recorded(hub, invoices, pay):
    pay("50", (invoices[0], "50"))
    with pytest.raises(RuleBroken, match=r"46\.00 GBP is open, so 46\.01 is too much") as refusal:
        pay("100", (invoices[0], "46.01"))
    assert list(refusal.value.fields) == ["allocations"]
    assert standing(hub, invoices[0]) == [("issued", 50)]


def test_a_clients_payment_pays_no_other_clients_invoice(hub, invoices, pay):
    other = hub.transact(lambda session: create_client(session, name="Somebody else").id)
    with pytest.raises(RuleBroken, match="is another client's"):
        pay("96", (invoices[0], "96"), client_id=other)


def test_what_the_books_say_is_not_argued_with_and_no_invoice_is_paid_more_than_its_total(hub, invoices):
    other = hub.transact(lambda session: create_client(session, name="The parent").id)
    told = {
        "client_id": other,
        "currency": "GBP",
        "amount": "100",
        "received_on": "2026-02-01",
        "allocations": [{"invoice_id": invoices[0], "amount": "100"}],
    }
    payment = hub.transact(lambda session: apply_payment_change(session, None, told))
    assert standing(hub, invoices[0]) == [("paid", 96)]
    assert credit(hub, payment) == 4  # 100 - 96


def test_an_amount_finer_than_its_currency_is_refused(hub, invoices, pay):
    with pytest.raises(RuleBroken) as refusal:
        pay("10.001")
    assert refusal.value.fields == {"amount": "has more than 2 decimals"}


def test_what_a_payment_pays_is_part_of_its_revision_and_in_the_log(hub, invoices, pay):
    payment = pay("96", (invoices[0], "96"))
    moved = [{"invoice_id": invoices[1], "amount": D(96)}]

    hub.transact(lambda session: change_payment(session, payment, allocations=moved) and None)

    with hub.read() as session:
        assert session.get(Payment, payment).revision == 2
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "allocate")).one()
    before, after = entry.changes["allocations"]
    assert (list(before), list(after)) == ([str(invoices[0])], [str(invoices[1])])
