"""What a deal registration must say, field by field. Source: partner_portal 1.3.

A draft may leave out anything, but what it says must have a sensible form. Submitting needs all of it. Both answer
with everything that is wrong at once, as field → one sentence, so that a form can show it beside the field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from babel import Locale

from hub.sdk import RuleBroken, currency_code, exponent
from plugins.partner_portal.normalisation import (
    folded,
    normalised_name,
    normalised_postcode,
    normalised_tax_id,
    registrable_domain,
    tax_scheme,
)

Values = Mapping[str, Any]
Check = Callable[[Any], str]

DEAL_TYPES: Final = ("new", "expansion", "renewal")
RECURRENCES: Final = ("one_off", "monthly", "annual")
STAGES: Final = ("prospect", "qualified", "technical_validation", "business_validation", "committed")
INVOLVEMENTS: Final = ("private", "visibility_only", "co_sell")
HELP: Final = ("architecture", "demo", "pricing", "proposal", "tender", "resource")

MOST_PRODUCTS: Final = 10
MOST_MONTHS_AHEAD: Final = 18
MOST_DECIMALS: Final = 2
"""What a deal is worth is an estimate: thousandths of a dinar are not asked for, and CRMs do not take them."""

_RESERVED = frozenset(["AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "XK", "ZZ"])
COUNTRIES: Final = frozenset(code for code in map(str, Locale("en").territories) if len(code) == 2) - _RESERVED
"""ISO 3166-1 alpha-2: what CLDR knows, less the codes that are reserved or its own."""

_WITHOUT_POSTCODE = """
AE AG AO AW BF BI BJ BO BS BW BZ CF CG CK CM DJ DM ER FJ GD GM GY HK KI KM MO MR MW NR NU QA RW SB SC SL SR ST
SY TD TG TK TO TV UG VU YE ZW
"""
WITHOUT_POSTCODE: Final = frozenset(_WITHOUT_POSTCODE.split())
"""Countries whose addresses have no postcode: there the city does its work. Source: UPU addressing systems."""

NEEDED_AT_SUBMIT: Final = {
    "title": "Give the deal a title of 3 to 120 characters.",
    "customer_name": "Name the customer as in its register of companies.",
    "customer_country": "Say which country the customer is in, as a two-letter code such as DE.",
    "contact_name": "Name the person at the customer you talk to.",
    "contact_email": "Give the e-mail address of the person at the customer.",
    "business_problem": "Say what the customer needs, in 20 to 2000 characters.",
    "products": "Choose 1 to 10 product families.",
    "amount": "Say what the deal is worth.",
    "currency": "Say in which currency the deal is.",
    "target_close_on": "Say when you expect to close the deal.",
    "deal_type": f"Say what kind of deal it is: {', '.join(DEAL_TYPES)}.",
    "recurrence": f"Say how the amount is paid: {', '.join(RECURRENCES)}.",
    "stage": f"Say how far the deal is: {', '.join(STAGES[1:])}.",
    "involvement": f"Say how we take part: {', '.join(INVOLVEMENTS)}.",
}

_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>.]+")
_PHONE = re.compile(r"\+?[0-9][0-9 ()./-]{4,30}(\s?(x|ext\.?)\s?[0-9]{1,6})?", re.IGNORECASE)
_MONTHS = 12


def faults_in_draft(values: Values, *, families: Collection[str]) -> dict[str, str]:
    """What is wrong with the form of what is said; what is left out or empty is not looked at.

    values: the deal's fields by name, amounts as Decimal, days as date. families: codes of the catalogue's families.
    """
    faults = {name: check(values[name]) for name, check in _CHECKS.items() if _is_said(values.get(name))}
    faults["products"] = _products_fault(values.get("products") or (), families)
    if _is_said(values.get("customer_tax_id")):
        faults["customer_tax_id"] = _tax_id_fault(values["customer_tax_id"], values.get("customer_country") or "")
    if _is_said(values.get("amount")) and not faults.get("amount") and not faults.get("currency"):
        faults["amount"] = _decimals_fault(values["amount"], values.get("currency") or "")
    return {name: fault for name, fault in faults.items() if fault}


def faults_at_submit(values: Values, *, families: Collection[str], today: date) -> dict[str, str]:
    """Everything that keeps a deal from being submitted. today: the day in the programme's time zone."""
    missing = {name: text for name, text in NEEDED_AT_SUBMIT.items() if not _is_said(values.get(name))}
    found = {
        "consent_to_contact": _consent_fault(values),
        "customer_website": _website_missing(values),
        "customer_postcode": _place_missing(values),
        "help_needed": _help_missing(values),
        "stage": _stage_fault(values),
        "target_close_on": _close_fault(values.get("target_close_on"), today),
    }
    found = {name: fault for name, fault in found.items() if fault}
    return found | missing | faults_in_draft(values, families=families)


def latest_close_on(today: date) -> date:
    """The last day a deal may be expected to close: 18 months ahead, or that month's last day."""
    months = today.year * _MONTHS + today.month - 1 + MOST_MONTHS_AHEAD
    year, month = divmod(months, _MONTHS)
    for day in range(today.day, today.day - 4, -1):
        try:
            return date(year, month + 1, day)
        except ValueError:
            continue
    raise AssertionError("every month has a 28th day")


def _is_said(value: Any) -> bool:
    return value is not None and value != "" and value != [] and value != ()


def _length(least: int, most: int) -> Check:
    def check(value: str) -> str:
        length = len(value.strip())
        return "" if least <= length <= most else f"Use {least} to {most} characters; it has {length}."

    return check


def _postcode_fault(value: str) -> str:
    if not normalised_postcode(value):
        return f"“{value}” is no postcode. Write it with its letters and digits."
    return _length(1, 20)(value)


def _name_fault(value: str) -> str:
    if not normalised_name(value):
        return f"“{value}” is no name. Write the customer's name with its letters."
    return _length(2, 200)(value)


def _one_of(options: tuple[str, ...]) -> Check:
    def check(value: str) -> str:
        return "" if value in options else f"“{value}” is not possible. Use one of: {', '.join(options)}."

    return check


def _website_fault(value: str) -> str:
    scheme, found, _ = value.strip().partition("://")
    if found and scheme.lower() != "https":
        return f"“{value}” does not begin with https. Write https://… or only the host, such as acme.com."
    if not registrable_domain(value):
        return f"“{value}” is not the address of a website. Write it like acme.com."
    return _length(1, 255)(value)


def _country_fault(value: str) -> str:
    return "" if value in COUNTRIES else f"“{value}” is not a country code. Use ISO 3166-1 alpha-2, such as DE."


def _tax_id_fault(value: str, country: str) -> str:
    if not country or tax_scheme(country) is None or normalised_tax_id(value, country):
        return ""
    return f"“{value}” is not a valid tax id in {country}: its length or check digits are wrong."


def _duns_fault(value: str) -> str:
    return "" if re.fullmatch(r"[0-9]{9}", re.sub(r"[ -]", "", value)) else f"“{value}” is not nine digits."


def _email_fault(value: str) -> str:
    return _length(1, 80)(value) if _EMAIL.fullmatch(value.strip()) else f"“{value}” is not an e-mail address."


def _phone_fault(value: str) -> str:
    return "" if _PHONE.fullmatch(value.strip()) else f"“{value}” is not a phone number. Write it like +49 30 901820."


def _amount_fault(value: Decimal) -> str:
    if not value.is_finite() or not 0 < value < Decimal(10) ** 12:
        return f"“{value}” is not an amount. Use a number above 0 and below a million million."
    return ""


def _currency_fault(value: str) -> str:
    try:
        return "" if currency_code(value) == value else f"“{value}” must be in capitals."
    except RuleBroken as refusal:
        return refusal.fields["currency"]


def _decimals_fault(amount: Decimal, currency: str) -> str:
    if not currency:
        return ""
    places = min(exponent(currency), MOST_DECIMALS)
    fits = amount == amount.quantize(Decimal(1).scaleb(-places))
    return "" if fits else f"An amount in {currency} has up to {places} decimals here; {amount} has more."


def _help_fault(value: Collection[str]) -> str:
    unknown = sorted(set(value) - set(HELP))
    return f"“{unknown[0]}” is no help we know. Use: {', '.join(HELP)}." if unknown else ""


def _products_fault(products: Collection[str], families: Collection[str]) -> str:
    if len(products) > MOST_PRODUCTS:
        return f"Choose at most {MOST_PRODUCTS} product families; there are {len(products)}."
    unknown = sorted(set(products) - set(families))
    if unknown:
        return f"“{unknown[0]}” is not a product family. Choose from: {', '.join(sorted(families)) or 'none yet'}."
    return "" if len(set(products)) == len(products) else "Name each product family once."


def _consent_fault(values: Values) -> str:
    if values.get("consent_to_contact") is None:
        return "Say whether we may contact the customer: true or false."
    return ""


def _website_missing(values: Values) -> str:
    if _is_said(values.get("customer_website")) or _is_said(values.get("no_website_reason")):
        return ""
    return "Give the customer's website, or the reason why it has none."


def _place_missing(values: Values) -> str:
    if _is_said(values.get("customer_postcode")):
        return ""
    country = values.get("customer_country") or ""
    if country not in WITHOUT_POSTCODE:
        return "Give the customer's postcode."
    return "" if folded(values.get("customer_city") or "") else f"{country} has no postcodes: give the customer's city."


def _help_missing(values: Values) -> str:
    if values.get("involvement") != "co_sell" or _is_said(values.get("help_needed")):
        return ""
    return f"Selling together needs the help you want: {', '.join(HELP)}."


def _stage_fault(values: Values) -> str:
    return "A prospect can be saved but not submitted: qualify it first." if values.get("stage") == STAGES[0] else ""


def _close_fault(value: date | None, today: date) -> str:
    if value is None:
        return ""
    if value < today:
        return f"{value} is in the past. Give the day you expect to close."
    latest = latest_close_on(today)
    return f"{value} is too far ahead. Give a day up to {latest}." if value > latest else ""


# An approved deal is frozen and goes on to a CRM, so no text is longer than what CRMs take for its like.
_CHECKS: Final[dict[str, Check]] = {
    "external_id": _length(1, 100),
    "title": _length(3, 120),
    "customer_name": _name_fault,
    "customer_website": _website_fault,
    "no_website_reason": _length(3, 200),
    "customer_country": _country_fault,
    "customer_region": _length(1, 80),
    "customer_city": _length(1, 40),
    "customer_postcode": _postcode_fault,
    "customer_street": _length(1, 200),
    "customer_tax_id": _length(2, 40),
    "customer_duns": _duns_fault,
    "contact_name": _length(2, 120),
    "contact_email": _email_fault,
    "contact_phone": _phone_fault,
    "contact_role": _length(1, 100),
    "business_problem": _length(20, 2000),
    "deal_type": _one_of(DEAL_TYPES),
    "amount": _amount_fault,
    "currency": _currency_fault,
    "recurrence": _one_of(RECURRENCES),
    "stage": _one_of(STAGES),
    "involvement": _one_of(INVOLVEMENTS),
    "help_needed": _help_fault,
}
