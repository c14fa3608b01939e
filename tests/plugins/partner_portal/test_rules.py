"""Every (state, action, role), every (state, field): the tables are what the partner's programme promises."""

from datetime import UTC, date, datetime
from itertools import product

import pytest

from hub.sdk import RuleBroken
from plugins.partner_portal.rules import (
    EDITABLE,
    FIELDS,
    REJECTION_REASONS,
    Action,
    Role,
    State,
    allowed_actions,
    decision_due_at,
    next_state,
    protection_ends_on,
    refuse_frozen_fields,
    refuse_unexplained_rejection,
    refuse_unknown_loss_reason,
)

LEGAL = {
    ("draft", "submit", "partner"): State.SUBMITTED,
    ("draft", "delete", "partner"): None,
    ("submitted", "approve", "approver"): State.APPROVED,
    ("submitted", "reject", "approver"): State.REJECTED,
    ("submitted", "withdraw", "partner"): State.WITHDRAWN,
    ("approved", "close_won", "partner"): State.WON,
    ("approved", "close_won", "system"): State.WON,
    ("approved", "close_lost", "partner"): State.LOST,
    ("approved", "close_lost", "system"): State.LOST,
}
ALL = list(product(State, Action, Role))
ILLEGAL = [case for case in ALL if tuple(map(str, case)) not in LEGAL]


def test_the_cases_cover_the_whole_table():
    assert len(ALL) == 7 * 7 * 3
    assert len(ALL) - len(ILLEGAL) == len(LEGAL)


@pytest.mark.parametrize(("case", "to"), list(LEGAL.items()), ids=[" ".join(case) for case in LEGAL])
def test_a_legal_action_leads_to_its_state(case, to):
    state, action, role = State(case[0]), Action(case[1]), Role(case[2])
    assert next_state(state, action, role) is to
    assert action in allowed_actions(state, role)


@pytest.mark.parametrize(("state", "action", "role"), ILLEGAL)
def test_every_other_action_is_refused_naming_the_legal_ones(state, action, role):
    assert action not in allowed_actions(state, role)
    with pytest.raises(RuleBroken) as refusal:
        next_state(state, action, role, label="Deal D-00007")
    assert refusal.value.code == "invalid-transition"
    assert refusal.value.fields == {}, "a wrong state is a 409, not a 422"
    legal = ", ".join(allowed_actions(state, role)) or "nothing"
    assert str(refusal.value).startswith(f"Deal D-00007 is {state}")
    assert str(refusal.value).endswith(f"Possible now: {legal}.")


@pytest.mark.parametrize("state", [State.REJECTED, State.WITHDRAWN, State.WON, State.LOST])
def test_a_closed_deal_leads_nowhere(state):
    assert [allowed_actions(state, role) for role in Role] == [(), (), ()]


OPEN_AFTER_APPROVAL = {
    "external_id",
    "contact_name",
    "contact_email",
    "contact_phone",
    "contact_role",
    "target_close_on",
    "stage",
}


@pytest.mark.parametrize(("state", "field"), list(product(State, sorted(FIELDS))))
def test_which_field_may_be_changed_in_which_state(state, field):
    is_open = state is State.DRAFT or (state is State.APPROVED and field in OPEN_AFTER_APPROVAL)
    assert (field in EDITABLE[state]) is is_open
    if is_open:
        refuse_frozen_fields(state, frozenset({field}))
    else:
        with pytest.raises(RuleBroken) as refusal:
            refuse_frozen_fields(state, frozenset({field}))
        assert list(refusal.value.fields) == [field]


def test_all_frozen_fields_are_named_at_once():
    with pytest.raises(RuleBroken, match=r"customer_country, products can no longer be changed") as refusal:
        refuse_frozen_fields(State.APPROVED, frozenset({"products", "customer_country", "stage"}))
    assert set(refusal.value.fields) == {"products", "customer_country"}


@pytest.mark.parametrize("reason", sorted(set(REJECTION_REASONS) - {"other"}))
def test_a_listed_reason_explains_itself(reason):
    refuse_unexplained_rejection(reason, "")


@pytest.mark.parametrize(("reason", "text", "field"), [("other", "  ", "text"), ("because", "I say so", "reason")])
def test_a_rejection_without_an_explanation_is_refused(reason, text, field):
    with pytest.raises(RuleBroken) as refusal:
        refuse_unexplained_rejection(reason, text)
    assert list(refusal.value.fields) == [field]


def test_other_with_a_text_is_a_reason():
    refuse_unexplained_rejection("other", "The tender was cancelled.")


def test_a_loss_needs_a_reason_of_the_list():
    refuse_unknown_loss_reason("price")
    with pytest.raises(RuleBroken, match="Use one of: price, competitor"):
        refuse_unknown_loss_reason("bad luck")


@pytest.mark.parametrize(
    ("approved_on", "last_day"),
    [
        (date(2026, 11, 24), date(2027, 2, 22)),  # 6 days of November, 31 + 31 + 22 = 90
        (date(2027, 12, 1), date(2028, 2, 29)),  # 30 + 31 + 29: a leap year's last day of February
    ],
)
def test_protection_lasts_ninety_calendar_days(approved_on, last_day):
    assert protection_ends_on(approved_on) == last_day


@pytest.mark.parametrize(
    ("submitted_at", "due_at"),
    [
        ("2026-11-23 10:30", "2026-11-25 10:30"),  # Monday to Wednesday
        ("2026-11-26 10:30", "2026-11-30 10:30"),  # Thursday: Friday is one, Monday is two
        ("2026-11-27 18:00", "2026-12-01 18:00"),  # Friday: Monday, Tuesday
        ("2026-11-28 18:00", "2026-12-02 00:00"),  # Saturday counts as Monday 00:00: Tuesday, Wednesday
        ("2026-11-29 23:59", "2026-12-02 00:00"),  # Sunday likewise
    ],
)
def test_an_answer_is_due_in_two_business_days(submitted_at, due_at):
    submitted = datetime.fromisoformat(submitted_at).replace(tzinfo=UTC)
    assert decision_due_at(submitted) == datetime.fromisoformat(due_at).replace(tzinfo=UTC)
