"""The arithmetic of an invoice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.invoicing.rules import last_day_of_month, line_net, period_of, taxes_of, totals_of


@dataclass(frozen=True)
class Line:
    net: D
    tax_rate: D


LINES = st.lists(
    st.builds(
        Line,
        st.decimals("-100000", "1000000", places=2),
        st.sampled_from([D(0), D("5.5"), D(7), D(19), D(20), D("8.875")]),
    ),
    min_size=1,
    max_size=30,
)


@pytest.mark.parametrize(
    ("quantity", "rate", "currency", "net"),
    [
        ("1.25", "80", "GBP", "100.00"),
        ("0.33", "95.50", "EUR", "31.52"),  # 31.515
        ("2.15", "100.10", "EUR", "215.22"),  # 215.215
        ("1.25", "1001", "JPY", "1251"),  # 1251.25: yen have no decimals
        ("0.01", "12.3456", "KWD", "0.123"),
        ("-0.33", "95.50", "EUR", "-31.52"),  # rounds like its absolute value
    ],
)
def test_a_line_is_quantity_times_rate_rounded_once(quantity, rate, currency, net):
    assert line_net(D(quantity), D(rate), currency) == D(net)


def test_tax_is_rounded_once_for_all_lines_of_a_rate():
    # 3 x 0.33 = 0.99; 20 % of it is 0.198. Line by line it would be 3 x 0.07 = 0.21.
    (group,) = taxes_of([Line(D("0.33"), D(20))] * 3, "GBP")
    assert (group.base, group.tax) == (D("0.99"), D("0.20"))


def test_each_rate_has_a_group_of_its_own_the_exempt_too():
    lines = [Line(D("100.00"), D(19)), Line(D("50.00"), D(7)), Line(D("10.00"), D(0)), Line(D("0.50"), D(19))]
    assert [(g.rate, g.base, g.tax) for g in taxes_of(lines, "EUR")] == [
        (D(0), D("10.00"), D("0.00")),
        (D(7), D("50.00"), D("3.50")),
        (D(19), D("100.50"), D("19.10")),  # 19.095
    ]


@given(LINES)
def test_the_parts_of_a_document_add_up_to_its_totals(lines):
    groups, totals = taxes_of(lines, "EUR"), totals_of(lines, "EUR")
    assert sum(group.base for group in groups) == totals.net == sum(line.net for line in lines)
    assert sum(group.tax for group in groups) == totals.tax
    assert totals.total == totals.net + totals.tax
    assert all(abs(group.tax - group.base * group.rate / 100) <= D("0.005") for group in groups)


@pytest.mark.parametrize(
    ("day", "last"), [(date(2026, 2, 3), 28), (date(2028, 2, 29), 29), (date(2026, 4, 30), 30), (date(2026, 12, 1), 31)]
)
def test_an_invoice_is_dated_on_the_last_day_of_its_month(day, last):
    assert last_day_of_month(day) == day.replace(day=last)


def test_a_period_goes_from_the_first_to_the_last_day_worked():
    days = [date(2026, 3, 5), date(2026, 1, 9), date(2026, 2, 1)]
    assert period_of(days) == (date(2026, 1, 9), date(2026, 3, 5))
