"""A person is shown what a full read did not show, and says what it means."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from sqlalchemy import select

from hub.core.outbox import Link
from hub.jobs.worker import run_worker
from hub.sdk import Change, DeleteSignal, Page
from hub.sync.cycle import run_connection
from tests.sync.conftest import books, remote
from tests.sync.fake_remote import Fake, plugin
from tests.web.pages.visitor import Visitor

__all__ = ["books", "remote"]


@pytest.fixture
def hub(make_hub):
    return make_hub({"fake": plugin()})


@pytest.fixture
def missing(hub, books, remote, monkeypatch):
    """Six clients that the last full read did not show, one more than the guard of five."""
    streams = tuple(replace(stream, deletes=DeleteSignal.FULL_READ) for stream in Fake.streams)
    monkeypatch.setattr(Fake, "streams", streams)
    names = [f"Client {number}" for number in range(6)]
    changes = tuple(Change("clients", name[-1], {"name": name}, label=name) for name in names)
    remote.pages = [Page(changes, None)]
    run_connection(hub, books, kinds=["clients"], full=True)
    remote.pages = []
    run_connection(hub, books, kinds=["clients"], full=True)
    return names


def tombstones(hub):
    with hub.read() as session:
        return len(session.scalars(select(Link.id).where(Link.tombstone_at.is_not(None))).all())


@pytest.fixture
def decide(app, hub, users):
    """Goes from the list of repairs to the question, and answers it."""

    def answer(**form):
        admin = Visitor(app, hub, users["admin"])
        admin.get("/parked")
        assert "6 clients are missing in books" in admin.text
        [address] = set(re.findall(r'href="(/connections/books/vanished/clients)"', admin.text))
        admin.get(address)
        question = admin.text
        admin.follow(admin.post(address, form))
        return admin, question

    return answer


def test_what_is_gone_is_shown_by_name_and_marked_by_the_next_run(hub, missing, decide):
    admin, question = decide()

    assert [name for name in missing if name not in question] == []
    assert "6 are asked for once more" in admin.text
    run_worker(hub, burst=True)
    assert tombstones(hub) == 6
    admin.get("/parked")
    assert "are missing" not in admin.text


def test_what_is_still_there_stays_as_it_is(hub, missing, decide):
    admin, _ = decide(answer="there")

    run_worker(hub, burst=True)
    assert tombstones(hub) == 0
    admin.get("/parked")
    assert "are missing" not in admin.text


def test_who_may_not_run_connections_decides_nothing(app, hub, users, missing):
    finance = Visitor(app, hub, users["manager"])
    assert finance.get("/connections/books/vanished/clients").status_code == 403
    assert finance.post("/connections/books/vanished/clients").status_code == 403
    assert tombstones(hub) == 0
