"""Choosing which streams of a connection run."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import select

from hub.core.errors import RuleBroken
from hub.core.outbox import Subscription
from hub.sync.connector import Page
from hub.sync.cycle import run_connection
from hub.sync.models import StreamCursor
from hub.sync.streams import StreamChoice, choose_streams
from tests.sync.fake_remote import Fake


def choose(hub, connection_id, **choices):
    hub.transact(lambda session: choose_streams(session, connection_id, Fake, choices))


def running(hub):
    with hub.read() as session:
        return {each.kind: (each.pushes, each.pulls) for each in session.scalars(select(Subscription))}


def cursor(hub, kind):
    with hub.read() as session:
        return session.scalar(select(StreamCursor.cursor).where(StreamCursor.kind == kind))


def test_only_the_chosen_streams_run_each_its_own_way(hub, books):
    choose(hub, books, clients=StreamChoice(), payments=StreamChoice())

    assert running(hub) == {
        "services": (False, False),
        "clients": (True, True),
        "invoices": (False, False),
        "payments": (False, True),
    }


@pytest.mark.parametrize(("start_on", "anew"), [(None, False), (date(2026, 1, 1), True)])
def test_a_stream_is_read_anew_when_its_start_day_changes_and_only_then(hub, books, remote, start_on, anew):
    remote.pages.append(Page((), None))
    run_connection(hub, books)
    assert cursor(hub, "payments") == {"v": 1, "page": 1}

    everything = {stream.kind: StreamChoice() for stream in Fake.streams}
    choose(hub, books, **{**everything, "payments": StreamChoice(start_on=start_on)})

    assert (cursor(hub, "payments") is None) is anew
    assert cursor(hub, "clients") is not None


def test_a_connection_without_a_stream_is_refused(hub, books):
    before = running(hub)

    with pytest.raises(RuleBroken) as refused:
        choose(hub, books)

    assert refused.value.fields == {"stream": "Choose at least one."}
    assert running(hub) == before
