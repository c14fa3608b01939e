from __future__ import annotations

from datetime import UTC, datetime

import pytest

from plugins.crm_salesforce.sandbox.soql import Comparison, parse
from plugins.crm_salesforce.statements import escaped, in_pieces, instant_text, select


@pytest.mark.parametrize("text", ["plain", "O'Neil", r"back\slash", 'a "quote"', "two\nlines", "100%", "%' OR Id != '"])
def test_a_value_cannot_leave_its_quotes(text):
    statement = select(["Id"], "Account", [escaped("Name = {}", text)])
    assert parse(statement).where == Comparison("Name", "=", text)


def test_a_statement():
    assert select(["Id", "Name"], "Account", ["A = 1", "B = 2 OR C = 3"], order="Id") == (
        "SELECT Id, Name FROM Account WHERE A = 1 AND (B = 2 OR C = 3) ORDER BY Id"
    )
    assert select(["Id"], "Account", []) == "SELECT Id FROM Account"


@pytest.mark.parametrize(("microsecond", "text"), [(0, "2026-01-31T10:00:00Z"), (5_000, "2026-01-31T10:00:00.005Z")])
def test_instants_are_in_utc(microsecond, text):
    assert instant_text(datetime(2026, 1, 31, 10, 0, 0, microsecond, tzinfo=UTC)) == text


def test_lists_are_cut_to_the_length_of_an_address():
    ids = [f"001Hb00000000{n:02d}AAA" for n in range(10)]
    pieces = list(in_pieces(ids, longest=100))  # 18 characters, 2 quotes and a comma of 3 each: 27
    assert [len(piece) for piece in pieces] == [3, 3, 3, 1]
    assert [id for piece in pieces for id in piece] == ids
