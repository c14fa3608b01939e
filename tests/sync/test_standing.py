"""How far the streams of a connection are in step."""

from __future__ import annotations

from sqlalchemy import select

from hub.core.database import uuid7
from hub.core.outbox import Link, Subscription
from hub.core.services.service import create_service
from hub.sync.models import MatchCase
from hub.sync.standing import Standing, not_yet_owed, standings, together


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
