"""Drafting invoices from approved time."""

from __future__ import annotations

from datetime import date
from decimal import Decimal as D
from types import SimpleNamespace
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from hub.core.clients.service import change_client, create_client
from hub.core.errors import RuleBroken
from hub.core.invoicing.drafts import billable_groups, draft_invoice
from hub.core.invoicing.models import Invoice, LineEntry
from hub.core.invoicing.service import delete_draft
from hub.core.people.service import create_person
from hub.core.projects.service import create_project, create_task
from hub.core.rates.service import add_rate
from hub.core.services.service import create_service
from hub.core.timesheets.models import ImportBatch
from hub.core.timesheets.service import get_time
from hub.sdk import hookimpl


def draft_all(session, by=("client",)):
    return [draft_invoice(session, group).to_record() for group in billable_groups(session, by)]


def test_hours_are_rounded_per_entry_added_and_multiplied_once(hub, firm):
    # 20 min = 0.33 h each; 3 x 0.33 = 0.99 h x 80.00 = 79.20; 20 % tax = 15.84; together 95.04.
    def work(session):
        for _ in range(3):
            firm.work(session, 1200)
        return draft_all(session)

    (draft,) = hub.transact(work)
    (line,) = draft.lines
    assert (line.quantity, line.rate, line.net, line.unit) == (D("0.99"), D(80), D("79.20"), "HUR")
    assert (draft.net, draft.tax, draft.total) == (D("79.20"), D("15.84"), D("95.04"))


def test_a_draft_is_dated_at_the_end_of_the_month_and_due_after_the_companys_days(hub, firm):
    def work(session):
        firm.work(session, worked_on=date(2026, 1, 20))
        firm.work(session, worked_on=date(2026, 2, 3))
        return draft_all(session)

    (draft,) = hub.transact(work)
    assert (draft.period_from, draft.period_to) == (date(2026, 1, 20), date(2026, 2, 3))
    assert (draft.dated_on, draft.due_on) == (date(2026, 2, 28), date(2026, 3, 30))
    assert (draft.status, draft.number, draft.client_name) == ("draft", "", "Acme Ltd")


@pytest.mark.parametrize(
    ("by", "nets"),
    [
        (["client"], [400]),  # 2 h + 1 h + 2 h of one client
        (["project"], [240, 160]),
        (["month"], [160, 240]),
        (["project", "month"], [80, 160, 160]),
    ],
    ids=lambda value: " and ".join(map(str, value)),
)
def test_time_is_drafted_per_client_project_or_month(hub, firm, by, nets):
    def work(session):
        other = create_project(session, client_id=firm.client, name="Shop")
        task = create_task(session, project_id=other.id, name="Build")
        firm.work(session, 7200, worked_on=date(2026, 1, 5))
        firm.work(session, 3600, worked_on=date(2026, 2, 5))
        firm.work(session, 7200, worked_on=date(2026, 2, 6), task_id=task.id)
        return draft_all(session, by)

    drafts = hub.transact(work)
    assert sorted(draft.net for draft in drafts) == sorted(nets)
    assert {draft.project_id is not None for draft in drafts} == {"project" in by}


def test_clients_and_currencies_are_never_mixed(hub, firm):
    def work(session):
        add_rate(session, rate=D(100), currency="EUR")
        for client, currency in [(firm.client, "EUR"), (create_client(session, name="Other").id, "GBP")]:
            project = create_project(session, client_id=client, name=f"In {currency}", currency=currency)
            firm.work(session, task_id=create_task(session, project_id=project.id, name="T").id)
        firm.work(session)
        return draft_all(session)

    drafts = hub.transact(work)
    assert sorted((draft.currency, draft.net) for draft in drafts) == [("EUR", 100), ("GBP", 80), ("GBP", 80)]


def test_each_rate_has_a_line_of_its_own(hub, firm):
    def work(session):
        senior = create_person(session, name="Ben")
        add_rate(session, rate=D(120), currency="GBP", person_id=senior.id)
        firm.work(session, 3600)
        firm.work(session, 1800, person_id=senior.id, worked_on=date(2026, 1, 6))
        firm.work(session, 3600, worked_on=date(2026, 1, 7))
        return draft_all(session)

    (draft,) = hub.transact(work)
    assert [(line.quantity, line.rate, line.net) for line in draft.lines] == [
        (D("2.00"), D(80), D("160.00")),
        (D("0.50"), D(120), D("60.00")),
    ]
    assert [line.position for line in draft.lines] == [1, 2]


def test_each_tax_rate_is_a_group(hub, firm):
    def work(session):
        books = create_service(session, name="Reading", tax_rate=D(5))
        task = create_task(session, project_id=firm.project, name="Read", service_id=books.id)
        firm.work(session, 3600)
        firm.work(session, 3600, task_id=task.id)
        return draft_all(session)

    (draft,) = hub.transact(work)
    assert [(g.rate, g.base, g.tax) for g in draft.taxes] == [(D(5), D(80), D(4)), (D(20), D(80), D(16))]
    assert (draft.tax, draft.total) == (D(20), D(180))


def test_an_exempt_client_pays_no_tax(hub, firm):
    def work(session):
        change_client(session, firm.client, tax_exempt=True)
        return firm.draft(session).to_record()

    draft = hub.transact(work)
    assert (draft.net, draft.tax, draft.total) == (D(80), D(0), D(80))


def test_work_without_a_rate_stops_the_draft_by_name_and_is_never_free(hub, firm):
    def work(session):
        project = create_project(session, client_id=firm.client, name="In yen", currency="JPY")
        task = create_task(session, project_id=project.id, name="Translate")
        firm.work(session, task_id=task.id)
        return draft_all(session)

    with pytest.raises(RuleBroken, match="no JPY rate for Ann on “In yen / Translate” on 2026-01-05") as refusal:
        hub.transact(work)
    assert refusal.value.code == "no-rate"


@pytest.mark.parametrize("values", [{"approved": False}, {"billable": False}], ids=["not approved", "not billable"])
def test_only_approved_billable_time_is_billed(hub, firm, values):
    def work(session):
        firm.work(session, **values)
        return billable_groups(session, ["client"])

    assert hub.transact(work) == []


def test_time_of_an_import_that_is_not_complete_is_not_billed(hub, firm):
    def work(session):
        batch = ImportBatch(kind="time", file_name="t.csv", digest="d", counts={})
        session.add(batch)
        session.flush()
        firm.work(session, import_batch_id=batch.id)
        return billable_groups(session, ["client"])

    assert hub.transact(work) == []


def test_time_is_billed_once(hub, firm):
    assert len(hub.transact(lambda session: firm.draft(session).lines)) == 1
    with hub.read() as session:
        assert billable_groups(session, ["client"]) == []


def test_until_leaves_later_work_for_the_next_invoice(hub, firm):
    def work(session):
        firm.work(session, worked_on=date(2026, 1, 31))
        firm.work(session, worked_on=date(2026, 2, 1))
        (group,) = billable_groups(session, ["client"], until=date(2026, 1, 31))
        return draft_invoice(session, group, until=date(2026, 1, 31)).net

    assert hub.transact(work) == 80


def test_an_unknown_grouping_is_refused(hub, firm):
    with hub.read() as session, pytest.raises(RuleBroken, match="by “week”"):
        billable_groups(session, ["week"])


def test_a_deleted_draft_frees_its_time(hub, firm):
    def first(session):
        entry = firm.work(session)
        return entry, draft_all(session)[0].id

    entry, draft = hub.transact(first)
    hub.transact(lambda session: delete_draft(session, draft))
    with hub.read() as session:
        assert get_time(session, entry).status == "approved"
        assert session.scalar(select(func.count()).select_from(LineEntry)) == 0
        assert session.get(Invoice, draft) is None
    assert [again.net for again in hub.transact(draft_all)] == [80]


def test_two_drafts_at_once_bill_time_once(hub, firm):
    from concurrent.futures import ThreadPoolExecutor

    hub.transact(lambda session: [firm.work(session) for _ in range(5)])
    with hub.read() as session:
        (group,) = billable_groups(session, ["client"])
    with ThreadPoolExecutor(4) as pool:
        made = list(
            pool.map(
                lambda _: hub.transact(
                    lambda session: draft.net if (draft := draft_invoice(session, group)) is not None else None
                ),
                range(4),
            )
        )
    assert sorted(made, key=str) == [400, None, None, None]


def test_a_plugin_may_set_the_rate_and_describe_the_lines(make_hub):
    from dataclasses import replace

    @hookimpl
    def rate_for(project_id, currency):
        return D("99.50") if currency == "GBP" else None

    @hookimpl
    def shape_invoice_lines(lines):
        return [replace(line, description=line.description.upper()) for line in lines]

    hub = make_hub({"shaper": SimpleNamespace(rate_for=rate_for, shape_invoice_lines=shape_invoice_lines)})

    def work(session):
        from hub.core.companies.service import set_company
        from tests.core.conftest import Firm

        company = set_company(session, name="Firm", country="GB", currency="GBP")
        client = create_client(session, name="Acme")
        project = create_project(session, client_id=client.id, name="Website")
        task = create_task(session, project_id=project.id, name="Design")
        person = create_person(session, name="Ann")
        firm = Firm(company.id, client.id, project.id, task.id, person.id)
        entry = firm.work(session)
        draft = draft_all(session)[0]
        return draft, get_time(session, entry).rate_trace

    draft, trace = hub.transact(work)
    assert [(line.description, line.net) for line in draft.lines] == [("WEBSITE: DESIGN", D("99.50"))]
    assert trace == {"level": "plugin", "rate": "99.50"}


def test_nothing_to_bill_is_no_draft(hub, firm):
    def work(session):
        from hub.core.invoicing.drafts import Group

        return draft_invoice(session, Group(firm.company, uuid4(), "GBP", None, None))

    assert hub.transact(work) is None
