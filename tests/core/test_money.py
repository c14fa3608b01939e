"""Money: rounding, splitting without losing a cent, and how amounts are written."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.errors import RuleBroken
from hub.core.money import currency_code, exponent, money_text, rounded, rounded_to, split

TOTALS = st.decimals("-10000000", "10000000", places=2)
WEIGHTS = st.lists(st.decimals("0", "100000", places=3), min_size=1, max_size=40).filter(any)


@given(TOTALS, WEIGHTS)
def test_parts_add_up_to_the_total_and_none_is_a_cent_off(total, weights):
    parts = split(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - total * weight / sum(weights)) < D("0.0100001")


@given(TOTALS, WEIGHTS)
def test_the_parts_of_a_negative_total_mirror_those_of_the_positive(total, weights):
    assert split(-total, weights) == [-part for part in split(total, weights)]


@pytest.mark.parametrize(
    ("total", "weights", "places", "parts"),
    [
        ("100.00", [1, 1, 1], 2, ["33.34", "33.33", "33.33"]),  # a cent left over: ties go to the earlier part
        ("0.05", [1, 1], 2, ["0.03", "0.02"]),
        ("10.00", [1, 2], 2, ["3.33", "6.67"]),  # 3.333 and 6.666: the larger remainder gets it
        ("100", [1, 1, 1], 0, ["34", "33", "33"]),  # yen
        ("1.00", [0, 1, 0], 2, ["0.00", "1.00", "0.00"]),
        ("-100.00", [1, 1, 1], 2, ["-33.34", "-33.33", "-33.33"]),
        ("0.00", [3, 4], 2, ["0.00", "0.00"]),
    ],
)
def test_what_is_left_over_goes_to_the_largest_remainders(total, weights, places, parts):
    assert split(D(total), [D(weight) for weight in weights], places=places) == [D(part) for part in parts]


@pytest.mark.parametrize("weights", [[], [D(0)], [D(1), D(-1), D(5)]])
def test_weights_that_make_no_proportion_are_refused(weights):
    with pytest.raises(ValueError, match="weights"):
        split(D(1), weights)


@pytest.mark.parametrize(
    ("value", "places", "result"),
    [("0.125", 2, "0.13"), ("-0.125", 2, "-0.13"), ("2.5", 0, "3"), ("-2.5", 0, "-3"), ("0.1249", 2, "0.12")],
)
def test_halves_are_rounded_away_from_zero(value, places, result):
    assert rounded(D(value), places) == D(result)


@pytest.mark.parametrize(("currency", "places", "of_half"), [("JPY", 0, "1"), ("EUR", 2, "0.50"), ("KWD", 3, "0.500")])
def test_each_currency_has_its_decimals(currency, places, of_half):
    assert exponent(currency) == places
    assert rounded_to(D("0.5"), currency) == D(of_half)


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("96", "GBP", "96.00"),
        ("96.5000", "GBP", "96.50"),
        ("0.0375", "EUR", "0.0375"),
        ("1E+3", "JPY", "1000"),
        ("0", "KWD", "0.000"),
        ("-1.5", "EUR", "-1.50"),
    ],
)
def test_amounts_are_written_with_the_currencys_decimals_and_never_an_exponent(amount, currency, text):
    assert money_text(D(amount), currency) == text


def test_a_currency_is_written_in_capitals():
    assert currency_code(" eur ") == "EUR"


@pytest.mark.parametrize("text", ["", "EU", "EURO", "XYZ", "€"])
def test_what_is_no_currency_is_refused_by_name(text):
    with pytest.raises(RuleBroken, match="ISO 4217") as refusal:
        currency_code(text)
    assert list(refusal.value.fields) == ["currency"]
