"""Our records in QuickBooks' fields and back, with the numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from hub.sdk import Missing, PermanentFailure, Ref, RemoteRef
from plugins.quickbooks import mapping
from plugins.quickbooks.tax import overriding_tax
from tests.plugins.quickbooks.connection import a_client, a_line, a_service, an_invoice, id_of

SETTINGS = {"tax_mode": "ours"}
US = {
    "country": "US",
    "currency": "USD",
    "multicurrency": False,
    "tax_model": "us",
    "uses_sales_tax": True,
    "income_account": {"id": "1", "name": "Services"},
    "tax_codes": {},
}
CODES = {
    "20": {"id": "11", "name": "20.0% S", "rates": [{"id": "10", "percent": "20"}]},
    "5": {"id": "13", "name": "5.0% R", "rates": [{"id": "12", "percent": "5"}]},
    "0": {"id": "19", "name": "No VAT", "rates": [{"id": "18", "percent": "0"}]},
}
GB = US | {"country": "GB", "currency": "GBP", "tax_model": "codes", "tax_codes": CODES}
REMOTE_IDS = {Ref("clients", id_of("Acme")): "20", Ref("services", id_of("Consulting")): "7"}


def body(invoice, facts=US, **settings):
    return mapping.invoice_from_invoice(invoice, facts, SETTINGS | settings, REMOTE_IDS)


def test_an_invoice_in_the_united_states():
    invoice = an_invoice("2026-0001", a_line("14.500000", "128.350000", "10"), memo="Thanks", po_reference="7")
    whole = body(invoice)
    assert whole[mapping.EXPECTED].pop(mapping.WITH_LINES) == {
        "Line": whole["Line"],
        "TxnTaxDetail": whole["TxnTaxDetail"],
    }
    assert {name: value for name, value in whole.items() if value} == {
        "CustomerRef": {"value": "20"},
        "DocNumber": "2026-0001",
        "TxnDate": "2026-01-31",
        "DueDate": "2026-03-02",
        "Line": [
            {
                "Amount": "1861.08",  # 14.50 x 128.35 = 1861.075
                "Description": "Work",
                "DetailType": "SalesItemLineDetail",
                "SalesItemLineDetail": {
                    "ItemRef": {"value": "7"},
                    "Qty": "14.5",
                    "UnitPrice": "128.35",
                    "TaxCodeRef": {"value": "TAX"},
                },
            }
        ],
        "CustomerMemo": {"value": "Thanks"},
        "PrivateNote": "PO reference: 7",
        "TxnTaxDetail": {"TotalTax": "186.11"},  # 10 % of 1861.08 = 186.108
        mapping.EXPECTED: {"total": "2047.19", "tax": "186.11"},
    }


@pytest.mark.parametrize(
    ("quantity", "rate", "net", "sent"),
    [
        ("14.50", "128.35", None, ("1861.08", "14.5", "128.35")),  # 1861.075, half up
        ("0.01", "0.50", None, ("0.01", "0.01", "0.5")),  # 0.005, half up
        ("-0.01", "0.50", None, ("-0.01", "-0.01", "0.5")),  # away from zero, as its absolute value
        ("12.945066", "100", None, ("1294.51", "12.945066", "100")),  # 1294.5066
        ("3", "33.333333", None, ("100.00", "3", "33.333333")),  # 99.999999
        ("0", "80", None, ("0.00", "0", "80")),
        ("1.5", "1001", "1502", ("1502.00", None, None)),  # a currency without decimals: 1501.5 is 1502 here
    ],
)
def test_a_line_agrees_with_what_quickbooks_computes(quantity, rate, net, sent):
    invoice = an_invoice("1", a_line(quantity, rate, net=net), a_line("20", position=2))
    line = body(invoice)["Line"][0]
    detail = line["SalesItemLineDetail"]
    assert (line["Amount"], detail.get("Qty"), detail.get("UnitPrice")) == sent


@pytest.mark.parametrize(
    ("facts", "rate", "mode", "code"),
    [
        (US, "8.875", "ours", "TAX"),
        (US, "0", "ours", "NON"),
        (US, "8.875", "theirs", "TAX"),
        (US, "8.875", "none", "NON"),
        (GB, "20", "ours", "11"),
        (GB, "20.000000", "ours", "11"),
        (GB, "0", "ours", "19"),
        (GB, "20", "none", "19"),
        (GB | {"tax_codes": {}}, "0", "ours", None),
    ],
)
def test_the_tax_code_of_a_line(facts, rate, mode, code):
    invoice = an_invoice("1", a_line(tax_rate=rate), currency=facts["currency"])
    detail = body(invoice, facts, tax_mode=mode)["Line"][0]["SalesItemLineDetail"]
    assert detail.get("TaxCodeRef", {}).get("value") == code


@pytest.mark.parametrize(
    ("facts", "rate", "mode", "fields"),
    [
        (US, "10", "ours", {"TxnTaxDetail": {"TotalTax": "10.00"}}),
        (US, "0", "ours", {}),  # a tax without a TAX line would have no base
        (US, "10", "theirs", {}),
        (GB, "20", "ours", {"GlobalTaxCalculation": "TaxExcluded"}),
        (GB | {"tax_codes": {}}, "0", "ours", {"GlobalTaxCalculation": "NotApplicable"}),
    ],
)
def test_the_tax_of_a_document(facts, rate, mode, fields):
    whole = body(an_invoice("1", a_line(tax_rate=rate), currency=facts["currency"]), facts, tax_mode=mode)
    assert {name: whole[name] for name in ("TxnTaxDetail", "GlobalTaxCalculation") if whole.get(name)} == fields


def test_tax_over_there_that_comes_to_the_same_is_not_sent():
    # 3 x 0.33 at 20 %: 0.99 x 20 % = 0.198, 0.20 on both sides
    invoice = an_invoice("1", *(a_line("0.33", "1.00", "20", position=n) for n in range(3)))
    assert (invoice.tax, overriding_tax(invoice, CODES)) == (Decimal("0.20"), None)


def test_two_rates_of_one_code_add_up_to_our_tax():
    rates = [{"id": "3", "percent": "5"}, {"id": "4", "percent": "9.975"}]
    codes = {"14.975": {"id": "9", "name": "GST/QST", "rates": rates}}
    # 14.975 % of 0.30 = 0.044925, 0.04; over there 0.015 and 0.029925 are 0.02 and 0.03: a cent is taken off the first
    detail = overriding_tax(an_invoice("1", a_line("0.3", "1.00", "14.975")), codes)
    assert detail["TotalTax"] == "0.04"
    assert [(line["TaxLineDetail"]["TaxRateRef"]["value"], line["Amount"]) for line in detail["TaxLine"]] == [
        ("3", "0.01"),
        ("4", "0.03"),
    ]


def test_tax_is_not_sent_to_a_company_that_has_none():
    with pytest.raises(PermanentFailure, match="sales tax is switched off") as refused:
        body(an_invoice("1", a_line(tax_rate="10")), US | {"uses_sales_tax": False})
    assert refused.value.field == "tax"


def test_with_several_currencies_the_document_names_its_own():
    facts = US | {"multicurrency": True}
    invoice = an_invoice("1", currency="EUR")
    ref = mapping.client_ref(invoice, facts)
    whole = mapping.invoice_from_invoice(invoice, facts, SETTINGS, REMOTE_IDS | {ref: "21"})
    assert (ref.part, whole["CustomerRef"], whole["CurrencyRef"]) == ("EUR", {"value": "21"}, {"value": "EUR"})


@pytest.mark.parametrize(
    ("client", "part", "name"),
    [
        (a_client("Acme"), "", "Acme"),
        (a_client("Acme"), "EUR", "Acme (EUR)"),
        (a_client("Acme", currency="EUR"), "EUR", "Acme"),
        (a_client("Acme", currency="EUR"), "", "Acme (USD)"),  # the company's own currency
        (a_client("  Acme \n Ltd\t"), "", "Acme Ltd"),
    ],
)
def test_the_name_of_a_customer(client, part, name):
    customer = mapping.customer_from_client(client, US | {"multicurrency": True}, part)
    assert (customer["DisplayName"], customer["CurrencyRef"]) == (name, {"value": part or "USD"})


@pytest.mark.parametrize(
    ("record", "field"),
    [
        (a_client("A: B"), "name"),
        (a_client("x" * 101), "name"),
        (a_client("x", phone="1" * 31), "phone"),
        (a_client("x", email="x" * 101), "email"),
    ],
)
def test_what_a_customer_cannot_be_is_named_and_never_cut(record, field):
    with pytest.raises(PermanentFailure) as refused:
        mapping.customer_from_client(record, US)
    assert refused.value.field == field


def test_an_item_is_a_service_with_its_income_account():
    assert mapping.item_from_service(a_service(code="C-1", description="Advice"), US) == {
        "Name": "Consulting",
        "Type": "Service",
        "IncomeAccountRef": {"value": "1"},
        "Description": "Advice",
        "Sku": "C-1",
    }


PAYMENT = {
    "Id": "22",
    "SyncToken": "1",
    "TxnDate": "2026-02-03",
    "TotalAmt": Decimal("150.00"),
    "CustomerRef": {"value": "20", "name": "Acme"},
    "PaymentRefNum": "W-7",
    "Line": [
        {"Amount": Decimal("60.00"), "LinkedTxn": [{"TxnId": "21", "TxnType": "Invoice"}]},
        {"Amount": 40, "LinkedTxn": [{"TxnId": "21", "TxnType": "Invoice"}]},
        {"Amount": Decimal("9.99"), "LinkedTxn": [{"TxnId": "30", "TxnType": "CreditMemo"}]},
    ],
    "MetaData": {"LastUpdatedTime": "2026-02-03T10:00:00-08:00"},
}


def test_a_payment_with_what_it_pays():
    change = mapping.change_from_payment(PAYMENT, "USD")
    assert change.values["client_id"] == RemoteRef("clients", "20", Missing.LEAVE_OUT)
    assert change.values["amount"] == "150.00"
    assert change.values["allocations"] == [
        {"invoice_id": RemoteRef("invoices", "21", Missing.NONE), "amount": "100.00"}  # 60.00 + 40
    ]
    assert (change.version, change.label) == ("1", "2026-02-03 Acme W-7")
    assert change.modified_at.isoformat() == "2026-02-03T10:00:00-08:00"


def test_a_credit_applied_beside_the_money_is_no_money():
    lines = [
        {"Amount": 40, "LinkedTxn": [{"TxnId": "21", "TxnType": "Invoice"}]},
        {"Amount": 20, "LinkedTxn": [{"TxnId": "23", "TxnType": "Invoice"}]},
        {"Amount": 10, "LinkedTxn": [{"TxnId": "30", "TxnType": "CreditMemo"}]},
    ]
    change = mapping.change_from_payment(PAYMENT | {"TotalAmt": 50, "Line": lines}, "USD")  # 40 + 20 - 10
    assert [item["amount"] for item in change.values["allocations"]] == ["40.00", "10.00"]


def test_a_voided_payment_pays_nothing():
    voided = PAYMENT | {"TotalAmt": 0, "Line": [], "PrivateNote": "Voided"}
    values = mapping.change_from_payment(voided, "USD").values
    assert (values["amount"], values["allocations"]) == ("0.00", [])


def test_a_deleted_payment():
    change = mapping.change_from_payment({"Id": "22", "status": "Deleted", "domain": "QBO"}, "USD")
    assert (change.remote_id, change.deleted, change.values) == ("22", True, {})


def test_an_invoice_on_a_statement():
    row = {
        "Id": "21",
        "DocNumber": "7",
        "TxnDate": "2026-01-31",
        "TotalAmt": Decimal("120.00"),
        "Balance": Decimal("20.00"),
        "TxnTaxDetail": {"TotalTax": 20},
        "CustomerRef": {"value": "20", "name": "Acme"},
    }
    line = mapping.statement_line("invoices", row, "GBP")
    assert (line.number, line.on, line.currency, line.label) == ("7", date(2026, 1, 31), "GBP", "Acme")
    assert (line.total, line.tax, line.open, line.voided) == (Decimal("120.00"), Decimal(20), Decimal("20.00"), False)


def test_an_address_of_several_lines():
    client = a_client()
    client = replace(client, address=replace(client.address, street="1 Road\nFloor 2", region="NY", country="US"))
    assert mapping.customer_from_client(client, US)["BillAddr"] == {
        "Line1": "1 Road",
        "Line2": "Floor 2",
        "CountrySubDivisionCode": "NY",
        "Country": "US",
    }


def test_the_last_line_of_an_address_takes_all_that_are_left():
    client = a_client()
    street = "Acme\n\nc/o Brown\n1 Road\nHouse 2\nFloor 3\nRoom 4"
    address = mapping.customer_from_client(replace(client, address=replace(client.address, street=street)), US)
    assert address["BillAddr"] == {
        "Line1": "Acme",
        "Line2": "c/o Brown",
        "Line3": "1 Road",
        "Line4": "House 2",
        "Line5": "Floor 3, Room 4",
    }


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"street": "a\nb\nc\nd\n" + "e" * 300 + "\n" + "f" * 300}, "address.street"),
        ({"city": "x" * 256}, "address.city"),
        ({"postcode": "1" * 31}, "address.postcode"),
    ],
)
def test_an_address_that_is_too_long_is_named(values, field):
    client = a_client()
    with pytest.raises(PermanentFailure) as refused:
        mapping.customer_from_client(replace(client, address=replace(client.address, **values)), US)
    assert refused.value.field == field
