"""What the business part costs: writing records, and what it adds that other systems are owed them."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

from sqlalchemy import update
from sqlalchemy.orm import Session

from benchmarks.figures import Figure, stopwatch
from benchmarks.firm import firm, report
from hub.bootstrap import Hub
from hub.core.clients.service import change_client, create_client
from hub.core.database import uuid7
from hub.core.outbox import Subscription, announce
from hub.imports.record_import import import_records

MOST_ADDED = 25.0
"""Percent of its own time that announcing to one connection may add."""


def measure(full: bool) -> list[Figure]:
    """Clients created 200 a transaction; then changes and imports, with no connection and with one in turn."""
    rounds = 50 if full else 10
    with firm() as hub:
        hub.wake = lambda connection_ids: None  # type: ignore[method-assign]  # the queue is measured elsewhere

        def create(session: Session) -> None:
            for number in range(200):
                create_client(session, name=f"Client {number}")

        def announce_all(session: Session) -> None:
            announce(session, "clients", ids)

        _subscribe(hub, 3, False)
        with stopwatch() as alone:
            for _ in range(rounds):
                hub.transact(create)
        _subscribe(hub, 0, True)
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
            *_shares(rounds),
        ]


def _shares(rounds: int) -> list[Figure]:
    """How much announcing to one connection adds to a change of one row, and to an import."""
    with firm() as hub, tempfile.TemporaryDirectory() as folder:
        hub.wake = lambda connection_ids: None  # type: ignore[method-assign]
        clients = hub.transact(lambda session: [create_client(session, name=f"Client {n}").id for n in range(100)])
        numbers = iter(range(1_000_000))

        def change() -> None:
            number = next(numbers)
            hub.transact(lambda session: change_client(session, clients[number % 100], phone=str(number)) and None)

        def bring_in() -> None:
            lines = ["name,street,city,country,currency,email"]
            for _ in range(200):
                number = next(numbers)
                lines.append(f"Firm {uuid7().hex},{number} High Street,London,GB,GBP,mail{number}@firm.example")
            import_records(hub, "clients", io.BytesIO("\n".join(lines).encode()), faults_folder=Path(folder))

        _subscribe(hub, 1, False)
        return [
            _share(hub, "announcing to one connection, added to a change of one row", change, 40 * rounds),
            _share(hub, "announcing to one connection, added to an import", bring_in, rounds),
        ]


def _share(hub: Hub, name: str, work: Callable[[], None], times: int) -> Figure:
    """Done in turn with and without, so that both meet the same machine."""
    seconds = {True: 0.0, False: 0.0}
    work()
    for _ in range(times):
        for pushes in (False, True):
            _subscribe(hub, 0, pushes)
            with stopwatch() as watch:
                work()
            seconds[pushes] += watch.seconds
    added = 100 * (seconds[True] / seconds[False] - 1)
    return Figure(name, added, "%", f"at most {MOST_ADDED:.0f}", 1000 * seconds[False] / times)


def _subscribe(hub: Hub, new: int, pushes: bool) -> None:
    """So many new subscriptions to clients; all of them push, or none."""

    def work(session: Session) -> None:
        for _ in range(new):
            subscription = {"kind": "clients", "position": 1, "pulls": False, "start_on": date(2026, 1, 1)}
            session.add(Subscription(connection_id=uuid7(), pushes=pushes, conditions={}, **subscription))
        session.execute(update(Subscription).values(pushes=pushes))

    hub.transact(work)


if __name__ == "__main__":
    report(measure)
