"""Which rate applies: the most specific card that is valid on the day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from hub.core.rates.rules import LEVELS, Work, overlaps, rate_level, resolve_rate

IDS = {name: uuid4() for name in ("company_id", "client_id", "project_id", "task_id", "person_id")}
WORK = Work(**IDS, worked_on=date(2026, 3, 15), currency="EUR")

ONE = UUID(int=1)


@dataclass(frozen=True)
class Card:
    rate: Decimal
    currency: str = "EUR"
    company_id: UUID | None = None
    client_id: UUID | None = None
    project_id: UUID | None = None
    task_id: UUID | None = None
    person_id: UUID | None = None
    valid_from: date = date(2026, 1, 1)
    valid_to: date | None = None
    id: UUID = ONE


def card(rate, *named, **values):
    return Card(Decimal(rate), **{name: IDS[name] for name in named}, **values)


# From the most specific to the company's default; the rate says which one won.
CHAIN = [card(100 + number, *level) for number, level in enumerate(LEVELS)]


@pytest.mark.parametrize("missing", range(len(LEVELS)))
def test_without_the_more_specific_cards_the_next_level_applies(missing):
    price = resolve_rate(WORK, reversed(CHAIN[missing:]))
    assert price.rate == 100 + missing


@pytest.mark.parametrize(
    ("level", "words"),
    [(0, "task + person"), (1, "task"), (3, "project"), (6, "person"), (7, "company default")],
)
def test_the_trace_says_how_the_rate_was_found(level, words):
    assert resolve_rate(WORK, [CHAIN[level]]).trace == {
        "level": words,
        "rate_card": str(ONE),
        "rate": str(100 + level),
    }


@pytest.mark.parametrize("name", ["client_id", "project_id", "task_id", "person_id", "company_id"])
def test_a_card_for_something_else_does_not_apply(name):
    assert resolve_rate(WORK, [Card(Decimal(90), **{name: uuid4()})]) is None


def test_a_card_in_another_currency_does_not_apply():
    assert resolve_rate(WORK, [card(90, currency="USD")]) is None


@pytest.mark.parametrize(
    ("valid_from", "valid_to", "applies"),
    [
        (date(2026, 3, 15), None, True),
        (date(2026, 3, 16), None, False),
        (date(2026, 1, 1), date(2026, 3, 15), True),
        (date(2026, 1, 1), date(2026, 3, 14), False),
    ],
)
def test_both_days_of_a_card_are_included(valid_from, valid_to, applies):
    found = resolve_rate(WORK, [card(90, valid_from=valid_from, valid_to=valid_to)])
    assert (found is not None) == applies


def test_a_companys_own_card_goes_before_one_for_all_companies():
    assert resolve_rate(WORK, [card(90), card(95, "company_id")]).rate == 95


def test_no_card_is_no_rate_and_never_nothing_to_pay():
    assert resolve_rate(WORK, []) is None


def test_a_rate_of_zero_is_a_rate():
    assert resolve_rate(WORK, [card(0)]).rate == 0


def test_columns_that_make_no_level_are_told():
    assert rate_level(card(90, "client_id", "task_id")) == -1


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ((date(2026, 1, 1), None), (date(2026, 6, 1), None), True),
        ((date(2026, 1, 1), date(2026, 5, 31)), (date(2026, 6, 1), None), False),
        ((date(2026, 1, 1), date(2026, 6, 1)), (date(2026, 6, 1), None), True),  # on one day
        ((date(2026, 6, 1), None), (date(2026, 1, 1), date(2026, 5, 31)), False),
    ],
)
def test_cards_overlap_on_a_common_day(one, other, overlap):
    cards = [card(90, "task_id", valid_from=span[0], valid_to=span[1]) for span in (one, other)]
    assert overlaps(*cards) is overlap


@pytest.mark.parametrize(
    "other", [card(90, "project_id"), card(90, "task_id", currency="USD"), card(90, "task_id", "company_id")]
)
def test_cards_for_different_work_do_not_overlap(other):
    assert not overlaps(card(90, "task_id"), other)
