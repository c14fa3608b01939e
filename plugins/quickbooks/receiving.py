"""Payments coming back: everything once, then what changed; and documents for reconciliation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hub.sdk import Change, Cursor, Page, Refused, StatementLine
from plugins.quickbooks.client import QuickBooksClient, Row, quoted
from plugins.quickbooks.mapping import applied_to_invoices, change_from_payment, statement_line

BEGINNING = "2000-01-01T00:00:00+00:00"
CAPTURE_LIMIT = 1000
"""Change data capture drops what is beyond, without a mark."""
CAPTURE_DAYS = 29
"""It looks back 30 days; a day is left for clocks and slow runs."""
LOOK_AGAIN_AFTER, LOOK_AGAIN_DAYS = timedelta(hours=20), 120
"""Once a day the payments of the last months are read again: those of no record of the hub may be of one by now."""
DOCUMENTS = {"invoices": "Invoice", "payments": "Payment"}


class PaymentReader:
    """Pages of payments since a cursor: {"v": 1, "since": a time of the server's clock, "looked_at", "looking"}.

    looked_at: when the payments of the last months were last read again; looking: how far that has come by now.
    """

    def __init__(self, client: QuickBooksClient, *, home_currency: str, start_on: date | None, lookback_s: int) -> None:
        self._client = client
        self._home = home_currency
        self._start_on = start_on
        self._lookback = timedelta(seconds=lookback_s)

    def pages(self, cursor: Cursor | None) -> Iterator[Page]:
        """What changed since, seen from a little before the cursor: the server's times have only seconds."""
        now = datetime.now(UTC)
        if cursor is None:
            yield from self._queried(BEGINNING, now.isoformat())
            return
        since = datetime.fromisoformat(cursor["since"]) - self._lookback
        looked_at = str(cursor.get("looked_at") or "")
        if not looked_at or now - datetime.fromisoformat(looked_at) >= LOOK_AGAIN_AFTER:
            # What was of no client or invoice of the hub may be of one by now. Deletions are told by the capture.
            if since >= now - timedelta(days=CAPTURE_DAYS):
                rows, _ = self._client.changes("Payment", since.isoformat(timespec="seconds"))
                yield replace(self._page(_deleted(rows), cursor["since"]), cursor=cursor)
            again = min(since, now - timedelta(days=LOOK_AGAIN_DAYS)).isoformat(timespec="seconds")
            pages = self._queried(str(cursor.get("looking") or again), now.isoformat())
            page = next(pages)
            for later in pages:
                yield replace(page, cursor={**cursor, "looking": (page.cursor or {})["since"]})
                page = later
            yield page
            return
        if since < now - timedelta(days=CAPTURE_DAYS):
            yield from self._queried(since.isoformat(timespec="seconds"), looked_at)
            return
        rows, time = self._client.changes("Payment", since.isoformat(timespec="seconds"))
        if len(rows) >= CAPTURE_LIMIT:
            yield self._page(_deleted(rows), cursor["since"], looked_at)
            yield from self._queried(since.isoformat(timespec="seconds"), looked_at)
            return
        yield self._page(rows, time or cursor["since"], looked_at)

    def read(self, ids: Sequence[str]) -> Page:
        """These payments as they are now."""
        return self._page(self._client.by_ids("Payment", ids), None)

    def _queried(self, since: str, looked_at: str) -> Iterator[Page]:
        """Everything since a time, oldest first; between pages the cursor is the time of the last row."""
        first_time, reached = "", since
        pages = self._client.query_changed("Payment", since)
        page = next(pages, None)
        while page is not None:
            rows, time = page
            first_time = first_time or time
            page = next(pages, None)
            if page is None:
                yield self._page(rows, first_time or reached, looked_at)
                return
            if rows:
                reached = rows[-1]["MetaData"]["LastUpdatedTime"]
            yield self._page(rows, reached, looked_at)

    def _page(self, rows: Sequence[Row], since: str | None, looked_at: str = "") -> Page:
        changes: list[Change] = []
        refused: list[Refused] = []
        counted = [row for row in rows if self._counts(row)]
        owners = self._owners(counted)
        for row in counted:
            payers = {owners[id] for id in applied_to_invoices(row) if id in owners}
            if len(payers) > 1:
                reason = "The payment pays invoices of several customers; here each payment has one client."
                refused.append(Refused(str(row["Id"]), f"{reason} Divide it in QuickBooks.", "client_id"))
                continue
            try:
                changes.append(change_from_payment(row, self._home, next(iter(payers), "")))
            except (KeyError, ValueError, ArithmeticError) as error:
                reason = f"The payment cannot be read: {type(error).__name__} {error}."
                refused.append(Refused(str(row.get("Id", "")), reason))
        cursor = {"v": 1, "since": since, "looked_at": looked_at} if since else None
        return Page(tuple(changes), cursor, tuple(refused))

    def _owners(self, payments: Sequence[Row]) -> dict[str, str]:
        """Whose each paid invoice is: a parent customer may pay for its sub-customers. A read for a hundred."""
        ids = dict.fromkeys(id for payment in payments for id in applied_to_invoices(payment))
        invoices = self._client.by_ids("Invoice", list(ids))
        return {str(row["Id"]): str(row["CustomerRef"]["value"]) for row in invoices}

    def _counts(self, row: Row) -> bool:
        """Payments from the start day on; those that only apply a credit are no money and are not read."""
        if row.get("status") == "Deleted":
            return True
        on = str(row.get("TxnDate", ""))
        if self._start_on is not None and on < self._start_on.isoformat():
            return False
        return not (_is_credit_applied(row) and applied_to_invoices(row))


def _deleted(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.get("status") == "Deleted"]


def _is_credit_applied(row: Row) -> bool:
    links = [link for line in row.get("Line") or [] for link in line.get("LinkedTxn") or []]
    return not row.get("TotalAmt") and any(link.get("TxnType") == "CreditMemo" for link in links)


def statement(
    client: QuickBooksClient, kind: str, from_on: date | None, to_on: date | None, home_currency: str
) -> Iterator[StatementLine]:
    """Every document of a period by its own date, a thousand a call."""
    conditions = []
    if from_on is not None:
        conditions.append(f"TxnDate >= {quoted(from_on.isoformat())}")
    if to_on is not None:
        conditions.append(f"TxnDate <= {quoted(to_on.isoformat())}")
    for row in client.query_all(DOCUMENTS[kind], " AND ".join(conditions)):
        yield statement_line(kind, row, home_currency)
