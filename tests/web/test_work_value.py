"""What the time on a project amounts to is what drafts of it would be."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from types import SimpleNamespace

import pytest

from hub.core.clients.service import create_client
from hub.core.companies.service import set_company
from hub.core.invoicing.drafts import billable_groups, draft_invoice
from hub.core.people.service import create_person
from hub.core.projects.models import Project
from hub.core.projects.service import create_project, create_task
from hub.core.rates.service import add_rate
from hub.core.timesheets.service import record_time, submit_and_approve
from hub.sdk import hookimpl
from hub.web.draft_preview import draft_preview
from hub.web.work_value import work_of_projects

DAY = date(2026, 11, 2)


@hookimpl
def rate_for(currency):
    return Decimal("99.99")


@pytest.mark.parametrize(
    ("plugins", "net"),
    [
        ({}, Decimal("0.33") * 3 * Decimal("33.35")),  # 0.99 h x 33.35 = 33.0165: 33.02, not three times 11.01
        ({"prices": SimpleNamespace(rate_for=rate_for)}, Decimal("0.99") * Decimal("99.99")),  # 98.9901: 98.99
    ],
)
def test_unbilled_work_is_worth_what_its_draft_is(make_hub, plugins, net):
    def work(session):
        set_company(session, name="Firm", country="GB", currency="GBP")
        project = create_project(session, client_id=create_client(session, name="Acme").id, name="Website")
        task, ann = create_task(session, project_id=project.id, name="Design"), create_person(session, name="Ann")
        add_rate(session, rate=Decimal("33.35"), currency="GBP")
        some = [
            record_time(session, task_id=task.id, person_id=ann.id, worked_on=day, seconds=1200).id
            for day in (DAY, DAY, date(2026, 11, 3))
        ]
        submit_and_approve(session, some)
        return project.id

    hub = make_hub(plugins)
    project_id = hub.transact(work)

    with hub.read() as session:
        shown = work_of_projects(session, [session.get_one(Project, project_id)])[project_id]
        (preview,) = draft_preview(session, ["project"], date(2026, 11, 30))
    draft = hub.transact(lambda session: draft_invoice(session, billable_groups(session, ["project"])[0]).to_record())
    assert draft.net == net.quantize(Decimal("0.01"))
    assert (shown.unbilled, shown.value, preview["amount"]) == (draft.net, draft.net, draft.net)
