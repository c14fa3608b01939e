"""Every change of a business row leaves one audit row, in the same transaction."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import select

from hub.core import audit
from hub.core.audit import AuditEntry
from hub.core.clients.service import change_client, create_client
from hub.core.people.service import change_person, create_person
from hub.core.projects.models import Task
from hub.core.rates.models import RateCard
from hub.core.rates.service import add_rate
from hub.core.services.service import create_service
from hub.sync.models import Connection


def trail(hub, record_kind=None):
    with hub.read() as session:
        query = select(AuditEntry).order_by(AuditEntry.id)
        return [row for row in session.scalars(query) if record_kind in (None, row.record_kind)]


def test_a_new_record_is_noted_once_with_its_values(hub):
    id = hub.transact(
        lambda session: create_client(session, name="Acme", currency="gbp").id, actor="user:7", request_id="r1"
    )
    (entry,) = trail(hub)
    assert (entry.action, entry.record_kind, entry.record_id, entry.revision) == ("create", "client", id, 1)
    assert (entry.actor, entry.request_id) == ("user:7", "r1")
    assert entry.changes["name"] == [None, "Acme"]
    assert entry.changes["currency"] == [None, "GBP"]
    assert not {"id", "revision", "created_at", "updated_at"} & set(entry.changes)


def test_a_change_is_noted_with_old_and_new_of_what_changed_only(hub):
    id = hub.transact(lambda session: create_person(session, name="Ann").id)
    hub.transact(lambda session: change_person(session, id, email="ann@firm.test", name="Ann"))
    entry = trail(hub)[-1]
    assert (entry.action, entry.revision, len(trail(hub))) == ("update", 2, 2)
    assert entry.changes == {"email": ["", "ann@firm.test"]}


def test_amounts_and_days_are_noted_as_they_are_written_elsewhere(hub):
    hub.transact(lambda session: add_rate(session, rate=Decimal("80.50"), currency="GBP") and None)
    assert trail(hub)[0].changes["rate"] == [None, "80.5"]
    assert trail(hub)[0].changes["valid_from"] == [None, "1900-01-01"]


def test_a_change_to_the_same_value_is_none(hub):
    id = hub.transact(lambda session: create_client(session, name="Acme").id)
    hub.transact(lambda session: change_client(session, id, name="Acme") and None)
    assert [entry.action for entry in trail(hub)] == ["create"]


def test_what_is_deleted_is_noted_with_what_it_was(hub):
    id = hub.transact(lambda session: add_rate(session, rate=Decimal(80), currency="GBP").id)
    hub.transact(lambda session: session.delete(session.get_one(RateCard, id)))
    entry = trail(hub)[-1]
    assert (entry.action, entry.record_id, len(trail(hub))) == ("delete", id, 2)
    assert entry.changes["rate"] == ["80", None]
    assert entry.changes["currency"] == ["GBP", None]


def test_each_record_of_one_transaction_has_its_own_row(hub):
    hub.transact(lambda session: [create_service(session, name=name) for name in "abc"] and None)
    assert [entry.changes["name"][1] for entry in trail(hub, "service")] == ["a", "b", "c"]


def test_what_is_rolled_back_is_not_noted(hub):
    def work(session):
        create_person(session, name="Ann")
        session.flush()
        raise KeyError("rolled back")

    with pytest.raises(KeyError):
        hub.transact(work)
    assert trail(hub) == []


def test_secrets_are_masked_when_set_changed_and_deleted(hub):
    connection = Connection(name="books", plugin="p", connector="c", settings="s3cret!", tokens="t0ken!", facts={})
    hub.transact(lambda session: session.add(connection))

    def change(session):
        session.get_one(Connection, connection.id).tokens = "n3w!"

    hub.transact(change)
    hub.transact(lambda session: session.delete(session.get_one(Connection, connection.id)))

    entries = trail(hub, "connection")
    assert [entry.action for entry in entries] == ["create", "update", "delete"]
    assert entries[1].changes == {"tokens": [audit.MASKED, audit.MASKED]}
    assert entries[0].changes["name"] == [None, "books"]
    written = repr([entry.changes for entry in entries])
    assert not any(secret in written for secret in ("s3cret!", "t0ken!", "n3w!"))


def test_what_changes_no_row_can_be_noted_too(hub):
    hub.transact(lambda session: audit.note(session, "export", "clients", None, rows=3), actor="key:1")
    (entry,) = trail(hub)
    assert (entry.action, entry.actor, entry.changes, entry.record_id) == ("export", "key:1", {"rows": 3}, None)


def test_audited_tables_are_those_of_business_rows():
    assert Task.__audited__
    assert not hasattr(AuditEntry, "__audited__")
