"""Payments: money received, applied to invoices or kept as the customer's credit."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal
from typing import Any

from plugins.quickbooks.sandbox import faults
from plugins.quickbooks.sandbox.books import Books, Entity, amount, day, merged, only_known, text

FIELDS = {
    "CustomerRef", "TotalAmt", "TxnDate", "PaymentRefNum", "PaymentMethodRef", "DepositToAccountRef", "CurrencyRef",
    "ExchangeRate", "Line", "PrivateNote", "UnappliedAmt", "ProcessPayment", "ARAccountRef",
}  # fmt: skip


class Payments:
    """The rules of one company for its payments."""

    def __init__(self, books: Books) -> None:
        self._books = books

    def write(self, body: Entity, *, actor: str, key: str) -> Entity:
        """Create or update a payment; the lines of an update replace the old ones."""
        only_known(body, FIELDS)
        old = self._books.get("Payment", body["Id"]) if "Id" in body else None
        values = merged("Payment", body, old)
        text(values, {"PaymentRefNum": 21, "PrivateNote": 4000})
        references = {"PaymentMethodRef": "PaymentMethod", "DepositToAccountRef": "Account", "ARAccountRef": "Account"}
        self._books.check_references(values, references)
        customer = self._customer(values)
        self._open_period(values, old)
        if "TotalAmt" not in values:
            raise faults.missing("TotalAmt")
        values["TotalAmt"] = amount(values["TotalAmt"], "TotalAmt")
        lines = [self._line(line, customer, old) for line in values.get("Line") or []]
        applied = sum((line["Amount"] for line in lines), Decimal("0.00"))
        if applied > values["TotalAmt"]:
            raise faults.business("The amount applied is more than the payment")
        values |= {"Line": lines, "UnappliedAmt": values["TotalAmt"] - applied}
        operation = "update" if old else "create"
        before = deepcopy(old)
        payment = self._books.put("Payment", values, old, operation=operation, actor=actor, key=key)
        self._apply(payment, before)
        return payment

    def void(self, body: Entity, *, actor: str, key: str) -> Entity:
        old = self._versioned(body)
        note = old.get("PrivateNote", "")
        nothing = {"TotalAmt": Decimal("0.00"), "UnappliedAmt": Decimal("0.00"), "Line": []}
        values = {**deepcopy(old), **nothing, "PrivateNote": f"Voided - {note}" if note else "Voided"}
        payment = self._books.put("Payment", values, old, operation="void", actor=actor, key=key)
        self._apply(payment, old)
        return payment

    def delete(self, body: Entity, *, actor: str, key: str) -> Entity:
        old = self._versioned(body)
        self._apply({"Id": old["Id"], "Line": []}, old)
        return self._books.forget("Payment", old["Id"], actor=actor, key=key)

    def _versioned(self, body: Entity) -> Entity:
        for name in ("Id", "SyncToken"):
            if name not in body:
                raise faults.missing(name)
        old = self._books.get("Payment", body["Id"])
        merged("Payment", body, old)
        self._open_period(dict(old), old)
        return old

    def _customer(self, values: Entity) -> Entity:
        if "CustomerRef" not in values:
            raise faults.missing("CustomerRef")
        customer = self._books.referenced("Customer", values["CustomerRef"], "CustomerRef")
        values["CustomerRef"] = {"value": customer["Id"], "name": customer["DisplayName"]}
        sent = (values.get("CurrencyRef") or {}).get("value")
        if sent is None and self._books.state["multicurrency"]:
            raise faults.missing("CurrencyRef")
        currency = customer["CurrencyRef"]["value"]
        if sent not in (None, currency):
            raise faults.business("The currency of the payment is not that of the customer")
        values["CurrencyRef"] = {"value": currency, "name": currency}
        return customer

    def _open_period(self, values: Entity, old: Entity | None) -> None:
        day(values, "TxnDate")
        values["TxnDate"] = values.get("TxnDate") or self._books.today()
        closed = self._books.state["closed_until"]
        for on in (values["TxnDate"], (old or values)["TxnDate"]):
            if closed and on <= closed:
                raise faults.closed_period(closed)

    def _line(self, line: Entity, customer: Entity, old: Entity | None) -> dict[str, Any]:
        links = line.get("LinkedTxn") or []
        if len(links) != 1 or links[0].get("TxnType") != "Invoice":
            raise faults.invalid_enumeration("Line.LinkedTxn.TxnType", links)
        id = str(links[0].get("TxnId"))
        if id not in self._books.state["entities"]["Invoice"]:
            raise faults.unknown_reference("Line.LinkedTxn.TxnId", id)
        invoice = self._books.get("Invoice", id)
        if customer["Id"] not in self._lineage(invoice["CustomerRef"]["value"]):
            raise faults.business("The invoice belongs to another customer")
        part = amount(line.get("Amount"), "Line.Amount")
        before = sum((each["Amount"] for each in (old or {}).get("Line", []) if _invoice_id(each) == id), Decimal(0))
        if part > invoice["Balance"] + before:
            raise faults.business(f"Invoice {id} has an open balance of {invoice['Balance']}")
        return {"Amount": part, "LinkedTxn": [{"TxnId": id, "TxnType": "Invoice"}]}

    def _lineage(self, id: str) -> list[str]:
        """A customer and its parents: each of them may pay its invoices."""
        ids: list[str] = []
        while id and id not in ids:
            ids.append(id)
            id = str((self._books.get("Customer", id).get("ParentRef") or {}).get("value", ""))
        return ids

    def _apply(self, payment: Entity, before: Entity | None) -> None:
        """Bring the invoices in step: their balance, links and version change with the payment."""
        changes: dict[str, Decimal] = {}
        for line in payment["Line"]:
            changes[_invoice_id(line)] = changes.get(_invoice_id(line), Decimal(0)) - line["Amount"]
        for line in (before or {}).get("Line", []):
            changes[_invoice_id(line)] = changes.get(_invoice_id(line), Decimal(0)) + line["Amount"]
        paid_now = {_invoice_id(line) for line in payment["Line"]}
        for id, change in changes.items():
            invoice = self._books.get("Invoice", id)
            links = [link for link in invoice["LinkedTxn"] if link["TxnId"] != payment["Id"]]
            if id in paid_now:
                links.append({"TxnId": payment["Id"], "TxnType": "Payment"})
            self._books.touch("Invoice", id, Balance=invoice["Balance"] + change, LinkedTxn=links)


def _invoice_id(line: Entity) -> str:
    return str(line["LinkedTxn"][0]["TxnId"])
