"""Batches over the wire, and what each item's answer means for its record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hub.sdk import Batch, ConnectorError, Finding, Found, Op, Outcome, OutcomeUnknown, Sending, Status
from plugins.quickbooks.client import QuickBooksClient, Row
from plugins.quickbooks.faults import (
    BUSINESS,
    DUPLICATE_NAME,
    DUPLICATE_NUMBER,
    SERVER_ERROR,
    STALE,
    THROTTLE_PAUSE_S,
    THROTTLED,
    Fault,
    fault_in,
    refusal_of,
)
from plugins.quickbooks.finding import best
from plugins.quickbooks.mapping import EXPECTED, WITH_LINES, is_voided

Find = Callable[[Sequence[Sending]], Sequence[Found]]

ENTITIES = {"services": "Item", "clients": "Customer", "invoices": "Invoice"}
DOCUMENTS = {"Invoice"}
_LOOK_AFTER = {DUPLICATE_NUMBER, DUPLICATE_NAME, BUSINESS}
"""Refusals of a create after which it may be there already: a repeated batch has been answered so too."""


class BatchSender:
    """One batch: the call, a second one for what was changed over there meanwhile, and the outcomes."""

    def __init__(self, client: QuickBooksClient, batch: Batch, find: Find) -> None:
        self._client = client
        self._batch = batch
        self._find = find
        self._entity = ENTITIES[batch.stream]
        self._before: dict[str, Row] = {}

    def send(self) -> list[Outcome]:
        """One outcome per sending. Raises OutcomeUnknown when no answer came: the same batch is then sent again."""
        sendings = self._as_they_stand(self._batch.sendings)
        items = [self._item(sending, sending.remote_version) for sending in sendings]
        answers = self._client.batch(items, request_id=self._batch.key)
        faults = {sending.ref: fault_in(answers.get(sending.ref)) for sending in sendings}
        stale = [sending for sending in sendings if sending.op == Op.UPDATE and _code(faults[sending.ref]) == STALE]
        refused = [item for item in sendings if item.op == Op.CREATE and _code(faults[item.ref]) in _LOOK_AFTER]
        # The first call has its answer: whatever fails from here on must not make the whole batch unanswered.
        outcomes = {outcome.ref: outcome for outcome in self._afterwards(stale, self._update_again)}
        outcomes |= {outcome.ref: outcome for outcome in self._afterwards(refused, lambda r: self._look(r, faults))}
        return [outcomes.get(item.ref) or self._outcome(item, answers.get(item.ref)) for item in sendings]

    def _afterwards(self, sendings: Sequence[Sending], work: Callable[..., list[Outcome]]) -> list[Outcome]:
        if not sendings:
            return []
        try:
            return work(sendings)
        except ConnectorError as failure:
            status = Status.UNCERTAIN if isinstance(failure, OutcomeUnknown) else Status.DEFERRED
            return [Outcome(sending.ref, status, reason=str(failure)) for sending in sendings]

    # The call --------------------------------------------------------------------------------------------------------

    def _item(self, sending: Sending, version: str | None) -> Row:
        body = {name: value for name, value in sending.body.items() if name != EXPECTED}
        if sending.op == Op.CREATE:
            body = {name: value for name, value in body.items() if value not in (None, "")}
        else:
            body |= {"Id": sending.remote_id, "SyncToken": version, "sparse": True}
        return {"bId": sending.ref, "operation": str(sending.op), self._entity: body}

    def _as_they_stand(self, sendings: Sequence[Sending]) -> list[Sending]:
        """Updates of documents, whole: the tax beside the lines, and the lines with the ids they have over there.

        What they show before is kept: a change of anything else must leave the total and the tax as they are.
        """
        changing = [item for item in sendings if item.op == Op.UPDATE and self._entity in DOCUMENTS]
        self._before = self._current(changing)
        return [
            _keeping_lines(_whole(item), self._before.get(str(item.remote_id))) if item in changing else item
            for item in sendings
        ]

    def _update_again(self, stale: Sequence[Sending]) -> list[Outcome]:
        """What was changed over there since (a payment changes its invoice): our fields, on the version of now.

        Only our fields that changed travel, so what the bookkeeper changed stays. A void over there is a conflict.
        """
        current = self._current(stale)
        outcomes: list[Outcome] = []
        again: list[Sending] = []
        for sending in stale:
            row = current.get(str(sending.remote_id))
            if row is None:
                reason = "It is gone in QuickBooks."
                outcomes.append(Outcome(sending.ref, Status.REJECTED, reason=reason, remedy="Relink or ignore it."))
            elif is_voided(row) and self._batch.stream == "invoices":
                outcomes.append(Outcome(sending.ref, Status.CONFLICT, reason="It was voided in QuickBooks."))
            elif _shows(row, sending.body):
                outcomes.append(self._shown(sending, row))
            else:
                again.append(sending)
        self._before |= current
        if again:
            items = [self._item(sending, str(current[str(sending.remote_id)]["SyncToken"])) for sending in again]
            # A second call of the same batch: its own request id, derived, so that a repeat has it too.
            answers = self._client.batch(items, request_id=f"{self._batch.key}-2")
            outcomes += [self._outcome(sending, answers.get(sending.ref)) for sending in again]
        return outcomes

    def _current(self, sendings: Sequence[Sending]) -> dict[str, Row]:
        if not sendings:
            return {}
        rows = self._client.by_ids(self._entity, [str(sending.remote_id) for sending in sendings])
        return {str(row["Id"]): row for row in rows}

    def _look(self, refused: Sequence[Sending], faults: Mapping[str, Fault | None]) -> list[Outcome]:
        """Duplicates mean: look, it may be ours."""
        found = self._find(refused)
        return [
            _refused(sending, fault, best(found, sending.ref))
            for sending in refused
            if (fault := faults[sending.ref]) is not None
        ]

    # The answer ------------------------------------------------------------------------------------------------------

    def _outcome(self, sending: Sending, answer: Row | None) -> Outcome:
        if answer is None:
            return Outcome(sending.ref, Status.UNCERTAIN, reason="QuickBooks' answer does not mention it.")
        fault = fault_in(answer)
        if fault is not None:
            return _refused(sending, fault, None)
        row = answer.get(self._entity)
        if not isinstance(row, Mapping):
            return Outcome(sending.ref, Status.UNCERTAIN, reason="QuickBooks' answer does not show it.")
        return self._shown(sending, row)

    def _shown(self, sending: Sending, row: Mapping[str, Any]) -> Outcome:
        """It was written: under which id and version, and whether it shows what it should."""
        status = Status.CREATED if sending.op == Op.CREATE else Status.UPDATED
        findings = tuple(differences(sending.body, row, self._before.get(str(sending.remote_id))))
        return Outcome(sending.ref, status, str(row["Id"]), str(row["SyncToken"]), findings=findings)


def differences(body: Mapping[str, Any], row: Mapping[str, Any], before: Row | None = None) -> list[Finding]:
    """What the books show otherwise than the document: its total, its tax. Compared after every write.

    before: what they showed until now, for an update that says nothing of either.
    """
    findings = list(_number_difference(body, row))
    expected = body.get(EXPECTED)
    shown_total, shown_tax = _money(row)
    if expected is None:
        if before is None or (shown_total, shown_tax) == _money(before):
            return findings
        was_total, was_tax = _money(before)
        text = (
            f"QuickBooks changed the total from {was_total} to {shown_total} and the tax from {was_tax} to {shown_tax} "
            "with a change of something else."
        )
        return [*findings, Finding(False, "total", text, "Compare the two documents with the bookkeeper.", "total")]
    total, tax = (Decimal(expected[name]) for name in ("total", "tax"))
    if shown_total != total:
        text = f"The total is {shown_total} in QuickBooks and {total} here."
        findings.append(Finding(False, "total", text, "Compare the two documents with the bookkeeper.", "total"))
    if shown_tax != tax:
        text = f"The tax is {shown_tax} in QuickBooks and {tax} here."
        remedy = "Check the tax codes that the connection test names, and the tax settings there."
        findings.append(Finding(False, "tax", text, remedy, "tax"))
    return findings


def _refused(sending: Sending, fault: Fault, there: Found | None) -> Outcome:
    if there is not None and there.ours:
        return Outcome(
            sending.ref, Status.UNCHANGED, there.remote_id, there.remote_version, reason="It was there already."
        )
    if fault.code == THROTTLED:
        until = datetime.now(UTC) + timedelta(seconds=THROTTLE_PAUSE_S)
        return Outcome(sending.ref, Status.DEFERRED, reason="QuickBooks asks for a pause.", until=until)
    if fault.code == SERVER_ERROR:
        return Outcome(sending.ref, Status.UNCERTAIN, reason="QuickBooks failed before it said what became of it.")
    if fault.code == STALE:
        return Outcome(sending.ref, Status.DEFERRED, reason="It was changed in QuickBooks at the same moment.")
    refusal = refusal_of(fault)
    reason = refusal.reason
    if there is not None and fault.code in (DUPLICATE_NUMBER, DUPLICATE_NAME):
        reason = f"{reason} By “{there.label}” (id {there.remote_id}: {there.why})."
    elif fault.code == DUPLICATE_NAME and sending.op == Op.CREATE:
        reason = f"{reason} By a vendor or an employee: the three share their names."
    return Outcome(sending.ref, Status.REJECTED, reason=reason, field=refusal.field, remedy=refusal.remedy)


def _number_difference(body: Mapping[str, Any], row: Mapping[str, Any]) -> Iterator[Finding]:
    """QuickBooks numbers by itself where the company's custom transaction numbers are off: the document is ours."""
    shown, number = str(row.get("DocNumber") or ""), str(body.get("DocNumber") or "")
    if number and shown != number:
        text = f"The number is {shown or 'empty'} in QuickBooks and {number} here."
        remedy = (
            "Switch on custom transaction numbers there, under Account and settings, Sales, then change the number."
        )
        yield Finding(False, "number", text, remedy, "number")


def _money(row: Mapping[str, Any]) -> tuple[Decimal, Decimal]:
    """The total and the tax that a document shows."""
    tax = (row.get("TxnTaxDetail") or {}).get("TotalTax", 0)
    return Decimal(str(row.get("TotalAmt", 0))), Decimal(str(tax))


def _whole(sending: Sending) -> Sending:
    """An update of lines or tax with all that belongs together: the other fields of it stand beside the total."""
    together = {name: value for name, value in sending.body.get(EXPECTED, {}).get(WITH_LINES, {}).items() if value}
    return replace(sending, body={**together, **sending.body})


def _keeping_lines(sending: Sending, row: Row | None) -> Sending:
    if "Line" not in sending.body:
        return sending
    theirs = [line for line in (row or {}).get("Line", []) if line.get("DetailType") == "SalesItemLineDetail"]
    lines = [
        {**line, "Id": theirs[position]["Id"]} if position < len(theirs) else line
        for position, line in enumerate(sending.body["Line"])
    ]
    return replace(sending, body={**sending.body, "Line": lines})


def _shows(row: Any, body: Any) -> bool:
    """Does a row show all that a body says? Then a lost call was carried out, and is not made again."""
    if isinstance(body, Mapping):
        return isinstance(row, Mapping) and all(
            _shows(row.get(name), value) for name, value in body.items() if name != EXPECTED
        )
    if isinstance(row, (int, Decimal)) and isinstance(body, str):
        return str(Decimal(row)) == body
    return bool((row or None) == (body or None))


def _code(fault: Fault | None) -> int:
    return fault.code if fault else 0
