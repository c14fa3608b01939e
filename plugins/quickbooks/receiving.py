"""Payments coming back: everything once, then what changed; and documents for reconciliation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

from hub.sdk import Change, Cursor, Page, Refused, StatementLine
from plugins.quickbooks.client import QuickBooksClient, Row, quoted
from plugins.quickbooks.mapping import applied_to_invoices, change_from_payment, statement_line

BEGINNING = "2000-01-01T00:00:00+00:00"
CAPTURE_LIMIT = 1000
"""Change data capture drops what is beyond, without a mark."""
CAPTURE_DAYS = 29
"""It looks back 30 days; a day is left for clocks and slow runs."""
DOCUMENTS = {"invoices": "Invoice", "payments": "Payment"}


class PaymentReader:
    """Pages of payments since a cursor: {"v": 1, "since": a time of the server's clock}."""

    def __init__(self, client: QuickBooksClient, *, home_currency: str, start_on: date | None, lookback_s: int) -> None:
        self._client = client
        self._home = home_currency
        self._start_on = start_on
        self._lookback = timedelta(seconds=lookback_s)

    def pages(self, cursor: Cursor | None) -> Iterator[Page]:
        """What changed since, seen from a little before the cursor: the server's times have only seconds."""
        if cursor is None:
            yield from self._queried(BEGINNING)
            return
        since = datetime.fromisoformat(cursor["since"]) - self._lookback
        if since < datetime.now(UTC) - timedelta(days=CAPTURE_DAYS):
            yield from self._queried(since.isoformat(timespec="seconds"))
            return
        rows, time = self._client.changes("Payment", since.isoformat(timespec="seconds"))
        if len(rows) >= CAPTURE_LIMIT:
            deleted = [row for row in rows if row.get("status") == "Deleted"]
            yield self._page(deleted, cursor["since"])
            yield from self._queried(since.isoformat(timespec="seconds"))
            return
        yield self._page(rows, time or cursor["since"])

    def read(self, ids: Sequence[str]) -> Page:
        """These payments as they are now."""
        return self._page(self._client.by_ids("Payment", ids), None)

    def _queried(self, since: str) -> Iterator[Page]:
        """Everything since a time, oldest first; between pages the cursor is the time of the last row."""
        first_time, reached = "", since
        pages = self._client.query_changed("Payment", since)
        page = next(pages, None)
        while page is not None:
            rows, time = page
            first_time = first_time or time
            page = next(pages, None)
            if page is None:
                reached = first_time or reached
            elif rows:
                reached = rows[-1]["MetaData"]["LastUpdatedTime"]
            yield self._page(rows, reached)

    def _page(self, rows: Sequence[Row], since: str | None) -> Page:
        changes: list[Change] = []
        refused: list[Refused] = []
        for row in rows:
            if not self._counts(row):
                continue
            try:
                changes.append(change_from_payment(row, self._home))
            except (KeyError, ValueError, ArithmeticError) as error:
                reason = f"The payment cannot be read: {type(error).__name__} {error}."
                refused.append(Refused(str(row.get("Id", "")), reason))
        return Page(tuple(changes), {"v": 1, "since": since} if since else None, tuple(refused))

    def _counts(self, row: Row) -> bool:
        """Payments from the start day on; those that only apply a credit are no money and are not read."""
        if row.get("status") == "Deleted":
            return True
        on = str(row.get("TxnDate", ""))
        if self._start_on is not None and on < self._start_on.isoformat():
            return False
        return not (_is_credit_applied(row) and applied_to_invoices(row))


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
