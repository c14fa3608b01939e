"""Records that the tests of the API start from."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from hub.core.clients.service import create_client
from hub.core.people.service import create_person
from hub.core.projects.service import create_project, create_task
from hub.core.rates.service import add_rate
from hub.core.timesheets.service import record_time, submit_and_approve


@pytest.fixture
def billable(hub, users):
    """Two hours of approved time at 80.00: ids of the client, project, task, person and entry."""

    def work(session):
        client = create_client(session, name="Acme")
        project = create_project(session, client_id=client.id, name="Roll-out")
        task = create_task(session, project_id=project.id, name="Build")
        person = create_person(session, name="Grace")
        session.flush()
        add_rate(session, rate=Decimal("80.00"), currency="GBP")
        entry = record_time(
            session, task_id=task.id, person_id=person.id, worked_on=date(2026, 11, 2), seconds=7200, note="Steel"
        )
        submit_and_approve(session, [entry.id])
        named = {"client": client, "project": project, "task": task, "person": person, "entry": entry}
        return {name: str(record.id) for name, record in named.items()}

    return hub.transact(work)
