"""What may be done with a time entry in which state, and what its hours are."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hub.core.errors import RuleBroken
from hub.core.timesheets.rules import check_seconds, hours_of, next_status

ALLOWED = {
    ("open", "submit"): "submitted",
    ("rejected", "submit"): "submitted",
    ("submitted", "approve"): "approved",
    ("submitted", "reject"): "rejected",
}
EVERY = [
    (status, action)
    for status in ("open", "submitted", "approved", "rejected", "billed")
    for action in ("submit", "approve", "reject")
]


@pytest.mark.parametrize(("status", "action"), EVERY)
def test_an_entry_goes_only_where_its_state_leads(status, action):
    if (status, action) in ALLOWED:
        assert next_status(status, action) == ALLOWED[status, action]
        return
    with pytest.raises(RuleBroken, match=f"This entry is {status}") as refusal:
        next_status(status, action)
    assert refusal.value.code == "invalid-transition"


@pytest.mark.parametrize(
    ("seconds", "hours"),
    [(3600, "1.00"), (36, "0.01"), (18, "0.01"), (17, "0.00"), (900, "0.25"), (4522, "1.26"), (5418, "1.51")],
)
def test_hours_are_billed_with_two_decimals_half_up(seconds, hours):
    # 18 s are 0.005 h; 5418 s are 1.505 h.
    assert hours_of(seconds) == Decimal(hours)


@pytest.mark.parametrize("seconds", [1, 90_000])
def test_the_longest_local_day_has_25_hours(seconds):
    assert check_seconds(seconds) == seconds


@pytest.mark.parametrize("seconds", [0, -1, 90_001])
def test_no_time_and_more_than_a_day_are_refused(seconds):
    with pytest.raises(RuleBroken, match="is no day's work"):
        check_seconds(seconds)
