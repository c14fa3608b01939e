"""What a registration must say, and what each field must look like."""

from datetime import date
from decimal import Decimal

import pytest

from plugins.partner_portal.requirements import (
    COUNTRIES,
    NEEDED_AT_SUBMIT,
    WITHOUT_POSTCODE,
    faults_at_submit,
    faults_in_draft,
    latest_close_on,
)
from plugins.partner_portal.rules import FIELDS

TODAY = date(2026, 11, 24)
FAMILIES = {"erp", "crm"}
COMPLETE = {
    "title": "ERP roll-out",
    "customer_name": "Acme GmbH",
    "customer_website": "acme.de",
    "customer_country": "DE",
    "customer_postcode": "10115",
    "contact_name": "Jo Doe",
    "contact_email": "jo@acme.de",
    "consent_to_contact": True,
    "business_problem": "Three ledgers that never agree.",
    "products": ["erp"],
    "deal_type": "new",
    "amount": Decimal("25000.00"),
    "currency": "EUR",
    "recurrence": "one_off",
    "target_close_on": date(2027, 3, 31),
    "stage": "qualified",
    "involvement": "visibility_only",
}


def at_submit(**changes):
    return faults_at_submit(COMPLETE | changes, families=FAMILIES, today=TODAY)


def test_a_complete_registration_has_no_fault():
    assert at_submit() == {}


def test_an_empty_draft_has_no_fault():
    assert faults_in_draft({}, families=FAMILIES) == {}


def test_an_empty_registration_names_everything_that_is_missing():
    needed = set(NEEDED_AT_SUBMIT) | {"consent_to_contact", "customer_website", "customer_postcode"}
    assert set(faults_at_submit({}, families=FAMILIES, today=TODAY)) == needed


@pytest.mark.parametrize("field", sorted(COMPLETE))
def test_every_field_of_the_complete_registration_is_needed(field):
    empty = None if field in ("amount", "target_close_on", "consent_to_contact") else "" if field != "products" else []
    assert list(at_submit(**{field: empty})) == [field]


WRONG = [
    ("external_id", "x" * 101),
    ("title", "ab"),
    ("title", "x" * 121),
    ("customer_website", f"acme.de/{'x' * 248}"),  # 8 + 248 = 256
    ("customer_region", "x" * 81),
    ("customer_city", "x" * 41),
    ("customer_name", "A"),
    ("customer_name", "x" * 201),
    ("customer_website", "http://acme.de"),
    ("customer_website", "ftp://acme.de"),
    ("customer_website", "not a host"),
    ("no_website_reason", "no"),
    ("customer_country", "Germany"),
    ("customer_country", "de"),
    ("customer_country", "EU"),
    ("customer_country", "XK"),
    ("customer_postcode", "1" * 21),
    ("customer_postcode", "-"),
    ("customer_name", "---"),
    ("customer_tax_id", "DE136695978"),
    ("customer_duns", "12345678"),
    ("customer_duns", "12345678a"),
    ("contact_name", "J"),
    ("contact_email", "jo.acme.de"),
    ("contact_email", "jo@acme"),
    ("contact_email", f"{'j' * 73}@acme.de"),
    ("contact_email", "a@b.de, c@d.de"),
    ("contact_phone", "call me"),
    ("business_problem", "too short"),
    ("business_problem", "x" * 2001),
    ("products", ["erp", "unknown"]),
    ("products", ["erp", "erp"]),
    ("products", ["erp"] * 11),
    ("deal_type", "old"),
    ("amount", Decimal(0)),
    ("amount", Decimal("-1.00")),
    ("amount", Decimal("1.005")),  # a euro has two decimals
    ("amount", Decimal("NaN")),
    ("amount", Decimal(10) ** 12),
    ("currency", "EURO"),
    ("currency", "eur"),
    ("recurrence", "weekly"),
    ("stage", "closing"),
    ("involvement", "full"),
    ("help_needed", ["money"]),
]


def test_an_amount_has_two_decimals_at_most_also_in_a_currency_with_three():
    assert at_submit(currency="KWD", amount=Decimal("25000.25")) == {}
    assert at_submit(currency="KWD", amount=Decimal("25000.255")) == {
        "amount": "An amount in KWD has up to 2 decimals here; 25000.255 has more."
    }


def test_a_text_that_is_too_long_names_its_limit():
    assert at_submit(title="x" * 121) == {"title": "Use 3 to 120 characters; it has 121."}


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_a_wrong_value_is_named_in_a_draft_and_at_submit(field, value):
    assert list(faults_in_draft(COMPLETE | {field: value}, families=FAMILIES)) == [field]
    assert list(at_submit(**{field: value})) == [field]


def test_every_field_but_consent_and_the_day_has_a_wrong_form_in_the_cases_or_takes_any_text():
    free_text = {"customer_region", "customer_city", "customer_street", "contact_role"}
    assert {field for field, _ in WRONG} | free_text | {"consent_to_contact", "target_close_on"} == FIELDS


RIGHT = [
    ("customer_website", "https://www.acme.de/about"),
    ("customer_tax_id", "DE 136 695 976"),
    ("customer_duns", "12-345-6789"),
    ("contact_phone", "+49 (30) 901820-0 ext. 12"),
    ("consent_to_contact", False),  # it must be said, not granted
    ("business_problem", "x" * 20),
    ("business_problem", "x" * 2000),
    ("target_close_on", TODAY),
    ("target_close_on", date(2028, 5, 24)),  # 18 months
    ("products", ["erp", "crm"]),
]


@pytest.mark.parametrize(("field", "value"), RIGHT)
def test_a_right_value_passes(field, value):
    assert at_submit(**{field: value}) == {}


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("target_close_on", date(2026, 11, 23), "2026-11-23 is in the past. Give the day you expect to close."),
        ("target_close_on", date(2028, 5, 25), "2028-05-25 is too far ahead. Give a day up to 2028-05-24."),
        ("stage", "prospect", "A prospect can be saved but not submitted: qualify it first."),
    ],
)
def test_what_only_counts_at_submit(field, value, text):
    assert faults_in_draft(COMPLETE | {field: value}, families=FAMILIES) == {}
    assert at_submit(**{field: value}) == {field: text}


def test_no_website_needs_a_reason():
    assert at_submit(customer_website="", no_website_reason="The shop has none.") == {}


def test_selling_together_needs_the_help_wanted():
    assert list(at_submit(involvement="co_sell")) == ["help_needed"]
    assert at_submit(involvement="co_sell", help_needed=["demo"]) == {}


def test_a_country_without_postcodes_needs_the_city_instead():
    assert at_submit(customer_country="AE", customer_postcode="", customer_city="Dubai") == {}
    assert list(at_submit(customer_country="AE", customer_postcode="")) == ["customer_postcode"]


def test_a_yen_has_no_decimals():
    assert at_submit(amount=Decimal(25000), currency="JPY") == {}
    assert list(at_submit(amount=Decimal("25000.5"), currency="JPY")) == ["amount"]


def test_countries_are_the_249_of_the_standard():
    assert len(COUNTRIES) == 249
    assert WITHOUT_POSTCODE < COUNTRIES


@pytest.mark.parametrize(
    ("today", "latest"),
    [
        (date(2026, 8, 31), date(2028, 2, 29)),  # February 2028 has 29 days
        (date(2025, 8, 30), date(2027, 2, 28)),
        (date(2026, 6, 15), date(2027, 12, 15)),
        (date(2026, 7, 1), date(2028, 1, 1)),
    ],
)
def test_eighteen_months_ahead(today, latest):
    assert latest_close_on(today) == latest
