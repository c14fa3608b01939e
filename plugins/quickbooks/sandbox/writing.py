"""Every change of an entity, whoever asks for it: the API or one of the company's users."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from plugins.quickbooks.sandbox import faults
from plugins.quickbooks.sandbox.books import Books, Entity
from plugins.quickbooks.sandbox.documents import Sales
from plugins.quickbooks.sandbox.names import PEOPLE, write_item, write_person
from plugins.quickbooks.sandbox.payments import Payments


def write_entity(
    books: Books,
    options: dict[str, Any],
    kind: str,
    operation: str,
    body: Entity,
    *,
    actor: str,
    key: str = "",
    may_repeat_number: bool = False,
) -> Entity:
    """Create, update, void or delete; an empty operation creates or updates, by the body's id. Raises VendorFault."""
    body = deepcopy(body)
    if operation == "update" and "Id" not in body:
        raise faults.missing("Id")
    if operation not in {"", "create", "update", "void", "delete"}:
        raise faults.unsupported(f"There is no operation {operation}")
    if operation in {"void", "delete"}:
        return _retire(books, options, kind, operation, body, actor, key)
    if kind in PEOPLE:
        return write_person(books, kind, body, actor=actor, key=key)
    if kind == "Item":
        return write_item(books, body, actor=actor, key=key)
    if kind == "Payment":
        return Payments(books).write(body, actor=actor, key=key)
    return Sales(books, options).write(kind, body, actor=actor, key=key, may_repeat_number=may_repeat_number)


def _retire(
    books: Books, options: dict[str, Any], kind: str, operation: str, body: Entity, actor: str, key: str
) -> Entity:
    match kind, operation:
        case (("Invoice" | "CreditMemo"), "delete"):
            return Sales(books, options).delete(kind, body, actor=actor, key=key)
        case (("Invoice" | "CreditMemo"), "void"):
            return Sales(books, options).void(kind, body, actor=actor, key=key)
        case "Payment", "delete":
            return Payments(books).delete(body, actor=actor, key=key)
        case "Payment", "void":
            return Payments(books).void(body, actor=actor, key=key)
    raise faults.unsupported(f"{kind} cannot be {operation}ed; names are made inactive")
