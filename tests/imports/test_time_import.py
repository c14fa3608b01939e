"""An import brings in each row once, says what became of every row, and can be undone while untouched."""

from __future__ import annotations

import io
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from hub.core.clients.models import Client
from hub.core.clients.service import create_client
from hub.core.errors import NotFound, RuleBroken
from hub.core.people.models import Person
from hub.core.people.service import change_person
from hub.core.projects.models import Project, Task
from hub.core.projects.service import create_project
from hub.core.timesheets.models import ImportBatch, TimeEntry
from hub.core.timesheets.service import change_time, delete_time, submit_and_approve, unapproved_ids
from hub.imports import time_import
from hub.imports.batches import undo_import
from hub.imports.time_import import import_time

SIP_MAPPING = {
    "client": "ProjectCode",
    "project": "ProjectBreakdownCode",
    "task": "Summary",
    "person": "DeveloperID",
    "start": "StartedOn",
    "date": "CompletedOn",
    "hours": "DeveloperHoursActual",
    "external_id": "TaskNumber+DeveloperID",
}
HEADER = "client,project,project_code,task,person,start,date,hours,external_id,currency"
GOOD = "Acme Ltd,Web,W1,Design,Ada,,2026-03-02,1.5,1,EUR"
LONG = "Acme Ltd,Web,W1,Build,58,2026-03-02,2026-03-31,30,2,EUR"
BAD = "Acme Ltd,Web,W1,Build,58,,,2.25,3,EUR"


@pytest.fixture
def bring_in(hub, tmp_path):
    """Import lines under the plain header; faults go to the test's folder."""

    def bring_in(*lines, header=HEADER, **given):
        given = {"create": True, "faults_folder": tmp_path} | given
        return import_time(hub, io.BytesIO("\n".join([header, *lines]).encode()), name="time.csv", **given)

    return bring_in


def outcome(summary):
    return (summary.rows, summary.created, summary.unchanged, summary.rejected)


@pytest.fixture
def entries(rows):
    """The day and the hours of every time entry."""

    def entries():
        found = rows(select(TimeEntry).order_by(TimeEntry.worked_on))
        return [(entry.worked_on.isoformat(), Decimal(entry.seconds) / 3600) for entry in found]

    return entries


def test_rows_become_time_entries_with_what_they_need_around_them(bring_in, rows, entries):
    summary = bring_in(GOOD, LONG, BAD)
    assert outcome(summary) == (3, 2, 0, 1)
    assert (summary.hours, summary.rejected_hours) == (Decimal("31.5"), Decimal("2.25"))
    # 1.5 h on Monday, and 30 h / 8 h = 4 working days of 7.5 h
    assert sorted(entries()) == [
        ("2026-03-02", Decimal("1.5")),
        ("2026-03-02", Decimal("7.5")),
        ("2026-03-03", Decimal("7.5")),
        ("2026-03-04", Decimal("7.5")),
        ("2026-03-05", Decimal("7.5")),
    ]
    [client], [project] = rows(select(Client)), rows(select(Project))
    assert (client.name, client.currency, project.name, project.code, project.currency) == (
        "Acme Ltd",
        "EUR",
        "Web",
        "W1",
        "EUR",
    )
    assert sorted(rows(select(Task.name))) == ["Build", "Design"]
    assert {(person.name, person.external_id) for person in rows(select(Person))} == {("Ada", None), ("58", "58")}


def test_rows_with_faults_come_back_and_are_imported_when_mended(bring_in, tmp_path, entries):
    summary = bring_in(GOOD, BAD)
    assert summary.faults_file == tmp_path / "time.faults.csv"
    header, row = summary.faults_file.read_text().splitlines()
    assert row == f'{BAD},3,date,,"is empty, and so is the start"'
    mended = row.replace("58,,,", "58,,2026-03-03,")
    assert outcome(bring_in(mended, header=header)) == (1, 1, 0, 0)
    assert entries() == [("2026-03-02", Decimal("1.5")), ("2026-03-03", Decimal("2.25"))]


def test_the_same_file_again_changes_nothing(bring_in, count, entries):
    bring_in(GOOD, LONG)
    before = entries()
    again = bring_in(GOOD, LONG)
    assert outcome(again) == (2, 0, 2, 0)
    assert (again.hours, again.batch_id) == (Decimal("31.5"), None)
    assert entries() == before
    assert count(ImportBatch) == 1


def test_equal_rows_without_an_id_are_an_entry_each_and_stay_so(bring_in, count):
    header = "client,project,task,person,date,hours"
    line = "Acme,Web,Design,Ada,2026-03-02,1"
    assert outcome(bring_in(line, line, header=header)) == (2, 2, 0, 0)
    assert outcome(bring_in(line, line, line, header=header)) == (3, 1, 2, 0)
    assert count(TimeEntry) == 3


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (GOOD.replace("1.5", "2"), "is in the hub with 1.50 h on 2026-03-02"),
        (GOOD.replace("03-02", "03-03"), "is in the hub with 1.50 h on 2026-03-02"),
        (LONG.replace(",2,EUR", ",1,EUR"), "is in the hub with 1.50 h on 2026-03-02"),  # now it would be spread
        (LONG.replace("30,2", "20,2"), "is in the hub with 7.50 h on 2026-03-02"),  # now it would not
    ],
)
def test_a_known_id_with_other_hours_is_neither_lost_nor_counted_twice(bring_in, line, reason, entries):
    bring_in(GOOD, LONG)
    before = entries()
    summary = bring_in(line)
    assert outcome(summary) == (1, 0, 0, 1)
    assert reason in summary.faults[0].reason
    assert entries() == before


def test_a_part_that_was_deleted_here_is_brought_in_again(hub, bring_in, rows, entries):
    bring_in(LONG)
    [part] = rows(select(TimeEntry.id).where(TimeEntry.external_id == "2#3"))
    hub.transact(lambda session: delete_time(session, part))
    summary = bring_in(LONG)
    assert (summary.created, summary.entries) == (1, 1)
    assert len(entries()) == 4


@pytest.mark.parametrize(
    ("line", "column", "reason"),
    [
        (GOOD.replace("Acme Ltd", "Bolt"), "client", "is no client here; create it first, or import with --create"),
        (GOOD.replace("Web", "App"), "project", "is no project of the client Acme Ltd; create it first"),
        (GOOD.replace("W1", "W2"), "project", "is no project of the client Acme Ltd; create it first"),
        (GOOD.replace("Design", "Test"), "task", "is no task of the project Web; create it first"),
        (GOOD.replace("Ada", "Bob"), "person", "is no person here; create it first"),
    ],
)
def test_without_create_a_row_that_names_something_unknown_is_a_fault(bring_in, line, column, reason, count):
    bring_in(GOOD)
    summary = bring_in(line.replace(",1,EUR", ",9,EUR"), create=False)
    [fault] = summary.faults
    assert (fault.line, fault.column) == (2, column)
    assert fault.reason.startswith(reason)
    assert count(TimeEntry) == 1


def test_what_is_here_already_is_found_by_name_without_regard_to_case_and_legal_form(hub, bring_in, count, rows):
    client = hub.transact(lambda session: create_client(session, name="ACME Limited"))
    project = hub.transact(lambda session: create_project(session, client_id=client.id, name="web"))
    bring_in(GOOD)
    assert count(Client) == 1
    assert rows(select(TimeEntry.project_id)) == [project.id]


def test_a_name_that_two_clients_have_is_a_fault(hub, bring_in):
    for _ in range(2):
        hub.transact(lambda session: create_client(session, name="Acme Ltd"))
    assert bring_in(GOOD).faults[0].reason == "is the name of 2 clients; rename all but one"


def test_codes_tell_projects_of_one_name_apart_but_one_code_may_stand_at_several(bring_in, rows):
    lines = [
        "Acme,Web,W1,Design,Ada,,2026-03-02,1,1,",
        "Acme,Web,W2,Design,Ada,,2026-03-02,1,2,",
        "Acme,App,W1,Design,Ada,,2026-03-02,1,3,",
    ]
    bring_in(*lines)
    assert sorted((project.name, project.code) for project in rows(select(Project))) == [
        ("App", "W1"),
        ("Web", "W1"),
        ("Web", "W2"),
    ]
    assert outcome(bring_in(*lines)) == (3, 0, 3, 0)


def test_a_person_who_was_renamed_is_found_by_number(hub, bring_in, rows):
    bring_in(LONG)
    [person] = rows(select(Person))
    hub.transact(lambda session: change_person(session, person.id, name="Grace"))
    assert outcome(bring_in(LONG.replace(",30,2,", ",1,4,"))) == (1, 1, 0, 0)
    assert rows(select(Person.name)) == ["Grace"]


@pytest.mark.parametrize("create", [True, False])
def test_a_dry_run_counts_the_same_and_writes_nothing(bring_in, create, count):
    lines = [GOOD, LONG, BAD, GOOD.replace(",1,EUR", ",4,EUR")]
    tried = bring_in(*lines, create=create, dry_run=True)
    assert [count(table) for table in (Client, Project, Task, Person, TimeEntry, ImportBatch)] == [0] * 6
    done = bring_in(*lines, create=create)
    assert tried.as_json() | {"faults_file": None, "batch_id": None} == done.as_json() | {
        "faults_file": None,
        "batch_id": None,
    }


def test_a_malformed_file_changes_nothing(bring_in, count):
    with pytest.raises(RuleBroken, match=r"time\.csv, line 3: the row has 1 cell, the header has 10"):
        bring_in(GOOD, "Acme")
    assert count(TimeEntry) == 0


def test_creating_needs_a_company(bring_in):
    with pytest.raises(NotFound, match="There is no company with id"):
        bring_in(GOOD, company_id=uuid4())


@pytest.fixture
def broken_off(hub, bring_in, monkeypatch):
    """An import of GOOD and LONG that broke off after its first transaction."""
    monkeypatch.setattr(time_import, "ENTRIES_PER_TRANSACTION", 1)
    judge = time_import._TimeImport._judge_all

    def judge_once(self, session, rows):
        if rows[0].source.line > 2:
            raise KeyboardInterrupt
        return judge(self, session, rows)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(time_import._TimeImport, "_judge_all", judge_once)
        bring_in(GOOD, LONG)


def test_what_a_broken_off_import_left_does_not_count(hub, broken_off, count):
    assert count(TimeEntry) == 1
    with hub.read() as session:
        assert unapproved_ids(session) == []


def test_the_next_import_writes_anew_what_a_broken_off_one_left(hub, bring_in, broken_off, rows, entries):
    summary = bring_in(GOOD.replace("1.5", "2"), LONG)  # mended meanwhile
    assert outcome(summary) == (2, 2, 0, 0)
    assert sum(hours for _, hours in entries()) == Decimal(32)  # 2 + 30
    with hub.read() as session:
        assert len(unapproved_ids(session)) == 5  # 1 + 4 parts
    assert [batch.undone_at is None for batch in rows(select(ImportBatch).order_by(ImportBatch.id))] == [False, True]


def test_an_untouched_import_can_be_undone_and_brought_in_again(hub, bring_in, entries):
    first = bring_in(GOOD)
    second = bring_in(LONG)
    assert undo_import(hub, UUID(second.batch_id)) == 4
    assert entries() == [("2026-03-02", Decimal("1.5"))]
    with pytest.raises(RuleBroken, match=r"The import of time.csv was undone already\."):
        undo_import(hub, UUID(second.batch_id))
    assert outcome(bring_in(GOOD, LONG)) == (2, 1, 1, 0)
    assert first.batch_id != second.batch_id


@pytest.mark.parametrize(
    "touch",
    [
        lambda session, ids: submit_and_approve(session, ids),
        lambda session, ids: change_time(session, ids[0], note="x"),
    ],
    ids=["approved", "changed"],
)
def test_an_import_that_was_worked_with_cannot_be_undone(hub, bring_in, touch, count, rows):
    batch_id = UUID(bring_in(GOOD).batch_id)
    ids = rows(select(TimeEntry.id))
    hub.transact(lambda session: touch(session, ids))
    with pytest.raises(RuleBroken, match="cannot be undone: 1 of its time entries were changed, submitted or approved"):
        undo_import(hub, batch_id)
    assert count(TimeEntry) == 1
    assert rows(select(ImportBatch.published_at))[0] is not None


def test_an_unknown_import_cannot_be_undone(hub):
    with pytest.raises(NotFound, match="There is no import with the id"):
        undo_import(hub, uuid4())


def test_every_hour_of_the_sip_data_is_in_the_hub_or_in_the_faults_file(sip_tasks, hub, tmp_path, rows):
    given = {"mapping": SIP_MAPPING, "create": True, "faults_folder": tmp_path}
    summary = import_time(hub, sip_tasks, **given)
    assert outcome(summary) == (7_488, 7_367, 0, 121)
    assert (summary.hours, summary.rejected_hours) == (Decimal("41814.42"), Decimal("794.38"))  # together 42,608.80
    [seconds] = rows(select(func.sum(TimeEntry.seconds)))
    assert Decimal(seconds) / 3600 == Decimal("41814.42")
    assert outcome(import_time(hub, sip_tasks, **given)) == (7_488, 0, 7_367, 121)
