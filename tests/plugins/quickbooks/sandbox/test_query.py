"""The query language with its restrictions, and change data capture."""

from __future__ import annotations

import pytest

from tests.plugins.quickbooks.books import codes


@pytest.fixture
def names(us):
    for name in ("Acme", "O'Brien", "Back\\slash", "50% off"):
        us.post("customer", {"DisplayName": name})
    return us


def found(caller, statement):
    return [row["DisplayName"] for row in caller.query(statement)["QueryResponse"].get("Customer", [])]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("DisplayName = 'Acme'", ["Acme"]),
        ("DisplayName = 'ACME'", ["Acme"]),
        (r"DisplayName = 'O\'Brien'", ["O'Brien"]),
        (r"DisplayName = 'Back\\slash'", ["Back\\slash"]),
        ("DisplayName IN ('Acme', '50% off', 'none')", ["Acme", "50% off"]),
        ("DisplayName LIKE '%s%'", ["Back\\slash"]),
        ("DisplayName LIKE 'A%' AND Active = true", ["Acme"]),
        ("DisplayName = 'none'", []),
        ("Id > '0' AND MetaData.LastUpdatedTime >= '2024-01-01T00:00:00Z' AND DisplayName < 'B'", ["Acme", "50% off"]),
    ],
)
def test_conditions(names, condition, expected):
    assert found(names, f"SELECT * FROM Customer WHERE {condition} ORDERBY Id") == expected


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELECT * FROM Customer WHERE Id = '1' OR Id = '2'", 4000),
        ("SELECT * FROM Customer WHERE NOT Active = true", 4001),
        ("SELECT * FROM Customer, Vendor", 4000),
        ("SELECT * FROM Nothing", 4000),
        ("SELECT * FROM Customer WHERE DisplayName = 'O''Brien'", 4000),
        ("SELECT * FROM Customer WHERE DisplayName = Acme", 4000),
        ("SELECT * FROM Customer WHERE DisplayName LIKE", 4000),
        ("SELECT * FROM Customer WHERE DisplayName ~ 'x'", 4000),
        ("SELECT * FROM Invoice WHERE PrivateNote = 'x'", 4001),
        ("SELECT * FROM Customer MAXRESULTS 1001", 4000),
        ("SELECT * FROM Customer STARTPOSITION 0", 4000),
        ("SELECT * FROM Customer MAXRESULTS many", 4000),
        ("SELECT * FROM Item WHERE UnitPrice > 'lots'", 4000),
        ("UPDATE Customer", 4000),
    ],
)
def test_what_the_language_does_not_have(us, statement, code):
    assert codes(us.query(statement)) == [code]


def test_pages_of_a_hundred_unless_asked_otherwise(us):
    for start in range(0, 120, 30):
        numbers = range(start, start + 30)
        items = [{"bId": str(n), "operation": "create", "Customer": {"DisplayName": f"C{n:03}"}} for n in numbers]
        us.post("batch", {"BatchItemRequest": items})
    assert len(found(us, "SELECT * FROM Customer")) == 100
    assert len(found(us, "SELECT * FROM Customer MAXRESULTS 1000")) == 120
    assert found(us, "SELECT * FROM Customer ORDERBY DisplayName STARTPOSITION 119 MAXRESULTS 30") == ["C118", "C119"]
    assert us.query("SELECT COUNT(*) FROM Customer")["QueryResponse"] == {"totalCount": 120}


def test_an_empty_answer_has_no_entity_key(us):
    assert us.query("SELECT * FROM Customer")["QueryResponse"] == {}


def test_inactive_names_show_only_when_asked_for(names):
    names.act("deactivate_customer", id=names.first("Customer"))
    assert "Acme" not in found(names, "SELECT * FROM Customer")
    assert "Acme (deleted)" in found(names, "SELECT * FROM Customer WHERE Active IN (true, false)")


def test_sku_and_columns_are_shown_when_asked_for(us):
    us.act("create_item", Name="Audit", Sku="A-1")
    statement = "SELECT {} FROM Item WHERE Name = 'Audit'"
    seen = [us.query(statement.format(columns))["QueryResponse"]["Item"][0] for columns in ("*", "*, Sku", "Name")]
    assert ["Sku" in row for row in seen] == [False, True, False]
    assert set(seen[2]) == {"Id", "Name"}


def test_a_query_can_be_posted(us):
    headers = {"Content-Type": "application/text"}
    answer = us.call("POST", "query", headers=headers, data="SELECT COUNT(*) FROM Item")
    assert answer.json()["QueryResponse"] == {"totalCount": 2}


def captured(caller, since, entities="Customer,Invoice"):
    return caller.get("cdc", entities=entities, changedSince=since)["CDCResponse"][0]["QueryResponse"]


def test_change_data_capture_names_what_changed_and_what_was_deleted(us):
    since = us.server.sandbox.now().isoformat(timespec="seconds")
    customer = us.post("customer", {"DisplayName": "Acme"})["Customer"]
    line = {"DetailType": "DescriptionOnly", "Description": "nothing"}
    us.post("invoice", {"CustomerRef": {"value": customer["Id"]}, "DocNumber": "1", "Line": [line]})
    us.act("delete_invoice", number="1")
    customers, invoices = captured(us, since)
    assert [row["Id"] for row in customers["Customer"]] == [customer["Id"]]
    assert [row["status"] for row in invoices["Invoice"]] == ["Deleted"]


def test_change_data_capture_of_nothing_is_an_empty_object(us):
    us.act("clock", advance_s=60)
    assert captured(us, us.server.sandbox.now().isoformat()) == [{}, {}]


def test_change_data_capture_drops_what_is_over_a_thousand(us):
    since = us.server.sandbox.now().isoformat(timespec="seconds")
    for start in range(0, 1020, 30):
        numbers = range(start, start + 30)
        items = [{"bId": str(n), "operation": "create", "Customer": {"DisplayName": f"C{n}"}} for n in numbers]
        us.post("batch", {"BatchItemRequest": items})
    assert len(captured(us, since, "Customer")[0]["Customer"]) == 1000


@pytest.mark.parametrize(
    ("entities", "since", "code"),
    [("Customer", "yesterday", 2010), ("Customer", "2020-01-01T00:00:00Z", 6000), ("TaxCode", "", 2010)],
)
def test_change_data_capture_has_its_limits(us, entities, since, code):
    assert codes(us.get("cdc", entities=entities, changedSince=since)) == [code]
