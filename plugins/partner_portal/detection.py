"""Looking for others with a right to the same customer, in the database."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil
from typing import Any, Final

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from hub.sdk import RuleBroken
from hub.sdk.tables import circumstances, now, uuid7
from plugins.partner_portal.conflicts import (
    Conflict,
    Customer,
    Registration,
    Result,
    conflicts_of,
    keys_of,
)
from plugins.partner_portal.models import COMPARED, Deal, DealEvidence, Partner, Precheck, registration_of
from plugins.partner_portal.rules import State

PRECHECKS_PER_HOUR: Final = 60
"""Of one partner: enough for honest work, too few to fish for our customers."""

_HOUR = timedelta(hours=1)
_LIVE = (State.SUBMITTED, State.APPROVED, State.WON)


@dataclass(frozen=True, slots=True)
class Found:
    """One conflict of a deal, with the other deal's row."""

    conflict: Conflict
    other: Deal


@dataclass(frozen=True, slots=True)
class Standing:
    """What a partner may know of a conflict: never who the other is.

    until: the last day of the other's protection, where there is one. own: its own deal that is in the way.
    """

    code: str
    until: date | None = None
    own: Deal | None = None


@dataclass(frozen=True, slots=True)
class Availability:
    """The answer of a pre-check: clear, possible or taken. own: the partner's own deals with this customer."""

    answer: str
    own: tuple[Deal, ...] = ()


def conflicts_of_deal(session: Session, deal: Deal, *, today: date) -> list[Found]:
    """Everything that stands in a deal's way or should be known about it, blocking ones first."""
    return _found(session, deal.registration(), deal_type=deal.deal_type, today=today)


def standings(found: Iterable[Found]) -> list[Standing]:
    """The conflicts of a deal as its own partner may see them, each kind once."""
    shown: dict[tuple[Any, ...], Standing] = {}
    for item in found:
        result = item.conflict.result
        own = item.other if result is Result.DUPLICATE_OWN else None
        until = item.other.protected_until if item.conflict.blocks else None
        shown.setdefault((result, until, own and own.id), Standing(result.value, until, own))
    return list(shown.values())


def store_evidence(session: Session, deal: Deal, found: Iterable[Found], *, found_by: str) -> None:
    """Keep why a check came to its results, for the approver and the audit."""
    moment = now()
    session.add_all(
        DealEvidence(
            deal_id=deal.id,
            other_deal_id=item.other.id,
            found_by=found_by,
            found_at=moment,
            result=item.conflict.result.value,
            match=evidence.match.value,
            kind=evidence.kind.value,
            value_hash=hashlib.sha256(evidence.value.encode()).hexdigest(),
            score=evidence.score,
        )
        for item in found
        for evidence in item.conflict.evidence
    )


def precheck(
    session: Session, partner: Partner, customer: Customer, products: Sequence[str], *, today: date
) -> Availability:
    """Whether a customer is free for these product families.

    Logged, and limited to PRECHECKS_PER_HOUR for one partner. Raises RuleBroken (quota-exceeded).
    """
    _spend_one(session, partner)
    ours = Registration(uuid7(), partner.id, State.DRAFT, None, None, frozenset(products), customer)
    found = _found(session, ours, deal_type="new", today=today)
    others = [item for item in found if item.other.partner_id != partner.id]
    answer = verdict_of(others)
    session.add(
        Precheck(
            partner_id=partner.id,
            actor=circumstances(session).actor,
            asked_at=now(),
            customer_name=customer.name,
            customer_domain=customer.domain,
            answer=answer,
        )
    )
    own = tuple(item.other for item in found if item.conflict.result is Result.DUPLICATE_OWN)
    return Availability(answer, own)


def verdict_of(found: Iterable[Found]) -> str:
    """Conflicts in one word: clear, possible or taken."""
    items = list(found)
    if any(item.conflict.blocks for item in items):
        return "taken"
    return "possible" if any(item.conflict.result is Result.POSSIBLE_MATCH for item in items) else "clear"


def own_deals_with(session: Session, partner: Partner, customer: Customer, *, but: Deal) -> list[Deal]:
    """The partner's other deals with this customer, whatever became of them; newest first."""
    keys = set(keys_of(customer))
    deals = session.scalars(
        select(Deal)
        .where(Deal.partner_id == partner.id, Deal.id != but.id, Deal.customer_country == customer.country)
        .order_by(Deal.id.desc())
    )
    return [deal for deal in deals if keys & set(keys_of(deal.customer_as_typed()))]


def _spend_one(session: Session, partner: Partner) -> None:
    """Refuse a pre-check too many. One partner's are counted one after the other, so that none slips through."""
    session.execute(select(Partner.id).where(Partner.id == partner.id).with_for_update(key_share=True))
    moment = now()
    query = (
        select(Precheck.asked_at)
        .where(Precheck.partner_id == partner.id, Precheck.asked_at > moment - _HOUR)
        .order_by(Precheck.asked_at.desc())
        .offset(PRECHECKS_PER_HOUR - 1)
        .limit(1)
    )
    in_the_way = session.scalar(query)  # once this one is an hour old, there is room for one again
    if in_the_way is not None:
        raise RuleBroken(
            f"You have made {PRECHECKS_PER_HOUR} pre-checks within an hour. Try again later, or submit the deal.",
            code="quota-exceeded",
            retry_after_s=ceil((in_the_way + _HOUR - moment).total_seconds()),
        )


def _found(session: Session, ours: Registration, *, deal_type: str, today: date) -> list[Found]:
    conflicts = conflicts_of(ours, _candidates(session, ours), deal_type=deal_type, today=today)
    ordered = sorted(conflicts, key=lambda conflict: (not conflict.blocks, conflict.other.place or 0))
    return [Found(conflict, session.get_one(Deal, conflict.other.id)) for conflict in ordered]


def _candidates(session: Session, ours: Registration) -> list[Registration]:
    """Live deals with customers of the same country; and of any country with the same tax id."""
    where = Deal.customer_country == ours.customer.country
    if ours.customer.tax_id:
        where = or_(where, Deal.match_tax_id == ours.customer.tax_id)
    rows = session.execute(select(*COMPARED).where(Deal.state.in_(_LIVE), Deal.id != ours.id, where))
    return [registration_of(row) for row in rows]
