"""Adding rates."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from threading import Event

import pytest
from sqlalchemy import select

from hub.core.errors import RuleBroken
from hub.core.invoicing.drafts import billable_groups, draft_invoice
from hub.core.rates.models import RateCard
from hub.core.rates.service import add_rate, end_rate, replace_rate


def test_a_second_rate_for_the_same_work_on_the_same_day_is_refused(hub, firm):
    with pytest.raises(RuleBroken, match="A rate of 80 GBP from 1900-01-01 is for the same work") as refusal:
        hub.transact(
            lambda session: add_rate(session, rate=Decimal(90), currency="GBP", valid_from=date(2026, 1, 1)) and None
        )
    assert list(refusal.value.fields) == ["valid_from"]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"rate": Decimal("-0.01")}, "rate"),
        ({"currency": "XXL"}, "currency"),
        ({"valid_from": date(2026, 2, 1), "valid_to": date(2026, 1, 31)}, "valid_to"),
    ],
)
def test_a_rate_that_cannot_be_is_refused_by_its_field(hub, values, field):
    with pytest.raises(RuleBroken) as refusal:
        hub.transact(lambda session: add_rate(session, **{"rate": Decimal(1), "currency": "GBP", **values}) and None)
    assert list(refusal.value.fields) == [field]


def test_a_combination_without_a_place_in_the_order_is_refused(hub, firm):
    with pytest.raises(RuleBroken, match="A rate is for"):
        hub.transact(
            lambda session: (
                add_rate(session, rate=Decimal(1), currency="GBP", client_id=firm.client, task_id=firm.task) and None
            )
        )


def test_a_new_rate_leaves_what_is_priced_as_it_is(hub, firm):
    draft = hub.transact(lambda session: firm.draft(session).id)

    def raise_prices(session):
        session.query(RateCard).one().valid_to = date(2026, 1, 31)
        add_rate(session, rate=Decimal(95), currency="GBP", valid_from=date(2026, 2, 1))
        add_rate(session, rate=Decimal(500), currency="GBP", task_id=firm.task)
        firm.work(session, worked_on=date(2026, 2, 2))
        return draft_invoice(session, billable_groups(session, ["client"])[0]).to_record()

    later = hub.transact(raise_prices)
    assert later.net == 500  # the task's own rate
    with hub.read() as session:
        from hub.core.invoicing.service import get_invoice

        assert get_invoice(session, draft).net == 80


def test_of_two_rates_for_the_same_work_saved_at_once_the_second_sees_the_first(hub, firm):
    added, second_done = Event(), Event()

    def add(session, day):
        return add_rate(session, rate=Decimal(90), currency="GBP", client_id=firm.client, valid_from=day)

    def first(session):
        add(session, date(2026, 1, 1))
        session.flush()
        added.set()
        second_done.wait(0.3)  # it must not be done before this transaction is

    def second():
        added.wait(30)
        try:
            with pytest.raises(RuleBroken, match="A rate of 90 GBP from 2026-01-01"):
                hub.transact(lambda session: add(session, date(2026, 6, 1)) and None)
        finally:
            second_done.set()

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(second)
        hub.transact(first)
        waiting.result(30)


def the_rate(session):
    return session.scalars(select(RateCard)).one()


def test_an_ended_rate_makes_room_for_the_next(hub, firm):
    def work(session):
        end_rate(session, the_rate(session).id, valid_to=date(2026, 1, 31))
        return add_rate(session, rate=Decimal(95), currency="GBP", valid_from=date(2026, 2, 1)).valid_from

    assert hub.transact(work) == date(2026, 2, 1)


def test_an_ended_rate_cannot_be_prolonged_into_the_next_which_is_named(hub, firm):
    def replaced(session):
        old = the_rate(session).id
        return old, replace_rate(session, old, rate=Decimal(95), valid_from=date(2026, 2, 1)).id

    old, new = hub.transact(replaced)
    with pytest.raises(RuleBroken, match=f"A rate of 95 GBP from 2026-02-01 is for the same work .{new}."):
        hub.transact(lambda session: end_rate(session, old, valid_to=date(2026, 2, 1)) and None)


def test_a_replaced_rate_ends_the_day_before_and_the_new_one_ends_when_it_would_have(hub, firm):
    def work(session):
        old = end_rate(session, the_rate(session).id, valid_to=date(2026, 12, 31))
        new = replace_rate(session, old.id, rate=Decimal(95), valid_from=date(2026, 7, 1))
        return [(card.rate, card.valid_from, card.valid_to) for card in (old, new)]

    assert hub.transact(work) == [
        (80, date(1900, 1, 1), date(2026, 6, 30)),
        (95, date(2026, 7, 1), date(2026, 12, 31)),
    ]


@pytest.mark.parametrize("day", [date(1900, 1, 1), date(2027, 1, 1)])
def test_a_rate_is_not_replaced_from_a_day_it_does_not_cover(hub, firm, day):
    def work(session):
        old = end_rate(session, the_rate(session).id, valid_to=date(2026, 12, 31))
        replace_rate(session, old.id, rate=Decimal(95), valid_from=day)

    with pytest.raises(RuleBroken, match=f"not from {day} on") as refusal:
        hub.transact(work)
    assert list(refusal.value.fields) == ["valid_from"]
