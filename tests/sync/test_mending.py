"""What is to be mended about a connection is found in how it stands, and gone when that is mended."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from hub.core import clock
from hub.core.outbox import Subscription
from hub.sync.connections import check_connection, hold, set_state
from hub.sync.mending import repairs_of
from hub.sync.models import Connection, ConnectionState


@pytest.fixture
def found(hub, books):
    """What there is to mend, as (trouble, text), with all plugins enabled unless said otherwise."""

    def look(connectors=("fake",), kinds=None):
        with hub.read() as session:
            repairs = repairs_of(session, connectors=connectors, kinds=kinds or list(hub.kinds))
        return [(str(each.trouble), each.text) for each in repairs]

    return look


def stand(hub, **values):
    hub.transact(lambda session: session.execute(update(Connection).values(**values)) and None)


def away(hub, minutes):
    now = clock.now()
    stand(
        hub,
        failed_in_row=9,
        last_failure="It cannot be reached.",
        left_alone_since=now - timedelta(minutes=minutes),
        tried_again_at=now + timedelta(minutes=5),
    )


def test_nothing_is_to_be_mended_about_a_connection_that_works(found):
    assert found() == []


def test_one_that_is_held_says_why_until_its_test_succeeds(hub, books, remote, found):
    hold(hub, books, "The login has ended. Sign in again.")
    assert found() == [("held", "The login has ended. Sign in again.")]

    check_connection(hub, books)
    assert found() == []


def test_one_that_cannot_be_reached_is_of_interest_after_an_hour_until_it_answers(hub, books, remote, found):
    away(hub, minutes=59)
    assert found() == []

    away(hub, minutes=61)
    assert found() == [
        ("away", "It cannot be reached. It is tried again by itself, and what is owed is kept."),
    ]

    check_connection(hub, books)
    assert found() == []


def test_one_that_a_person_paused_is_nobodys_trouble(hub, books, found):
    away(hub, minutes=61)
    hub.transact(lambda session: set_state(session, books, ConnectionState.PAUSED) and None)
    assert found() == []


def test_messages_that_are_not_signed_are_of_interest_for_a_day(hub, books, found):
    stand(hub, unsigned_at=clock.now() - timedelta(hours=23))
    assert [trouble for trouble, _ in found()] == ["unsigned"]
    stand(hub, unsigned_at=clock.now() - timedelta(hours=25))
    assert found() == []


def test_without_its_plugin_that_is_all_there_is_to_say(hub, books, found):
    hold(hub, books, "The login has ended.")
    assert found(connectors=()) == [("disabled", "The plugin fake is disabled: nothing is read or written.")]


def test_streams_whose_records_nobody_knows_are_named_unless_they_are_left_out(hub, books, found):
    kinds = [kind for kind in hub.kinds if kind not in ("payments", "clients")]
    assert found(kinds=kinds) == [
        ("resting", "No enabled plugin knows clients and payments: nothing of them is read or written."),
    ]

    hub.transact(lambda session: session.execute(update(Subscription).values(pushes=False, pulls=False)) and None)
    assert found(kinds=kinds) == []
