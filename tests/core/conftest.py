"""A firm to do business with: 80.00 GBP an hour, 20 % tax, 30 days to pay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest

from hub.core.clients.service import create_client
from hub.core.companies.service import set_company
from hub.core.invoicing.drafts import billable_groups, draft_invoice
from hub.core.people.service import create_person
from hub.core.projects.service import create_project, create_task
from hub.core.rates.service import add_rate
from hub.core.timesheets.service import record_time, submit_and_approve


@dataclass(frozen=True)
class Firm:
    company: UUID
    client: UUID
    project: UUID
    task: UUID
    person: UUID

    def work(self, session, seconds=3600, *, worked_on=date(2026, 1, 5), approved=True, **values):
        """Time of Ann on the task; approved unless said otherwise. Returns its id."""
        values = {"task_id": self.task, "person_id": self.person, **values}
        entry = record_time(session, worked_on=worked_on, seconds=seconds, **values)
        if approved:
            submit_and_approve(session, [entry.id])
        return entry.id

    def draft(self, session, seconds=3600, *, by=("client",), **values):
        """Drafts the first group of what is billable after some more work."""
        self.work(session, seconds, **values)
        return draft_invoice(session, billable_groups(session, by)[0])


@pytest.fixture
def firm(hub):
    def work(session):
        company = set_company(session, name="Firm", country="GB", currency="GBP", tax_rate=Decimal(20))
        client = create_client(session, name="Acme Ltd", address={"city": "Bath", "country": "GB"})
        project = create_project(session, client_id=client.id, name="Website")
        task = create_task(session, project_id=project.id, name="Design")
        person = create_person(session, name="Ann")
        add_rate(session, rate=Decimal(80), currency="GBP")
        return Firm(company.id, client.id, project.id, task.id, person.id)

    return hub.transact(work)
