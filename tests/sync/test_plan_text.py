"""What a plan's items say in words: each field that differs, and of what has parts each part that does."""

from __future__ import annotations

from uuid import UUID

import pytest

from hub.sync.models import PlanItem
from hub.sync.plan_text import field_changes

CLIENT = f"new:clients:{UUID(int=1)}:"


def changes(differences, *, direction="push", new=None):
    return field_changes(PlanItem(direction=direction, differences=differences), new or {})


@pytest.mark.parametrize(
    ("direction", "row"), [("push", ("name", "Acme", "Acme AG")), ("pull", ("name", "Acme AG", "Acme"))]
)
def test_a_field_is_shown_as_it_is_and_as_it_would_be(direction, row):
    assert changes({"name": {"hub": "Acme AG", "remote": "Acme"}}, direction=direction) == [row]


def test_of_an_address_only_the_parts_that_differ_are_shown():
    before, after = {"City": "Leeds", "Country": "GB"}, {"City": "York", "Country": "GB", "Line1": ""}

    assert changes({"BillAddr": {"hub": after, "remote": before}}) == [("BillAddr.City", "Leeds", "York")]


def test_each_line_of_a_document_is_shown_on_its_own():
    line = {"Amount": "960.00", "Detail": {"ItemRef": {"value": "7"}, "Qty": "12"}}
    more = {"Amount": "80.00", "Detail": {"Qty": "1"}}

    assert changes({"Line": {"hub": [line, more], "remote": [line]}}) == [
        ("Line 2", "", "Amount 80.00, Detail.Qty 1"),
    ]


def test_a_record_that_the_plan_makes_itself_is_shown_by_its_name():
    differences = {"CustomerRef": {"hub": {"value": CLIENT}, "remote": None}}

    assert changes(differences, new={CLIENT: "Acme"}) == [("CustomerRef", "", "(new) Acme")]


def test_what_is_empty_on_both_sides_and_the_hubs_own_keys_are_left_out():
    assert changes({"note": {"hub": "", "remote": None}, "hub:expected": {"hub": "1", "remote": "2"}}) == []


def test_a_conflict_names_both_values_and_who_wins():
    differences = {"name": {"hub": "Acme AG", "remote": "Acme SA", "rule": "hub", "winner": "hub"}}

    assert changes(differences) == [("name (hub wins)", "Acme AG", "Acme SA")]
