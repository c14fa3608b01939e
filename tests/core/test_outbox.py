"""What a change owes: every subscribed connection, in the same transaction, and nobody when it is rolled back."""

from __future__ import annotations

import threading
from datetime import date
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text

from hub.core.clients.models import Client
from hub.core.clients.service import archive_client, change_client, create_client
from hub.core.companies.service import set_company
from hub.core.database import MAX_ROWS_PER_TRANSACTION
from hub.core.outbox import Event, Lineage, Link, Notice, Subscription, announce, owe, owe_missing, record_lineage
from hub.core.projects.service import change_project, create_project
from hub.core.records import ClientRecord
from hub.sdk import hookimpl


@pytest.fixture
def subscribe(hub):
    """A connection's stream: returns the subscription's id and the connection's."""

    def make(kind="clients", **values):
        row = Subscription(
            connection_id=uuid4(),
            kind=kind,
            **{"position": 0, "pushes": True, "pulls": False, "conditions": {}} | values,
        )
        hub.transact(lambda session: session.add(row))
        return row

    return make


def links(hub):
    with hub.read() as session:
        return {
            (link.connection_id, link.record_id): (link.wanted, link.done)
            for link in session.scalars(select(Link).order_by(Link.id))
        }


def a_client(hub, name="Acme"):
    return hub.transact(lambda session: create_client(session, name=name).id)


def scan(hub, subscription):
    return len(hub.transact(lambda session: owe_missing(session, session.get_one(Subscription, subscription.id))))


def test_a_committed_change_is_owed_to_every_connection_that_subscribes(hub, subscribe):
    one, two = subscribe(), subscribe()
    subscribe(pushes=False)
    subscribe("contacts")
    client = a_client(hub)
    assert links(hub) == {(one.connection_id, client): (1, 0), (two.connection_id, client): (1, 0)}
    hub.transact(lambda session: change_client(session, client, phone="1") and None)
    assert links(hub) == {(one.connection_id, client): (2, 0), (two.connection_id, client): (2, 0)}


def test_a_change_that_is_rolled_back_is_owed_to_nobody(hub, subscribe):
    subscribe()

    def work(session):
        create_client(session, name="Acme")
        raise KeyError("rolled back")

    with pytest.raises(KeyError):
        hub.transact(work)
    assert links(hub) == {}
    with hub.read() as session:
        assert session.scalars(select(Event)).all() == []


def test_a_change_to_the_same_values_owes_nothing(hub, subscribe):
    subscribe()
    client = a_client(hub)
    before = links(hub)
    hub.transact(lambda session: change_client(session, client, name="Acme") and None)
    assert links(hub) == before


def test_what_is_created_there_on_demand_only_gets_no_link_by_itself(hub, subscribe):
    subscription = subscribe(on_demand=True)
    a_client(hub)
    assert links(hub) == {}
    assert scan(hub, subscription) == 0


def test_an_archived_client_is_not_created_there_but_stays_in_step_where_it_is(hub, subscribe):
    archived = a_client(hub)
    hub.transact(lambda session: archive_client(session, archived) and None)
    subscription = subscribe()
    known = a_client(hub, "Known")

    assert scan(hub, subscription) == 0
    hub.transact(lambda session: archive_client(session, known) and None)

    assert links(hub) == {(subscription.connection_id, known): (2, 0)}


@pytest.fixture
def project(hub):
    """Makes projects that start on a day, for one of two companies."""

    def companies(session):
        return [set_company(session, name=name, country="GB", currency="GBP").id for name in ("One", "Two")]

    ids = hub.transact(companies)
    client = a_client(hub)

    def make(starts_on=None, company=0):
        return hub.transact(
            lambda session: (
                create_project(session, client_id=client, name="P", company_id=ids[company], starts_on=starts_on).id
            )
        )

    make.companies = ids
    return make


@pytest.fixture
def owed_projects(hub, monkeypatch):
    """The core owes no projects by itself; here they are owed, to have something with a day and a company."""
    from dataclasses import replace

    from sqlalchemy import true

    kind = replace(hub.kinds["projects"], owed=true())
    monkeypatch.setattr(hub, "_kinds", (hub.plugins.generation, {**hub.kinds, "projects": kind}))


def test_a_start_day_and_conditions_gate_what_is_created_not_what_is_kept_in_step(
    hub, subscribe, project, owed_projects
):
    with hub.read():
        pass
    subscription = subscribe("projects", start_on=date(2026, 1, 1), conditions={"company": [str(project.companies[0])]})
    old, other = project(date(2025, 12, 31)), project(date(2026, 1, 1), company=1)
    undated, first_day = project(None), project(date(2026, 1, 1))
    assert set(links(hub)) == {(subscription.connection_id, first_day)}
    assert scan(hub, subscription) == 0  # nor does the scan find more

    hub.transact(lambda session: change_project(session, first_day, starts_on=date(2025, 1, 1)) and None)

    assert links(hub) == {(subscription.connection_id, first_day): (2, 0)}
    assert len({old, other, undated, first_day}) == 4


def test_the_scan_gives_what_was_there_before_a_link_in_pieces(hub, subscribe, monkeypatch):
    monkeypatch.setattr("hub.core.outbox.MAX_ROWS_PER_TRANSACTION", 2)
    clients = hub.transact(lambda session: [create_client(session, name=f"Client {n}").id for n in range(5)])
    subscription = subscribe()
    with hub.read():
        pass

    def piece(after):
        return hub.transact(
            lambda session: owe_missing(session, session.get_one(Subscription, subscription.id), after=after)
        )

    pieces = [piece(None)]
    while pieces[-1]:
        pieces.append(piece(pieces[-1][-1]))

    assert [list(ids) for ids in pieces] == [clients[:2], clients[2:4], clients[4:], []]
    assert links(hub) == {(subscription.connection_id, client): (1, 0) for client in clients}


def test_more_records_than_fit_one_statement_are_all_owed(hub, subscribe):
    ids = hub.transact(lambda session: [create_client(session, name="x").id for _ in range(3)])
    subscribe()
    gone = [uuid4() for _ in range(MAX_ROWS_PER_TRANSACTION)]
    hub.transact(lambda session: announce(session, "clients", [*ids, *gone]))
    assert list(links(hub).values()) == [(1, 0)] * 3


def test_two_transactions_at_once_for_one_record_make_one_link_and_lose_neither(hub, subscribe):
    client = a_client(hub)
    subscription = subscribe()
    together = threading.Barrier(2)

    def raise_it():
        tries = []

        def work(session):
            tries.append(1)
            if len(tries) == 1 and not hub.database.is_sqlite:  # SQLite lets one in after the other
                together.wait(timeout=20)
            announce(session, "clients", [client])

        hub.transact(work)

    threads = [threading.Thread(target=raise_it) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert links(hub) == {(subscription.connection_id, client): (2, 0)}


def somebody_waits(session):
    """Whether another transaction is held up by this one; SQLite does not let it begin."""
    if session.get_bind().dialect.name == "sqlite":
        return True
    session.execute(text("SELECT pg_stat_clear_snapshot()"))
    waiting = "datname = current_database() AND wait_event_type = 'Lock'"
    return session.scalar(text(f"SELECT count(*) FROM pg_stat_activity WHERE {waiting}")) > 0


def test_a_link_made_while_its_record_changes_waits_for_the_change(hub, subscribe):
    # The one who changes it sees no link yet, so that only the one who makes the link can see to the change.
    client, subscription = a_client(hub), subscribe(on_demand=True)
    changing, linked = threading.Event(), threading.Event()

    def change(session):
        change_client(session, client, name="Acme Ltd")
        changing.set()
        while not (linked.is_set() or somebody_waits(session)):
            linked.wait(timeout=0.02)

    def link(session):
        owe(session, session.get_one(Subscription, subscription.id), [client], needed=True)
        revision = session.scalar(select(Client.revision).where(Client.id == client))
        linked.set()
        return revision

    changer = threading.Thread(target=hub.transact, args=[change])
    changer.start()
    changing.wait(timeout=20)
    revision = hub.transact(link)
    changer.join()

    assert links(hub) == {(subscription.connection_id, client): (1, 0)}
    assert revision == 2


def test_an_event_is_kept_with_the_record_as_it_was_and_a_notice_for_each_plugin_that_listens(make_hub):
    from hub.core.frozen import thaw

    @hookimpl
    def client_changed(client):
        pass

    listeners = {name: SimpleNamespace(name=name, client_changed=client_changed) for name in "ab"}
    hub = make_hub({**listeners, "deaf": SimpleNamespace()})
    client = hub.transact(lambda session: create_client(session, name="Acme").id, actor="user:7")
    hub.transact(lambda session: change_client(session, client, name="Acme Ltd") and None)
    with hub.read() as session:
        events = session.scalars(select(Event).order_by(Event.sequence)).all()
        notices = session.execute(select(Notice.event_sequence, Notice.subscriber)).all()
    assert [(event.name, event.revision) for event in events] == [("client_changed", 1), ("client_changed", 2)]
    assert [thaw(ClientRecord, event.payload).name for event in events] == ["Acme", "Acme Ltd"]
    assert events[0].actor == "user:7"
    assert sorted(map(tuple, notices)) == sorted((event.sequence, name) for event in events for name in "ab")


def test_lineage_is_kept_once_and_told_once(make_hub):
    @hookimpl
    def lineage_recorded(origin_kind):
        pass

    hub = make_hub({"a": SimpleNamespace(lineage_recorded=lineage_recorded)})
    origin, record = ("deals", UUID(int=1)), ("projects", UUID(int=2))
    for _ in range(2):
        hub.transact(lambda session: record_lineage(session, origin, record))
    with hub.read() as session:
        assert len(session.scalars(select(Lineage)).all()) == 1
        assert len(session.scalars(select(Notice)).all()) == 1
        assert session.scalars(select(Event)).one().payload["origin_id"] == str(UUID(int=1))
