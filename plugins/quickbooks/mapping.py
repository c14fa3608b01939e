"""Our records in the vendor's fields, and the vendor's rows in ours. Pure: no calls, no clock.

`facts` are what the connection test found out (company.py). A body has the vendor's top-level fields, and for a
document one of ours beside them, EXPECTED: the total and tax that the answer must show, and under WITH_LINES the fields
that belong together: where one of them is changed, all are sent, or QuickBooks would tax new lines in its own way.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from hub.sdk import (
    Address,
    Change,
    ClientRecord,
    InvoiceLineRecord,
    InvoiceRecord,
    Missing,
    PermanentFailure,
    Ref,
    RemoteIds,
    RemoteRef,
    ServiceRecord,
    StatementLine,
    Values,
    money_text,
    rounded,
)
from plugins.quickbooks.company import plain
from plugins.quickbooks.tax import overriding_tax

Row = Mapping[str, Any]

EXPECTED, WITH_LINES = "hub:expected", "with_lines"
NAME_LIMIT, NUMBER_LIMIT, DESCRIPTION_LIMIT, MEMO_LIMIT, NOTE_LIMIT = 100, 21, 4000, 1000, 4000
ADDRESS_LINES, LINE_LIMIT, ADDRESS_LIMIT, POSTCODE_LIMIT = 5, 500, 255, 30


# Going out ------------------------------------------------------------------------------------------------------------


def client_ref(invoice: InvoiceRecord, facts: Values) -> Ref:
    """The customer an invoice needs: with several currencies, each customer has one of them for ever.

    The part of the home currency is empty, as it is without several: who is known when they are switched on stays so.
    """
    is_foreign = facts["multicurrency"] and invoice.currency != facts["currency"]
    return Ref("clients", invoice.client_id, invoice.currency if is_foreign else "")


def item_from_service(service: ServiceRecord, facts: Values) -> Values:
    """An Item of type Service. Vendor's page "Item"."""
    body: Values = {
        "Name": _name(service.name, "name"),
        "Type": "Service",
        "IncomeAccountRef": {"value": facts["income_account"]["id"]},
        "Description": _text(service.description, DESCRIPTION_LIMIT, "description"),
        "Sku": _text(service.code, NAME_LIMIT, "code"),
    }
    return body


def customer_from_client(client: ClientRecord, facts: Values, part: str = "") -> Values:
    """A Customer; part: its currency where that is not the home currency. Vendor's page "Customer".

    A client billed in a second currency is a second customer, and names are taken once: its name ends in the currency.
    """
    name = _name(client.name, "name")
    currency = part or facts["currency"]
    if facts["multicurrency"] and currency != (client.currency or facts["currency"]):
        name = _name(f"{name} ({currency})", "name")
    body: Values = {
        "DisplayName": name,
        "CompanyName": _text(client.legal_name, 100, "legal_name"),
        "PrimaryEmailAddr": {"Address": _text(client.email, 100, "email")} if client.email else None,
        "PrimaryPhone": {"FreeFormNumber": _text(client.phone, 30, "phone")} if client.phone else None,
        "BillAddr": _address(client.address),
    }
    return body | ({"CurrencyRef": {"value": currency}} if facts["multicurrency"] else {})


def invoice_from_invoice(invoice: InvoiceRecord, facts: Values, settings: Values, remote_ids: RemoteIds) -> Values:
    """An Invoice. Raises PermanentFailure naming the field that QuickBooks would refuse. Vendor's page "Invoice"."""
    _check_money(invoice, facts, settings)
    lines = [_line(line, invoice.currency, facts, settings, remote_ids) for line in invoice.lines]
    taxes = _tax_fields(invoice, facts, settings)
    email = invoice.bill_to_email
    reference = f"PO reference: {invoice.po_reference}" if invoice.po_reference else ""
    # Where QuickBooks numbers by itself, the note says which of ours it is.
    number = "" if facts.get("our_numbers", True) else number_note(invoice.number)
    note = "\n".join(filter(None, [reference, number]))
    body: Values = {
        "CustomerRef": {"value": remote_ids[client_ref(invoice, facts)]},
        "DocNumber": _text(invoice.number, NUMBER_LIMIT, "number"),
        "TxnDate": invoice.dated_on.isoformat(),
        "DueDate": invoice.due_on.isoformat(),
        "Line": lines,
        # What is empty is said to be: an update that leaves it out would leave the old one there.
        "CustomerMemo": {"value": _text(invoice.memo, MEMO_LIMIT, "memo")} if invoice.memo else None,
        "PrivateNote": _text(note, NOTE_LIMIT, "po_reference"),
        "BillEmail": {"Address": _text(email, 100, "bill_to_email")} if email else None,
        "BillAddr": _address(invoice.bill_to),
        EXPECTED: {
            "total": money_text(invoice.total, invoice.currency),
            "tax": money_text(invoice.tax, invoice.currency),
            WITH_LINES: {"Line": lines, **taxes},
        },
    }
    if facts["multicurrency"]:
        body["CurrencyRef"] = {"value": invoice.currency}
    return body | taxes


def number_note(number: str) -> str:
    """The line of a private note that says which invoice of the hub it is."""
    return f"Invoice number: {number}"


def _check_money(invoice: InvoiceRecord, facts: Values, settings: Values) -> None:
    if invoice.total < 0:
        raise PermanentFailure(
            f"Invoice {invoice.number} is below zero ({invoice.total} {invoice.currency}). QuickBooks takes only a "
            "credit note for that.",
            field="total",
        )
    if not facts["multicurrency"] and invoice.currency != facts["currency"]:
        raise PermanentFailure(
            f"Invoice {invoice.number} is in {invoice.currency}, but this QuickBooks company knows only "
            f"{facts['currency']}. Turn on several currencies there, or bill in {facts['currency']}.",
            field="currency",
        )
    for line in invoice.lines:
        if rounded(line.net) != line.net:
            raise PermanentFailure(
                f"Line {line.position} of invoice {invoice.number} is {line.net} {invoice.currency}: QuickBooks "
                "amounts have two decimals.",
                field="lines",
            )
    if invoice.tax and settings["tax_mode"] == "ours" and not facts["uses_sales_tax"]:
        raise PermanentFailure(
            f"Invoice {invoice.number} has tax, but sales tax is switched off in QuickBooks. Switch it on there.",
            field="tax",
        )


def _line(
    line: InvoiceLineRecord, currency: str, facts: Values, settings: Values, remote_ids: RemoteIds
) -> dict[str, Any]:
    detail: dict[str, Any] = {"ItemRef": {"value": remote_ids[Ref("services", line.service_id)]}}
    # The service computes quantity x price itself, to two decimals, and refuses another amount (code 6070). Where ours
    # is rounded otherwise (a currency without decimals), the amount goes alone: both or neither.
    if rounded(line.quantity * line.rate) == line.net:
        detail |= {"Qty": plain(line.quantity), "UnitPrice": plain(line.rate)}
    code = _tax_code(line, facts, settings)
    if code:
        detail["TaxCodeRef"] = {"value": code}
    return {
        "Amount": f"{rounded(line.net):f}",
        "Description": _text(line.description, DESCRIPTION_LIMIT, "description"),
        "DetailType": "SalesItemLineDetail",
        "SalesItemLineDetail": detail,
    }


def _tax_code(line: InvoiceLineRecord, facts: Values, settings: Values) -> str:
    """The line's tax code. In the US TAX or NON; elsewhere the company's code of that rate, or its no-tax code."""
    rate = Decimal(0) if settings["tax_mode"] == "none" else line.tax_rate
    if facts["tax_model"] == "us":
        return "TAX" if rate else "NON"
    codes = facts["tax_codes"]
    if not codes and not rate:
        return ""  # a company that has no tax codes at all
    code = codes.get(plain(rate))
    if code is None:
        known = ", ".join(f"{key} %" for key in sorted(codes, key=Decimal))
        raise PermanentFailure(
            f"QuickBooks has no tax code for {plain(rate)} % (it has {known or 'none'}). Add one there and test the "
            "connection again, or name one in the setting tax_codes.",
            field="tax_rate",
        )
    return str(code["id"])


def _tax_fields(invoice: InvoiceRecord, facts: Values, settings: Values) -> Values:
    mode = settings["tax_mode"]
    if facts["tax_model"] == "us":
        # A tax that is sent is honoured, also by automated sales tax; without a TAX line it would have no base.
        taxed = mode == "ours" and any(line.tax_rate for line in invoice.lines)
        return {"TxnTaxDetail": {"TotalTax": f"{rounded(invoice.tax):f}"} if taxed else None}
    fields: Values = {"GlobalTaxCalculation": "TaxExcluded" if facts["tax_codes"] else "NotApplicable"}
    override = overriding_tax(invoice, facts["tax_codes"]) if mode == "ours" else None
    return fields | {"TxnTaxDetail": override}


def _name(text: str, field: str) -> str:
    """A name as QuickBooks takes it: one line, no colon, at most 100 characters (its screens assume that)."""
    name = " ".join(text.split())
    if ":" in name:
        raise PermanentFailure(
            f"“{name}” has a colon, which QuickBooks does not take in a name. Rename it.", field=field
        )
    return _text(name, NAME_LIMIT, field)


def _text(text: str, longest: int, field: str) -> str:
    if len(text) > longest:
        raise PermanentFailure(
            f"“{text[:40]}…” has {len(text)} characters, QuickBooks takes {longest}. Shorten it.", field=field
        )
    return text


def _address(address: Address) -> dict[str, str] | None:
    """A postal address; the fifth and last line takes all that are left, so that none is lost."""
    street = [line.strip() for line in address.street.splitlines() if line.strip()]
    if len(street) > ADDRESS_LINES:
        street[ADDRESS_LINES - 1 :] = [", ".join(street[ADDRESS_LINES - 1 :])]
    parts = {
        "City": _text(address.city, ADDRESS_LIMIT, "address.city"),
        "CountrySubDivisionCode": _text(address.region, ADDRESS_LIMIT, "address.region"),
        "PostalCode": _text(address.postcode, POSTCODE_LIMIT, "address.postcode"),
        "Country": address.country,
    }
    lines = {f"Line{number}": _text(line, LINE_LIMIT, "address.street") for number, line in enumerate(street, 1)}
    return {name: text for name, text in (lines | parts).items() if text} or None


# Coming in ------------------------------------------------------------------------------------------------------------


def change_from_payment(payment: Row, home_currency: str, payer: str = "") -> Change:
    """A payment as the hub takes it in; only those of its customers matter here. Vendor's page "Payment".

    payer: the customer whose invoices it pays, where a parent customer pays for it. A voided payment has no amount and
    pays nothing. Invoices that the hub does not know are left out.
    """
    times = payment.get("MetaData") or {}
    if payment.get("status") == "Deleted":
        return Change("payments", str(payment["Id"]), {}, deleted=True)
    currency = currency_of(payment, home_currency)
    values: Values = {
        "client_id": RemoteRef("clients", payer or str(payment["CustomerRef"]["value"]), Missing.LEAVE_OUT),
        "currency": currency,
        "amount": money_text(_amount(payment.get("TotalAmt")), currency),
        "received_on": payment["TxnDate"],
        "reference": payment.get("PaymentRefNum") or "",
        "allocations": [
            {"invoice_id": RemoteRef("invoices", id, Missing.NONE), "amount": money_text(amount, currency)}
            for id, amount in _paid_in_money(payment).items()
        ],
    }
    label = " ".join(filter(None, [payment["TxnDate"], payment["CustomerRef"].get("name"), values["reference"]]))
    match = {"total": values["amount"], "dated_on": payment["TxnDate"], "number": values["reference"]}
    version = str(payment.get("SyncToken", ""))
    return Change("payments", str(payment["Id"]), values, version, label, modified_at=_instant(times), match=match)


def applied_to_invoices(payment: Row) -> dict[str, Decimal]:
    """What of a payment pays which invoice, by the invoice's id over there."""
    applied: dict[str, Decimal] = {}
    for line in payment.get("Line") or []:
        for link in line.get("LinkedTxn") or []:
            if link.get("TxnType") == "Invoice":
                id = str(link["TxnId"])
                applied[id] = applied.get(id, Decimal(0)) + _amount(line.get("Amount"))
    return applied


def _paid_in_money(payment: Row) -> dict[str, Decimal]:
    """What of the money pays which invoice: a payment can apply a credit beside it, which is no money."""
    left = _amount(payment.get("TotalAmt"))
    paid: dict[str, Decimal] = {}
    for id, amount in applied_to_invoices(payment).items():
        part = min(amount, left)
        left -= part
        if part > 0:
            paid[id] = part
    return paid


def statement_line(kind: str, row: Row, home_currency: str) -> StatementLine:
    """An invoice or a payment as reconciliation compares it.

    What is open is compared on the invoices only: a payment may also pay invoices that the hub knows nothing of.
    """
    is_invoice = kind == "invoices"
    total = _amount(row.get("TotalAmt"))
    return StatementLine(
        remote_id=str(row["Id"]),
        number=str(row.get("DocNumber" if is_invoice else "PaymentRefNum") or ""),
        on=date.fromisoformat(row["TxnDate"]),
        currency=currency_of(row, home_currency),
        total=total,
        tax=_amount((row.get("TxnTaxDetail") or {}).get("TotalTax")),
        open=_amount(row.get("Balance")) if is_invoice else None,
        label=str((row.get("CustomerRef") or {}).get("name", "")),
        voided=is_voided(row),
    )


def is_voided(row: Row) -> bool:
    """The service has no status for it: nothing is owed, and the note says so."""
    return not _amount(row.get("TotalAmt")) and str(row.get("PrivateNote", "")).startswith("Void")


def currency_of(row: Row, home_currency: str) -> str:
    return str((row.get("CurrencyRef") or {}).get("value") or home_currency)


def _amount(value: Any) -> Decimal:
    return Decimal(str(value or 0))


def _instant(times: Row) -> datetime | None:
    text = times.get("LastUpdatedTime")
    return datetime.fromisoformat(text) if text else None
