"""What a partner reads about time."""

from datetime import UTC, date, datetime, timedelta

import pytest

from plugins.partner_portal.clock import clock_of, lasting, next_step
from plugins.partner_portal.rules import REJECTION_REASONS, State

MONDAY = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)  # the answer is due on Wednesday at 10:00
TODAY = date(2026, 11, 24)


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(seconds=59), "less than a minute"),
        (timedelta(minutes=5), "5 min"),
        (timedelta(hours=3, minutes=20), "3 h 20 min"),
        (timedelta(days=1, hours=3, minutes=59), "1 day 3 h"),
        (timedelta(days=2), "2 days"),
    ],
)
def test_a_span_is_told_in_its_two_largest_units(span, text):
    assert lasting(span) == text


@pytest.mark.parametrize(
    ("now", "text", "tone"),
    [
        (MONDAY, "Decision due in 2 days", "calm"),
        (MONDAY + timedelta(hours=21), "Decision due in 1 day 3 h", "calm"),
        (MONDAY + timedelta(hours=47), "Decision due in 1 h", "warn"),
        (MONDAY + timedelta(hours=50), "Decision overdue by 2 h", "bad"),
    ],
)
def test_the_clock_of_a_submitted_deal(now, text, tone):
    clock = clock_of(State.SUBMITTED, now=now, today=TODAY, submitted_at=MONDAY, protected_until=None)
    assert (clock.text, clock.tone, clock.due_at) == (text, tone, MONDAY + timedelta(days=2))


@pytest.mark.parametrize(
    ("until", "text", "tone"),
    [
        (date(2027, 2, 12), "Protection ends 12 Feb 2027 (80 days)", "calm"),
        (date(2026, 12, 8), "Protection ends 8 Dec 2026 (14 days)", "warn"),
        (date(2026, 11, 25), "Protection ends 25 Nov 2026 (1 day)", "warn"),
        (date(2026, 11, 24), "Protection ends 24 Nov 2026 (last day)", "warn"),
        (date(2026, 11, 23), "Protection ended 23 Nov 2026", "bad"),
    ],
)
def test_the_clock_of_an_approved_deal(until, text, tone):
    clock = clock_of(State.APPROVED, now=MONDAY, today=TODAY, submitted_at=MONDAY, protected_until=until)
    assert (clock.text, clock.tone) == (text, tone)


@pytest.mark.parametrize("state", [state for state in State if state not in (State.SUBMITTED, State.APPROVED)])
def test_no_clock_runs_in_any_other_state(state):
    assert clock_of(state, now=MONDAY, today=TODAY, submitted_at=MONDAY, protected_until=TODAY).text == ""


@pytest.mark.parametrize("state", [state for state in State if state is not State.REJECTED])
def test_every_state_has_a_next_step(state):
    assert next_step(state).endswith(".")


def test_a_rejection_says_why():
    assert next_step(State.REJECTED, reason="duplicate", text="Bye.") == f"{REJECTION_REASONS['duplicate']} Bye."
    assert next_step(State.REJECTED, reason="other", text="The tender was cancelled.") == "The tender was cancelled."
