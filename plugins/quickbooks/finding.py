"""What is in QuickBooks already that may be one of ours: documents by number, customers and services by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from rapidfuzz import fuzz

from hub.sdk import Found, Sending, normalised_name
from plugins.quickbooks.client import QuickBooksClient, Row, quoted, select
from plugins.quickbooks.mapping import EXPECTED, number_note

NEAR_SCORE = 85
"""From this likeness (0 to 100) a name is shown to a person."""
SAME, SAME_BUT_FOR_FORM = 100, 95
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


def find_renumbered(client: QuickBooksClient, sendings: Sequence[Sending]) -> list[Found]:
    """Where QuickBooks numbers by itself: invoices whose note has our number; ours if customer, date and total agree.

    A number there says nothing: it may be another document's. Only documents of the same day can be ours.
    """
    days = sorted({str(sending.body["TxnDate"]) for sending in sendings})
    by_note = {number_note(str(sending.body["DocNumber"])): sending for sending in sendings}
    found: list[Found] = []
    for start in range(0, len(days), _NUMBERS_AT_ONCE):
        listed = ",".join(quoted(day) for day in days[start : start + _NUMBERS_AT_ONCE])
        for row in client.query_all("Invoice", f"TxnDate IN ({listed})"):
            noted = (by_note.get(line) for line in str(row.get("PrivateNote") or "").splitlines())
            sending = next(filter(None, noted), None)
            if sending is not None:
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
    label = f"{row.get('DocNumber', '')} {row['CustomerRef'].get('name', '')} {row['TxnDate']} {row['TotalAmt']}"
    why = f"same number, another {' and '.join(differs)}" if differs else "same number, customer, date and total"
    score = 100 - 25 * len(differs)
    return Found(sending.ref, str(row["Id"]), str(row["SyncToken"]), label, ours=not differs, score=score, why=why)


@dataclass(frozen=True, slots=True)
class Name:
    """A name as it is compared: without case and spacing, without its legal form, its figures."""

    folded: str
    normalised: str
    figures: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Name:
        return cls(" ".join(text.casefold().split()), normalised_name(text), tuple(re.findall(r"\d+", text)))


class Names:
    """The names of one list over there, read once: a call per thousand rows."""

    def __init__(self, client: QuickBooksClient, entity: str, field: str) -> None:
        self._field = field
        rows = client.query_all(entity, "Active IN (true,false)")
        self._rows = [(Name.of(_bare_name(row, field)), row) for row in rows]

    def like(self, sending: Sending) -> list[Found]:
        """The rows whose name is that of a sending, or near to it."""
        ours = Name.of(str(sending.body[self._field]))
        scored = ((likeness(ours, name), row) for name, row in self._rows)
        found = [self._found(sending, row, score) for score, row in scored if score >= NEAR_SCORE]
        return sorted(found, key=lambda item: -item.score)

    def _found(self, sending: Sending, row: Row, score: int) -> Found:
        why = {SAME: "same name", SAME_BUT_FOR_FORM: "same name but for its writing or legal form"}.get(
            score, "similar name"
        )
        against = contradiction(sending.body, row)
        ours = score == SAME and _is_active(row) and not against
        if not _is_active(row):
            score, why = score - 10, f"{why}, but it is inactive there"
        if against:
            score, why = score - 10, f"{why}, but {against}"
        label = str(row[self._field])
        return Found(sending.ref, str(row["Id"]), str(row["SyncToken"]), label, ours=ours, score=score, why=why)


def likeness(ours: Name, theirs: Name) -> int:
    """How like two names are, 0 to 100. Names that differ in a figure are never near: “PC 10”, “PC 1”."""
    if ours.folded == theirs.folded:
        return SAME
    if ours.figures != theirs.figures:
        return 0
    if ours.normalised == theirs.normalised:
        return SAME_BUT_FOR_FORM
    return min(SAME_BUT_FOR_FORM - 1, round(fuzz.token_sort_ratio(ours.normalised, theirs.normalised)))


def _is_active(row: Row) -> bool:
    return bool(row.get("Active", True))


def _bare_name(row: Row, field: str) -> str:
    """The name without the mark that an inactive one has."""
    name = str(row[field])
    return name if _is_active(row) else name.removesuffix(_RETIRED)


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
