"""What is in QuickBooks already that may be one of ours: documents by number, customers and services by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from rapidfuzz import fuzz

from hub.sdk import Found, Sending, normalised_name
from plugins.quickbooks.client import QuickBooksClient, Row, quoted, select
from plugins.quickbooks.mapping import EXPECTED

NEAR_SCORE = 85
"""From this likeness (0 to 100) a name is shown to a person."""
_RETIRED = " (deleted)"
_NUMBERS_AT_ONCE = 50


def find_invoices(client: QuickBooksClient, sendings: Sequence[Sending]) -> list[Found]:
    """Invoices with our numbers; ours is one with the same customer, date and total as well."""
    by_number = {str(sending.body["DocNumber"]): sending for sending in sendings}
    numbers = list(by_number)
    found: list[Found] = []
    for start in range(0, len(numbers), _NUMBERS_AT_ONCE):
        listed = ",".join(quoted(number) for number in numbers[start : start + _NUMBERS_AT_ONCE])
        for row in client.query(select("Invoice", f"DocNumber IN ({listed})")):
            sending = by_number.get(str(row.get("DocNumber")))
            if sending is not None:  # the service may compare without case
                found.append(_found_invoice(sending, row))
    return found


def _found_invoice(sending: Sending, row: Row) -> Found:
    body = sending.body
    differs = [
        name
        for name, ours, theirs in (
            ("customer", body["CustomerRef"]["value"], row["CustomerRef"]["value"]),
            ("date", body["TxnDate"], row["TxnDate"]),
            ("total", Decimal(body[EXPECTED]["total"]), Decimal(str(row["TotalAmt"]))),
        )
        if ours != theirs
    ]
    label = f"{row['DocNumber']} {row['CustomerRef'].get('name', '')} {row['TxnDate']} {row['TotalAmt']}"
    why = f"same number, another {' and '.join(differs)}" if differs else "same number, customer, date and total"
    score = 100 - 25 * len(differs)
    return Found(sending.ref, str(row["Id"]), str(row["SyncToken"]), label, ours=not differs, score=score, why=why)


class Names:
    """The names of one list over there, read once: a call per thousand rows."""

    def __init__(self, client: QuickBooksClient, entity: str, field: str) -> None:
        self._field = field
        self._rows = list(client.query_all(entity, "Active IN (true,false)"))

    def like(self, sending: Sending) -> list[Found]:
        """The rows whose name is that of a sending, or near to it."""
        found = (self._compare(sending, row) for row in self._rows)
        return sorted((item for item in found if item is not None), key=lambda item: -item.score)

    def _compare(self, sending: Sending, row: Row) -> Found | None:
        active = bool(row.get("Active", True))
        theirs = str(row[self._field])
        name = theirs if active else theirs.removesuffix(_RETIRED)
        score, why = likeness(str(sending.body[self._field]), name)
        if score < NEAR_SCORE:
            return None
        against = contradiction(sending.body, row)
        ours = score == 100 and active and not against
        if not active:
            score, why = score - 10, f"{why}, but it is inactive there"
        if against:
            score, why = score - 10, f"{why}, but {against}"
        return Found(sending.ref, str(row["Id"]), str(row["SyncToken"]), theirs, ours=ours, score=score, why=why)


def likeness(ours: str, theirs: str) -> tuple[int, str]:
    """How like two names are, 0 to 100, and why. Names that differ in a figure are never near: “PC 10”, “PC 1”."""
    if _folded(ours) == _folded(theirs):
        return 100, "same name"
    if re.findall(r"\d+", ours) != re.findall(r"\d+", theirs):
        return 0, ""
    a, b = normalised_name(ours), normalised_name(theirs)
    if a == b:
        return 95, "same name but for its writing or legal form"
    return min(94, round(fuzz.token_sort_ratio(a, b))), "similar name"


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())


def contradiction(body: dict[str, Any], row: Row) -> str:
    """What says that a row of the same name is another one: its type, its currency, its e-mail address's domain.

    Postal addresses come back altered and are not compared. A name is taken only once over there, so without a
    contradiction the same name is the same customer.
    """
    if row.get("Type") in {"Category", "Group"}:
        return f"a {str(row['Type']).lower()}"
    currency, theirs = _value(body, "CurrencyRef", "value"), _value(row, "CurrencyRef", "value")
    if currency and theirs and currency != theirs:
        return f"in {theirs}"
    domains = {_value(each, "PrimaryEmailAddr", "Address").rpartition("@")[2].casefold() for each in (body, row)}
    return "with another e-mail address" if len(domains - {""}) > 1 else ""


def best(found: Iterable[Found], ref: str) -> Found | None:
    """The likeliest of what was found for a sending."""
    return max((item for item in found if item.ref == ref), key=lambda item: (item.ours, item.score), default=None)


def _value(row: dict[str, Any], name: str, part: str) -> str:
    return str((row.get(name) or {}).get(part) or "")
