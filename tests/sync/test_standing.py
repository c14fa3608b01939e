"""How far the streams of a connection are in step."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from hub.core import clock
from hub.core.database import uuid7
from hub.core.errors import ConfigurationFailure
from hub.core.outbox import Link, Subscription
from hub.core.services.service import create_service
from hub.sync.connections import check_connection
from hub.sync.cycle import run_connection
from hub.sync.models import Connection, MatchCase
from hub.sync.standing import Standing, not_yet_owed, standings, together, word_of
from tests.sync.fake_remote import Fake


def test_each_link_counts_where_a_person_would_look_for_it(hub, books):
    def work(session):
        def link(**values):
            session.add(Link(connection_id=books, kind="invoices", record_id=uuid7(), **values))

        link(remote_id="1", wanted=1, done=1)
        link(wanted=2, done=1)
        link(wanted=1, done=0, waiting_for=uuid7())
        link(wanted=1, done=0, parked="No.")
        link(wanted=1, done=0, parked="No.", ignored="By hand.")
        link(wanted=1, done=0, attempt_id=uuid7())
        link(wanted=1, done=0, held=True)
        session.add(MatchCase(connection_id=books, kind="clients", direction="in", label="A", candidates=[]))

    hub.transact(work)

    with hub.read() as session:
        found = standings(session, [books])
    assert found == {
        (books, "invoices"): Standing(linked=1, owed=1, waiting=1, parked=1, uncertain=1, ignored=1, held=1),
        (books, "clients"): Standing(to_match=1),
    }
    assert together(found, books) == Standing(1, 1, 1, 1, 1, 1, 1, 1)
    assert not together(found, books).in_step
    assert Standing(linked=5, ignored=1).in_step


def test_what_nothing_is_owed_of_yet_is_what_writing_would_send(hub, books):
    def work(session):
        first = create_service(session, name="Advice")
        create_service(session, name="Travel")
        session.flush()
        for link in session.scalars(select(Link).where(Link.record_id == first.id)):
            session.delete(link)

    hub.transact(work)

    with hub.read() as session:
        subscription = session.scalar(select(Subscription).where(Subscription.kind == "services"))
        assert not_yet_owed(session, hub.kinds["services"], subscription) == 1


# In one word ----------------------------------------------------------------------------------------------------------


def a_connection(state, **more):
    return Connection(connector="fake", state=state, reason="", signed_out=False, **more)


BEGUN = {"began_at": clock.now()}
FAILING = {**BEGUN, "left_alone_since": clock.now(), "failed_in_row": 5, "last_failure": "Down."}


@pytest.mark.parametrize(
    ("connection", "word"),
    [
        (a_connection("paused", began_at=None), "draft"),
        (a_connection("paused", **BEGUN), "paused"),
        (a_connection("read_only", **BEGUN), "read_only"),
        (a_connection("active", **BEGUN), "connected"),
        (a_connection("active", **FAILING), "resting"),
        (a_connection("paused", **FAILING), "paused"),
        (a_connection("needs_attention", **BEGUN), "broken"),
    ],
)
def test_how_a_connection_stands_is_one_word(connection, word):
    assert word_of(connection, connectors=["fake"]) == word


def test_a_connection_whose_plugin_is_disabled_is_broken():
    assert word_of(a_connection("active", **BEGUN), connectors=[]) == "broken"


@pytest.mark.parametrize(("signed_out", "word"), [(True, "needs_reauth"), (False, "broken")])
def test_a_login_that_ended_is_told_apart_from_what_else_may_be_wrong_until_a_test_succeeds(
    hub, books, remote, monkeypatch, signed_out, word
):
    def ended(connector, stream, cursor):
        raise ConfigurationFailure("The login has ended.", reauthorise=signed_out)

    def stands():
        with hub.read() as session:
            return word_of(session.get_one(Connection, books), connectors=hub.connector_classes())

    with monkeypatch.context() as patch:
        patch.setattr(Fake, "pull", ended)
        run_connection(hub, books)
    assert stands() == word

    check_connection(hub, books)
    assert stands() == "connected"
