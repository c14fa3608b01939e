"""Which rate applies: the most specific card that is valid on the day. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final, Protocol
from uuid import UUID

LEVELS: Final = (
    ("task_id", "person_id"),
    ("task_id",),
    ("project_id", "person_id"),
    ("project_id",),
    ("client_id", "person_id"),
    ("client_id",),
    ("person_id",),
    (),
)
"""From the most specific to the company's default: the columns a card of this level names."""

_DIMENSIONS: Final = ("client_id", "project_id", "task_id", "person_id")
SCOPE = ("company_id", *_DIMENSIONS)
"""What a card may be for, besides its currency: nothing named is everything."""


class Card(Protocol):
    @property
    def id(self) -> UUID: ...
    @property
    def rate(self) -> Decimal: ...
    @property
    def currency(self) -> str: ...
    @property
    def company_id(self) -> UUID | None: ...
    @property
    def valid_from(self) -> date: ...
    @property
    def valid_to(self) -> date | None: ...


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be priced: who worked on what, when, and in which currency it is billed."""

    company_id: UUID
    client_id: UUID
    project_id: UUID
    task_id: UUID
    person_id: UUID
    worked_on: date
    currency: str


@dataclass(frozen=True, slots=True)
class Price:
    """A rate per hour and how it was found."""

    rate: Decimal
    trace: dict[str, str]


def rate_level(card: Card) -> int:
    """Where a card stands in LEVELS, from 0; -1 for columns that make no level."""
    named = {name for name in _DIMENSIONS if getattr(card, name) is not None}
    return next((i for i, level in enumerate(LEVELS) if set(level) == named), -1)


def resolve_rate(work: Work, cards: Iterable[Card]) -> Price | None:
    """The rate of the most specific card that fits, with its trace; None when there is none, which is never zero."""
    best: tuple[int, int, date] | None = None
    chosen: Card | None = None
    for card in cards:
        if not _fits(card, work):
            continue
        rank = (rate_level(card), 0 if card.company_id else 1, card.valid_from)
        if best is None or rank[:2] < best[:2] or (rank[:2] == best[:2] and rank[2] > best[2]):
            best, chosen = rank, card
    if chosen is None or best is None:
        return None
    level = " + ".join(name.removesuffix("_id") for name in LEVELS[best[0]]) or "company default"
    return Price(chosen.rate, {"level": level, "rate_card": str(chosen.id), "rate": format(chosen.rate, "f")})


def scope_key(card: Card) -> str:
    """What a card is for, as one text: two cards of one key must not share a day."""
    named = (f"{name}={value}" for name in SCOPE if (value := getattr(card, name)) is not None)
    return " ".join((card.currency, *named))


def overlaps(one: Card, other: Card) -> bool:
    """Do two cards name the same things, in one currency, on a common day? Then neither would win."""
    common = one.valid_from <= (other.valid_to or date.max) and other.valid_from <= (one.valid_to or date.max)
    return common and scope_key(one) == scope_key(other)


def _fits(card: Card, work: Work) -> bool:
    if card.currency != work.currency or not card.valid_from <= work.worked_on <= (card.valid_to or date.max):
        return False
    return all(getattr(card, name) is None or getattr(card, name) == getattr(work, name) for name in SCOPE)
