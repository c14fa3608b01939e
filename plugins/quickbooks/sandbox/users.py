"""The company and what its own users do: bookkeepers enter, pay, edit and close; an administrator disconnects."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hub.testing.sandbox import ActionRefused, Sandbox, action
from plugins.quickbooks.sandbox.books import Books, Entity
from plugins.quickbooks.sandbox.faults import VendorFault
from plugins.quickbooks.sandbox.tokens import Tokens
from plugins.quickbooks.sandbox.writing import write_entity


class Company(Sandbox):
    """One company's books, and the actions of its users."""

    def _books(self) -> Books:
        return Books(self.state, self.now, self.record)

    def _tokens(self) -> Tokens:
        return Tokens(self.state["tokens"], self.now())

    @action
    def pay_invoice(
        self,
        number: str = "",
        id: str = "",
        amount: Any = None,
        on: str | None = None,
        reference: str = "",
        payer: str = "",
    ) -> Entity:
        """Receive a payment for an invoice, by its number or id: all that is open, or an amount.

        payer: the id of a parent customer who pays for it.
        """
        invoice = self._invoice(number, id)
        paid = _decimal(amount) if amount is not None else invoice["Balance"]
        applied = min(paid, invoice["Balance"])
        line = {"Amount": applied, "LinkedTxn": [{"TxnId": invoice["Id"], "TxnType": "Invoice"}]}
        body: Entity = {"CustomerRef": {"value": payer} if payer else invoice["CustomerRef"], "TotalAmt": paid}
        body["CurrencyRef"] = invoice["CurrencyRef"]
        body |= {"Line": [line] if applied else [], "PaymentRefNum": reference}
        return self._as_user("Payment", "create", body | ({"TxnDate": on} if on else {}))

    @action
    def receive_payment(self, customer_id: str, amount: Any, on: str | None = None, reference: str = "") -> Entity:
        """Receive money from a customer for no invoice in particular: it is the customer's credit."""
        body: Entity = {"CustomerRef": {"value": customer_id}, "TotalAmt": _decimal(amount), "PaymentRefNum": reference}
        body["CurrencyRef"] = self._existing("Customer", customer_id)["CurrencyRef"]
        return self._as_user("Payment", "create", body | ({"TxnDate": on} if on else {}))

    @action
    def delete_payment(self, id: str) -> Entity:
        """Delete a payment; its invoices are open again."""
        payment = self._existing("Payment", id)
        return self._as_user("Payment", "delete", {"Id": id, "SyncToken": payment["SyncToken"]})

    @action
    def edit_invoice(self, number: str = "", id: str = "", **values: Any) -> Entity:
        """Change an invoice's fields, in the API's own names."""
        return self._edit("Invoice", self._invoice(number, id), values)

    @action
    def void_invoice(self, number: str = "", id: str = "") -> Entity:
        """Void an invoice."""
        invoice = self._invoice(number, id)
        return self._as_user("Invoice", "void", {"Id": invoice["Id"], "SyncToken": invoice["SyncToken"]})

    @action
    def delete_invoice(self, number: str = "", id: str = "") -> Entity:
        """Delete an invoice."""
        invoice = self._invoice(number, id)
        return self._as_user("Invoice", "delete", {"Id": invoice["Id"], "SyncToken": invoice["SyncToken"]})

    @action
    def create_invoice(self, **values: Any) -> Entity:
        """Enter an invoice by hand, in the API's own field names."""
        return self._as_user("Invoice", "create", values)

    @action
    def create_customer(self, DisplayName: str, **values: Any) -> Entity:
        """Enter a customer by hand, in the API's own field names."""
        return self._as_user("Customer", "create", {"DisplayName": DisplayName, **values})

    @action
    def create_vendor(self, DisplayName: str, **values: Any) -> Entity:
        """Enter a vendor: it takes a name from the same pool as the customers."""
        return self._as_user("Vendor", "create", {"DisplayName": DisplayName, **values})

    @action
    def edit_customer(self, id: str, **values: Any) -> Entity:
        """Change a customer's fields, in the API's own names."""
        return self._edit("Customer", self._existing("Customer", id), values)

    @action
    def deactivate_customer(self, id: str) -> Entity:
        """Make a customer inactive: its name is free again."""
        return self._edit("Customer", self._existing("Customer", id), {"Active": False})

    @action
    def create_item(self, Name: str, **values: Any) -> Entity:
        """Enter an item; its income account is the first one unless named."""
        income = next(each for each in self._books().all("Account") if each["AccountType"] == "Income")
        return self._as_user("Item", "create", {"Name": Name, "IncomeAccountRef": {"value": income["Id"]}, **values})

    @action
    def close_books(self, until: str) -> dict[str, str]:
        """Close the books up to a date, that day included; an empty text opens them."""
        self.state["closed_until"] = until
        self.record("close_books", "Preferences", "1", actor="user")
        return {"closed_until": until}

    @action
    def disconnect(self) -> dict[str, bool]:
        """Disconnect the app: all its tokens are worthless."""
        self._tokens().revoke()
        self.changed()
        return {"disconnected": True}

    @action
    def expire_tokens(self) -> dict[str, bool]:
        """Let all access tokens expire; refresh tokens stay valid."""
        self._tokens().expire_access()
        self.changed()
        return {"expired": True}

    def _edit(self, kind: str, entity: Entity, values: dict[str, Any]) -> Entity:
        names = {"Id": entity["Id"], "SyncToken": entity["SyncToken"], "sparse": True}
        return self._as_user(kind, "update", {**values, **names})

    def _as_user(self, kind: str, operation: str, body: Entity) -> Entity:
        try:
            return write_entity(self._books(), self.options, kind, operation, body, actor="user")
        except VendorFault as fault:
            raise ActionRefused(fault.detail or fault.message) from fault

    def _invoice(self, number: str, id: str) -> Entity:
        if id:
            return self._existing("Invoice", id)
        for invoice in self._books().all("Invoice"):
            if number and invoice.get("DocNumber") == number:
                return invoice
        raise ActionRefused(f"There is no invoice with the number {number!r}.")

    def _existing(self, kind: str, id: str) -> Entity:
        try:
            return self._books().get(kind, id)
        except VendorFault as fault:
            raise ActionRefused(f"There is no {kind} with the id {id!r}.") from fault


def _decimal(value: Any) -> Decimal:
    try:
        return Decimal(str(value))
    except ArithmeticError as error:
        raise ActionRefused(f"{value!r} is no amount.") from error
