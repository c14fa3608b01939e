"""Which account and which tax codes are used, when nobody says so, and when somebody does."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hub.sdk import ConfigurationFailure
from plugins.quickbooks.company import codes_by_rate, facts_of, findings_of, income_account, plain

ACCOUNTS = [
    {"Id": "9", "Name": "Bank", "AccountType": "Bank"},
    {"Id": "5", "Name": "Sales", "AccountType": "Income", "AccountSubType": "SalesOfProductIncome", "AcctNum": "4000"},
    {"Id": "7", "Name": "Services", "AccountType": "Income", "AccountSubType": "ServiceFeeIncome"},
    {"Id": "8", "Name": "Interest", "AccountType": "Other Income"},
]
RATES = [{"Id": str(n), "RateValue": rate} for n, rate in [(1, 20), (2, 5), (3, 0), (4, Decimal("9.975"))]]


def code(id, name, *rates, taxable=True, applies="TaxOnAmount", **more):
    details = [{"TaxRateRef": {"value": rate}, "TaxTypeApplicable": applies} for rate in rates]
    return {"Id": id, "Name": name, "Taxable": taxable, "SalesTaxRateList": {"TaxRateDetail": details}, **more}


def test_plain_numbers():
    assert [plain(Decimal(text)) for text in ("20.000", "5.50", "0.00", "100", "9.975")] == [
        "20",
        "5.5",
        "0",
        "100",
        "9.975",
    ]


@pytest.mark.parametrize(("wanted", "id"), [("", "7"), ("sales", "5"), ("4000", "5"), ("8", "8"), ("Services", "7")])
def test_the_income_account(wanted, id):
    assert income_account(ACCOUNTS, wanted)["id"] == id


@pytest.mark.parametrize(("accounts", "wanted"), [(ACCOUNTS, "Bank"), (ACCOUNTS[:1], "")])
def test_no_such_income_account(accounts, wanted):
    with pytest.raises(ConfigurationFailure) as refused:
        income_account(accounts, wanted)
    assert refused.value.field == "income_account"


@pytest.mark.parametrize(
    ("codes", "rate", "picked"),
    [
        ([code("4", "20% RC", "1"), code("6", "20.0% S", "1")], "20", "6"),  # reverse charge is no plain code
        ([code("6", "Old", "1", Active=False), code("8", "New", "1")], "20", "8"),
        ([code("6", "Hidden", "1", Hidden=True), code("8", "Shown", "1")], "20", "8"),
        ([code("3", "Both", "2", "4"), code("2", "One", "1")], "14.975", "3"),  # 5 + 9.975
        ([code("3", "Zero", "3"), code("9", "No VAT", "3", taxable=False)], "0", "9"),
        ([code("3", "Zero", "3"), code("9", "Out of Scope", "3")], "0", "9"),
        ([code("3", "Zero", "3"), code("9", "No VAT", taxable=False)], "0", "9"),  # a code without any rate
        ([code("3", "Zero", "3"), code("2", "Purchases 20%")], "0", "3"),  # a code for purchases only
        ([code("2", "On top", "1", applies="TaxOnAmountPlusTax"), code("5", "Plain", "1")], "20", "5"),
    ],
)
def test_the_code_of_a_rate(codes, rate, picked):
    assert codes_by_rate(codes, RATES, {})[rate]["id"] == picked


def test_the_settings_choose_a_code():
    codes = [code("3", "Zero", "3"), code("9", "No VAT", "3", taxable=False)]
    assert codes_by_rate(codes, RATES, {"0": "zero"})["0"]["id"] == "3"
    assert codes_by_rate(codes, RATES, {"0": "9"})["0"]["id"] == "9"


@pytest.mark.parametrize(
    ("chosen", "text"), [({"20": "Zero"}, "rate of 0 %, not 20 %"), ({"20": "Gold"}, "There are: Zero")]
)
def test_a_wrong_choice_of_code_is_named(chosen, text):
    with pytest.raises(ConfigurationFailure, match=text) as refused:
        codes_by_rate([code("3", "Zero", "3")], RATES, chosen)
    assert refused.value.field == "tax_codes"


def test_a_company_without_a_code_for_untaxed_lines_is_not_ready():
    preferences = {"CurrencyPrefs": {"HomeCurrency": {"value": "GBP"}}, "TaxPrefs": {"UsingSalesTax": True}}
    facts = facts_of({"Country": "GB"}, preferences, ACCOUNTS, [code("6", "20.0% S", "1")], RATES, {})
    bad = [finding for finding in findings_of(facts, {"tax_mode": "ours"}) if not finding.ok]
    assert [(finding.name, finding.field) for finding in bad] == [("no tax", "tax_codes")]


def test_the_closing_date_and_switched_off_tax_are_told():
    preferences = {"TaxPrefs": {"UsingSalesTax": False}, "AccountingInfoPrefs": {"BookCloseDate": "2025-12-31"}}
    facts = facts_of({"Country": "US"}, preferences, ACCOUNTS, [], [], {})
    text = " ".join(finding.text for finding in findings_of(facts, {"tax_mode": "ours"}))
    assert facts["currency"] == "USD"
    assert "Sales tax is switched off" in text
    assert "closed up to 2025-12-31" in text
