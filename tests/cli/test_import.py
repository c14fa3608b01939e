from __future__ import annotations

import csv

import pytest

HEADER = "client,project,task,person,date,hours,external_id\n"
GOOD = "Harbour Foods,Website,Design,Ada,2026-10-01,2.50,1\n"
BAD = "Harbour Foods,Website,Design,Ada,2026-13-40,1.00,2\n"


@pytest.fixture
def write(tmp_path):
    def write(text, name="time.csv"):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def test_a_file_that_is_right_is_imported_and_counted(firm, write):
    counts = firm("import", "time", write(HEADER + GOOD), "--create", "--json").json

    assert {name: counts[name] for name in ("rows", "created", "unchanged", "rejected", "hours", "rejected_hours")} == {
        "rows": 1,
        "created": 1,
        "unchanged": 0,
        "rejected": 0,
        "hours": "2.50",
        "rejected_hours": "0.00",
    }
    assert counts["faults_file"] is None


def test_importing_it_again_changes_nothing(firm, write):
    file = write(HEADER + GOOD)
    firm("import", "time", file, "--create")

    assert firm("import", "time", file, "--create").out == "1 row: 0 created, 1 unchanged (2.50 hours), 0 rejected.\n"


def test_a_faulty_row_is_named_and_written_to_a_file_to_mend(firm, write, tmp_path):
    answer = firm("import", "time", write(HEADER + GOOD + BAD), "--create", code=3)

    assert answer.out == "2 rows: 1 created, 0 unchanged (2.50 hours), 1 rejected.\n"
    assert "Line 3, date: “2026-13-40”" in answer.err
    (faulty,) = csv.DictReader((tmp_path / "time.faults.csv").read_text().splitlines())
    assert (faulty["error_line"], faulty["error_column"], faulty["error_value"]) == ("3", "date", "2026-13-40")


def test_the_mended_file_completes_the_import(firm, write, tmp_path):
    firm("import", "time", write(HEADER + GOOD + BAD), "--create", code=3)
    mended = (tmp_path / "time.faults.csv").read_text().replace("2026-13-40", "2026-10-02", 1)

    assert firm("import", "time", write(mended, "mended.csv"), "--create", "--json").json["created"] == 1


def test_a_file_with_nothing_right_in_it_failed(firm, write):
    firm("import", "time", write(HEADER + BAD), "--create", code=1)


def test_a_dry_run_writes_nothing(firm, write):
    answer = firm("import", "time", write(HEADER + GOOD), "--create", "--dry-run")

    assert answer.out.startswith("1 row: 1 would be created")
    assert firm("time", "approve", "--all", "--json").json == {"approved": 0, "refused": []}


def test_without_create_an_unknown_client_is_a_fault(firm, write):
    answer = firm("import", "time", write(HEADER + GOOD), code=1)

    assert "Line 2, client: “Harbour Foods”" in answer.err


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--map", "hours"], 1, "“hours” is no mapping. Write FIELD=COLUMN"),
        (["--map", "hors=Hours"], 1, "There is no field “hors”. Did you mean “hours”?"),
        (["--map", "hours=Ours"], 1, "The file has no column “Ours”."),
        (["--format", "toggl"], 1, "There is no layout “toggl”."),
        (["--company", "Nobody"], 1, "There is no company called “Nobody”."),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_written(firm, write, arguments, code, sentence):
    answer = firm("import", "time", write(HEADER + GOOD), *arguments, code=code)

    assert sentence in answer.err
    assert answer.out == ""


@pytest.mark.parametrize("content", ["", "\x00\x01\x02", "just one line\n"])
def test_a_malformed_file_is_one_sentence(firm, write, content):
    answer = firm("import", "time", write(content), "--create", code=1)

    assert answer.err.startswith("Error: ")
    assert len(answer.err.strip().splitlines()) == 1


def test_a_file_that_is_not_there_is_wrong_usage(firm):
    assert "does not exist" in firm("import", "time", "nowhere.csv", code=2).err


def test_an_import_can_be_undone_until_its_time_is_approved(firm, write):
    batch = firm("import", "time", write(HEADER + GOOD), "--create", "--json").json["batch_id"]

    assert firm("import", "undo", batch).out == "1 time entry taken out again.\n"
    assert firm("time", "approve", "--all", "--json").json == {"approved": 0, "refused": []}


def test_clients_projects_and_people_can_be_imported(firm, write):
    assert firm("import", "clients", write("name,country\nHarbour Foods,GB\n"), "--json").json["created"] == 1
    assert firm("import", "projects", write("client,name\nHarbour Foods,Website\n"), "--json").json["created"] == 1
    assert firm("import", "people", write("name\nAda Byron\n"), "--json").json["created"] == 1


def test_an_unknown_kind_is_wrong_usage(firm, write):
    assert "No such command 'invoices'" in firm("import", "invoices", write(HEADER), code=2).err
