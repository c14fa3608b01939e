"""Customers, vendors, employees and items: names that must be unique, and how they are retired."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from plugins.quickbooks.sandbox import faults
from plugins.quickbooks.sandbox.books import Books, Entity, address, amount, email, merged, number, only_known, text

PEOPLE = ("Customer", "Vendor", "Employee")
NAME_PARTS = ("Title", "GivenName", "MiddleName", "FamilyName", "Suffix")
LENGTHS = {
    "DisplayName": 500, "CompanyName": 100, "GivenName": 100, "MiddleName": 100, "FamilyName": 100, "Title": 16,
    "Suffix": 16, "Notes": 2000, "PrintOnCheckName": 110, "ResaleNum": 16, "PrimaryTaxIdentifier": 20,
}  # fmt: skip
PHONES = ("PrimaryPhone", "AlternatePhone", "Mobile", "Fax")
ADDRESSES = ("BillAddr", "ShipAddr")
PERSON_FIELDS = {
    *LENGTHS, *PHONES, *ADDRESSES, "PrimaryEmailAddr", "WebAddr", "Active", "Taxable", "CurrencyRef", "SalesTermRef",
    "PaymentMethodRef", "ParentRef", "Job", "BillWithParent", "PreferredDeliveryMethod", "DefaultTaxCodeRef",
    "TaxExemptionReasonId", "Balance", "OpenBalanceDate", "BalanceWithJobs", "FullyQualifiedName", "IsProject",
    "Level", "ClientEntityId", "Vendor1099", "AcctNum",
}  # fmt: skip
ITEM_LENGTHS = {"Name": 100, "Description": 4000, "Sku": 100, "PurchaseDesc": 1000}
ITEM_FIELDS = {
    *ITEM_LENGTHS, "Type", "Active", "Taxable", "SalesTaxIncluded", "UnitPrice", "PurchaseCost", "IncomeAccountRef",
    "ExpenseAccountRef", "AssetAccountRef", "TrackQtyOnHand", "QtyOnHand", "InvStartDate", "SalesTaxCodeRef",
    "PurchaseTaxCodeRef", "ParentRef", "SubItem", "FullyQualifiedName", "Level", "ClassRef",
}  # fmt: skip
ITEM_TYPES = ("Service", "NonInventory", "Inventory")


def write_person(books: Books, kind: str, body: Entity, *, actor: str, key: str) -> Entity:
    """Create or update a customer, vendor or employee."""
    only_known(body, PERSON_FIELDS)
    old = books.get(kind, body["Id"]) if "Id" in body else None
    values = merged(kind, body, old)
    text(values, LENGTHS)
    references = {"SalesTermRef": "Term", "PaymentMethodRef": "PaymentMethod", "DefaultTaxCodeRef": "TaxCode"}
    books.check_references(values, references | ({"ParentRef": "Customer"} if kind == "Customer" else {}))
    for name in PHONES:
        only_known(values.get(name) or {}, {"FreeFormNumber"}, f"{name}.")
        text(values.get(name) or {}, {"FreeFormNumber": 30})
    for name in ADDRESSES:
        address(values, name)
    email(values, "PrimaryEmailAddr")
    _display_name(books, kind, values, old)
    _currency(books, values, old)
    opening = values.pop("Balance", None) if old is None else None
    values.setdefault("Active", True)
    _retire(values, old, "DisplayName")
    values |= {"FullyQualifiedName": values["DisplayName"], "Balance": amount(opening or 0, "Balance")}
    if old is not None:
        values["Balance"] = old["Balance"]
    entity = books.put(kind, _clean(values), old, operation="update" if old else "create", actor=actor, key=key)
    if opening and kind == "Customer":  # the service books it as an invoice nobody asked for
        books.record("opening_balance", kind, entity["Id"], actor=actor, key=key)
    return entity


def write_item(books: Books, body: Entity, *, actor: str, key: str) -> Entity:
    """Create or update an item."""
    only_known(body, ITEM_FIELDS)
    old = books.get("Item", body["Id"]) if "Id" in body else None
    values = merged("Item", body, old)
    text(values, ITEM_LENGTHS)
    if not (values.get("Name") or "").strip():
        raise faults.missing("Name")
    if ":" in values["Name"]:
        raise faults.business("An item's name cannot contain a colon")
    _unique(books, ("Item",), "Name", values["Name"], old)
    if values.setdefault("Type", "Service") not in ITEM_TYPES:
        raise faults.invalid_enumeration("Type", values["Type"])
    _income_account(books, values)
    if "SalesTaxCodeRef" in values:
        books.referenced("TaxCode", values["SalesTaxCodeRef"], "SalesTaxCodeRef")
    values["UnitPrice"] = number(values.get("UnitPrice", 0), "UnitPrice")
    values.setdefault("Active", True)
    values.setdefault("Taxable", False)
    _retire(values, old, "Name")
    values["FullyQualifiedName"] = values["Name"]
    return books.put("Item", _clean(values), old, operation="update" if old else "create", actor=actor, key=key)


def _income_account(books: Books, values: Entity) -> None:
    if "IncomeAccountRef" not in values:
        raise faults.missing("IncomeAccountRef")
    account = books.referenced("Account", values["IncomeAccountRef"], "IncomeAccountRef")
    if account["AccountType"] not in {"Income", "Other Income"}:
        raise faults.business(f"{account['Name']} is no income account")
    values["IncomeAccountRef"] = {"value": account["Id"], "name": account["Name"]}


def _display_name(books: Books, kind: str, values: Entity, old: Entity | None) -> None:
    name = values.get("DisplayName") or " ".join(values[part] for part in NAME_PARTS if values.get(part))
    if not name.strip():
        raise faults.missing("DisplayName")
    if any(sign in name for sign in ":\t\n"):
        raise faults.business("A display name cannot contain a colon, a tab or a new line")
    _unique(books, PEOPLE, "DisplayName", name, old)
    values["DisplayName"] = name


def _unique(books: Books, kinds: tuple[str, ...], field: str, name: str, old: Entity | None) -> None:
    for kind in kinds:
        for other in books.all(kind):
            if other[field].casefold() == name.casefold() and (old is None or other["Id"] != old["Id"]):
                # The service names the id only when it is in the same list.
                raise faults.duplicate_name(f"Id={other['Id']}" if kind == kinds[0] else "null")


def _currency(books: Books, values: Entity, old: Entity | None) -> None:
    home = books.state["currency"]
    reference = values.get("CurrencyRef") or {"value": home}
    code = reference.get("value") if isinstance(reference, dict) else None
    if not isinstance(code, str) or len(code) != 3:
        raise faults.unknown_reference("CurrencyRef", code)
    if code != home and not books.state["multicurrency"]:
        raise faults.business("Multiple currencies are not turned on in this company")
    if old is not None and code != old["CurrencyRef"]["value"]:
        raise faults.business("The currency of a name cannot be changed")
    values["CurrencyRef"] = {"value": code, "name": code}


def _retire(values: Entity, old: Entity | None, field: str) -> None:
    """A name made inactive gives its name free."""
    mark = " (deleted)"
    if values["Active"] is False and not values[field].endswith(mark):
        values[field] += mark
    if values["Active"] is True and old is not None and old["Active"] is False:
        values[field] = values[field].removesuffix(mark)


def _clean(values: dict[str, Any]) -> dict[str, Any]:
    """Without what was cleared, and with exact numbers."""
    kept = {
        name: value for name, value in values.items() if value not in (None, "") and name not in {"sparse", "domain"}
    }
    return {name: Decimal(str(value)) if isinstance(value, float) else value for name, value in kept.items()}
