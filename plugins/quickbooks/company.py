"""What the mapping needs to know of a company, made from the vendor's answers by the connection test. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from hub.sdk import ConfigurationFailure, Finding, Values

Row = Mapping[str, Any]

_NO_TAX = re.compile(r"\b(no|non|ohne|hors|sans|out of scope|exempt|outside)\b", re.IGNORECASE)
_SPECIAL = re.compile(r"\b(reverse|rc|ec|ecg|ecs|moss|postponed|import|capital|purchases?)\b", re.IGNORECASE)
_INCOME_FIRST = ("ServiceFeeIncome", "SalesOfProductIncome", "OtherPrimaryIncome")


def plain(number: Decimal) -> str:
    """A number without needless zeros, as the facts name a tax rate: “20”, “5.5”, “0”."""
    return f"{number.normalize():f}" if number else "0"


def facts_of(
    company: Row,
    preferences: Row,
    accounts: Sequence[Row],
    tax_codes: Sequence[Row],
    tax_rates: Sequence[Row],
    settings: Values,
) -> Values:
    """Small JSON: country, currency, tax model, account and tax codes to use. Raises ConfigurationFailure."""
    country = str(company.get("Country", ""))
    currency = preferences.get("CurrencyPrefs") or {}
    tax = preferences.get("TaxPrefs") or {}
    is_us = country.upper() in {"US", "USA"}
    facts: Values = {
        "company": company.get("CompanyName", ""),
        "country": country,
        "currency": (currency.get("HomeCurrency") or {}).get("value", "USD" if is_us else ""),
        "multicurrency": bool(currency.get("MultiCurrencyEnabled")),
        "tax_model": "us" if is_us else "codes",
        "uses_sales_tax": bool(tax.get("UsingSalesTax", True)),
        "our_numbers": bool((preferences.get("SalesFormsPrefs") or {}).get("CustomTxnNumbers", True)),
        "closed_until": (preferences.get("AccountingInfoPrefs") or {}).get("BookCloseDate", ""),
        "income_account": income_account(accounts, settings.get("income_account", "")),
        "tax_codes": {},
    }
    if not is_us:
        facts["tax_codes"] = codes_by_rate(tax_codes, tax_rates, settings.get("tax_codes") or {})
    return facts


def income_account(accounts: Sequence[Row], wanted: str) -> dict[str, str]:
    """The account that new items are booked to: the one the settings name, or a sensible one."""
    income = [row for row in accounts if row.get("AccountType") in {"Income", "Other Income"}]
    if wanted:
        for row in income:
            if wanted.casefold() in {str(row.get(name, "")).casefold() for name in ("Id", "Name", "AcctNum")}:
                return {"id": str(row["Id"]), "name": str(row["Name"])}
        known = ", ".join(str(row["Name"]) for row in income) or "none"
        raise ConfigurationFailure(
            f"QuickBooks has no income account “{wanted}”. There are: {known}.", field="income_account"
        )
    if not income:
        raise ConfigurationFailure(
            "QuickBooks has no income account. Add one there, under Chart of accounts.", field="income_account"
        )
    best = min(income, key=lambda row: (_income_rank(row), _by_id(row)))
    return {"id": str(best["Id"]), "name": str(best["Name"])}


def codes_by_rate(tax_codes: Sequence[Row], tax_rates: Sequence[Row], chosen: Mapping[str, str]) -> dict[str, Values]:
    """Per tax rate the code to use: {"20": {"id", "name", "rates": [{"id", "percent"}]}}; "0" is for untaxed lines.

    chosen: the settings' own choice, rate → name or id. Else the plainest code of that rate; for untaxed lines the
    company's no-tax code comes before a zero rate, because most countries report the two differently.
    """
    percents = {str(row["Id"]): Decimal(str(row.get("RateValue", 0))) for row in tax_rates}
    usable = [row for row in tax_codes if row.get("Active", True) and not row.get("Hidden")]
    known: dict[str, list[tuple[Row, list[Values]]]] = {}
    for row in usable:
        rates = _rates_of(row, percents)
        if rates is not None:
            total = sum((Decimal(rate["percent"]) for rate in rates), Decimal(0))
            known.setdefault(plain(total), []).append((row, rates))
    picked = {
        key: min(rows, key=lambda pair: _untaxed_rank(pair) if key == "0" else _taxed_rank(pair))
        for key, rows in known.items()
    }
    for key, name in chosen.items():
        picked[key] = _chosen(usable, percents, key, name)
    return {
        key: {"id": str(row["Id"]), "name": str(row["Name"]), "rates": rates} for key, (row, rates) in picked.items()
    }


def findings_of(facts: Values, settings: Values) -> list[Finding]:
    """What the test tells a person: which account, currency and tax codes would be used."""
    account = facts["income_account"]
    more = " and others" if facts["multicurrency"] else ""
    findings = [
        Finding(True, "company", f"{facts['company']} ({facts['country'] or 'country not said'})."),
        Finding(True, "currency", f"The books are in {facts['currency']}{more}."),
        Finding(True, "income account", f"New services are booked to “{account['name']}”.", field="income_account"),
        *_tax_findings(facts, settings),
        _number_finding(facts),
    ]
    if facts["closed_until"]:
        findings.append(Finding(True, "closed books", f"The books are closed up to {facts['closed_until']}."))
    return findings


def _number_finding(facts: Values) -> Finding:
    if facts["our_numbers"]:
        return Finding(True, "numbers", "Invoices keep the hub's numbers.")
    text = "QuickBooks numbers invoices by itself (custom transaction numbers are off): its numbers are other ones."
    remedy = "Switch on custom transaction numbers there, under Account and settings, Sales."
    return Finding(False, "numbers", text, remedy)


def _tax_findings(facts: Values, settings: Values) -> Iterable[Finding]:
    mode = settings.get("tax_mode", "ours")
    if mode == "none":
        yield Finding(True, "tax", "No line is taxed.", field="tax_mode")
    elif not facts["uses_sales_tax"]:
        text = "Sales tax is switched off in QuickBooks: invoices with tax will be refused."
        yield Finding(True, "tax", text, "Switch it on there, under Taxes.", field="tax_mode")
    elif facts["tax_model"] == "us":
        how = "is sent and verified" if mode == "ours" else "is computed by QuickBooks"
        yield Finding(True, "tax", f"United States: lines are TAX or NON, the tax {how}.", field="tax_mode")
    else:
        yield from _code_findings(facts["tax_codes"])


def _code_findings(codes: Mapping[str, Values]) -> Iterable[Finding]:
    by_rate = sorted(codes.items(), key=lambda pair: Decimal(pair[0]))
    used = "; ".join(f"{rate} %: “{code['name']}”" for rate, code in by_rate if rate != "0")
    yield Finding(
        True, "tax codes", f"Every line has a tax code. {used or 'There is none with a rate'}.", field="tax_codes"
    )
    if "0" in codes:
        yield Finding(True, "no tax", f"Lines without tax are “{codes['0']['name']}”.", field="tax_codes")
    else:
        text = "There is no tax code for lines without tax."
        yield Finding(False, "no tax", text, "Name one in tax_codes, as “0=its name”.", field="tax_codes")


def _rates_of(code: Row, percents: Mapping[str, Decimal]) -> list[Values] | None:
    """The rates a sale with this code is charged; None for a code that compounds them or has unknown ones."""
    rates: list[Values] = []
    for detail in (code.get("SalesTaxRateList") or {}).get("TaxRateDetail") or []:
        id = str((detail.get("TaxRateRef") or {}).get("value", ""))
        if id not in percents or detail.get("TaxTypeApplicable", "TaxOnAmount") != "TaxOnAmount":
            return None
        rates.append({"id": id, "percent": plain(percents[id])})
    if not rates and code.get("Taxable") and not _NO_TAX.search(str(code.get("Name", ""))):
        return None  # a code for purchases only
    return rates


def _chosen(usable: Sequence[Row], percents: Mapping[str, Decimal], key: str, name: str) -> tuple[Row, list[Values]]:
    for row in usable:
        if name.casefold() in {str(row["Id"]).casefold(), str(row["Name"]).casefold()}:
            rates = _rates_of(row, percents) or []
            total = plain(sum((Decimal(rate["percent"]) for rate in rates), Decimal(0)))
            if total != key:
                raise ConfigurationFailure(
                    f"The tax code “{row['Name']}” has a rate of {total} %, not {key} %.", field="tax_codes"
                )
            return row, rates
    known = ", ".join(str(row["Name"]) for row in usable) or "none"
    raise ConfigurationFailure(f"QuickBooks has no tax code “{name}”. There are: {known}.", field="tax_codes")


def _untaxed_rank(pair: tuple[Row, list[Values]]) -> tuple[int, int, str]:
    code, rates = pair
    if code.get("Taxable") is False:
        rank = 0
    elif _NO_TAX.search(str(code.get("Name", ""))):
        rank = 1
    else:
        rank = 2 if rates else 3
    return (rank, *_by_id(code))


def _taxed_rank(pair: tuple[Row, list[Values]]) -> tuple[int, int, int, str]:
    code, rates = pair
    return (1 if _SPECIAL.search(str(code.get("Name", ""))) else 0, len(rates), *_by_id(code))


def _income_rank(account: Row) -> int:
    active = 0 if account.get("Active", True) else 10
    subtype = account.get("AccountSubType")
    first = _INCOME_FIRST.index(subtype) if subtype in _INCOME_FIRST else len(_INCOME_FIRST)
    return active + first + (5 if account.get("AccountType") == "Other Income" else 0)


def _by_id(row: Row) -> tuple[int, str]:
    text = str(row["Id"])
    return (int(text) if text.isdigit() else 0, text)
