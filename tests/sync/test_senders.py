"""A stream is sent by as many threads as the other system takes calls at once, and by one where that is not known."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager

import pytest
from sqlalchemy import update

from hub.core.outbox import Link
from hub.core.services.service import create_service
from hub.sync.connector import Limit, Stream
from hub.sync.cycle import run_connection
from hub.sync.push import block_of, calls_at_once
from tests.sync.fake_remote import Fake

BLOCK = 100
"""Ten calls of the ten records that the fake remote takes in one."""


@pytest.fixture
def many_services(hub):
    """Three full blocks of records that need no other."""
    hub.transact(lambda session: [create_service(session, name=f"Service {n}") for n in range(3 * BLOCK)] and None)


class Calls:
    """How many calls are open at once, at most. meet: so many of the first have to be open together to go on."""

    def __init__(self, monkeypatch, meet=1):
        self.most = self._open = self._number = 0
        self._lock, self._meeting = threading.Lock(), threading.Barrier(meet)
        self._meet, self._push = meet, Fake.push
        monkeypatch.setattr(Fake, "push", lambda connector, batch: self.push(connector, batch))

    def push(self, connector, batch):
        with self._counted() as number:
            if number <= self._meet:
                self._meeting.wait(timeout=30)
            return self._push(connector, batch)

    @contextmanager
    def _counted(self):
        with self._lock:
            self._number += 1
            self._open += 1
            self.most, number = max(self.most, self._open), self._number
        yield number
        with self._lock:
            self._open -= 1


def test_full_blocks_are_sent_by_several_threads_at_once(hub, books, remote, many_services, monkeypatch):
    monkeypatch.setattr(Fake, "limits", (Limit("calls", in_flight=3),))
    calls = Calls(monkeypatch, meet=3)

    run = run_connection(hub, books, kinds=["services"])

    assert run.counts["created"] == run.counts["read"] == 300
    assert calls.most == 3
    assert len({body["name"] for body in remote.records["services"].values()}) == remote.created("services") == 300


def test_where_it_is_not_known_how_many_it_takes_there_is_one_call_at_a_time(
    hub, books, remote, many_services, monkeypatch
):
    calls = Calls(monkeypatch)

    assert run_connection(hub, books, kinds=["services"]).counts["created"] == 300
    assert calls.most == 1


def test_what_stops_one_thread_stops_the_others_and_nothing_is_lost(hub, books, remote, many_services, monkeypatch):
    monkeypatch.setattr(Fake, "limits", (Limit("calls", in_flight=3),))
    Calls(monkeypatch, meet=3)
    remote.faults[:] = ["crash"]

    failed = run_connection(hub, books, kinds=["services"])

    assert failed.status == "failed"
    assert failed.headline == "The connector failed with ZeroDivisionError; the details are in the log."
    # Ten are uncertain; each thread ends with the call that it has open, so most of the rest is still owed.
    assert failed.counts["read"] == failed.counts["created"] + failed.counts["deferred"] < 300
    hub.transact(lambda session: session.execute(update(Link).values(due_at=None)) and None)
    assert run_connection(hub, books, kinds=["services"]).status == "success"
    assert Counter(body["name"] for body in remote.records["services"].values()).most_common(1)[0][1] == 1
    assert remote.created("services") == 300


@pytest.mark.parametrize(
    ("limits", "number"),
    [
        ((), 1),
        ((Limit("minute", calls=500),), 1),
        ((Limit("minute", calls=500, in_flight=10),), 10),
        ((Limit("minute", calls=500, in_flight=10), Limit("batches", in_flight=4)), 4),
    ],
)
def test_as_many_threads_as_the_narrowest_class_takes_calls_at_once(limits, number):
    assert calls_at_once(limits) == number


@pytest.mark.parametrize(
    ("batch_size", "links"), [(1, 10), (10, 100), (30, 150), (200, 200), (1000, 1000)], ids=lambda value: str(value)
)
def test_whole_batches_are_claimed_for_at_most_ten_calls(batch_size, links):
    assert block_of(Stream("clients", "Clients", pushes=True, batch_size=batch_size)) == links
