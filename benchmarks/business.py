"""What the business part costs: writing records, and what it adds that other systems are owed them."""

from __future__ import annotations

from datetime import date

from sqlalchemy.orm import Session

from benchmarks.figures import Figure, stopwatch
from benchmarks.firm import firm, report
from hub.core.clients.service import create_client
from hub.core.database import uuid7
from hub.core.outbox import Subscription, announce


def measure(full: bool) -> list[Figure]:
    """Clients created 200 a transaction, with no connection and with three that subscribe."""
    rounds = 50 if full else 10
    with firm() as hub:

        def create(session: Session) -> None:
            for number in range(200):
                create_client(session, name=f"Client {number}")

        def subscribe(session: Session) -> None:
            for _ in range(3):
                session.add(
                    Subscription(
                        connection_id=uuid7(),
                        kind="clients",
                        position=1,
                        pushes=True,
                        pulls=False,
                        on_demand=False,
                        start_on=date(2026, 1, 1),
                        conditions={},
                    )
                )

        def announce_all(session: Session) -> None:
            announce(session, "clients", ids)

        with stopwatch() as alone:
            for _ in range(rounds):
                hub.transact(create)
        hub.transact(subscribe)
        hub.wake = lambda connection_ids: None  # type: ignore[method-assign]  # the queue is measured elsewhere
        with stopwatch() as owed:
            for _ in range(rounds):
                hub.transact(create)
        ids = hub.transact(lambda session: [create_client(session, name=f"Many {n}").id for n in range(200)])
        with stopwatch() as announced:
            for _ in range(rounds):
                hub.transact(announce_all)
        records = 200 * rounds
        return [
            Figure("clients created, one by one, no connection", records / alone.seconds, "records/s"),
            Figure(
                "clients created, three connections owed each",
                records / owed.seconds,
                "records/s",
                "over 0.2 of the baseline",
                records / alone.seconds,
            ),
            Figure("records announced as one list to three connections", records / announced.seconds, "records/s"),
        ]


if __name__ == "__main__":
    report(measure)
