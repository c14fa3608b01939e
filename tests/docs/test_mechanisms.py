"""The table of mechanisms is about the tree as it is. Taking them away is left to scripts/remove_mechanisms.py."""

from __future__ import annotations

import pytest

from tests.docs.test_reference import ROOT, load_script

remove_mechanisms = load_script("remove_mechanisms")
MECHANISMS = remove_mechanisms.mechanisms()


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=lambda mechanism: mechanism.name)
def test_what_a_mechanism_is_taken_away_by_stands_there_once_and_its_test_exists(mechanism):
    assert remove_mechanisms.fault_of(mechanism, ROOT) == ""


def test_every_guarantee_has_mechanisms():
    assert {mechanism.guarantee for mechanism in MECHANISMS} == set(range(1, 13))
