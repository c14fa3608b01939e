"""The connector against the stand-in: what its answers say, and what the ledger says really happened."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

import plugins.quickbooks
from hub.sdk import (
    ConfigurationFailure,
    Missing,
    OutcomeUnknown,
    PermanentFailure,
    RemoteRef,
    Status,
    TemporaryFailure,
    WebhookRejected,
)
from tests.plugins.quickbooks.conftest import ready
from tests.plugins.quickbooks.connection import a_client, a_line, a_service, an_invoice, id_of


def act(connection, name, **arguments):
    return getattr(connection.server.sandbox, name)(**arguments)


def statuses(outcomes):
    return [outcome.status for outcome in outcomes]


# The test of a connection ---------------------------------------------------------------------------------------------


def test_a_check_names_the_company_and_what_would_be_used(connect):
    connection = connect(country="GB", company="Books Ltd")
    result = connection.check()
    assert (result.ok, result.account_name, result.environment) == (True, "Books Ltd", "sandbox")
    texts = " ".join(finding.text for finding in result.findings)
    assert "The books are in GBP." in texts
    assert "New services are booked to “Services”." in texts
    assert "20 %: “20.0% S”" in texts
    assert "Lines without tax are “No VAT”." in texts


def test_a_check_writes_nothing_and_takes_five_reads(connect):
    connection = connect()
    before = connection.server.sandbox.calls()
    connection.check()
    assert connection.server.sandbox.effects() == []
    assert connection.server.sandbox.calls()["read"] - before["read"] == 5


@pytest.mark.parametrize(
    ("setting", "value", "field"),
    [
        ("client_secret", "wrong", "client_secret"),
        ("client_id", "wrong", "client_secret"),
        ("refresh_token", "wrong", "refresh_token"),
        ("realm_id", "123", "realm_id"),
        ("income_account", "Gold", "income_account"),
        ("discovery_url", "{url}/nowhere", "discovery_url"),
        ("base_url", "{url}/nowhere", "base_url"),
    ],
)
def test_a_wrong_setting_is_named(connect, setting, value, field):
    connection = connect()
    connection.tokens.tokens = {"refresh_token": connection.tokens.tokens["refresh_token"]}
    connection.settings[setting] = value.format(url=connection.server.url)
    if setting == "refresh_token":
        connection.tokens.tokens = {"refresh_token": value}
    with pytest.raises(ConfigurationFailure) as refused:
        connection.check()
    assert refused.value.field == field


def test_an_unreachable_service_is_temporary_and_names_the_address(connect):
    connection = connect()
    connection.server.stop()
    with pytest.raises(TemporaryFailure, match="check base_url"):
        connection.check()
    connection.server = connection.server.sandbox.serve()  # for the fixture to stop


def test_a_token_that_expired_is_renewed_once_and_the_call_repeated(us):
    act(us, "expire_tokens")
    before = us.server.sandbox.calls()["token"]
    assert statuses(us.push("invoices", an_invoice())) == [Status.CREATED]
    assert us.server.sandbox.calls()["token"] - before == 1
    assert len(us.created("Invoice")) == 1


def test_a_disconnected_login_asks_to_be_connected_again(us):
    act(us, "disconnect")
    with pytest.raises(ConfigurationFailure) as refused:
        us.push("invoices", an_invoice())
    assert (refused.value.field, refused.value.reauthorise) == ("refresh_token", True)


def test_a_lost_answer_to_a_renewal_is_tried_once_with_the_old_token(connect):
    connection = connect()
    act(connection, "expire_tokens")
    connection.server.sandbox.add_fault(path="/oauth2/*", close=True)
    assert connection.check().ok


# Invoices -------------------------------------------------------------------------------------------------------------


def test_thirty_invoices_are_one_call(us):
    before = us.server.sandbox.calls()
    invoices = [an_invoice(f"2026-{number:04}") for number in range(30)]
    assert statuses(us.push("invoices", *invoices)) == [Status.CREATED] * 30
    after = us.server.sandbox.calls()
    assert {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)} == {
        "batch": 1
    }


def test_a_lost_answer_and_its_repeat_create_one_invoice(us):
    batch = us.batch("invoices", an_invoice())
    us.server.sandbox.add_fault(path="*/batch", apply=True, close=True)
    with pytest.raises(OutcomeUnknown):
        us.connector.push(batch)
    assert statuses(us.connector.push(batch)) == [Status.CREATED]
    assert len(us.created("Invoice")) == 1


@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"status": 504, "body": "<html>"}, {"status": 200, "body": "<html>"}]
)
def test_an_answer_that_is_none_leaves_the_outcome_unknown(us, fault):
    us.server.sandbox.add_fault(path="*/batch", apply=True, **fault)
    with pytest.raises(OutcomeUnknown):
        us.push("invoices", an_invoice())
    assert len(us.created("Invoice")) == 1


def test_a_throttled_call_waits_a_minute_or_what_is_asked(connect):
    connection = connect(calls_per_minute=6)  # a test of the connection takes five
    with pytest.raises(TemporaryFailure) as busy:
        connection.check()
    assert busy.value.retry_after_s == 60
    connection.server.sandbox.add_fault(status=429, headers={"Retry-After": "7"})
    with pytest.raises(TemporaryFailure) as busy:
        connection.check()
    assert busy.value.retry_after_s == 7


def test_a_number_that_is_ours_already_is_adopted(us):
    us.push("invoices", an_invoice())
    again = us.connector.push(us.batch("invoices", an_invoice()))  # another key: as after an answer lost for hours
    assert statuses(again) == [Status.UNCHANGED]
    assert again[0].remote_id == us.rows("Invoice")[0]["Id"]
    assert len(us.created("Invoice")) == 1


def test_where_quickbooks_numbers_by_itself_the_test_and_each_invoice_say_so(connect):
    connection = ready(connect(custom_numbers=False))
    assert [finding.name for finding in connection.check().findings if not finding.ok] == ["numbers"]
    (outcome,) = connection.push("invoices", an_invoice("2026-0001"))
    assert (outcome.status, outcome.remote_id) == (Status.CREATED, connection.rows("Invoice")[0]["Id"])
    assert [finding.text for finding in outcome.findings] == ["The number is 1001 in QuickBooks and 2026-0001 here."]


def test_an_invoice_that_quickbooks_numbered_is_found_by_its_note_and_never_by_a_number(connect):
    connection = ready(connect(custom_numbers=False))
    connection.push("invoices", an_invoice("1002"), an_invoice("1001"))  # numbered 1001 and 1002 there
    first, second = (row["Id"] for row in connection.rows("Invoice"))
    again = connection.batch("invoices", an_invoice("1001"), an_invoice("1002"), an_invoice("1003"))
    found = connection.connector.find("invoices", again.sendings)
    assert {item.ref: (item.remote_id, item.ours) for item in found} == {"1": (second, True), "2": (first, True)}


def test_a_number_taken_by_another_document_goes_to_a_person(us):
    us.push("invoices", an_invoice())
    (outcome,) = us.connector.push(us.batch("invoices", an_invoice("2026-0001", a_line("2"))))
    assert (outcome.status, outcome.field) == (Status.REJECTED, "number")
    assert "same number, another total" in outcome.reason
    assert len(us.created("Invoice")) == 1


def test_after_a_lost_answer_an_invoice_is_found_by_number_customer_date_and_total(us):
    us.push("invoices", an_invoice("2026-0001"), an_invoice("2026-0002"))
    same = us.batch("invoices", an_invoice("2026-0001"), an_invoice("2026-0002", a_line("3")), an_invoice("2026-0003"))
    found = us.connector.find("invoices", same.sendings)
    assert [(item.ref, item.ours, item.score) for item in sorted(found, key=lambda item: item.ref)] == [
        ("1", True, 100),
        ("2", False, 75),
    ]


def test_one_bad_record_does_not_stop_the_others(us):
    act(us, "close_books", until="2026-01-31")
    open_period = an_invoice("2026-0002", dated_on=date(2026, 2, 1))
    closed, created = us.push("invoices", an_invoice("2026-0001"), open_period)
    assert (closed.status, closed.field) == (Status.REJECTED, "dated_on")
    assert "does not move dates" in closed.remedy
    assert created.status == Status.CREATED


def item_fault(code):
    return [{"bId": "1", "Fault": {"Error": [{"Message": "m", "Detail": "d", "code": code}], "type": "SystemFault"}}]


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ([], Status.UNCERTAIN),  # the answer does not mention it
        ([{"bId": "1"}], Status.UNCERTAIN),
        (item_fault("10000"), Status.UNCERTAIN),
        (item_fault("3001"), Status.DEFERRED),
        (item_fault("2020"), Status.REJECTED),
        (item_fault("6000"), Status.REJECTED),
    ],
)
def test_what_an_items_answer_means(us, answers, status):
    us.server.sandbox.add_fault(path="*/batch", status=200, body={"BatchItemResponse": answers})
    assert statuses(us.push("invoices", an_invoice())) == [status]


def test_a_repeat_that_is_answered_with_an_error_finds_what_is_there(us):
    # Repeated batches have been answered with code 6000 instead of the first answer.
    us.push("invoices", an_invoice())
    us.server.sandbox.add_fault(path="*/batch", status=200, body={"BatchItemResponse": item_fault("6000")})
    assert statuses(us.connector.push(us.batch("invoices", an_invoice()))) == [Status.UNCHANGED]


def test_a_look_that_fails_leaves_the_answered_records_answered(us):
    us.push("invoices", an_invoice("1"))
    us.server.sandbox.add_fault(method="GET", path="*/query", status=503)
    outcomes = us.connector.push(us.batch("invoices", an_invoice("1"), an_invoice("2")))
    assert statuses(outcomes) == [Status.DEFERRED, Status.CREATED]


def test_an_invoice_that_was_deleted_there_is_refused(us):
    (outcome,) = us.push("invoices", an_invoice())
    act(us, "delete_invoice", number="2026-0001")
    (changed,) = us.connector.push(us.update("invoices", None, outcome, DueDate="2026-04-01"))
    assert changed.status == Status.REJECTED


def test_an_inactive_customer_is_named(us):
    act(us, "deactivate_customer", id=us.rows("Customer")[0]["Id"])
    (outcome,) = us.push("invoices", an_invoice())
    assert outcome.status == Status.REJECTED
    assert "inactive" in outcome.reason


def test_the_product_rounded_half_up_is_taken(us):
    # 128.35 x 14.50 = 1861.075, half up 1861.08
    assert statuses(us.push("invoices", an_invoice("1", a_line("14.50", "128.35")))) == [Status.CREATED]
    assert us.rows("Invoice")[0]["TotalAmt"] == Decimal("1861.08")


def test_an_amount_that_is_not_the_product_goes_without_quantity_and_price(us):
    (outcome,) = us.push("invoices", an_invoice("1", a_line("1.5", "1001", net="1502.00")))
    assert outcome.status == Status.CREATED
    assert "Qty" not in us.rows("Invoice")[0]["Line"][0]["SalesItemLineDetail"]


# Tax ------------------------------------------------------------------------------------------------------------------


def test_in_the_us_our_tax_is_sent_and_kept(connect, us):
    # 100.00 at 8.875 % = 8.875, half up 8.88; 50.00 untaxed
    invoice = an_invoice("1", a_line(tax_rate="8.875"), a_line("0.5", position=2))
    (outcome,) = us.push("invoices", invoice)
    row = us.rows("Invoice")[0]
    codes = [line["SalesItemLineDetail"]["TaxCodeRef"]["value"] for line in row["Line"][:2]]
    assert (codes, row["TotalAmt"], outcome.findings) == (["TAX", "NON"], Decimal("158.88"), ())


def test_elsewhere_every_line_has_the_code_of_its_rate(gb):
    # 20 % of 100.00 = 20.00, 5 % of 10.00 = 0.50, nothing on 1.00: 131.50
    lines = (a_line(tax_rate="20"), a_line("0.1", tax_rate="5", position=2), a_line("0.01", position=3))
    (outcome,) = gb.push("invoices", an_invoice("1", *lines, currency="GBP"))
    row = gb.rows("Invoice")[0]
    by_id = {code["Id"]: code["Name"] for code in gb.rows("TaxCode")}
    codes = [by_id[line["SalesItemLineDetail"]["TaxCodeRef"]["value"]] for line in row["Line"][:3]]
    assert codes == ["20.0% S", "5.0% R", "No VAT"]
    assert (row["TotalAmt"], row["GlobalTaxCalculation"], outcome.findings) == (Decimal("131.50"), "TaxExcluded", ())


def test_a_code_of_two_rates_keeps_our_tax_to_the_cent(connect):
    connection = connect(country="CA")
    connection.push("services", a_service())
    connection.push("clients", a_client())
    # 14.975 % of 0.30 = 0.0449, 0.04 here; over there 5 % = 0.015, 0.02 and 9.975 % = 0.0299, 0.03: 0.05
    invoice = an_invoice("1", a_line("0.3", "1.00", "14.975"), currency="CAD")
    (outcome,) = connection.push("invoices", invoice)
    assert (outcome.findings, connection.rows("Invoice")[0]["TotalAmt"]) == ((), Decimal("0.34"))


def test_a_total_that_differs_is_a_finding(connect):
    connection = connect(country="US", automated_tax="10", ignores_sent_tax=True)
    connection.push("services", a_service())
    connection.push("clients", a_client())
    (outcome,) = connection.push("invoices", an_invoice("1", a_line(tax_rate="5")))  # ours 5.00, theirs 10.00
    assert outcome.status == Status.CREATED
    assert [finding.text for finding in outcome.findings] == [
        "The total is 110.00 in QuickBooks and 105.00 here.",
        "The tax is 10.00 in QuickBooks and 5.00 here.",
    ]


def test_with_their_tax_none_is_sent(connect):
    connection = connect(country="US", automated_tax="10", settings={"tax_mode": "theirs"})
    connection.push("services", a_service())
    connection.push("clients", a_client())
    connection.push("invoices", an_invoice("1", a_line(tax_rate="10")))
    assert connection.rows("Invoice")[0]["TxnTaxDetail"]["TotalTax"] == Decimal("10.00")


# Several currencies ---------------------------------------------------------------------------------------------------


def test_a_client_billed_in_two_currencies_is_two_customers(connect):
    connection = connect(country="US", multicurrency=True)
    connection.push("services", a_service())
    for currency, part in (("USD", ""), ("EUR", "EUR")):
        connection.push("clients", a_client(), part=part)
        invoice = an_invoice(f"1-{currency}", currency=currency)
        assert connection.connector.needs("invoices", invoice)[0].part == part
        assert statuses(connection.push("invoices", invoice)) == [Status.CREATED]
    names = {row["DisplayName"]: row["CurrencyRef"]["value"] for row in connection.rows("Customer")}
    assert names == {"Acme": "USD", "Acme (EUR)": "EUR"}


def test_a_client_that_is_known_when_several_currencies_are_switched_on_stays_known(us):
    us.push("invoices", an_invoice("1"))
    us.server.sandbox.state["multicurrency"] = True
    us.check()
    assert statuses(us.push("invoices", an_invoice("2"))) == [Status.CREATED]
    assert len(us.rows("Customer")) == 1


# Customers and services -----------------------------------------------------------------------------------------------


def test_the_same_name_is_the_same_customer(us):
    act(us, "create_customer", DisplayName="Brown Ltd")
    batch = us.batch("clients", a_client("BROWN  Ltd"), a_client("Green Ltd"))
    (found,) = us.connector.find("clients", batch.sendings)
    assert (found.ref, found.ours, found.label) == ("1", True, "Brown Ltd")


@pytest.mark.parametrize(
    ("theirs", "ours", "why"),
    [
        ({"DisplayName": "Brown & Sons"}, {"name": "Browne & Sons"}, "similar name"),
        ({"DisplayName": "Brown Limited"}, {"name": "Brown Ltd."}, "same name but for its writing or legal form"),
        (
            {"DisplayName": "Brown", "PrimaryEmailAddr": {"Address": "a@brown.example"}},
            {"name": "Brown", "email": "b@other.example"},
            "same name, but with another e-mail address",
        ),
    ],
)
def test_a_near_customer_is_for_a_person(us, theirs, ours, why):
    act(us, "create_customer", **theirs)
    (found,) = us.connector.find("clients", us.batch("clients", a_client(**ours)).sendings)
    assert (found.ours, found.why) == (False, why)


def test_an_inactive_customer_of_the_name_is_for_a_person(us):
    act(us, "deactivate_customer", id=us.rows("Customer")[0]["Id"])
    (found,) = us.connector.find("clients", us.batch("clients", a_client()).sendings)
    assert (found.ours, found.score, found.why) == (False, 90, "same name, but it is inactive there")


def test_names_that_differ_in_a_figure_are_not_near(us):
    act(us, "create_customer", DisplayName="PC 10")
    assert us.connector.find("clients", us.batch("clients", a_client("PC 11")).sendings) == []


def test_a_thousand_names_are_one_call(us):
    before = us.server.sandbox.calls()["read"]
    batch = us.batch("clients", *(a_client(f"New {number}") for number in range(30)))
    us.connector.find("clients", batch.sendings)
    assert us.server.sandbox.calls()["read"] - before == 1


def test_a_name_of_a_vendor_goes_to_a_person(us):
    act(us, "create_vendor", DisplayName="Paper Inc")
    (outcome,) = us.push("clients", a_client("Paper Inc"))
    assert (outcome.status, outcome.field) == (Status.REJECTED, "name")
    assert "vendor" in outcome.reason


def test_a_customer_that_came_to_be_meanwhile_is_adopted(us):
    act(us, "create_customer", DisplayName="Late Ltd")
    (outcome,) = us.push("clients", a_client("Late Ltd"))
    assert (outcome.status, outcome.remote_id) == (Status.UNCHANGED, us.rows("Customer")[-1]["Id"])


def test_a_service_that_every_company_has_is_found(us):
    (found,) = us.connector.find("services", us.batch("services", a_service("hours")).sendings)
    assert (found.ours, found.label) == (True, "Hours")


def test_a_customer_carries_what_finance_needs(us):
    address = replace(a_client().address, street="1 Road\nFloor 2", city="Leeds", postcode="LS1", country="GB")
    client = a_client("Brown", legal_name="Brown Holdings Ltd", email="ap@brown.example", phone="123", address=address)
    us.push("clients", client)
    row = us.rows("Customer")[-1]
    assert (row["DisplayName"], row["CompanyName"]) == ("Brown", "Brown Holdings Ltd")
    assert (row["BillAddr"]["Line2"], row["PrimaryEmailAddr"]["Address"]) == ("Floor 2", "ap@brown.example")


# Changing what is there -----------------------------------------------------------------------------------------------


def test_an_update_is_sparse_and_keeps_the_bookkeepers_fields(us):
    (outcome,) = us.push("invoices", an_invoice())
    us.server.sandbox.edit_invoice(number="2026-0001", BillEmailCc={"Address": "cc@acme.example"})
    stale = us.update("invoices", None, outcome, PrivateNote="PO reference: 7")
    (changed,) = us.connector.push(stale)  # their edit made the version we know an old one
    row = us.rows("Invoice")[0]
    assert (changed.status, changed.remote_version) == (Status.UPDATED, "2")
    assert (row["PrivateNote"], row["BillEmailCc"]["Address"]) == ("PO reference: 7", "cc@acme.example")


def test_a_payment_in_between_does_not_stop_an_update(us):
    (outcome,) = us.push("invoices", an_invoice())
    act(us, "pay_invoice", number="2026-0001")
    (changed,) = us.connector.push(us.update("invoices", None, outcome, PrivateNote="PO reference: 7"))
    assert (changed.status, us.rows("Invoice")[0]["Balance"]) == (Status.UPDATED, Decimal("0.00"))


def test_a_repeat_after_a_lost_second_call_changes_nothing_again(us):
    (outcome,) = us.push("invoices", an_invoice())
    act(us, "pay_invoice", number="2026-0001")
    batch = us.update("invoices", None, outcome, PrivateNote="PO reference: 7")
    us.server.sandbox.add_fault(path="*/batch", skip=1, apply=True, close=True)
    assert statuses(us.connector.push(batch)) == [Status.UNCERTAIN]
    assert statuses(us.connector.push(batch)) == [Status.UPDATED]
    assert len(us.server.sandbox.effects("update", "Invoice")) == 1


def test_a_voided_invoice_is_a_conflict(us):
    (outcome,) = us.push("invoices", an_invoice())
    act(us, "void_invoice", number="2026-0001")
    assert statuses(us.connector.push(us.update("invoices", None, outcome, DueDate="2026-04-01"))) == [Status.CONFLICT]


def test_changed_lines_keep_their_ids(us):
    (outcome,) = us.push("invoices", an_invoice("1", a_line(), a_line("2", position=2)))
    lines = us.batch("invoices", an_invoice("1", a_line("3"), a_line("2", position=2))).sendings[0].body["Line"]
    us.connector.push(us.update("invoices", None, outcome, Line=lines))
    row = us.rows("Invoice")[0]
    assert ([line.get("Id") for line in row["Line"]], row["TotalAmt"]) == (["1", "2", None], Decimal("500.00"))


def changed(connection, before, after):
    """What of a document differs, as the engine sends it."""
    first, second = (connection.batch("invoices", each).sendings[0].body for each in (before, after))
    return {name: value for name, value in second.items() if first.get(name) != value}


def test_changed_lines_take_their_tax_along(connect):
    connection = ready(connect(country="US", automated_tax="10"))
    # 5 % of 100.00, then of 50.00 and another 50.00: the tax is the same, and still ours to say
    before = an_invoice("1", a_line(tax_rate="5"))
    after = an_invoice("1", a_line("0.5", tax_rate="5"), a_line("0.5", tax_rate="5", position=2))
    (outcome,) = connection.push("invoices", before)
    (second,) = connection.connector.push(
        connection.update("invoices", None, outcome, **changed(connection, before, after))
    )
    row = connection.rows("Invoice")[0]
    assert (len(row["Line"]), row["TotalAmt"], second.findings) == (3, Decimal("105.00"), ())


def test_an_update_of_a_note_that_changes_the_total_is_a_finding(us):
    (outcome,) = us.push("invoices", an_invoice())
    row = us.rows("Invoice")[0]
    answer = {"bId": "1", "Invoice": {**row, "SyncToken": "1", "TotalAmt": Decimal("110.00")}}
    us.server.sandbox.add_fault(path="*/batch", status=200, body={"BatchItemResponse": [answer]})
    (second,) = us.connector.push(us.update("invoices", None, outcome, PrivateNote="PO reference: 7"))
    assert [finding.text for finding in second.findings] == [
        "QuickBooks changed the total from 100.00 to 110.00 and the tax from 0.00 to 0.00 with a change of something "
        "else."
    ]


def test_an_empty_field_is_emptied_there(us):
    (outcome,) = us.push("clients", a_client("Brown", phone="123"))
    us.connector.push(us.update("clients", None, outcome, PrimaryPhone=None))
    assert "PrimaryPhone" not in us.rows("Customer")[-1]


def test_what_is_emptied_on_an_invoice_is_emptied_there(us):
    address = replace(a_client().address, city="Leeds")
    full = an_invoice("1", memo="Thanks", po_reference="7", bill_to_email="a@acme.example", bill_to=address)
    (outcome,) = us.push("invoices", full)
    us.connector.push(us.update("invoices", None, outcome, **changed(us, full, an_invoice("1"))))
    names = {"CustomerMemo", "PrivateNote", "BillEmail", "BillAddr"}
    assert names & set(us.rows("Invoice")[0]) == set()


def test_a_code_taken_off_a_service_is_emptied_there(us):
    before, after = (us.batch("services", a_service("X", code=code)).sendings[0].body for code in ("X-1", ""))
    (outcome,) = us.push("services", a_service("X", code="X-1"))
    body = {name: value for name, value in after.items() if before.get(name) != value}
    us.connector.push(us.update("services", None, outcome, **body))
    assert "Sku" not in us.rows("Item")[-1]


def test_a_customer_made_inactive_there_can_still_be_changed(us):
    (outcome,) = us.push("clients", a_client("Brown"))
    act(us, "deactivate_customer", id=outcome.remote_id)
    phone = {"FreeFormNumber": "123"}
    assert statuses(us.connector.push(us.update("clients", None, outcome, PrimaryPhone=phone))) == [Status.UPDATED]
    assert us.rows("Customer")[-1]["Active"] is False


# Payments -------------------------------------------------------------------------------------------------------------


def payments(connection, cursor=None):
    pages = list(connection.connector.pull("payments", cursor))
    return [change for page in pages for change in page.changes], pages[-1].cursor


def test_a_partial_payment_comes_back_with_its_allocation(us):
    us.push("invoices", an_invoice())
    act(us, "pay_invoice", number="2026-0001", amount="40.00", on="2026-02-03", reference="W-7")
    (change,), cursor = payments(us)
    invoice, customer = us.rows("Invoice")[0]["Id"], us.rows("Customer")[0]["Id"]
    assert change.values == {
        "client_id": RemoteRef("clients", customer, Missing.LEAVE_OUT),
        "currency": "USD",
        "amount": "40.00",
        "received_on": "2026-02-03",
        "reference": "W-7",
        "allocations": [{"invoice_id": RemoteRef("invoices", invoice, Missing.NONE), "amount": "40.00"}],
    }
    assert cursor["v"] == 1


def test_what_is_beyond_the_invoice_is_the_clients_credit(us):
    us.push("invoices", an_invoice())
    act(us, "pay_invoice", number="2026-0001", amount="130.00")
    ((change,), _) = payments(us)
    assert (change.values["amount"], change.values["allocations"][0]["amount"]) == ("130.00", "100.00")


def test_from_a_cursor_only_what_changed_is_read(us):
    us.push("invoices", an_invoice("1"), an_invoice("2"))
    act(us, "pay_invoice", number="1")
    us.advance(3600)
    _, cursor = payments(us)
    act(us, "pay_invoice", number="2", reference="second")
    us.advance(1)
    changes, later = payments(us, cursor)
    assert [change.values["reference"] for change in changes] == ["second"]
    assert later["since"] > cursor["since"]


def test_a_deleted_payment_is_told(us):
    us.push("invoices", an_invoice())
    payment = act(us, "pay_invoice", number="2026-0001")
    _, cursor = payments(us)
    act(us, "delete_payment", id=payment["Id"])
    changes, _ = payments(us, cursor)
    assert [(change.remote_id, change.deleted) for change in changes] == [(payment["Id"], True)]


def parent_of(connection, *customers):
    """A parent customer of these, entered there."""
    parent = act(connection, "create_customer", DisplayName="Acme Group")["Id"]
    for id in customers:
        act(connection, "edit_customer", id=id, Job=True, ParentRef={"value": parent})
    return parent


def test_a_payment_of_the_parent_is_of_the_customer_whose_invoice_it_pays(us):
    us.push("invoices", an_invoice())
    customer = us.rows("Customer")[0]["Id"]
    act(us, "pay_invoice", number="2026-0001", payer=parent_of(us, customer))
    ((change,), _) = payments(us)
    assert change.values["client_id"].remote_id == customer
    assert [each["amount"] for each in change.values["allocations"]] == ["100.00"]


def test_a_payment_for_several_customers_is_for_a_person(us):
    us.push("clients", a_client("Brown"))
    us.push("invoices", an_invoice("1"), an_invoice("2", client="Brown"))
    parent = parent_of(us, *(row["Id"] for row in us.rows("Customer")))
    lines = [{"Amount": 100, "LinkedTxn": [{"TxnId": row["Id"], "TxnType": "Invoice"}]} for row in us.rows("Invoice")]
    whole = {"Id": "7", "TxnDate": "2026-02-01", "TotalAmt": 200, "CustomerRef": {"value": parent}, "Line": lines}
    page = captured(us, whole)
    assert [(refused.remote_id, refused.field) for refused in page.refused] == [("7", "client_id")]


def test_once_a_day_all_payments_of_the_last_months_are_looked_at_again(us):
    # The hub may have come to know the client or the invoice since.
    us.push("invoices", an_invoice())
    payment = act(us, "pay_invoice", number="2026-0001")
    _, cursor = payments(us)
    cursor["since"] = (us.server.sandbox.now() + timedelta(hours=1)).isoformat()  # nothing is new
    assert payments(us, cursor)[0] == []
    cursor["looked_at"] = (datetime.now(UTC) - timedelta(hours=25)).isoformat()
    changes, later = payments(us, cursor)
    assert [change.remote_id for change in changes] == [payment["Id"]]
    assert later["looked_at"] > cursor["looked_at"]


def test_payments_before_the_start_day_are_not_read(connect):
    connection = connect(start_on=date(2026, 2, 1))
    connection.push("services", a_service())
    connection.push("clients", a_client())
    connection.push("invoices", an_invoice("1"), an_invoice("2"))
    act(connection, "pay_invoice", number="1", on="2026-01-31")
    act(connection, "pay_invoice", number="2", on="2026-02-01")
    changes, _ = payments(connection)
    assert [change.values["received_on"] for change in changes] == ["2026-02-01"]


def test_a_cursor_of_more_than_a_month_ago_is_read_by_query(us):
    us.push("invoices", an_invoice())
    act(us, "pay_invoice", number="2026-0001")
    changes, cursor = payments(us, {"v": 1, "since": "2024-01-01T00:00:00+00:00"})
    assert (len(changes), cursor["since"] > "2024") == (1, True)


def test_more_than_change_data_capture_shows_is_read_by_query(us):
    us.push("invoices", an_invoice())
    _, cursor = payments(us)
    customer = us.rows("Customer")[0]["Id"]
    for number in range(1010):
        act(us, "receive_payment", customer_id=customer, amount=1, reference=str(number))
    changes, _ = payments(us, cursor)
    assert {change.values["reference"] for change in changes} == {str(number) for number in range(1010)}


def captured(us, *rows):
    answer = {
        "CDCResponse": [{"QueryResponse": [{"Payment": list(rows)}]}],
        "time": us.server.sandbox.now().isoformat(),
    }
    us.server.sandbox.add_fault(path="*/cdc", status=200, body=answer)
    now = us.server.sandbox.now().isoformat()
    return next(us.connector.pull("payments", {"v": 1, "since": now, "looked_at": now}))


def test_a_payment_that_cannot_be_read_stops_no_other(us):
    whole = {"Id": "8", "TxnDate": "2026-02-01", "TotalAmt": 5, "CustomerRef": {"value": "1"}}
    page = captured(us, {"Id": "7", "TxnDate": "2026-02-01", "TotalAmt": 5}, whole)
    assert [refused.remote_id for refused in page.refused] == ["7"]
    assert [change.remote_id for change in page.changes] == ["8"]


def test_a_credit_that_is_only_applied_is_no_payment(us):
    links = [
        {"Amount": 5, "LinkedTxn": [{"TxnId": id, "TxnType": kind}]}
        for id, kind in (("1", "Invoice"), ("2", "CreditMemo"))
    ]
    page = captured(
        us, {"Id": "7", "TxnDate": "2026-02-01", "TotalAmt": 0, "CustomerRef": {"value": "1"}, "Line": links}
    )
    assert (page.changes, page.refused) == ((), ())


def test_a_payment_is_fetched_by_its_id(us):
    us.push("invoices", an_invoice())
    payment = act(us, "pay_invoice", number="2026-0001")
    page = us.connector.fetch("payments", [payment["Id"], "999"])
    assert ([change.remote_id for change in page.changes], page.cursor) == ([payment["Id"]], None)


# Reconciliation -------------------------------------------------------------------------------------------------------


def test_a_statement_holds_every_document_of_the_period(gb):
    gb.push("invoices", *(an_invoice(f"{n}", a_line(tax_rate="20"), currency="GBP") for n in range(3)))
    gb.push("invoices", an_invoice("later", currency="GBP", dated_on=date(2026, 2, 1)))
    act(gb, "pay_invoice", number="1", amount="20.00", reference="W-7", on="2026-01-31")
    act(gb, "void_invoice", number="2")
    lines = {line.number: line for line in gb.connector.statement("invoices", date(2026, 1, 1), date(2026, 1, 31))}
    assert set(lines) == {"0", "1", "2"}
    assert (lines["1"].total, lines["1"].tax, lines["1"].open) == (
        Decimal("120.00"),
        Decimal("20.00"),
        Decimal("100.00"),
    )
    assert (lines["0"].currency, lines["0"].label, lines["2"].voided) == ("GBP", "Acme", True)
    (payment,) = gb.connector.statement("payments", None, None)
    assert (payment.number, payment.total, payment.open) == ("W-7", Decimal("20.00"), None)


# Webhooks -------------------------------------------------------------------------------------------------------------


def signed(connection, message, token="verifier"):
    connection.settings["webhook_verifier_token"] = "verifier"
    body = json.dumps(message).encode()
    signature = base64.b64encode(hmac.new(token.encode(), body, hashlib.sha256).digest()).decode()
    return connection.connector.webhook({"Intuit-Signature": signature}, body)


def old_form(realm, *events):
    entities = [{"name": name, "id": id, "operation": operation} for name, id, operation in events]
    return {"eventNotifications": [{"realmId": realm, "dataChangeEvent": {"entities": entities}}]}


def test_both_forms_of_a_message_point_to_payments(us):
    realm = us.settings["realm_id"]
    event = {"type": "qbo.payment.deleted.v1", "intuitentityid": "8", "intuitaccountid": realm, "id": str(uuid4())}
    old = signed(
        us, old_form(realm, ("Payment", "7", "Create"), ("Invoice", "9", "Update"), ("Payment", "7", "Update"))
    )
    assert [(hint.kind, hint.remote_id, hint.deleted) for hint in old] == [("payments", "7", False)]
    assert [(hint.remote_id, hint.deleted) for hint in signed(us, [event])] == [("8", True)]


def test_another_companys_message_points_to_nothing(us):
    assert signed(us, old_form("1", ("Payment", "7", "Create"))) == []


def test_a_message_with_another_signature_is_refused(us):
    with pytest.raises(WebhookRejected):
        signed(us, [], token="other")
    us.settings["webhook_verifier_token"] = ""
    with pytest.raises(WebhookRejected):
        us.connector.webhook({}, b"[]")


# Refused before anything is sent --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("invoice", "field"),
    [
        (an_invoice("x" * 22), "number"),
        (an_invoice("1", currency="EUR"), "currency"),
        (an_invoice("1", a_line("-1")), "total"),
        (an_invoice("1", memo="x" * 1001), "memo"),
        (an_invoice("1", a_line("1", "0.001", net="0.001")), "lines"),
    ],
)
def test_the_mapping_names_the_field_that_would_be_refused(us, invoice, field):
    with pytest.raises(PermanentFailure) as refused:
        us.batch("invoices", invoice)
    assert refused.value.field == field


def test_a_rate_without_a_tax_code_is_named(gb):
    with pytest.raises(PermanentFailure, match=r"no tax code for 17\.5 % \(it has 0 %, 5 %, 20 %\)") as refused:
        gb.batch("invoices", an_invoice("1", a_line(tax_rate="17.5"), currency="GBP"))
    assert refused.value.field == "tax_rate"


def test_an_untested_connection_says_so(us):
    us.facts = {}
    with pytest.raises(ConfigurationFailure, match="Test it first"):
        us.connector.needs("invoices", an_invoice())


def test_an_invoice_needs_its_client_and_each_service_once(us):
    lines = (a_line(), a_line(position=2), a_line(position=3, service="Travel"))
    needs = us.connector.needs("invoices", an_invoice("1", *lines))
    assert [(ref.kind, ref.id) for ref in needs] == [
        ("clients", id_of("Acme")),
        ("services", id_of("Consulting")),
        ("services", id_of("Travel")),
    ]


def test_a_hub_that_only_syncs_loads_no_stand_in():
    code = "import plugins.quickbooks, sys; sys.exit('plugins.quickbooks.sandbox.server' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_stand_in_is_offered_by_name():
    (spec,) = plugins.quickbooks.sandboxes()
    assert (spec.name, spec.create(country="GB", currency="EUR").state["currency"]) == ("quickbooks", "EUR")
