"""A file is recognised by its header, or the user says which column is which."""

from __future__ import annotations

import pytest

from hub.core.errors import RuleBroken
from hub.imports.layouts import TIME_FIELDS, TIME_LAYOUTS, parse_mapping, resolve_columns

HARVEST_HEADER = [
    "Date",
    "Client",
    "Project",
    "Project Code",
    "Task",
    "Notes",
    "Hours",
    "Hours Rounded",
    "Billable?",
    "Invoiced?",
    "Approved?",
    "First Name",
    "Last Name",
    "Roles",
    "Employee?",
    "Billable Rate",
    "Billable Amount",
    "Cost Rate",
    "Cost Amount",
    "Currency",
    "External Reference URL",
]
GERMAN_HEADER = [
    "Datum",
    "Kunde",
    "Projekt",
    "Projekt-Code",
    "Aufgabe",
    "Notizen",
    "Stunden",
    "Stunden gerundet",
    "Abrechenbar?",
    "Abgerechnet?",
    "Genehmigt?",
    "Vorname",
    "Nachname",
    "Rollen",
    "Mitarbeiter?",
    "Abrechenbarer Satz",
    "Abrechenbarer Betrag",
    "Kostensatz",
    "Kostenbetrag",
    "Waehrung",
    "Link",
]
SIP_HEADER = ["TaskNumber", "Summary", "DeveloperID", "StartedOn", "CompletedOn", "C++"]


def resolve(header, **given):
    return resolve_columns(header, fields=TIME_FIELDS, layouts=TIME_LAYOUTS, **given)


@pytest.mark.parametrize("header", [HARVEST_HEADER, GERMAN_HEADER], ids=["english", "german"])
def test_the_detailed_time_report_is_recognised_in_english_and_german(header):
    columns = resolve(header)
    assert columns.layout == "harvest"
    assert {field: header[at[0]] for field, at in columns.columns.items()} == {
        field: header[position]
        for field, position in {
            "date": 0,
            "client": 1,
            "project": 2,
            "project_code": 3,
            "task": 4,
            "note": 5,
            "hours": 6,
            "billable": 8,
            "approved": 10,
            "first_name": 11,
            "last_name": 12,
            "rate": 15,
            "currency": 19,
        }.items()
    }


def test_the_fields_own_names_are_a_layout():
    assert resolve(["client", "project", "task", "person", "date", "hours"]).layout == "plain"


def test_a_mapping_names_the_columns_and_plus_joins_them():
    columns = resolve(SIP_HEADER, mapping={"task": "Summary", "external_id": "TaskNumber+DeveloperID", "note": "C++"})
    row = ["1735", "Flag RI", "58", "", "", "yes"]
    assert columns.layout == "custom"
    assert columns.text("external_id", row, joined_by="-") == "1735-58"
    assert columns.text("note", row) == "yes"
    assert columns.heading("external_id") == "TaskNumber+DeveloperID"


def test_a_mapping_goes_before_what_a_named_layout_says():
    columns = resolve(HARVEST_HEADER, layout="harvest", mapping={"note": "Roles"})
    assert columns.heading("note") == "Roles"
    assert columns.heading("hours") == "Hours"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"mapping": {"hour": "Summary"}}, "There is no field “hour”. Did you mean “hours”?"),
        ({"mapping": {"task": "sumary"}}, "The file has no column “sumary”. Did you mean “Summary”?"),
        ({"mapping": {"task": "Summary+Gone"}}, "The file has no column “Gone”. Its columns are: TaskNumber, Summary,"),
        ({"layout": "toggl"}, "There is no layout “toggl”. Use one of: harvest, plain."),
        ({"layout": "harvest"}, "The file has no column Client, which the layout harvest needs."),
        ({}, "The columns (TaskNumber, Summary, DeveloperID, StartedOn, CompletedOn, C++) fit no known layout"),
    ],
)
def test_a_wrong_map_says_what_is_meant_instead(given, sentence):
    with pytest.raises(RuleBroken) as refused:
        resolve(SIP_HEADER, **given)
    assert str(refused.value).startswith(sentence)


def test_a_mapped_column_that_stands_twice_is_refused():
    with pytest.raises(RuleBroken, match="2 columns called “Summary”"):
        resolve(["Summary", "Summary"], mapping={"task": "Summary"})


def test_a_mapping_is_written_as_field_equals_column():
    assert parse_mapping(["hours=Hours = h", " task = Summary "]) == {"hours": "Hours = h", "task": "Summary"}


@pytest.mark.parametrize(
    ("pairs", "sentence"),
    [
        (["hours"], "“hours” is no mapping. Write FIELD=COLUMN"),
        (["=Hours"], "“=Hours” is no mapping."),
        (["task=A", "task=B"], "The field task is mapped twice. Join columns with “+”: task=A+B."),
    ],
)
def test_what_is_no_mapping(pairs, sentence):
    with pytest.raises(RuleBroken) as refused:
        parse_mapping(pairs)
    assert str(refused.value).startswith(sentence)
