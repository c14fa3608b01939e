"""What the home page shows: a partner the deals that need it, an approver the deals that wait."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from flask import url_for
from sqlalchemy import Select, and_, or_, select
from sqlalchemy.orm import Session

from hub.sdk.web import CurrentUser, Panel, reading
from plugins.partner_portal.access import REGISTER, REVIEW
from plugins.partner_portal.clock import SOON_DAYS
from plugins.partner_portal.models import Deal
from plugins.partner_portal.partners import partner_of, programme
from plugins.partner_portal.presentation import clock_now
from plugins.partner_portal.rules import State

MOST_ROWS: Final = 5


def panels_for(user: CurrentUser) -> list[Panel]:
    """The panels of this user, by what it may do."""
    with reading() as session:
        found = [_needs_you(session, user)] if user.may(REGISTER) else []
        return found + ([_to_decide(session)] if user.may(REVIEW) else [])


def _needs_you(session: Session, user: CurrentUser) -> Panel:
    """A partner's drafts, and what is protected for a short time only."""
    partner = partner_of(session, user.id)
    soon = programme(session).today() + timedelta(days=SOON_DAYS)
    ending = and_(Deal.state == State.APPROVED.value, Deal.protected_until <= soon)
    query = select(Deal).where(
        Deal.partner_id == (partner.id if partner else None), or_(ending, Deal.state == State.DRAFT.value)
    )
    rows = _rows(session, query.order_by(Deal.protected_until, Deal.id.desc()), "partner_portal.deal")
    return Panel(
        "Your deals", "partner_portal/panel.html", _context(rows, "partner_portal.deals", "No deal needs you.")
    )


def _to_decide(session: Session) -> Panel:
    """What waits for a decision, first come first."""
    query = select(Deal).where(Deal.state == State.SUBMITTED.value).order_by(Deal.place)
    rows = _rows(session, query, "partner_portal.review")
    context = _context(rows, "partner_portal.review_queue", "No deal waits for a decision.")
    return Panel("Deals to decide", "partner_portal/panel.html", context)


def _rows(session: Session, query: Select[Any], endpoint: str) -> list[dict[str, Any]]:
    return [
        {
            "title": deal.title or deal.number,
            "customer": deal.customer_name,
            "status": deal.state,
            "clock": clock_now(session, deal).text,
            "href": url_for(endpoint, deal_id=deal.id),
        }
        for deal in session.scalars(query.limit(MOST_ROWS))
    ]


def _context(deals: Sequence[dict[str, Any]], endpoint: str, empty: str) -> dict[str, Any]:
    return {"deals": deals, "all_href": url_for(endpoint), "empty": empty}
