"""Invoices and credit memos: what the service checks, computes and keeps."""

from __future__ import annotations

from copy import deepcopy
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from plugins.quickbooks.sandbox import faults
from plugins.quickbooks.sandbox.books import (
    Books,
    Entity,
    address,
    amount,
    cents,
    day,
    email,
    merged,
    number,
    only_known,
    text,
)
from plugins.quickbooks.sandbox.tax import check_line_code, tax_detail

SALE_FIELDS = {
    "CustomerRef", "Line", "DocNumber", "TxnDate", "DueDate", "SalesTermRef", "BillEmail", "BillEmailCc",
    "EmailStatus", "PrintStatus", "PrivateNote", "CustomerMemo", "CurrencyRef", "ExchangeRate", "TxnTaxDetail",
    "GlobalTaxCalculation", "ApplyTaxAfterDiscount", "BillAddr", "ShipAddr", "ClassRef", "DepartmentRef", "ShipDate",
    "TrackingNum", "Deposit", "AllowOnlineCreditCardPayment", "AllowOnlineACHPayment",
}  # fmt: skip
COMPUTED = {"TotalAmt", "Balance", "HomeTotalAmt", "HomeBalance", "LinkedTxn", "RemainingCredit", "InvoiceLink"}
LINE_FIELDS = {
    "Id", "LineNum", "Description", "Amount", "DetailType", "SalesItemLineDetail", "DiscountLineDetail",
    "DescriptionLineDetail", "SubTotalLineDetail", "LinkedTxn",
}  # fmt: skip
DETAIL_FIELDS = {
    "ItemRef", "Qty", "UnitPrice", "TaxCodeRef", "ServiceDate", "ClassRef", "ItemAccountRef", "TaxInclusiveAmt",
    "DiscountAmt", "DiscountRate",
}  # fmt: skip
EMAIL_STATUSES = ("NotSet", "NeedToSend", "EmailSent")


class Sales:
    """The rules of one company for its sales documents. options: those of the sandbox."""

    def __init__(self, books: Books, options: dict[str, Any]) -> None:
        self._books = books
        self._options = options

    def write(self, kind: str, body: Entity, *, actor: str, key: str, may_repeat_number: bool = False) -> Entity:
        """Create or update an invoice or a credit memo."""
        only_known(body, SALE_FIELDS | COMPUTED)
        old = self._books.get(kind, body["Id"]) if "Id" in body else None
        values = {name: value for name, value in merged(kind, body, old).items() if name not in COMPUTED}
        self._check_texts(values)
        self._books.check_references(values, {"SalesTermRef": "Term"})
        customer = self._customer(values)
        self._currency(values, customer)
        self._dates(values, old)
        self._number(kind, values, old, may_repeat_number)
        values["Line"] = self._lines(body if "Line" in body else values, old)
        self._tax(values, body, old)
        self._totals(kind, values, old)
        self._email(values)
        operation = "update" if old else "create"
        kept = {name: value for name, value in values.items() if value not in (None, "") and name != "sparse"}
        entity = self._books.put(kind, kept, old, operation=operation, actor=actor, key=key)
        if values.get("EmailStatus") == "NeedToSend":
            self._books.record("email", kind, entity["Id"], actor=actor, key=key)
        return entity

    def void(self, kind: str, body: Entity, *, actor: str, key: str) -> Entity:
        """Void an invoice: nothing is owed, the number stays, its payments become unapplied."""
        if kind != "Invoice":
            raise faults.unsupported(f"{kind} cannot be voided")
        old = self._versioned(kind, body)
        values = deepcopy(old)
        for line in values["Line"]:
            line["Amount"] = Decimal("0.00")
            if "SalesItemLineDetail" in line and "Qty" in line["SalesItemLineDetail"]:
                line["SalesItemLineDetail"]["Qty"] = Decimal(0)
        if "TxnTaxDetail" in values:
            values["TxnTaxDetail"] = {"TotalTax": Decimal("0.00"), "TaxLine": []}
        note = values.get("PrivateNote", "")
        values["PrivateNote"] = f"Voided - {note}" if note else "Voided"
        self._unlink(values)
        values |= {"TotalAmt": Decimal("0.00"), "Balance": Decimal("0.00"), "LinkedTxn": []}
        return self._books.put(kind, values, old, operation="void", actor=actor, key=key)

    def delete(self, kind: str, body: Entity, *, actor: str, key: str) -> Entity:
        old = self._versioned(kind, body)
        self._unlink(old)
        return self._books.forget(kind, old["Id"], actor=actor, key=key)

    def _versioned(self, kind: str, body: Entity) -> Entity:
        for name in ("Id", "SyncToken"):
            if name not in body:
                raise faults.missing(name)
        old = self._books.get(kind, body["Id"])
        merged(kind, body, old)
        self._open_period(old["TxnDate"])
        return old

    def _unlink(self, sale: Entity) -> None:
        for link in sale.get("LinkedTxn", []):
            payment = self._books.get("Payment", link["TxnId"])
            lines = [line for line in payment["Line"] if line["LinkedTxn"][0]["TxnId"] != sale["Id"]]
            applied = sum((line["Amount"] for line in lines), Decimal("0.00"))
            self._books.touch("Payment", payment["Id"], Line=lines, UnappliedAmt=payment["TotalAmt"] - applied)

    # The parts of a document -----------------------------------------------------------------------------------------

    def _check_texts(self, values: Entity) -> None:
        text(values, {"DocNumber": 21, "PrivateNote": 4000})
        only_known(values.get("CustomerMemo") or {}, {"value"}, "CustomerMemo.")
        text(values.get("CustomerMemo") or {}, {"value": 1000})
        for name in ("BillEmail", "BillEmailCc"):
            email(values, name)
        for name in ("BillAddr", "ShipAddr"):
            address(values, name)

    def _customer(self, values: Entity) -> Entity:
        if "CustomerRef" not in values:
            raise faults.missing("CustomerRef")
        customer = self._books.referenced("Customer", values["CustomerRef"], "CustomerRef")
        values["CustomerRef"] = {"value": customer["Id"], "name": customer["DisplayName"]}
        return customer

    def _currency(self, values: Entity, customer: Entity) -> None:
        state = self._books.state
        sent = (values.get("CurrencyRef") or {}).get("value")
        if sent is None and state["multicurrency"]:
            raise faults.missing("CurrencyRef")
        currency = sent or state["currency"]
        if currency != customer["CurrencyRef"]["value"]:
            raise faults.business("The currency of the transaction is not that of the customer")
        values["CurrencyRef"] = {"value": currency, "name": currency}
        if state["multicurrency"]:
            rate = values.get("ExchangeRate") or self._books.exchange_rate(currency)
            values["ExchangeRate"] = number(rate, "ExchangeRate")

    def _dates(self, values: Entity, old: Entity | None) -> None:
        for name in ("TxnDate", "DueDate"):
            day(values, name)
        values["TxnDate"] = values.get("TxnDate") or self._books.today()
        values["DueDate"] = values.get("DueDate") or _later(values["TxnDate"], 30)
        self._open_period(values["TxnDate"])
        if old is not None:
            self._open_period(old["TxnDate"])

    def _open_period(self, on: str) -> None:
        closed = self._books.state["closed_until"]
        if closed and on <= closed:
            raise faults.closed_period(closed)

    def _number(self, kind: str, values: Entity, old: Entity | None, may_repeat: bool) -> None:
        if not self._options["custom_numbers"]:  # the service numbers by itself, whatever is sent
            taken = [int(other["DocNumber"]) for other in self._books.all(kind) if other["DocNumber"].isdigit()]
            values["DocNumber"] = old["DocNumber"] if old else str(max(taken, default=1000) + 1)
            return
        number = values.get("DocNumber")
        for other in self._books.all(kind):
            same = number and other.get("DocNumber") == number and (old is None or other["Id"] != old["Id"])
            if same and not may_repeat:
                raise faults.duplicate_number(str(number), kind, other["Id"])

    def _lines(self, body: Entity, old: Entity | None) -> list[Entity]:
        lines = body.get("Line")
        if not isinstance(lines, list) or not lines:
            raise faults.missing("Line")
        kept = {line["Id"] for line in (old or {}).get("Line", []) if "Id" in line}
        last = max((int(id) for id in kept), default=0)
        checked: list[Entity] = []
        for sent in lines:
            if sent.get("DetailType") == "SubTotalLineDetail":
                continue
            line = self._line(deepcopy(sent))
            if line.get("Id") not in kept:
                last += 1
                line["Id"] = str(last)
            checked.append({**line, "LineNum": len(checked) + 1})
        subtotal = sum((line.get("Amount", Decimal(0)) for line in checked), Decimal("0.00"))
        return [*checked, {"Amount": subtotal, "DetailType": "SubTotalLineDetail", "SubTotalLineDetail": {}}]

    def _line(self, line: Entity) -> Entity:
        only_known(line, LINE_FIELDS, "Line.")
        text(line, {"Description": 4000})
        match line.get("DetailType"):
            case "DescriptionOnly":
                line.pop("Amount", None)
                return line
            case "DiscountLineDetail":
                raise faults.business("Discounts are turned off in this company (SalesFormsPrefs.AllowDiscount)")
            case "SalesItemLineDetail":
                return self._sales_line(line)
            case None:
                raise faults.missing("Line.DetailType")
        raise faults.invalid_enumeration("Line.DetailType", line["DetailType"])

    def _sales_line(self, line: Entity) -> Entity:
        if line.get("Amount") is None:
            raise faults.missing("Line.Amount")
        line["Amount"] = amount(line["Amount"], "Line.Amount")
        detail = line.setdefault("SalesItemLineDetail", {})
        only_known(detail, DETAIL_FIELDS, "Line.SalesItemLineDetail.")
        if "ItemRef" not in detail:  # a line without an item is a comment, its amount is lost
            return {"Description": line.get("Description", ""), "DetailType": "DescriptionOnly"}
        item = self._books.referenced("Item", detail["ItemRef"], "Line.SalesItemLineDetail.ItemRef")
        detail["ItemRef"] = {"value": item["Id"], "name": item["Name"]}
        day(detail, "ServiceDate")
        for name in ("Qty", "UnitPrice"):
            if name in detail:
                detail[name] = number(detail[name], name)
        if "Qty" in detail and "UnitPrice" in detail:
            product = cents(detail["Qty"] * detail["UnitPrice"])
            if line["Amount"] != product:
                raise faults.amount_is_not_product(line["Amount"], product)
        check_line_code(self._books, detail, item)
        return line

    def _tax(self, values: Entity, body: Entity, old: Entity | None) -> None:
        if old is not None and not {"Line", "TxnTaxDetail"} & set(body):
            return  # the tax of unchanged lines stays
        if "TxnTaxDetail" not in body:
            values.pop("TxnTaxDetail", None)
        rate = self._options["automated_tax"]
        detail = tax_detail(
            self._books,
            values,
            us_rate=None if rate is None else Decimal(str(rate)),
            ignores_sent_tax=bool(self._options["ignores_sent_tax"]),
        )
        values.pop("TxnTaxDetail", None)
        if detail is not None:
            values["TxnTaxDetail"] = detail

    def _totals(self, kind: str, values: Entity, old: Entity | None) -> None:
        net = values["Line"][-1]["Amount"]
        total = net + values.get("TxnTaxDetail", {}).get("TotalTax", Decimal(0))
        if total < 0:
            raise faults.business("Transaction amount must be 0 or greater")
        applied = (old["TotalAmt"] - old["Balance"]) if old else Decimal("0.00")
        if applied > total:
            raise faults.business("The total cannot be less than what is paid already")
        values |= {"TotalAmt": total, "Balance": total - applied, "LinkedTxn": (old or {}).get("LinkedTxn", [])}
        if kind == "CreditMemo":
            values["RemainingCredit"] = total - applied
        if self._books.state["multicurrency"]:
            values["HomeTotalAmt"] = cents(total * values["ExchangeRate"])

    def _email(self, values: Entity) -> None:
        status = values.setdefault("EmailStatus", "NotSet")
        if status not in EMAIL_STATUSES:
            raise faults.invalid_enumeration("EmailStatus", status)
        if status == "NeedToSend" and not (values.get("BillEmail") or {}).get("Address"):
            raise faults.missing("BillEmail")


def _later(on: str, days: int) -> str:
    return (date.fromisoformat(on) + timedelta(days=days)).isoformat()
