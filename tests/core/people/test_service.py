"""People."""

from __future__ import annotations

from uuid import uuid4

import pytest

from hub.core.errors import NotFound, RuleBroken
from hub.core.people.service import change_person, create_person, load_people


def test_a_person_is_created_and_changed(hub):
    id = hub.transact(lambda session: create_person(session, name=" Ann ", external_id="7").id)
    hub.transact(lambda session: change_person(session, id, active=False, email="ann@firm.test") and None)
    with hub.read() as session:
        (ann,) = load_people(session, [id])
    assert (ann.name, ann.email, ann.external_id, ann.active, ann.revision) == ("Ann", "ann@firm.test", "7", False, 2)


def test_a_person_needs_a_name(hub):
    with pytest.raises(RuleBroken) as refusal:
        hub.transact(lambda session: create_person(session, name=" ") and None)
    assert list(refusal.value.fields) == ["name"]


def test_who_is_not_there_cannot_be_changed(hub):
    with pytest.raises(NotFound):
        hub.transact(lambda session: change_person(session, uuid4(), name="Ben") and None)


def test_an_external_id_is_one_persons(hub):
    id = hub.transact(lambda session: create_person(session, name="Ann", external_id="7").id)
    with pytest.raises(RuleBroken, match="Ann has the external id 7 already") as refusal:
        hub.transact(lambda session: create_person(session, name="Ben", external_id="7") and None)
    assert refusal.value.fields == {"external_id": "is taken"}
    hub.transact(lambda session: change_person(session, id, external_id="7", name="Anna") and None)  # her own
    other = hub.transact(lambda session: create_person(session, name="Ben", external_id="8").id)
    with pytest.raises(RuleBroken):
        hub.transact(lambda session: change_person(session, other, external_id="7") and None)
