"""Hours as people type them."""

from __future__ import annotations

import pytest

from hub.core.errors import RuleBroken
from hub.web.hours_entry import seconds_from


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7:30", 27_000),  # 7.5 h x 3600
        ("7.5", 27_000),
        ("7,5", 27_000),
        ("7h30", 27_000),
        (" 8 ", 28_800),
        ("8 h", 28_800),
        (".25", 900),
        ("0.01", 36),
        ("0.333", 1_199),  # 1198.8, half up
        ("24", 86_400),
        ("24:00", 86_400),
        ("", 0),
        ("0", 0),
        ("0:00", 0),
    ],
)
def test_hours_are_read_by_the_clock_and_as_decimals(text, seconds):
    assert seconds_from(text) == seconds


@pytest.mark.parametrize("text", ["a lot", "7:60", "-1", "1e3", "7.5.5", "½", "1:2", "NaN", "100"])
def test_what_is_no_time_is_named(text):
    with pytest.raises(RuleBroken, match="is no time"):
        seconds_from(text)


@pytest.mark.parametrize("text", ["24:01", "24.5", "99"])
def test_nobody_works_longer_than_a_day(text):
    with pytest.raises(RuleBroken, match="more than the 24 hours of a day"):
        seconds_from(text)
