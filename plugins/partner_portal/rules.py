"""What may be done with a deal registration, by whom, and which of its fields are open when. All of it is data.

Buttons, API answers and timed jobs read the same table. Source: partner_portal 1.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

from hub.sdk import RuleBroken

PROTECTION_DAYS: Final = 90
"""Calendar days from the day of approval; protection ends with the end of the last one."""

DECISION_BUSINESS_DAYS: Final = 2
"""Monday to Friday; the firm answers within so many of them."""


class State(StrEnum):
    DRAFT = "draft"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    WON = "won"
    LOST = "lost"


class Action(StrEnum):
    SUBMIT = "submit"
    DELETE = "delete"
    APPROVE = "approve"
    REJECT = "reject"
    WITHDRAW = "withdraw"
    CLOSE_WON = "close_won"
    CLOSE_LOST = "close_lost"


class Role(StrEnum):
    """partner: who registered the deal. approver: who decides for the firm. system: the CRM's news and timed jobs."""

    PARTNER = "partner"
    APPROVER = "approver"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Transition:
    """to: the state afterwards; None when the deal is gone."""

    state: State
    action: Action
    to: State | None
    roles: frozenset[Role]


_PARTNER = frozenset({Role.PARTNER})
_APPROVER = frozenset({Role.APPROVER})
_PARTNER_OR_CRM = frozenset({Role.PARTNER, Role.SYSTEM})

TRANSITIONS: Final = (
    Transition(State.DRAFT, Action.SUBMIT, State.SUBMITTED, _PARTNER),
    Transition(State.DRAFT, Action.DELETE, None, _PARTNER),
    Transition(State.SUBMITTED, Action.APPROVE, State.APPROVED, _APPROVER),
    Transition(State.SUBMITTED, Action.REJECT, State.REJECTED, _APPROVER),
    Transition(State.SUBMITTED, Action.WITHDRAW, State.WITHDRAWN, _PARTNER),
    Transition(State.APPROVED, Action.CLOSE_WON, State.WON, _PARTNER_OR_CRM),
    Transition(State.APPROVED, Action.CLOSE_LOST, State.LOST, _PARTNER_OR_CRM),
)

FIELDS: Final = frozenset(
    {
        "external_id",
        "title",
        "customer_name",
        "customer_website",
        "no_website_reason",
        "customer_country",
        "customer_region",
        "customer_city",
        "customer_postcode",
        "customer_street",
        "customer_tax_id",
        "customer_duns",
        "contact_name",
        "contact_email",
        "contact_phone",
        "contact_role",
        "consent_to_contact",
        "business_problem",
        "products",
        "deal_type",
        "amount",
        "currency",
        "recurrence",
        "target_close_on",
        "stage",
        "involvement",
        "help_needed",
    }
)
"""Everything a partner can say about a deal."""

EDITABLE: Final[dict[State, frozenset[str]]] = {
    State.DRAFT: FIELDS,
    State.SUBMITTED: frozenset(),
    # Who the customer is and what is sold decided the claim, so they stay as they were approved.
    State.APPROVED: frozenset(
        {"external_id", "contact_name", "contact_email", "contact_phone", "contact_role", "target_close_on", "stage"}
    ),
    State.REJECTED: frozenset(),
    State.WITHDRAWN: frozenset(),
    State.WON: frozenset(),
    State.LOST: frozenset(),
}
"""Which fields the partner may change in which state."""

REJECTION_REASONS: Final = {
    "duplicate": "Another registration covers this customer and product.",
    "existing_customer": "The customer already buys this product from us.",
    "direct_engaged": "Our own sales team is already talking to the customer.",
    "outside_territory": "The customer is outside your territory.",
    "not_qualified": "The deal is not qualified yet.",
    "product_not_authorised": "You are not authorised for this product.",
    "certification_missing": "A certification needed for this product is missing.",
    "incomplete": "The registration leaves too much open to decide on it.",
    "public_tender": "Public tenders cannot be registered.",
    "partner_not_in_good_standing": "Your partnership has open issues that come first.",
    "other": "See the explanation.",
}
"""Code → what the partner reads. `other` needs a text of the approver's own."""

LOSS_REASONS: Final = {
    "price": "The price was too high.",
    "competitor": "The customer chose a competitor.",
    "no_budget": "The customer has no budget.",
    "no_decision": "The customer decided to do nothing.",
    "product_gap": "The product lacks something the customer needs.",
    "other": "Another reason.",
}


def allowed_actions(state: State, role: Role) -> tuple[Action, ...]:
    """What this role may do with a deal in this state, in the table's order."""
    return tuple(row.action for row in TRANSITIONS if row.state is state and role in row.roles)


def next_state(state: State, action: Action, role: Role, *, label: str = "The deal") -> State | None:
    """Where an action leads; None when the deal is gone afterwards.

    label: what a person calls the deal. Raises RuleBroken (invalid-transition), naming what is possible instead.
    """
    for row in TRANSITIONS:
        if row.state is state and row.action is action and role in row.roles:
            return row.to
    legal = ", ".join(allowed_actions(state, role)) or "nothing"
    raise RuleBroken(
        f"{label} is {state}, so “{action}” is not possible for the {role}. Possible now: {legal}.",
        code="invalid-transition",
    )


def refuse_frozen_fields(state: State, fields: frozenset[str], *, label: str = "The deal") -> None:
    """Raises RuleBroken naming each of these fields that is closed in this state."""
    frozen = sorted(fields - EDITABLE[state])
    if not frozen:
        return
    open_fields = ", ".join(sorted(EDITABLE[state])) or "none"
    raise RuleBroken(
        f"{label} is {state}: {', '.join(frozen)} can no longer be changed. Open fields: {open_fields}.",
        code="action-not-permitted",
        fields=dict.fromkeys(frozen, f"This field cannot be changed while the deal is {state}."),
    )


def refuse_unexplained_rejection(reason: str, text: str) -> None:
    """Raises RuleBroken unless the reason is one of the list, and `other` comes with a text."""
    if reason not in REJECTION_REASONS:
        raise RuleBroken(
            f"“{reason}” is not a reason for rejection. Use one of: {', '.join(REJECTION_REASONS)}.",
            code="validation",
            fields={"reason": f"Use one of: {', '.join(REJECTION_REASONS)}."},
        )
    if reason == "other" and not text.strip():
        raise RuleBroken(
            "The reason “other” needs a text that explains it to the partner.",
            code="validation",
            fields={"text": "Explain the reason in your own words."},
        )


def refuse_unknown_loss_reason(reason: str) -> None:
    """Raises RuleBroken unless the reason is one of the list."""
    if reason not in LOSS_REASONS:
        raise RuleBroken(
            f"“{reason}” is not a reason for losing a deal. Use one of: {', '.join(LOSS_REASONS)}.",
            code="validation",
            fields={"reason": f"Use one of: {', '.join(LOSS_REASONS)}."},
        )


def protection_ends_on(approved_on: date, *, days: int = PROTECTION_DAYS) -> date:
    """The last day of protection: so many calendar days after the day of approval, in the programme's time zone."""
    return approved_on + timedelta(days=days)


def decision_due_at(submitted_at: datetime, *, business_days: int = DECISION_BUSINESS_DAYS) -> datetime:
    """When the firm's answer is due: the same time of day, so many business days (Monday to Friday) later.

    A deal that comes in at a weekend counts as come in on Monday, 00:00.
    """
    due = submitted_at
    if due.weekday() >= 5:
        due = due.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=7 - due.weekday())
    for _ in range(business_days):
        due += timedelta(days=3 if due.weekday() == 4 else 1)
    return due
