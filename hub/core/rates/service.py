"""Adding rate cards. What was priced before keeps its price."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.errors import RuleBroken
from hub.core.money import currency_code
from hub.core.rates.models import RateCard
from hub.core.rates.rules import overlaps, rate_level


def add_rate(
    session: Session,
    *,
    rate: Decimal,
    currency: str,
    company_id: UUID | None = None,
    client_id: UUID | None = None,
    project_id: UUID | None = None,
    task_id: UUID | None = None,
    person_id: UUID | None = None,
    valid_from: date | None = None,
    valid_to: date | None = None,
) -> RateCard:
    """A new rate per hour. Raises RuleBroken when another card would apply just as well on some day."""
    if rate < 0:
        raise RuleBroken(f"A rate of {rate} is below zero.", fields={"rate": "must not be negative"})
    card = RateCard(
        rate=rate,
        currency=currency_code(currency),
        company_id=company_id,
        client_id=client_id,
        project_id=project_id,
        task_id=task_id,
        person_id=person_id,
        valid_from=valid_from or date(1900, 1, 1),
        valid_to=valid_to,
    )
    if rate_level(card) < 0:
        raise RuleBroken(
            "A rate is for a task, a project or a client (each alone or with a person), a person, or everyone.",
            fields={"person_id": "this combination has no place in the order of rates"},
        )
    if valid_to is not None and valid_to < card.valid_from:
        raise RuleBroken("The rate ends before it begins.", fields={"valid_to": f"must be {card.valid_from} or later"})
    for other in session.scalars(select(RateCard).where(RateCard.currency == card.currency)):
        if overlaps(card, other):
            raise RuleBroken(
                f"A rate of {other.rate.normalize():f} {other.currency} from {other.valid_from} is for the same work: "
                "end that one first.",
                fields={"valid_from": f"overlaps with the rate from {other.valid_from}"},
            )
    session.add(card)
    return card
