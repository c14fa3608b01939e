"""How values look on a page."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from flask import Flask, g

from hub.web import display

NO_BREAK = "\N{NO-BREAK SPACE}"


@pytest.fixture(autouse=True)
def request_context():
    app = Flask("hub.web")
    with app.test_request_context():
        yield


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("1234.5", "GBP", "£1,234.50"),
        ("-5", "EUR", "\N{MINUS SIGN}€5.00"),
        ("1234", "JPY", "JP¥1,234"),  # no decimals in yen
        ("1.5", "KWD", f"KWD{NO_BREAK}1.500"),  # three in dinars; a code is set off from the figures
        (None, "GBP", ""),
    ],
)
def test_money(amount, currency, text):
    assert display.money(amount and Decimal(amount), currency) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (5400, "1:30"),
        (0, "0:00"),
        (36, "0.01"),  # finer than a minute: decimal hours
        (None, ""),
    ],
)
def test_hours(seconds, text):
    assert display.hours(seconds) == text


def test_an_instant_is_shown_in_the_time_zone_of_the_company():
    g.time_zone = "Europe/Berlin"

    assert display.instant(datetime(2026, 11, 24, 9, 30, tzinfo=UTC)) == "24 Nov 2026, 10:30"


def test_an_instant_may_be_ahead():
    g.now = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)

    assert display.ago(datetime(2026, 11, 24, 9, 27, tzinfo=UTC)) == "3 minutes ago"
    assert display.ago(datetime(2026, 11, 26, 9, 30, tzinfo=UTC)) == "in 2 days"


def test_days():
    assert display.day(date(2026, 11, 3)) == "3 Nov 2026"
    assert display.weekday(date(2026, 11, 3)) == "Tue 3 Nov"


def test_another_language_formats_in_its_own_way():
    g.locale = "de_DE"

    assert display.money(Decimal("1234.5"), "EUR") == f"1.234,50{NO_BREAK}€"


@pytest.mark.parametrize(("name", "text"), [("Ada King Lovelace", "AL"), ("Ada", "A"), ("", "")])
def test_initials(name, text):
    assert display.initials(name) == text


@pytest.mark.parametrize(("value", "text"), [(Decimal("6.2778"), "6.2778"), (Decimal("20.00"), "20"), (7488, "7,488")])
def test_a_number_shows_no_decimals_that_are_not_there(value, text):
    assert display.number(value) == text


def test_an_asset_has_an_address_that_changes_with_the_file():
    assert display.asset("hub.css").startswith("/static/hub.css?v=")
