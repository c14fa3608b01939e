"""Records as JSON and back."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal as D
from uuid import UUID

import pytest

from hub.core.frozen import canonical, freeze, thaw
from hub.core.records import (
    Address,
    AllocationRecord,
    ClientRecord,
    EventRecord,
    InvoiceLineRecord,
    InvoiceRecord,
    PaymentRecord,
    ProjectRecord,
    TaxGroup,
)

ONE, TWO = UUID(int=1), UUID(int=2)
CLIENT = ClientRecord(
    id=ONE,
    revision=3,
    name="Acme",
    legal_name="Acme Ltd",
    currency=None,
    address=Address(city="Bath", country="GB"),
    tax_id="",
    email="",
    phone="",
    website="",
    tax_exempt=False,
    archived=True,
)
PROJECT = ProjectRecord(ONE, 1, TWO, TWO, "Move", "", "active", date(2026, 1, 5), None, "EUR", D("1200.50"))
LINE = InvoiceLineRecord(TWO, 1, TWO, "Advice", D("1.25"), "HUR", D(80), D("100.00"), D(20))
INVOICE = InvoiceRecord(
    id=ONE,
    revision=2,
    company_id=TWO,
    client_id=TWO,
    client_name="Acme Ltd",
    bill_to=Address("1 Lane", "Bath", "", "BA1", "GB"),
    bill_to_email="",
    project_id=None,
    number="INV-00001",
    status="issued",
    dated_on=date(2026, 1, 31),
    due_on=date(2026, 3, 2),
    currency="GBP",
    lines=(LINE,),
    taxes=(TaxGroup(D(20), D(100), D(20)),),
    net=D(100),
    tax=D(20),
    total=D(120),
    paid=D(0),
    memo="",
    po_reference="",
    period_from=date(2026, 1, 5),
    period_to=None,
)
PAYMENT = PaymentRecord(ONE, 1, TWO, "GBP", D(120), date(2026, 2, 1), "", (AllocationRecord(ONE, D("119.99")),))
EVENT = EventRecord(7, "invoice_paid", "invoices", ONE, 2, datetime(2026, 1, 5, 12, tzinfo=UTC), {"a": 1})


@pytest.mark.parametrize("record", [CLIENT, PROJECT, INVOICE, PAYMENT, EVENT], ids=lambda r: type(r).__name__)
def test_a_record_comes_back_from_json_as_it_was(record):
    assert thaw(type(record), json.loads(json.dumps(freeze(record)))) == record


@pytest.mark.parametrize(("value", "text"), [("100.00", "100"), ("1E+3", "1000"), ("0.10", "0.1"), ("0.00", "0")])
def test_equal_decimals_freeze_alike_and_without_an_exponent(value, text):
    assert freeze(D(value)) == text


def test_keys_that_a_record_does_not_know_any_more_are_left_out():
    assert thaw(Address, {"city": "Bath", "planet": "Earth"}) == Address(city="Bath")


@pytest.mark.parametrize(
    ("kind", "name", "value", "written"),
    [
        (ProjectRecord, "budget", "120.00", "120"),
        (ProjectRecord, "budget", D("1.2E+2"), "120"),
        (ProjectRecord, "budget", None, None),
        (ProjectRecord, "starts_on", date(2026, 1, 5), "2026-01-05"),
        (ClientRecord, "name", None, ""),
        (ClientRecord, "address", {"city": "Bath"}, freeze(Address(city="Bath"))),
        (ClientRecord, "unheard_of", D("1.0"), "1"),
    ],
)
def test_a_value_has_one_spelling_whatever_it_came_as(kind, name, value, written):
    assert canonical(kind, name, value) == written
