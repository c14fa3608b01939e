"""Projects and tasks."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import uuid4

import pytest

from hub.core.clients.service import change_client, create_client
from hub.core.errors import NotFound, RuleBroken
from hub.core.projects.service import (
    apply_project_change,
    change_project,
    create_project,
    create_tasks,
    get_project,
    load_tasks,
    match_projects,
)


@pytest.mark.parametrize(
    ("given", "of_client", "currency"), [(None, None, "GBP"), (None, "EUR", "EUR"), ("usd", "EUR", "USD")]
)
def test_a_project_is_billed_in_the_currency_given_else_the_clients_else_the_companys(
    hub, firm, given, of_client, currency
):
    def work(session):
        change_client(session, firm.client, currency=of_client)
        values = {"currency": given} if given else {}
        return create_project(session, client_id=firm.client, name="P", **values).currency

    assert hub.transact(work) == currency


@pytest.mark.parametrize(
    ("values", "field"), [({"name": " "}, "name"), ({"status": "asleep"}, "status"), ({"currency": "ECU9"}, "currency")]
)
def test_a_wrong_value_is_refused_by_its_field(hub, firm, values, field):
    with pytest.raises(RuleBroken) as refusal:
        hub.transact(lambda session: change_project(session, firm.project, **values) and None)
    assert list(refusal.value.fields) == [field]


def test_what_another_system_says_is_read_as_it_writes_it(hub, firm):
    values = {"client_id": firm.client, "name": "Deal", "budget": "1200.50", "starts_on": "2026-03-01", "ends_on": ""}
    id = hub.transact(lambda session: apply_project_change(session, None, values))
    with hub.read() as session:
        found = get_project(session, id).to_record()
    assert (found.budget, found.starts_on, found.ends_on) == (Decimal("1200.50"), date(2026, 3, 1), None)


def test_a_project_of_the_same_name_at_the_same_client_is_for_a_person_to_judge(hub, firm):
    def work(session):
        create_project(session, client_id=create_client(session, name="Other").id, name="Website")

    hub.transact(work)
    with hub.read() as session:
        found = match_projects(session, [{"client_id": firm.client, "name": " WEBSITE"}, {"name": "Website"}])
    assert [[(item.record_id, item.exact) for item in items] for items in found] == [[(firm.project, False)], []]


def test_tasks_come_in_the_order_of_their_names_and_a_taken_one_stops_all(hub, firm):
    ids = hub.transact(lambda session: [task.id for task in create_tasks(session, firm.project, ["B", "A"])])
    with hub.read() as session:
        names = {task.id: task.name for task in load_tasks(session, ids)}
    assert [names[id] for id in ids] == ["B", "A"]
    with pytest.raises(RuleBroken, match="a task called “Design” already"):
        hub.transact(lambda session: create_tasks(session, firm.project, ["New", "Design"]) and None)


def test_work_for_nobody_is_refused(hub, firm):
    with pytest.raises(NotFound):
        hub.transact(lambda session: create_project(session, client_id=uuid4(), name="P") and None)
    with pytest.raises(NotFound):
        hub.transact(lambda session: create_tasks(session, uuid4(), ["T"]) and None)
