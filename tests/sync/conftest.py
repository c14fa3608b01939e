"""A firm with issued invoices, and a fake remote to send them to."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import uuid4

import pytest

from hub.core.clients.service import create_client
from hub.core.companies.service import set_company
from hub.core.invoicing.drafts import billable_groups, draft_invoice
from hub.core.invoicing.service import issue_invoice
from hub.core.people.service import create_person
from hub.core.projects.service import create_project, create_task
from hub.core.rates.service import add_rate
from hub.core.timesheets.service import record_time, submit_and_approve
from hub.sync.connections import add_connection
from tests.sync.fake_remote import REMOTES, Remote, plugin


@pytest.fixture
def hub(make_hub):
    return make_hub({"fake": plugin()})


@pytest.fixture
def firm(hub):
    """A company that bills 80.00 GBP an hour with 20 % tax."""

    def work(session):
        company = set_company(session, name="Firm", country="GB", currency="GBP", tax_rate=Decimal(20))
        add_rate(session, rate=Decimal(80), currency="GBP")
        return company.id

    return hub.transact(work)


@pytest.fixture
def invoice_for(hub, firm):
    """Issues an invoice over `hours` to a client of this name: 1 h is 80.00 + 16.00 = 96.00."""

    def make(name="Acme Ltd", *, hours=1, client_id=None):
        def work(session):
            client = client_id or create_client(session, name=name).id
            project = create_project(session, client_id=client, name=f"Work {uuid4()}")
            task = create_task(session, project_id=project.id, name="Advice")
            person = create_person(session, name="Ann")
            entry = record_time(
                session, task_id=task.id, person_id=person.id, worked_on=date(2026, 1, 5), seconds=hours * 3600
            )
            submit_and_approve(session, [entry.id])
            group = next(group for group in billable_groups(session, ["project"]) if group.project_id == project.id)
            draft = draft_invoice(session, group)
            return issue_invoice(session, draft.id).to_record()

        return hub.transact(work)

    return make


@pytest.fixture
def remote():
    account = f"account-{uuid4()}"
    REMOTES[account] = Remote()
    yield REMOTES[account]
    del REMOTES[account]


@pytest.fixture
def books(hub, remote):
    """A connection to the fake remote."""
    account = next(name for name, known in REMOTES.items() if known is remote)
    return add_connection(hub, connector="fake", name="books", settings={"account": account, "token": "s3cret!"}).id
