"""Names, invoices, tax and payments as the service keeps them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.plugins.quickbooks.books import codes


def customer(caller, name="Acme", **values):
    return caller.post("customer", {"DisplayName": name, **values})["Customer"]


def line(caller, amount="100.00", code=None, **detail):
    """A sales line; outside the US its tax code is the company's first (20 % in Great Britain)."""
    outside = caller.server.sandbox.state["country"] != "US"
    code = code or (caller.first("TaxCode") if outside else "TAX")
    detail = {"ItemRef": {"value": caller.first("Item")}, "TaxCodeRef": {"value": code}, **detail}
    return {"Amount": Decimal(amount), "DetailType": "SalesItemLineDetail", "SalesItemLineDetail": detail}


def body(caller, *lines, **values):
    whole = {"CustomerRef": {"value": caller.first("Customer")}, "TxnDate": "2026-01-31", "Line": list(lines)}
    if caller.server.sandbox.state["country"] != "US":
        whole["GlobalTaxCalculation"] = "TaxExcluded"
    return {**whole, **values}


@pytest.fixture
def seller(us):
    customer(us)
    return us


@pytest.fixture
def british(gb):
    customer(gb)
    return gb


# Names ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"DisplayName": "ACME"}, 6240),
        ({"DisplayName": "Paper Inc"}, 6240),
        ({"DisplayName": "A:B"}, 6000),
        ({"DisplayName": "x" * 501}, 2050),
        ({}, 2020),
        ({"DisplayName": "B", "PrimaryEmailAddr": {"Address": "nobody"}}, 2210),
        ({"DisplayName": "B", "CurrencyRef": {"value": "EUR"}}, 6000),
        ({"DisplayName": "B", "Nickname": "b"}, 2010),
        ({"DisplayName": "B", "PrimaryPhone": {"FreeFormNumber": "1" * 31}}, 2050),
        ({"GivenName": "Ada", "FamilyName": "Lovelace"}, None),
    ],
)
def test_customers_the_service_takes_or_refuses(seller, values, code):
    seller.act("create_vendor", DisplayName="Paper Inc")
    assert codes(seller.post("customer", values)) == ([code] if code else [])


def test_a_duplicate_name_names_the_customer_but_not_the_vendor(seller):
    seller.act("create_vendor", DisplayName="Paper Inc")
    details = [
        seller.post("customer", {"DisplayName": name})["Fault"]["Error"][0]["Detail"] for name in ("acme", "paper inc")
    ]
    assert details[0].endswith(f": Id={seller.first('Customer')}")
    assert details[1].endswith(": null")


def test_an_inactive_name_is_free_again_and_its_bearer_cannot_be_billed(seller):
    old = seller.first("Customer")
    seller.act("deactivate_customer", id=old)
    assert codes(seller.post("customer", {"DisplayName": "Acme"})) == []
    refused = seller.post("invoice", body(seller, line(seller), CustomerRef={"value": old}))
    assert codes(refused) == [610]


def test_a_sparse_update_keeps_and_a_full_one_erases(us):
    made = customer(us, Notes="keep me")
    names = {"Id": made["Id"], "DisplayName": "Acme"}
    sparse = us.post("customer", {**names, "SyncToken": "0", "sparse": True})["Customer"]
    full = us.post("customer", {**names, "SyncToken": "1"})["Customer"]
    assert (sparse.get("Notes"), full.get("Notes"), full["SyncToken"]) == ("keep me", None, "2")


def test_an_old_version_is_refused(us):
    made = customer(us)
    change = {"Id": made["Id"], "SyncToken": "0", "sparse": True, "Notes": "n"}
    assert [codes(us.post("customer", change)) for _ in range(2)] == [[], [5010]]


def test_a_balance_sent_with_a_new_customer_books_an_opening_balance(us):
    customer(us, Balance=Decimal("10.00"))
    assert len(us.server.sandbox.effects("opening_balance")) == 1


def test_an_address_comes_back_altered(us):
    assert customer(us, BillAddr={"Line1": "1 Road", "Country": "GB"})["BillAddr"]["Country"] == "GBR"


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"Name": "hours"}, 6240),
        ({"Name": "A:B"}, 6000),
        ({"Name": "x" * 101}, 2050),
        ({}, 2020),
        ({"Name": "New", "IncomeAccountRef": None}, 2010),
        ({"Name": "New", "IncomeAccountRef": {"value": "999"}}, 2500),
        ({"Name": "New", "IncomeAccountRef": {"value": "4"}}, 6000),  # the bank-like undeposited funds
        ({"Name": "New", "Type": "Idea"}, 2170),
        ({"Name": "New"}, None),
    ],
)
def test_items_the_service_takes_or_refuses(us, values, code):
    income = us.first("Account", "WHERE AccountType = 'Income'")
    answer = us.post("item", {"IncomeAccountRef": {"value": income}, **values})
    assert codes(answer) == ([code] if code else [])


# Invoices -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "code"),
    [("1861.08", None), ("1861.07", 6070)],  # 128.35 x 14.50 = 1861.075, half up
)
def test_the_amount_is_the_product_rounded_half_up(seller, amount, code):
    priced = line(seller, amount, Qty=Decimal("14.50"), UnitPrice=Decimal("128.35"))
    assert codes(seller.post("invoice", body(seller, priced))) == ([code] if code else [])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"CustomerRef": {"value": "999"}}, 2500),
        ({"CustomerRef": None}, 2010),
        ({"Line": []}, 2020),
        ({"Line": [{"DetailType": "Poem"}]}, 2170),
        ({"Line": [{"Amount": 1}]}, 2020),
        ({"DocNumber": "x" * 22}, 2050),
        ({"PrivateNote": "x" * 4001}, 2050),
        ({"CustomerMemo": {"value": "x" * 1001}}, 2050),
        ({"TxnDate": "31.01.2026"}, 2010),
        ({"BillEmail": {"Address": "nobody"}}, 2210),
        ({"EmailStatus": "NeedToSend"}, 2020),
        ({"EmailStatus": "Lost"}, 2170),
        ({"CurrencyRef": {"value": "EUR"}}, 6000),
        ({"Hue": "blue"}, 2010),
        ({"SalesTermRef": {"value": "999"}}, 2500),
        ({"CustomerMemo": {"text": "x"}}, 2010),
        ({"TxnTaxDetail": {"Tax": 1}}, 2010),
    ],
)
def test_invoices_the_service_refuses(seller, change, code):
    assert codes(seller.post("invoice", body(seller, line(seller)) | change)) == [code]
    assert seller.server.sandbox.effects(kind="Invoice") == []


@pytest.mark.parametrize(
    ("detail", "code"),
    [
        ({"ItemRef": {"value": "999"}}, 2500),
        ({"TaxCodeRef": {"value": "5"}}, 2500),  # in the US a line is TAX or NON
        ({"Qty": "many"}, 2010),
        ({"Colour": "blue"}, 2010),
    ],
)
def test_lines_the_service_refuses(seller, detail, code):
    assert codes(seller.post("invoice", body(seller, line(seller, **detail)))) == [code]


def test_a_line_without_an_item_is_a_comment_and_its_amount_is_lost(seller):
    comment = {"Amount": 5, "DetailType": "SalesItemLineDetail", "SalesItemLineDetail": {}, "Description": "free"}
    invoice = seller.post("invoice", body(seller, line(seller), comment))["Invoice"]
    assert invoice["TotalAmt"] == Decimal("100.00")
    assert invoice["Line"][1]["DetailType"] == "DescriptionOnly"


def test_a_number_is_used_once(seller):
    invoice = body(seller, line(seller), DocNumber="7")
    assert [codes(seller.post("invoice", invoice)) for _ in range(2)] == [[], [6140]]
    assert codes(seller.post("invoice", invoice, include="allowduplicatedocnum")) == []


def test_a_total_below_nothing_is_refused(seller):
    assert codes(seller.post("invoice", body(seller, line(seller, "-1.00")))) == [6000]


def test_closed_books_stay_closed(seller):
    invoice = seller.post("invoice", body(seller, line(seller), DocNumber="1"))["Invoice"]
    seller.act("close_books", until="2026-01-31")
    names = {"Id": invoice["Id"], "SyncToken": invoice["SyncToken"]}
    assert codes(seller.post("invoice", body(seller, line(seller)))) == [6210]
    assert codes(seller.post("invoice", {**names, "sparse": True, "PrivateNote": "n"})) == [6210]
    assert codes(seller.post("invoice", names, operation="void")) == [6210]
    assert codes(seller.post("invoice", body(seller, line(seller), TxnDate="2026-02-01"))) == []


def test_lines_keep_their_ids_when_they_are_named(seller):
    first = seller.post("invoice", body(seller, line(seller), line(seller)))["Invoice"]
    kept, other = first["Line"][1] | {"Amount": Decimal("50.00")}, line(seller)
    change = {"Id": first["Id"], "SyncToken": "0", "sparse": True, "Line": [kept, other]}
    again = seller.post("invoice", change)["Invoice"]
    assert [each.get("Id") for each in again["Line"]] == ["2", "3", None]
    assert again["TotalAmt"] == Decimal("150.00")


def test_a_void_leaves_the_number_and_takes_the_amounts(seller):
    made = seller.post("invoice", body(seller, line(seller), DocNumber="1"))["Invoice"]
    voided = seller.post("invoice", {"Id": made["Id"], "SyncToken": "0"}, operation="void")["Invoice"]
    assert (voided["DocNumber"], voided["TotalAmt"], voided["PrivateNote"]) == ("1", Decimal("0.00"), "Voided")


def test_a_deleted_invoice_is_gone(seller):
    made = seller.post("invoice", body(seller, line(seller), DocNumber="1"))["Invoice"]
    gone = seller.post("invoice", {"Id": made["Id"], "SyncToken": "0"}, operation="delete")["Invoice"]
    assert gone["status"] == "Deleted"
    assert codes(seller.get(f"invoice/{made['Id']}")) == [610]


# Tax ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "code", "sent", "tax"),
    [
        ({}, "TAX", "8.88", "8.88"),  # what is sent is honoured
        ({}, "NON", "8.88", "0.00"),  # no taxed line, no base
        ({}, "TAX", None, "0.00"),
        ({"automated_tax": "8.875"}, "TAX", None, "8.88"),  # 100 x 8.875 % = 8.875
        ({"automated_tax": "8.875"}, "NON", None, "0.00"),
        ({"automated_tax": "8.875", "ignores_sent_tax": True}, "TAX", "5.00", "8.88"),
    ],
)
def test_tax_in_the_united_states(open_books, options, code, sent, tax):
    caller = open_books(country="US", **options)
    customer(caller)
    detail = {"TxnTaxDetail": {"TotalTax": Decimal(sent)}} if sent else {}
    invoice = caller.post("invoice", body(caller, line(caller, code=code), **detail))["Invoice"]
    assert (invoice["TxnTaxDetail"]["TotalTax"], invoice["TotalAmt"]) == (Decimal(tax), 100 + Decimal(tax))


def test_elsewhere_tax_is_computed_and_rounded_once_per_rate(british):
    # three lines of 0.33 at 20 %: 0.99 x 20 % = 0.198, 0.20; line by line it would be 3 x 0.07 = 0.21
    invoice = british.post("invoice", body(british, *(line(british, "0.33") for _ in range(3))))["Invoice"]
    assert invoice["TxnTaxDetail"]["TotalTax"] == Decimal("0.20")


def test_elsewhere_every_line_needs_a_tax_code(british):
    without = line(british)
    del without["SalesItemLineDetail"]["TaxCodeRef"]
    assert codes(british.post("invoice", body(british, without))) == [6000]


@pytest.mark.parametrize(("value", "code"), [(None, 2020), ("TaxIncluded", 2170)])
def test_elsewhere_the_tax_calculation_is_named(british, value, code):
    invoice = body(british, line(british))
    invoice.pop("GlobalTaxCalculation")
    assert codes(british.post("invoice", invoice | ({"GlobalTaxCalculation": value} if value else {}))) == [code]


@pytest.mark.parametrize(("amount", "code"), [("20.01", []), ("19.00", [6000])])
def test_elsewhere_tax_is_overridden_with_a_line_for_every_rate(british, amount, code):
    rate = british.query("SELECT * FROM TaxRate ORDERBY Id")["QueryResponse"]["TaxRate"][0]["Id"]
    detail = {
        "Amount": Decimal(amount),
        "DetailType": "TaxLineDetail",
        "TaxLineDetail": {"TaxRateRef": {"value": rate}},
    }
    answer = british.post(
        "invoice", body(british, line(british), TxnTaxDetail={"TotalTax": Decimal("20.01"), "TaxLine": [detail]})
    )
    assert codes(answer) == code
    assert code or answer["Invoice"]["TotalAmt"] == Decimal("120.01")


def test_a_company_without_sales_tax_ignores_it(open_books):
    caller = open_books(using_sales_tax=False)
    customer(caller)
    invoice = caller.post("invoice", body(caller, line(caller), TxnTaxDetail={"TotalTax": Decimal("5.00")}))["Invoice"]
    assert "TxnTaxDetail" not in invoice


# Currency -------------------------------------------------------------------------------------------------------------


def test_with_several_currencies_a_document_names_its_customers_own(open_books):
    caller = open_books(country="US", multicurrency=True)
    customer(caller, CurrencyRef={"value": "EUR"})
    assert codes(caller.post("invoice", body(caller, line(caller)))) == [2020]
    assert codes(caller.post("invoice", body(caller, line(caller), CurrencyRef={"value": "USD"}))) == [6000]
    invoice = caller.post("invoice", body(caller, line(caller), CurrencyRef={"value": "EUR"}))["Invoice"]
    assert invoice["HomeTotalAmt"] == Decimal("110.00")  # 100 EUR at 1.10
    edit = {"Id": caller.first("Customer"), "SyncToken": "0", "sparse": True, "CurrencyRef": {"value": "USD"}}
    assert codes(caller.post("customer", edit)) == [6000]


# Payments -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def invoiced(seller):
    seller.post("invoice", body(seller, line(seller), DocNumber="1"))
    return seller


def invoice_of(caller):
    return caller.get(f"invoice/{caller.first('Invoice')}")["Invoice"]


@pytest.mark.parametrize(
    ("amount", "balance", "unapplied"),
    [(None, "0.00", "0.00"), ("40.00", "60.00", "0.00"), ("130.00", "0.00", "30.00")],
)
def test_a_payment_changes_its_invoice(invoiced, amount, balance, unapplied):
    payment = invoiced.act("pay_invoice", number="1", **({"amount": amount} if amount else {}))
    assert payment["UnappliedAmt"] == Decimal(unapplied)
    invoice = invoice_of(invoiced)
    assert (invoice["Balance"], invoice["SyncToken"]) == (Decimal(balance), "1")
    assert invoice["LinkedTxn"] == [{"TxnId": payment["Id"], "TxnType": "Payment"}]


def test_a_deleted_payment_opens_its_invoice(invoiced):
    payment = invoiced.act("pay_invoice", number="1")
    invoiced.act("delete_payment", id=payment["Id"])
    assert (invoice_of(invoiced)["Balance"], invoice_of(invoiced)["LinkedTxn"]) == (Decimal("100.00"), [])


def test_a_payment_can_be_moved_and_voided(invoiced):
    payment = invoiced.act("pay_invoice", number="1")
    moved = {"Id": payment["Id"], "SyncToken": "0", "sparse": True, "Line": []}
    assert invoiced.post("payment", moved)["Payment"]["UnappliedAmt"] == Decimal("100.00")
    void = {"Id": payment["Id"], "SyncToken": "1", "sparse": True}
    voided = invoiced.post("payment", void, operation="update", include="void")["Payment"]
    assert (voided["TotalAmt"], voided["PrivateNote"]) == (Decimal("0.00"), "Voided")


def test_a_voided_invoice_sets_its_payment_free(invoiced):
    payment = invoiced.act("pay_invoice", number="1")
    invoiced.act("void_invoice", number="1")
    assert invoiced.get(f"payment/{payment['Id']}")["Payment"]["UnappliedAmt"] == Decimal("100.00")


@pytest.mark.parametrize(
    ("total", "part", "code"),
    [("100.00", "100.01", 6000), ("50.00", "60.00", 6000), ("x", "1", 2010), ("60.00", "60.00", None)],
)
def test_payments_the_service_takes_or_refuses(invoiced, total, part, code):
    link = {"Amount": part, "LinkedTxn": [{"TxnId": invoiced.first("Invoice"), "TxnType": "Invoice"}]}
    payment = {"CustomerRef": {"value": invoiced.first("Customer")}, "TotalAmt": total, "Line": [link]}
    assert codes(invoiced.post("payment", payment)) == ([code] if code else [])


def test_a_paid_invoice_cannot_shrink_below_what_is_paid(invoiced):
    invoiced.act("pay_invoice", number="1")
    change = {"Id": invoiced.first("Invoice"), "SyncToken": "1", "sparse": True, "Line": [line(invoiced, "50.00")]}
    assert codes(invoiced.post("invoice", change)) == [6000]
