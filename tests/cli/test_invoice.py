from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest


def in_database(hub, statement):
    with closing(sqlite3.connect(hub.data_dir / "hub.sqlite3")) as connection, connection:
        return connection.execute(statement).fetchall()


def test_time_is_approved_once(worked):
    assert worked("time", "approve", "--all", "--json").json == {"approved": 0, "refused": []}


def test_time_is_approved_by_id_or_all_of_it(firm):
    assert "Say which entries to approve" in firm("time", "approve", code=2).err


def test_approving_time_that_is_not_there_names_it(firm):
    missing = "0198f000-0000-7000-8000-000000000000"

    assert f"There is no time entry with id {missing}." in firm("time", "approve", missing, code=1).err


def test_time_that_is_refused_is_named_and_the_rest_is_approved(worked):
    first, second, third = (row[0] for row in in_database(worked, "SELECT id FROM time_entry ORDER BY id"))
    in_database(worked, f"UPDATE time_entry SET status = 'open' WHERE id IN ('{first}', '{third}')")

    answer = worked("time", "approve", first, second, third, code=3)

    assert answer.out == "2 time entries approved.\n"
    assert answer.err.count("Refused:") == 1
    assert second in answer.err.replace("-", "")
    assert "This entry is approved" in answer.err
    assert "0 time entries approved" in worked("time", "approve", second, code=1).out


def test_one_draft_a_project_dated_by_the_month_it_bills(worked):
    drafted = worked("invoice", "draft", "--by", "project,month", "--json").json

    assert drafted["totals"] == {"GBP": "600.00"}  # (2.50 + 1.00) h * 80 + 4.00 h * 80
    assert [(item["dated_on"], item["net"]) for item in drafted["invoices"]] == [
        ("2026-10-31", "280.00"),  # 3.50 h * 80
        ("2026-11-30", "320.00"),  # 4.00 h * 80
    ]


def test_what_is_on_a_draft_is_not_drafted_again(worked):
    worked("invoice", "draft")

    assert worked("invoice", "draft").out == "0 invoices drafted.\n"


def test_until_leaves_later_work_out_and_date_sets_the_date(worked):
    drafted = worked("invoice", "draft", "--until", "2026-10-31", "--date", "2026-11-15", "--json").json

    assert [(item["client_name"], item["dated_on"]) for item in drafted["invoices"]] == [
        ("Harbour Foods", "2026-11-15")
    ]


def test_work_without_a_rate_is_named_and_the_rest_is_drafted(hub, tmp_path):
    hub("company", "set", "--name", "SiP Ltd", "--country", "GB", "--currency", "GBP")
    file = tmp_path / "time.csv"
    file.write_text(
        "client,project,task,person,date,hours,external_id\nA,P,T,Ada,2026-10-01,1,1\nB,Q,T,Ada,2026-10-01,1,2\n"
    )
    hub("import", "time", str(file), "--create")
    hub("time", "approve", "--all")
    hub("rate", "add", "--rate", "80", "--currency", "GBP", "--client", "A")

    answer = hub("invoice", "draft", code=3)

    assert answer.out == "1 invoice drafted: 80.00 GBP.\n"
    assert "There is no GBP rate for Ada on “Q / T” on 2026-10-01." in answer.err


def test_an_unknown_grouping_is_refused(worked):
    assert "Invoices cannot be drafted by “week”." in worked("invoice", "draft", "--by", "week", code=1).err


def test_all_drafts_are_numbered_in_the_order_of_their_dates(worked):
    worked("invoice", "draft", "--by", "project")

    issued = worked("invoice", "issue", "--all", "--json").json

    assert [(item["number"], item["dated_on"]) for item in issued["invoices"]] == [
        ("INV-00001", "2026-10-31"),
        ("INV-00002", "2026-11-30"),
    ]
    assert worked("invoice", "issue", "--all").out == "0 invoices issued.\n"


def test_a_draft_that_is_refused_is_named_and_the_rest_is_issued(worked):
    drafts = worked("invoice", "draft", "--by", "project", "--json").json["invoices"]
    empty = drafts[0]
    in_line = f"(SELECT id FROM invoice_line WHERE invoice_id = '{empty['id'].replace('-', '')}')"
    in_database(worked, f"DELETE FROM invoice_line_entry WHERE line_id IN {in_line}")
    in_database(worked, f"DELETE FROM invoice_line WHERE id IN {in_line}")

    answer = worked("invoice", "issue", "--all", code=3)

    assert answer.out.startswith("1 invoice issued")
    assert answer.err == (
        f"Refused: the draft of {empty['dated_on']} for {empty['client_name']} ({empty['id']}): "
        "An invoice without lines cannot be issued.\n"
    )


def test_an_issued_invoice_is_not_issued_again_nor_deleted(worked):
    worked("invoice", "draft")
    worked("invoice", "issue", "--all")
    invoice_id = worked("invoice", "list", "--json").json[0]["id"]

    again = worked("invoice", "issue", "INV-00001", code=1)
    deleted = worked("invoice", "delete", invoice_id, code=1)

    assert "Invoice INV-00001 is issued; only a draft can be issued." in again.err
    assert "can only be cancelled by a credit note" in deleted.err


def test_a_deleted_draft_frees_its_time(worked):
    draft = worked("invoice", "draft", "--json").json["invoices"][0]
    worked("invoice", "delete", draft["id"])

    assert worked("invoice", "draft", "--json").json["drafted"] == 1


@pytest.mark.parametrize("status", ["draft", "issued", "paid"])
def test_the_list_can_be_of_one_status(worked, status):
    worked("invoice", "draft", "--by", "project")
    worked("invoice", "issue", worked("invoice", "list", "--json").json[0]["id"])

    expected = {"draft": 1, "issued": 1, "paid": 0}[status]
    assert len(worked("invoice", "list", "--status", status, "--json").json) == expected


def test_an_invoice_is_shown_with_its_lines(worked):
    worked("invoice", "draft", "--by", "project")
    worked("invoice", "issue", "--all")

    shown = worked("invoice", "show", "INV-00001").out

    assert "INV-00001 for Harbour Foods, 2026-10-31, issued: 280.00 GBP" in shown
    assert "Design" in shown


def test_an_invoice_nobody_knows(worked):
    assert "There is no issued invoice called “INV-9”." in worked("invoice", "show", "INV-9", code=1).err
