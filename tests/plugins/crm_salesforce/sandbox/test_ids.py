from __future__ import annotations

import pytest

from plugins.crm_salesforce.sandbox.ids import as_long_id, long_id, new_id


@pytest.mark.parametrize(
    ("short", "check"), [("70130000001tcyI", "AAQ"), ("001550V000WOQZi", "ACP"), ("0035500001H9kZu", "AAJ")]
)
def test_three_check_characters(short, check):
    assert long_id(short) == short + check


def test_both_forms_are_the_same_record_and_a_folded_long_form_is_repaired():
    long = long_id("001550V000WOQZi")
    assert as_long_id("001550V000WOQZi") == long
    assert as_long_id(long[:15].lower() + long[15:]) == long


@pytest.mark.parametrize("text", ["", "001", "001550V000WOQZi!", "001550V000WOQZiac", None, 1])
def test_what_is_no_id(text):
    assert as_long_id(text) is None


def test_new_ids_differ():
    assert len({new_id("001", number) for number in range(5000)}) == 5000
