"""Adding rates."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from hub.core.errors import RuleBroken
from hub.core.invoicing.drafts import billable_groups, draft_invoice
from hub.core.rates.models import RateCard
from hub.core.rates.service import add_rate


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
