"""A deal as partner and approver see it: its values with what may be done, the clock and what stands in its way."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from hub.sdk.tables import now
from plugins.partner_portal.clock import Clock, clock_of, next_step
from plugins.partner_portal.detection import Found, conflicts_of_deal, standings
from plugins.partner_portal.models import Deal
from plugins.partner_portal.partners import programme
from plugins.partner_portal.rules import EDITABLE, FIELDS, Role, State, allowed_actions, decision_due_at

_SHOWN = (
    "id",
    "revision",
    "number",
    "state",
    "submitted_at",
    "decided_at",
    "rejection_reason",
    "rejection_text",
    "approved_on",
    "protected_until",
    "closed_at",
    "loss_reason",
    "created_at",
    "updated_at",
)
_CONTESTED = (State.SUBMITTED,)
"""States in which others can stand in the way."""

_VERDICTS = {
    "taken": "Another registration protects this customer for these products.",
    "possible": "A customer like this one is registered. We look at it when you submit.",
    "clear": "Nobody else holds this customer for these products.",
}


def own_view(session: Session, deal: Deal) -> dict[str, Any]:
    """A deal for its own partner: `schemas.DealOutput`."""
    conflicts = [
        {"code": item.code, "until": item.until, "own_deal_id": item.own.id if item.own else None}
        for item in standings(conflicts_now(session, deal))
    ]
    return {**_values(session, deal, Role.PARTNER), "conflicts": conflicts}


def review_view(session: Session, deal: Deal) -> dict[str, Any]:
    """A deal for the approver: `schemas.ReviewOutput`."""
    conflicts = [
        {
            "code": item.conflict.result.value,
            "blocks": item.conflict.blocks,
            "deal_id": item.other.id,
            "number": item.other.number,
            "partner_name": item.other.partner.name,
            "state": item.other.state,
            "protected_until": item.other.protected_until,
            "products": sorted(set(deal.products) & set(item.other.products)),
            "evidence": [evidence.kind.value for evidence in item.conflict.evidence],
        }
        for item in conflicts_now(session, deal)
    ]
    return {**_values(session, deal, Role.APPROVER), "conflicts": conflicts}


def conflicts_now(session: Session, deal: Deal) -> list[Found]:
    """What stands in a deal's way at this moment; nothing before it is submitted, and nothing once it is decided."""
    if deal.state not in _CONTESTED:
        return []
    return conflicts_of_deal(session, deal, today=programme(session).today())


def verdict_text(answer: str) -> str:
    """What a partner reads about an answer of the conflict check."""
    return _VERDICTS[answer]


def clock_now(session: Session, deal: Deal) -> Clock:
    """The clock of a deal as it stands."""
    return clock_of(
        State(deal.state),
        now=now(),
        today=programme(session).today(),
        submitted_at=deal.submitted_at,
        protected_until=deal.protected_until,
    )


def next_step_of(deal: Deal) -> str:
    """What its partner can expect or do now."""
    return next_step(State(deal.state), reason=deal.rejection_reason, text=deal.rejection_text)


def _values(session: Session, deal: Deal, role: Role) -> dict[str, Any]:
    state = State(deal.state)
    own = role is Role.PARTNER
    return {
        **{name: getattr(deal, name) for name in (*_SHOWN, *FIELDS)},
        "partner_name": deal.partner.name,
        "allowed_actions": [action.value for action in allowed_actions(state, role)],
        "editable_fields": sorted(EDITABLE[state]) if own else [],
        "clock": clock_now(session, deal).text,
        "next_step": next_step_of(deal) if own else "",
        "decision_due_at": _due(deal),
    }


def _due(deal: Deal) -> datetime | None:
    waiting = deal.state == State.SUBMITTED and deal.submitted_at is not None
    return decision_due_at(deal.submitted_at) if waiting and deal.submitted_at else None
