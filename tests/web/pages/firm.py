"""A firm with invoices to send, for the tests of pages."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from hub.core.clients.service import create_client
from hub.core.companies.service import set_company
from hub.core.invoicing.drafts import billable_groups, draft_invoice
from hub.core.invoicing.service import issue_invoice
from hub.core.people.service import create_person
from hub.core.projects.service import create_project, create_task
from hub.core.rates.service import add_rate
from hub.core.timesheets.service import record_time, submit_and_approve


def set_rate(hub):
    """20 % tax, 80.00 an hour."""

    def work(session):
        set_company(session, name="Ada Ltd", country="GB", currency="GBP", tax_rate=Decimal(20))
        add_rate(session, rate=Decimal(80), currency="GBP")

    hub.transact(work)


def issue(hub, client, hours=1):
    """Issue an invoice over so many hours to a new client; its record."""

    def work(session):
        whose = create_client(session, name=client)
        project = create_project(session, client_id=whose.id, name=f"Roll-out for {client}", currency="GBP")
        task = create_task(session, project_id=project.id, name="Advice")
        person = create_person(session, name=f"Ann at {client}")
        session.flush()
        entry = record_time(
            session, task_id=task.id, person_id=person.id, worked_on=date(2026, 1, 5), seconds=hours * 3600
        )
        submit_and_approve(session, [entry.id])
        group = next(group for group in billable_groups(session, ["project"]) if group.project_id == project.id)
        return issue_invoice(session, draft_invoice(session, group).id).to_record()

    return hub.transact(work)
