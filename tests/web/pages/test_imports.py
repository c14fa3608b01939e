"""Importing a time export through the page."""

from __future__ import annotations

import io
import re

import pytest

from tests.web.pages.visitor import Visitor
from tests.web.pages.work import entries

HARVEST = (
    "Date,Client,Project,Project Code,Task,Notes,Hours,Billable?,First Name,Last Name,Currency\n"
    "2026-11-16,Acme,Roll-out,AC-1,Advice,Kick-off,1.50,Yes,Ann,Lee,GBP\n"
    "2026-11-17,Acme,Roll-out,AC-1,Advice,,lots,Yes,Ann,Lee,GBP\n"
)


@pytest.fixture
def manager(app, hub, users):
    return Visitor(app, hub, users["manager"])


def send(visitor, action, text=HARVEST, *, name="time.csv", **form):
    given = {"kind": "time", "layout": "", "create": "true", "action": action, **form}
    if text is not None:
        given["file"] = (io.BytesIO(text.encode()), name)
    return visitor.post("/import", given, seen_at="/import")


def test_a_check_writes_nothing_and_says_what_an_import_would_do(manager, hub):
    page = send(manager, "check").text

    assert "What an import would do" in page
    assert "<dt>Created</dt><dd>1</dd>" in page
    assert entries(hub) == []


def test_a_file_that_was_checked_is_imported_without_choosing_it_again(manager, hub):
    page = send(manager, "check").text
    upload = re.search(r'name="upload" value="([^"]+)"', page)[1]

    page = send(manager, "import", None, upload=upload).text

    assert "Imported" in page
    assert [(seconds, note) for _, seconds, _, note in entries(hub)] == [(5_400, "Kick-off")]


def test_the_rows_to_mend_come_back_as_a_file(manager, hub):
    page = send(manager, "import").text
    address = re.search(r"/import/[0-9a-f-]{36}/rows-to-mend", page)[0]

    file = manager.get(address)

    header, *rows = file.text.splitlines()
    file.close()
    assert file.headers["Content-Disposition"] == "attachment; filename=time.faults.csv"
    assert header.endswith("error_line,error_column,error_value,error_reason")
    assert [row[:15] for row in rows] == ["2026-11-17,Acme"], "only the row with the fault"


def test_the_rows_of_another_user_are_not_there(app, hub, users, manager):
    page = send(manager, "import").text
    address = re.search(r"/import/[0-9a-f-]{36}/rows-to-mend", page)[0]

    assert Visitor(app, hub, users["admin"]).get(address).status_code == 404


def test_an_import_is_listed_with_who_made_it_and_can_be_undone(manager, hub):
    send(manager, "import")
    page = manager.get("/import").text
    address = re.search(r"/import/batches/[0-9a-f-]{36}/undo", page)[0]
    assert "manager person" in page

    assert "Undo this import?" in manager.get(address).text
    done = manager.follow(manager.post(address, seen_at=address))

    assert "1 time entry is taken out again." in done.text
    assert entries(hub) == []


@pytest.mark.parametrize(
    ("text", "form", "sentence"),
    [
        (None, {}, "Choose a file."),
        ("nothing\nuseful\n", {}, 'id="file-error"'),
        (HARVEST, {"kind": "weather"}, "Say what the file holds."),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_beside_the_field(manager, hub, text, form, sentence):
    refused = send(manager, "import", text, **form)

    assert (refused.status_code, sentence in refused.text) == (422, True)
    assert entries(hub) == []


@pytest.mark.parametrize("upload", ["../../secret", "019ab0aa-0000-7000-8000-000000000000"])
def test_a_file_that_was_never_sent_is_not_found(manager, upload):
    assert send(manager, "import", None, upload=upload).status_code == 404


def test_the_name_of_a_file_leads_nowhere_else(manager, hub):
    page = send(manager, "check", name="../../etc/passwd.csv").text

    assert "passwd.csv was checked" in page
    assert "../" not in page
