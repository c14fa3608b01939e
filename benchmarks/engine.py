"""Sending: records per second through the whole engine, and calls against the least possible."""

from __future__ import annotations

from math import ceil

from benchmarks.figures import Figure, peak_memory_mb, stopwatch
from benchmarks.firm import firm, invoices, report
from hub.sync.connections import add_connection
from hub.sync.cycle import run_connection
from plugins.quickbooks.sandbox.server import QuickBooksSandbox


def measure(full: bool) -> list[Figure]:
    """Invoices to a stand-in QuickBooks that answers at once and throttles as the real one does."""
    count, clients = (3000, 100) if full else (600, 30)
    with firm("quickbooks") as hub, QuickBooksSandbox(country="GB", currency="GBP").serve() as server:
        invoices(hub, count, clients=clients)
        books = add_connection(hub, connector="quickbooks", name="books", settings=server.settings)
        before = sum(server.sandbox.calls().values())
        with stopwatch() as sent:
            summary = run_connection(hub, books.id)
        calls = sum(server.sandbox.calls().values()) - before
        with stopwatch() as again:
            run_connection(hub, books.id)
        least = ceil(count / 30) + ceil(clients / 30) + 1
        created = len(server.sandbox.effects(operation="create", kind="Invoice"))
        return [
            Figure("invoices sent", count / sent.seconds, "records/s", "40 batches a minute allow 20"),
            Figure("invoices over there for each of ours", created / count, "x", "1.00", 1.0),
            Figure("calls for it", calls, "calls", f"least possible {least}, and the look-ups of names", float(least)),
            Figure("a run with nothing to do", again.seconds, "s"),
            Figure("records that did not arrive", summary.counts["read"] - summary.counts["created"], "records", "0"),
            Figure("peak memory", peak_memory_mb(), "MB", "under 300"),
        ]


if __name__ == "__main__":
    report(measure)
