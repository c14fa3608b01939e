"""Where a pull of payments stands between its pages, whatever happens over there meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from plugins.quickbooks import client as calls
from plugins.quickbooks.receiving import PaymentReader

SECOND = "2026-02-01T10:00:00+00:00"


def row(id, time=SECOND, version="0"):
    return {
        "Id": str(id),
        "SyncToken": version,
        "TxnDate": "2026-02-01",
        "TotalAmt": 5,
        "CustomerRef": {"value": "1"},
        "MetaData": {"LastUpdatedTime": time},
    }


def reader(pages):
    """Reads these pages of rows, at noon."""
    client = SimpleNamespace(
        query_changed=lambda *_: iter([(page, "2026-02-01T12:00:00+00:00") for page in pages]),
        changes=lambda *_: ([], ""),
        by_ids=lambda *_: [],
    )
    return PaymentReader(client, home_currency="USD", start_on=None, lookback_s=300)


def test_a_page_without_news_moves_the_cursor_no_further():
    # Many rows of one second: the second page repeats the first, the third goes on.
    pages = [[row(1)], [], [row(2)]]
    cursors = [page.cursor["since"] for page in reader(pages).pages(None)]
    assert cursors == [SECOND, SECOND, "2026-02-01T12:00:00+00:00"]


def test_a_daily_look_that_is_cut_short_goes_on_where_it_stood():
    now = datetime.now(UTC).isoformat(timespec="seconds")
    deletions, first, last = reader([[row(1)], [row(2)]]).pages({"v": 1, "since": now, "looked_at": ""})
    assert (deletions.cursor["since"], first.cursor) == (
        now,
        {"v": 1, "since": now, "looked_at": "", "looking": SECOND},
    )
    assert ("looking" in last.cursor, last.cursor["looked_at"] >= now) == (False, True)


@pytest.mark.parametrize("leaving", ["1", "4"])
def test_none_of_many_rows_of_one_second_is_missed_when_one_leaves_it(us, monkeypatch, leaving):
    monkeypatch.setattr(calls, "PAGE", 3)
    sandbox = us.server.sandbox
    stored = sandbox.state["entities"]["Payment"]
    stored.update({str(id): row(id) | {"domain": "QBO"} for id in range(1, 9)})
    read = []
    for number, (rows, _) in enumerate(us.connector._client.query_changed("Payment", SECOND)):
        read += [each["Id"] for each in rows]
        if number == 1:  # six rows were read; one of them is changed, and the last two move up by one
            later = datetime(2026, 2, 2, tzinfo=UTC).isoformat()
            stored[leaving] = stored[leaving] | row(leaving, later, "1")
    assert set(read) == {str(id) for id in range(1, 9)}
