"""How long until another worker goes on after one was killed in the middle of its work."""

from __future__ import annotations

import time

from sqlalchemy.orm import Session

from benchmarks.figures import Figure, stopwatch
from benchmarks.firm import firm, invoices, report
from hub.core.outbox import Subscription, owe_missing
from hub.sync.claim import LEASE_S, claim
from hub.sync.connections import add_connection
from plugins.quickbooks.sandbox.server import QuickBooksSandbox


def measure(full: bool) -> list[Figure]:
    """A claim that nobody settles (its worker is gone), until the next claim gets the same links."""
    with firm("quickbooks") as hub, QuickBooksSandbox(country="GB", currency="GBP").serve() as server:
        invoices(hub, 20, clients=1)
        books = add_connection(hub, connector="quickbooks", name="books", settings=server.settings)

        def scan(session: Session) -> int:
            subscription = next(row for row in session.query(Subscription) if row.kind == "invoices")
            return owe_missing(session, subscription)

        hub.transact(scan)
        lost = claim(hub, books.id, "invoices")
        with stopwatch() as waiting:
            while not (taken := claim(hub, books.id, "invoices")):
                time.sleep(0.05)
        same = {link.id for link in lost} == {link.id for link in taken}
        return [
            Figure(
                "taken over after a kill",
                waiting.seconds,
                "s",
                f"lease of {LEASE_S:.0f} s, same links: {same}",
                LEASE_S,
            )
        ]


if __name__ == "__main__":
    report(measure)
