"""Rate cards: adding, ending and replacing them, and pricing work by them. What was priced before keeps its price."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.clients.models import Client
from hub.core.companies.models import Company
from hub.core.database import circumstances
from hub.core.errors import NotFound, RuleBroken
from hub.core.money import currency_code
from hub.core.outbox import upsert
from hub.core.people.models import Person
from hub.core.projects.models import Project, Task
from hub.core.rates.models import RateCard, RateScope
from hub.core.rates.rules import SCOPE, Price, Work, overlaps, rate_level, resolve_rate, scope_key


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
    _check(session, card)
    session.add(card)
    return card


def end_rate(session: Session, rate_card_id: UUID, *, valid_to: date | None) -> RateCard:
    """Set the last day a rate applies; None: it has no end again. Raises NotFound, RuleBroken as `add_rate` does."""
    card = _card(session, rate_card_id)
    card.valid_to = valid_to
    _check(session, card)
    return card


def replace_rate(session: Session, rate_card_id: UUID, *, rate: Decimal, valid_from: date) -> RateCard:
    """Another rate for the same work from a day on: the old one ends the day before. Raises NotFound, RuleBroken."""
    old = _card(session, rate_card_id)
    if not old.valid_from < valid_from <= (old.valid_to or date.max):
        until = f" and before it ends on {old.valid_to}" if old.valid_to else ""
        raise RuleBroken(
            f"{_named(old)} can be replaced only after its first day{until}, not from {valid_from} on.",
            fields={"valid_from": f"must be after {old.valid_from}{until}"},
        )
    last_day = old.valid_to
    end_rate(session, old.id, valid_to=valid_from - timedelta(days=1))
    scope: dict[str, Any] = {
        name: getattr(old, name)
        for name in ("currency", "company_id", "client_id", "project_id", "task_id", "person_id")
    }
    return add_rate(session, rate=rate, valid_from=valid_from, valid_to=last_day, **scope)


def price_of(session: Session, work: Work, cards: Iterable[RateCard]) -> Price | None:
    """What an hour of this work costs: a plugin's rate if one has one, else the card's; None when there is neither."""
    hooks = circumstances(session).hooks
    if hooks is not None:
        answer: Decimal | None = hooks.first(
            "rate_for",
            project_id=work.project_id,
            task_id=work.task_id,
            person_id=work.person_id,
            worked_on=work.worked_on,
            currency=work.currency,
        )
        if answer is not None:
            return Price(answer, {"level": "plugin", "rate": format(answer, "f")})
    return resolve_rate(work, cards)


def _check(session: Session, card: RateCard) -> None:
    """Whether a card may be saved. Raises RuleBroken, by field."""
    if card.rate < 0:
        raise RuleBroken(f"A rate of {card.rate} is below zero.", fields={"rate": "must not be negative"})
    if rate_level(card) < 0:
        raise RuleBroken(
            "A rate is for a task, a project or a client (each alone or with a person), a person, or everyone.",
            fields={"person_id": "this combination has no place in the order of rates"},
        )
    if card.valid_to is not None and card.valid_to < card.valid_from:
        raise RuleBroken("The rate ends before it begins.", fields={"valid_to": f"must be {card.valid_from} or later"})
    for model in (Company, Client, Project, Task, Person):
        named = getattr(card, f"{model.__tablename__}_id")
        if named is not None and session.get(model, named) is None:
            raise NotFound(f"There is no {model.__tablename__} with id {named}.")
    with session.no_autoflush:
        _lock_scope(session, card)
        is_for_the_same = (getattr(RateCard, name) == getattr(card, name) for name in ("currency", *SCOPE))
        for other in session.scalars(select(RateCard).where(RateCard.id != card.id, *is_for_the_same)):
            if overlaps(card, other):
                raise RuleBroken(
                    f"{_named(other)} is for the same work ({other.id}): end that one first.",
                    fields={"valid_from": f"overlaps with the rate from {other.valid_from}"},
                )


def _lock_scope(session: Session, card: RateCard) -> None:
    """Of two transactions that save rates for the same work at once, the second waits, and sees the first one's."""
    key = scope_key(card)
    new = upsert(session, RateScope).values(key=key)
    session.execute(new.on_conflict_do_nothing(index_elements=["key"]))
    session.execute(select(RateScope.key).where(RateScope.key == key).with_for_update())


def _card(session: Session, rate_card_id: UUID) -> RateCard:
    card = session.get(RateCard, rate_card_id, with_for_update=True)
    if card is None:
        raise NotFound(f"There is no rate card with id {rate_card_id}.")
    return card


def _named(card: RateCard) -> str:
    until = f" to {card.valid_to}" if card.valid_to else ""
    return f"A rate of {card.rate.normalize():f} {card.currency} from {card.valid_from}{until}"
