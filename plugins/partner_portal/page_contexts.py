"""What the pages get: deals as rows, as one record, as a form and as a decision. The templates say what they expect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from babel import Locale
from flask import url_for
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from hub.sdk import money_text
from hub.sdk.tables import Link
from plugins.partner_portal.detection import Found, own_deals_with, standings, verdict_of
from plugins.partner_portal.models import Deal, Partner
from plugins.partner_portal.partners import families
from plugins.partner_portal.presentation import clock_now, conflicts_now, next_step_of, verdict_text
from plugins.partner_portal.requirements import COUNTRIES, DEAL_TYPES
from plugins.partner_portal.rules import FIELDS, REJECTION_REASONS, Action, Role, State, allowed_actions

PER_PAGE: Final = 50

OWN_TABS: Final = {
    "all": ("All", tuple(State)),
    "draft": ("Drafts", (State.DRAFT,)),
    "waiting": ("With us", (State.SUBMITTED,)),
    "protected": ("Protected", (State.APPROVED,)),
    "closed": ("Closed", (State.WON, State.LOST, State.REJECTED, State.WITHDRAWN)),
}
REVIEW_TABS: Final = {
    "waiting": ("Waiting", (State.SUBMITTED,)),
    "protected": ("Protected", (State.APPROVED,)),
    "closed": ("Closed", (State.WON, State.LOST, State.REJECTED, State.WITHDRAWN)),
}
_COMPARED = {
    "Legal name": "customer_name",
    "Website": "customer_website",
    "Country": "customer_country",
    "Postcode": "customer_postcode",
    "City": "customer_city",
    "Contact": "contact_name",
    "E-mail": "contact_email",
    "Kind": "deal_type",
}
_WHY = {
    "tax_id": "the same tax id",
    "domain": "the same web domain",
    "duns": "the same D-U-N-S number",
    "name_and_postcode": "the same name and postcode",
    "name_and_city": "the same name and city",
    "similar_name": "a name much alike",
    "contact_domain": "a contact address of the customer's domain",
}


@dataclass(frozen=True, slots=True)
class Listing:
    """Where one is in a list: which tab, which page (from 1), and the endpoint its links lead to."""

    endpoint: str
    show: str
    page: int


def own_list(session: Session, partner: Partner, listing: Listing) -> dict[str, Any]:
    """A partner's deals, newest first."""
    query = select(Deal).where(Deal.partner_id == partner.id)
    shown = _page(session, query.order_by(Deal.id.desc()), OWN_TABS, listing)
    names = family_names(session)
    rows = [
        {
            **_row(session, deal, names),
            "next_step": next_step_of(deal),
            "href": url_for("partner_portal.deal", deal_id=deal.id),
        }
        for deal in shown.pop("rows")
    ]
    return {**shown, "deals": rows, "new_href": url_for("partner_portal.new_deal")}


def review_list(session: Session, listing: Listing) -> dict[str, Any]:
    """What waits for a decision, first come first; or what was decided, latest first."""
    order = Deal.place if listing.show == "waiting" else Deal.updated_at.desc()
    shown = _page(session, select(Deal).order_by(order), REVIEW_TABS, listing)
    names = family_names(session)
    rows = []
    for deal in shown.pop("rows"):
        clock = clock_now(session, deal)
        waiting = deal.state == State.SUBMITTED
        rows.append(
            {
                **_row(session, deal, names),
                "partner_name": deal.partner.name,
                "submitted_at": deal.submitted_at,
                "verdict": verdict_of(conflicts_now(session, deal)) if waiting else None,
                "due_text": clock.text,
                "due_tone": clock.tone,
                "href": url_for("partner_portal.review", deal_id=deal.id),
            }
        )
    return {**shown, "deals": rows}


def own_deal_page(session: Session, deal: Deal) -> dict[str, Any]:
    """One deal for its partner, with what it may do and what stands in the way."""
    found = conflicts_now(session, deal)
    return {
        "deal": _detail(session, deal),
        "verdict": _own_verdict(found) if deal.state == State.SUBMITTED else None,
        "lineage": _lineage(session, deal, for_firm=False),
        "history": _history(deal),
        "actions": _own_actions(deal),
    }


def review_page(session: Session, deal: Deal, *, actor: str, other: Deal | None = None) -> dict[str, Any]:
    """One deal for the approver: why it may overlap, both records side by side, and the decision.

    actor: who looks. other: the deal to set beside it; else the first that stands in the way.
    """
    found = conflicts_now(session, deal)
    names = family_names(session)
    beside = other or (found[0].other if found else None)
    allowed = [action.value for action in allowed_actions(State(deal.state), Role.APPROVER)]
    why_not = _why_not(deal, found, actor)
    return {
        "deal": {**_detail(session, deal), "partner_name": deal.partner.name, "tier": ""},
        "evidence": [_evidence(deal, item, names) for item in found],
        "compare": _compare(deal, beside, names) if beside else None,
        "allowed": [action for action in allowed if action not in why_not],
        "why_not": why_not,
        "reasons": list(REJECTION_REASONS.items()),
        "lineage": _lineage(session, deal, for_firm=True),
        "history": _history(deal),
        "decide_href": url_for("partner_portal.decide", deal_id=deal.id),
    }


def form_page(
    session: Session,
    partner: Partner,
    deal: Deal | None,
    *,
    step: int,
    values: Mapping[str, Any] | None = None,
    errors: Mapping[str, str] | None = None,
    answer: str = "",
) -> dict[str, Any]:
    """The form of a deal, at one of its two steps. values: what was entered, else what the deal says.

    answer: of the pre-check that came with the first step.
    """
    own = own_deals_with(session, partner, deal.customer_as_typed(), but=deal) if deal and step == 2 else []
    href = url_for("partner_portal.edit_deal", deal_id=deal.id) if deal else url_for("partner_portal.new_deal")
    return {
        "step": step,
        "href": f"{href}?step={step}",
        "values": values if values is not None else (_form_values(deal) if deal else {}),
        "errors": {_FORM_NAMES.get(name, name): text for name, text in (errors or {}).items()},
        "verdict": _precheck_verdict(answer),
        "duplicates": [
            {
                "title": f"{each.number} {each.title}".strip(),
                "href": url_for("partner_portal.deal", deal_id=each.id),
                "status": each.state,
            }
            for each in own
        ],
        "countries": [("", "Choose…"), *country_choices()],
        "currencies": _CURRENCIES,
        "deal_types": [(value, value.capitalize()) for value in DEAL_TYPES],
        "products": [(family.code, family.name) for family in families(session)],
        "open_fields": None,
        "comment": "",
    }


def country_choices() -> list[tuple[str, str]]:
    """Every country, by its English name."""
    names = Locale("en").territories
    return sorted(((code, str(names[code])) for code in COUNTRIES), key=lambda choice: choice[1])


def family_names(session: Session) -> dict[str, str]:
    """The product families' names by code."""
    return {family.code: family.name for family in families(session)}


_CURRENCIES = [(code, code) for code in ("EUR", "GBP", "USD", "CHF", "SEK", "NOK", "DKK", "PLN", "CZK", "CAD", "AUD")]
_FORM_NAMES = {"consent_to_contact": "consent"}


def _page(
    session: Session, query: Select[Any], tabs: Mapping[str, tuple[str, tuple[State, ...]]], listing: Listing
) -> dict[str, Any]:
    """One page of a list with its tabs and the way to the next one."""
    counts = {
        name: session.scalar(
            select(func.count()).select_from(query.where(Deal.state.in_(states)).order_by(None).subquery())
        )
        or 0
        for name, (_, states) in tabs.items()
    }
    rows = session.scalars(
        query.where(Deal.state.in_(tabs[listing.show][1])).offset((listing.page - 1) * PER_PAGE).limit(PER_PAGE)
    ).all()
    first, total = (listing.page - 1) * PER_PAGE + 1, counts[listing.show]
    last = first + len(rows) - 1
    return {
        "rows": rows,
        "tabs": [
            (label, url_for(listing.endpoint, show=name), name == listing.show, counts[name])
            for name, (label, _) in tabs.items()
        ],
        "previous": _page_href(listing, -1) if listing.page > 1 else None,
        "next": _page_href(listing, 1) if last < total else None,
        "note": f"{first}–{last} of {total}" if rows else "",
    }


def _page_href(listing: Listing, step: int) -> str:
    return url_for(listing.endpoint, show=listing.show, page=listing.page + step)


def _row(session: Session, deal: Deal, names: Mapping[str, str]) -> dict[str, Any]:
    clock = clock_now(session, deal)
    return {
        "id": deal.id,
        "title": deal.title or deal.number,
        "customer": deal.customer_name or "no customer yet",
        "status": deal.state,
        "amount": deal.amount,
        "currency": deal.currency,
        "products": [names.get(code, code) for code in deal.products],
        "clock": clock.text,
        "clock_tone": clock.tone,
    }


def _detail(session: Session, deal: Deal) -> dict[str, Any]:
    return {
        **_row(session, deal, family_names(session)),
        "number": deal.number,
        "website": deal.customer_website,
        "country": _country_name(deal.customer_country),
        "postcode": deal.customer_postcode,
        "contact_name": deal.contact_name,
        "contact_email": deal.contact_email,
        "deal_type": deal.deal_type,
        "business_problem": deal.business_problem,
        "target_close_on": deal.target_close_on,
        "external_id": deal.external_id,
        "submitted_at": deal.submitted_at,
        "decided_at": deal.decided_at,
        "protected_until": deal.protected_until,
        "reason": next_step_of(deal) if deal.state == State.REJECTED else "",
        "next_step": next_step_of(deal),
    }


def _form_values(deal: Deal) -> dict[str, Any]:
    values = {name: getattr(deal, name) for name in FIELDS}
    amount = "" if deal.amount is None else f"{deal.amount.normalize():f}"
    return {**values, "amount": amount, "consent": deal.consent_to_contact}


def _precheck_verdict(answer: str) -> dict[str, Any] | None:
    known = answer in ("clear", "possible", "taken")
    return {"code": answer, "text": verdict_text(answer), "until": None} if known else None


def _own_verdict(found: Sequence[Found]) -> dict[str, Any]:
    shown = standings(found)
    own = next((item.own for item in shown if item.own), None)
    if own is not None:
        text = f"Your own {own.label} covers this customer and product already."
        return {"code": "taken", "text": text, "until": None}
    until = max((item.until for item in shown if item.until), default=None)
    text = verdict_text(verdict_of(found)) + (f" It ends on {until}." if until else "")
    return {"code": verdict_of(found), "text": text, "until": until}


def _own_actions(deal: Deal) -> list[dict[str, Any]]:
    """The buttons of a deal: exactly what the table of transitions allows its partner."""
    buttons = {
        Action.SUBMIT: ("Continue", "edit_deal", "get", "pencil", "primary"),
        Action.DELETE: ("Delete", "delete_deal", "get", "trash", "danger"),
        Action.WITHDRAW: ("Withdraw", "withdraw", "get", "arrow-left", "danger"),
        Action.CLOSE_WON: ("Won", "close_won", "get", "star", "primary"),
        Action.CLOSE_LOST: ("Lost", "close_lost", "get", "circle-minus", "default"),
    }
    return [
        {
            "label": label,
            "href": url_for(f"partner_portal.{endpoint}", deal_id=deal.id),
            "method": method,
            "icon": icon,
            "style": style,
        }
        for label, endpoint, method, icon, style in (
            buttons[action] for action in allowed_actions(State(deal.state), Role.PARTNER)
        )
    ]


def _why_not(deal: Deal, found: Iterable[Found], actor: str) -> dict[str, str]:
    """What keeps the approver from an action that the state would allow."""
    if deal.state != State.SUBMITTED:
        return {}
    if deal.submitted_by == actor:
        return {"approve": "You submitted this deal, so another person decides on it."}
    blocking = next((item for item in found if item.conflict.blocks), None)
    return {"approve": f"{blocking.other.label} stands against it."} if blocking else {}


def _evidence(deal: Deal, item: Found, names: Mapping[str, str]) -> dict[str, Any]:
    evidence = item.conflict.evidence
    overlap = sorted(set(deal.products) & set(item.other.products))
    return {
        "other_label": f"{item.other.number} {item.other.title}",
        "other_href": url_for("partner_portal.review", deal_id=deal.id, beside=item.other.id),
        "partner_name": item.other.partner.name,
        "status": item.other.state,
        "match": evidence[0].match.value,
        "why": ", ".join(_WHY[each.kind.value] for each in evidence),
        "products": [names.get(code, code) for code in overlap],
        "blocking": item.conflict.blocks,
    }


def _compare(deal: Deal, other: Deal, names: Mapping[str, str]) -> dict[str, Any]:
    left, right = _compared(deal, names), _compared(other, names)
    return {
        "left_title": deal.number,
        "right_title": other.number,
        "rows": [(label, left[label], right[label], left[label] == right[label] != "–") for label in left],
    }


def _compared(deal: Deal, names: Mapping[str, str]) -> dict[str, str]:
    """What a deal says, by label, as a person reads it."""
    submitted = f"{deal.submitted_at:%d %b %Y, %H:%M} UTC" if deal.submitted_at else ""
    shown = {
        **{label: str(getattr(deal, name)) for label, name in _COMPARED.items()},
        "Country": _country_name(deal.customer_country),
        "Value": f"{money_text(deal.amount, deal.currency)} {deal.currency}" if deal.amount is not None else "",
        "Products": ", ".join(sorted(names.get(code, code) for code in deal.products)),
        "Expected decision": f"{deal.target_close_on:%d %b %Y}" if deal.target_close_on else "",
        "Submitted": submitted,
    }
    return {label: text or "–" for label, text in shown.items()}


def _country_name(code: str) -> str:
    return str(Locale("en").territories.get(code, code))


def _lineage(session: Session, deal: Deal, *, for_firm: bool) -> list[dict[str, Any]]:
    """The way of a deal; places without an address are still to come, or not for a partner's eyes.

    A deal that leads nowhere has none.
    """
    if deal.state in (State.REJECTED, State.WITHDRAWN, State.LOST):
        return []
    remote_id = session.scalar(
        select(Link.remote_id).where(Link.kind == "deals", Link.record_id == deal.id, Link.remote_id.is_not(None))
    )
    opportunity = {"kind": "Opportunity", "label": (remote_id if for_firm else "created") if remote_id else ""}
    project: dict[str, Any] = {"kind": "Project", "label": "set up" if deal.project_id else ""}
    if deal.project_id and for_firm:
        project["href"] = url_for("pages.project", project_id=deal.project_id)
    return [{"kind": "Deal", "label": deal.number, "current": True}, opportunity, project]


def _history(deal: Deal) -> list[dict[str, Any]]:
    """What happened to a deal, newest first."""
    decided = "Rejected" if deal.rejection_reason else "Approved"
    closed = "Lost" if deal.loss_reason else "Won"
    steps = [
        ("Draft saved", deal.created_at, "pencil", "calm"),
        ("Submitted", deal.submitted_at, "send", "info"),
        (
            decided,
            deal.decided_at,
            "check" if decided == "Approved" else "x",
            "good" if decided == "Approved" else "bad",
        ),
        (closed, deal.closed_at, "star" if closed == "Won" else "circle-minus", "good" if closed == "Won" else "calm"),
    ]
    if deal.state == State.WITHDRAWN:
        steps.append(("Withdrawn", deal.updated_at, "arrow-left", "calm"))
    return [{"title": title, "at": at, "icon": icon, "tone": tone} for title, at, icon, tone in reversed(steps) if at]
