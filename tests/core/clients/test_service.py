"""Clients and contacts: written cleanly, and recognised when they come again."""

from __future__ import annotations

from uuid import uuid4

import pytest

from hub.core.clients.service import (
    apply_client_change,
    apply_contact_change,
    archive_client,
    change_client,
    create_client,
    create_contact,
    get_client,
    match_clients,
    match_contacts,
)
from hub.core.errors import NotFound, RuleBroken

ACME = {"name": "Acme Ltd", "website": "https://acme.com", "tax_id": "GB 123", "address": {"country": "gb"}}


@pytest.fixture
def acme(hub):
    return hub.transact(lambda session: create_client(session, **ACME).id)


def record(hub, id):
    with hub.read() as session:
        return get_client(session, id).to_record()


def test_a_client_is_kept_in_one_spelling(hub, acme):
    found = record(hub, acme)
    assert (found.tax_id, found.address.country, found.legal_name) == ("GB123", "GB", "Acme Ltd")


@pytest.mark.parametrize(
    ("values", "field"),
    [({"name": "  "}, "name"), ({"currency": "EURO"}, "currency"), ({"country": "Germany"}, "country")],
)
def test_a_wrong_value_is_refused_by_its_field(hub, acme, values, field):
    with pytest.raises(RuleBroken) as refusal:
        hub.transact(lambda session: change_client(session, acme, **values) and None)
    assert list(refusal.value.fields) == [field]
    assert record(hub, acme).revision == 1


def test_archiving_loses_nothing_and_can_be_undone(hub, acme):
    hub.transact(lambda session: archive_client(session, acme) and None)
    assert record(hub, acme).archived
    hub.transact(lambda session: archive_client(session, acme, archived=False) and None)
    assert not record(hub, acme).archived


def test_what_another_system_says_is_written_to_a_new_client_or_to_this_one(hub, acme):
    new = hub.transact(lambda session: apply_client_change(session, None, {"name": "New"}))
    assert hub.transact(lambda session: apply_client_change(session, acme, {"name": "Acme Limited"})) == acme
    assert (record(hub, new).name, record(hub, acme).name) == ("New", "Acme Limited")
    assert record(hub, acme).tax_id == "GB123"  # what it does not say stays


@pytest.mark.parametrize(
    ("values", "exact", "why"),
    [
        ({"name": "Whoever", "tax_id": "gb-123"}, True, "the same tax id"),
        ({"name": "ACME Limited", "address": {"country": "GB"}}, True, "the same name and country"),
        ({"name": "Acme", "website": "www.acme.com"}, True, "the same name and country"),
        ({"name": "Acme", "website": "acme.org"}, False, "a name much alike"),
        ({"name": "Other", "email": "jo@acme.com"}, False, "the same web domain"),
    ],
)
def test_a_client_is_recognised(hub, acme, values, exact, why):
    with hub.read() as session:
        ((found,),) = match_clients(session, [values])
    assert (found.record_id, found.exact, found.why) == (acme, exact, why)


@pytest.mark.parametrize(
    "values",
    [{"name": "Zebra"}, {"name": "Acme", "address": {"country": "FR"}}, {"name": "", "email": "x@gmail.com"}, {}],
)
def test_a_stranger_is_not(hub, acme, values):
    with hub.read() as session:
        assert match_clients(session, [values]) == [[]]


def test_an_archived_client_is_no_candidate(hub, acme):
    hub.transact(lambda session: archive_client(session, acme) and None)
    with hub.read() as session:
        assert match_clients(session, [ACME]) == [[]]


def test_candidates_come_exact_ones_first(hub, acme):
    near = hub.transact(lambda session: create_client(session, name="Else", website="acme.com").id)
    with hub.read() as session:
        ((first, second),) = match_clients(session, [ACME])
    assert [(first.record_id, first.exact), (second.record_id, second.exact)] == [(acme, True), (near, False)]


def test_a_contact_is_the_same_by_e_mail_or_by_name_at_the_same_client(hub, acme):
    def work(session):
        other = create_client(session, name="Other").id
        contact = create_contact(session, client_id=acme, first_name="Jo", last_name="Day", email="Jo@acme.com").id
        create_contact(session, client_id=other, first_name="Jo", last_name="Day", email="jo@acme.com")
        return contact

    contact = hub.transact(work)
    wanted = [
        {"client_id": acme, "last_name": "X", "email": "jo@ACME.com"},
        {"client_id": acme, "first_name": "jo", "last_name": "day"},
        {"client_id": acme, "first_name": "Jo", "last_name": "Day", "email": "other@acme.com"},
        {"last_name": "Day"},
    ]
    with hub.read() as session:
        found = match_contacts(session, wanted)
    assert [[(item.record_id, item.exact) for item in items] for items in found] == [
        [(contact, True)],
        [(contact, True)],
        [],
        [],
    ]


def test_a_contact_needs_a_name_and_a_client(hub, acme):
    with pytest.raises(RuleBroken) as refusal:
        hub.transact(lambda session: create_contact(session, client_id=acme, last_name=" ") and None)
    assert list(refusal.value.fields) == ["last_name"]
    with pytest.raises(NotFound):
        hub.transact(lambda session: create_contact(session, client_id=uuid4(), last_name="Day") and None)


def test_a_contact_from_elsewhere_is_new_or_this_one(hub, acme):
    new = hub.transact(lambda session: apply_contact_change(session, None, {"client_id": acme, "last_name": "Day"}))
    assert hub.transact(lambda session: apply_contact_change(session, new, {"job_title": "CFO"})) == new
