from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from plugins.crm_salesforce.sandbox.errors import ApiError
from plugins.crm_salesforce.sandbox.soql import Both, Comparison, Not, Order, Query, like_pattern, parse


def where(condition):
    return parse(f"SELECT Id FROM Account WHERE {condition}").where


def test_a_whole_statement():
    statement = (
        "select Id, Account.Name from Opportunity where IsWon = true "
        "order by SystemModstamp desc nulls first, Id limit 10 offset 20"
    )
    assert parse(statement) == Query(
        paths=("Id", "Account.Name"),
        object="Opportunity",
        where=Comparison("IsWon", "=", True),
        order=(Order("SystemModstamp", descending=True), Order("Id")),
        limit=10,
        offset=20,
    )


def test_count_selects_no_path():
    assert parse("SELECT COUNT() FROM Account") == Query((), "Account")


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("'plain'", "plain"),
        (r"'O\'Neil \\ Sons'", r"O'Neil \ Sons"),
        (r"'two\nlines \u00e9'", "two\nlines é"),
        ("''", ""),
        ("-12.50", Decimal("-12.50")),
        ("1.5e3", Decimal("1.5e3")),
        ("2026-01-31", date(2026, 1, 31)),
        ("2026-01-31T10:00:00Z", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("2026-01-31T10:00:00.000+01:00", datetime(2026, 1, 31, 9, tzinfo=UTC)),
        ("FALSE", False),
        ("null", None),
    ],
)
def test_literals(literal, value):
    assert where(f"X = {literal}") == Comparison("X", "=", value)


@pytest.mark.parametrize(
    ("condition", "parsed"),
    [
        ("A IN ('x', 'y')", Comparison("A", "IN", ("x", "y"))),
        ("A NOT IN (1)", Comparison("A", "NOT IN", (Decimal(1),))),
        ("A <> null", Comparison("A", "!=", None)),
        ("NOT A = 1", Not(Comparison("A", "=", Decimal(1)))),
        (
            "(A = 1 AND B > 2) OR C = 3",
            Both(
                "OR",
                (
                    Both("AND", (Comparison("A", "=", Decimal(1)), Comparison("B", ">", Decimal(2)))),
                    Comparison("C", "=", Decimal(3)),
                ),
            ),
        ),
    ],
)
def test_conditions(condition, parsed):
    assert where(condition) == parsed


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM Account",
        "SELECT Id Account",
        "SELECT Id FROM Account WHERE A = 1 AND B = 2 OR C = 3",
        "SELECT Id FROM Account WHERE A = 'open",
        r"SELECT Id FROM Account WHERE A = 'bad \q escape'",
        "SELECT Id FROM Account WHERE A = 2026-01-31T10:00:00",
        "SELECT Id FROM Account WHERE A = 2026-02-30",
        "SELECT Id FROM Account WHERE A = unquoted",
        "SELECT Id FROM Account WHERE A IN ()",
        "SELECT Id FROM Account LIMIT many",
        "SELECT Id FROM Account; DROP",
    ],
)
def test_what_is_no_soql_is_a_malformed_query(statement):
    with pytest.raises(ApiError) as refusal:
        parse(statement)
    assert refusal.value.code == "MALFORMED_QUERY"


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("ac%", "Acme", True),
        ("%me", "Acme", True),
        ("a_me", "ACME", True),
        ("a_me", "Acmme", False),
        (r"100\%", "100%", True),
        (r"100\%", "1000", False),
        (r"a\_b", "a_b", True),
        (r"a\_b", "axb", False),
        (r"O\'N%", "O'Neil", True),
    ],
)
def test_like(pattern, text, matches):
    assert bool(like_pattern(pattern).fullmatch(text)) is matches
