"""What is sold."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Event
from uuid import uuid4

import pytest

from hub.core.errors import NotFound, RuleBroken
from hub.core.services.service import change_service, create_service, hours_service, load_services


def test_a_service_is_created_and_changed(hub):
    id = hub.transact(lambda session: create_service(session, name="Advice", tax_rate=Decimal("5.5")).id)
    hub.transact(lambda session: change_service(session, id, active=False) and None)
    with hub.read() as session:
        (found,) = load_services(session, [id])
    assert (found.name, found.kind, found.unit, found.tax_rate, found.active) == (
        "Advice",
        "hours",
        "HUR",
        Decimal("5.5"),
        False,
    )


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": "Advice"}, "name"),
        ({"name": "X", "kind": "gift"}, "kind"),
        ({"name": "X", "tax_rate": Decimal(-1)}, "tax_rate"),
        ({"name": "X", "tax_rate": Decimal(100)}, "tax_rate"),
    ],
)
def test_a_taken_name_and_an_unknown_kind_are_refused(hub, values, field):
    hub.transact(lambda session: create_service(session, name="Advice") and None)
    with pytest.raises(RuleBroken) as refusal:
        hub.transact(lambda session: create_service(session, **values) and None)
    assert list(refusal.value.fields) == [field]


def test_a_service_cannot_take_the_name_of_another(hub):
    id = hub.transact(lambda session: [create_service(session, name=name).id for name in ("A", "B")][1])
    with pytest.raises(RuleBroken) as refusal:
        hub.transact(lambda session: change_service(session, id, name="A") and None)
    assert refusal.value.fields == {"name": "is taken"}
    hub.transact(lambda session: change_service(session, id, name="B", code="b") and None)  # its own it keeps


def test_the_service_of_hours_is_made_once(hub):
    ids = {hub.transact(lambda session: hours_service(session).id) for _ in range(2)}
    assert len(ids) == 1


def test_what_is_not_there_cannot_be_changed(hub):
    with pytest.raises(NotFound):
        hub.transact(lambda session: change_service(session, uuid4(), name="X") and None)


def test_of_two_who_first_need_consulting_hours_at_once_the_second_takes_the_first_ones(hub):
    made, second_done = Event(), Event()

    def first(session):
        service = hours_service(session).id
        made.set()
        second_done.wait(0.3)  # it waits for this transaction
        return service

    def second():
        made.wait(30)
        try:
            return hub.transact(lambda session: hours_service(session).id)
        finally:
            second_done.set()

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(second)
        assert hub.transact(first) == waiting.result(30)
