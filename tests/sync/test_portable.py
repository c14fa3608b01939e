"""A connection as a file: everything but its secrets, the same after a round trip, and changed only as shown."""

from __future__ import annotations

import json
from datetime import date

import pytest
from sqlalchemy import select

from hub.core.errors import NotFound, RuleBroken, TemporaryFailure
from hub.core.outbox import Subscription
from hub.sync.connections import connection_named, get_connection, open_connection, remove_connection
from hub.sync.models import Connection
from hub.sync.portable import export_connection, import_connection
from hub.sync.streams import StreamChoice, choose_streams
from tests.sync.fake_remote import Fake


@pytest.fixture
def chosen(hub, books):
    """The connection with two streams of four, one of them from a start day on."""
    choices = {"clients": StreamChoice(), "invoices": StreamChoice(date(2026, 1, 1))}
    hub.transact(lambda session: choose_streams(session, books, Fake, choices))
    return books


def running(hub, connection_id):
    with hub.read() as session:
        rows = session.scalars(select(Subscription).where(Subscription.connection_id == connection_id)).all()
    return {row.kind: row.start_on and row.start_on.isoformat() for row in rows if row.pushes or row.pulls}


def test_everything_but_the_secrets_is_in_the_file(hub, chosen):
    text = export_connection(hub, "books")

    assert "s3cret!" not in text
    document = json.loads(text)
    assert (document["connector"], document["name"], document["secrets"]) == ("fake", "books", ["token"])
    assert list(document["settings"]) == ["account"]
    assert document["streams"] == [
        {"kind": "clients", "start_on": None, "conditions": {}},
        {"kind": "invoices", "start_on": "2026-01-01", "conditions": {}},
    ]


def test_a_round_trip_gives_the_same_file(hub, chosen):
    text = export_connection(hub, "books")
    remove_connection(hub, chosen)

    imported = import_connection(hub, text, given={"token": "n3w"})

    assert imported.added
    assert export_connection(hub, "books") == text


def test_a_new_connection_only_reads(hub, chosen):
    text = export_connection(hub, "books")
    remove_connection(hub, chosen)
    import_connection(hub, text)
    with hub.read() as session:
        made = connection_named(session, "books")
    assert (made.state, running(hub, made.id)) == ("read_only", {"clients": None, "invoices": "2026-01-01"})


def test_what_is_as_the_file_says_is_not_changed(hub, chosen):
    imported = import_connection(hub, export_connection(hub, "books"))
    assert (imported.added, imported.changes) == (False, ())


def test_a_connection_of_the_name_is_changed_to_what_the_file_says_and_keeps_its_secrets(hub, chosen):
    document = json.loads(export_connection(hub, "books"))
    document["streams"] = [{"kind": "invoices", "start_on": "2026-02-01"}]

    imported = import_connection(hub, json.dumps(document))

    new = {"start_on": "2026-02-01", "conditions": {}}
    assert imported.changes == (
        ("streams.clients", {"start_on": None, "conditions": {}}, None),
        ("streams.invoices", {"start_on": "2026-01-01", "conditions": {}}, new),
    )
    assert running(hub, chosen) == {"invoices": "2026-02-01"}
    assert open_connection(hub, chosen).connector.context.settings["token"] == "s3cret!"


def test_a_dry_run_says_the_same_and_changes_nothing(hub, chosen):
    document = json.loads(export_connection(hub, "books"))
    document["streams"] = [{"kind": "invoices"}]
    before = export_connection(hub, "books")

    imported = import_connection(hub, json.dumps(document), dry_run=True)

    assert len(imported.changes) == 2
    assert export_connection(hub, "books") == before


def test_a_new_connection_without_what_it_needs_is_refused_by_name(hub, chosen):
    document = json.loads(export_connection(hub, "books"))
    del document["settings"]["account"]
    with pytest.raises(RuleBroken, match="Give what is missing: --set account=") as refusal:
        import_connection(hub, json.dumps(document), name="other")
    assert list(refusal.value.fields) == ["account"]


def test_an_import_whose_test_fails_changes_nothing(hub, chosen, monkeypatch):
    before = export_connection(hub, "books")

    def check(self):
        raise TemporaryFailure("Down.")

    monkeypatch.setattr(Fake, "check", check)
    with pytest.raises(TemporaryFailure):
        import_connection(hub, before, given={"token": "wrong"})
    assert export_connection(hub, "books") == before
    with hub.read() as session:
        assert hub.cipher.decrypt(get_connection(session, chosen).settings)["token"] == "s3cret!"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 7}, "version"),
        ({"connector": None}, "connector"),
        ({"streams": []}, "streams"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_file_of_another_kind_is_refused_naming_the_field(hub, chosen, change, said):
    document = {**json.loads(export_connection(hub, "books")), **change}
    with pytest.raises(RuleBroken) as refusal:
        import_connection(hub, json.dumps(document))
    assert list(refusal.value.fields) == [said]


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_what_is_no_exported_connection_is_said_to_be_so(hub, text):
    with pytest.raises(RuleBroken, match="This file is no"):
        import_connection(hub, text)


def test_a_stream_that_does_not_exist_is_named_with_those_there_are(hub, chosen):
    document = {**json.loads(export_connection(hub, "books")), "streams": [{"kind": "deals"}]}
    with pytest.raises(RuleBroken, match="It has: services, clients, invoices, payments"):
        import_connection(hub, json.dumps(document))


def test_a_connector_that_is_not_there_is_named(hub, chosen):
    document = {**json.loads(export_connection(hub, "books")), "connector": "sage"}
    with pytest.raises(NotFound, match="no connector called “sage”"):
        import_connection(hub, json.dumps(document), name="new")
    with hub.read() as session:
        assert session.scalars(select(Connection.name)).all() == ["books"]
