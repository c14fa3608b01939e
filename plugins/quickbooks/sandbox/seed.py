"""The first state of a company: its tax codes by country, its accounts, the items every new company has."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

# Per country: code name, taxable, its rates as (name, per cent). Rates and names as the vendor seeds them, shortened.
# Two rates in one code are charged side by side. Ids start at different numbers in each country, as they do there.
TAX_CODES: dict[str, tuple[tuple[str, bool, tuple[tuple[str, str], ...]], ...]] = {
    "GB": (
        ("20.0% S", True, (("VAT 20%", "20"),)),
        ("5.0% R", True, (("VAT 5%", "5"),)),
        ("0.0% Z", True, (("VAT 0%", "0"),)),
        ("Exempt", True, (("Exempt", "0"),)),
        ("No VAT", False, (("No VAT", "0"),)),
    ),
    "IE": (
        ("23.0% S", True, (("VAT 23%", "23"),)),
        ("13.5% R1", True, (("VAT 13.5%", "13.5"),)),
        ("0.0% Z", True, (("VAT 0%", "0"),)),
        ("No VAT", False, (("No VAT", "0"),)),
    ),
    "DE": (
        ("19% USt", True, (("USt 19%", "19"),)),
        ("7% USt", True, (("USt 7%", "7"),)),
        ("0% USt", True, (("USt 0%", "0"),)),
        ("Ohne USt", False, (("Ohne USt", "0"),)),
    ),
    "FR": (
        ("TVA 20%", True, (("TVA 20%", "20"),)),
        ("TVA 5,5%", True, (("TVA 5,5%", "5.5"),)),
        ("TVA 0%", True, (("TVA 0%", "0"),)),
        ("Hors TVA", False, (("Hors TVA", "0"),)),
    ),
    "CA": (
        ("GST", True, (("GST", "5"),)),
        ("GST/QST QC - 9.975", True, (("GST", "5"), ("QST 9.975", "9.975"))),
        ("HST ON", True, (("HST (ON) 2016", "13"),)),
        ("Zero-rated", True, (("GST 0%", "0"),)),
        ("Out of Scope", False, (("Out of Scope", "0"),)),
    ),
    "AU": (
        ("GST", True, (("GST", "10"),)),
        ("GST free", True, (("GST free", "0"),)),
        ("Out of Scope", False, (("Out of Scope", "0"),)),
    ),
    "": (
        ("Standard", True, (("Standard 20%", "20"),)),
        ("Reduced", True, (("Reduced 10%", "10"),)),
        ("Zero", True, (("Zero", "0"),)),
        ("No tax", False, (("No tax", "0"),)),
    ),
}
CURRENCIES = {"GB": "GBP", "IE": "EUR", "DE": "EUR", "FR": "EUR", "CA": "CAD", "AU": "AUD", "US": "USD"}
OFFSETS = {"US": "-08:00", "CA": "-05:00", "DE": "+01:00", "FR": "+01:00", "AU": "+10:00"}
EXCHANGE_RATES = {"USD": "1.00", "EUR": "1.10", "GBP": "1.30", "CAD": "0.72", "AUD": "0.65", "CHF": "1.15"}
"""US dollars for one unit; the stand-in's own, fixed figures."""

ACCOUNTS = (
    ("Services", "Income", "ServiceFeeIncome"),
    ("Sales of Product Income", "Income", "SalesOfProductIncome"),
    ("Accounts Receivable (A/R)", "Accounts Receivable", "AccountsReceivable"),
    ("Undeposited Funds", "Other Current Asset", "UndepositedFunds"),
    ("Checking", "Bank", "Checking"),
    ("Office Expenses", "Expense", "OfficeGeneralAdministrativeExpenses"),
)
LISTS = ("Customer", "Vendor", "Employee", "Item", "Account", "TaxCode", "TaxRate", "Term", "PaymentMethod")
DOCUMENTS = ("Invoice", "CreditMemo", "Payment")


def first_state(
    *, country: str, currency: str, multicurrency: bool, company: str, realm_id: str, using_sales_tax: bool
) -> dict[str, Any]:
    """A company with accounts, tax codes and the items of a new company, and no customers."""
    state: dict[str, Any] = {
        "realm_id": realm_id,
        "company": company,
        "country": country,
        "currency": currency or CURRENCIES.get(country, "EUR"),
        "offset": OFFSETS.get(country, "+00:00"),
        "multicurrency": multicurrency,
        "using_sales_tax": using_sales_tax,
        "closed_until": "",
        "next_id": 1,
        "entities": {kind: {} for kind in (*LISTS, *DOCUMENTS)},
        "deleted": {kind: {} for kind in DOCUMENTS},
        "answers": {},
        "tokens": {"serial": 0, "access": {}, "refresh": {}, "codes": []},
    }
    for name, kind, subtype in ACCOUNTS:
        account = {"Name": name, "FullyQualifiedName": name, "AccountType": kind, "AccountSubType": subtype}
        _add(state, "Account", account | {"CurrencyRef": {"value": state["currency"]}})
    income = {"value": next(iter(state["entities"]["Account"])), "name": "Services"}
    for name in ("Hours", "Services"):
        item = {"Name": name, "FullyQualifiedName": name, "Type": "Service", "IncomeAccountRef": income}
        _add(state, "Item", item | {"Taxable": False, "UnitPrice": Decimal(0)})
    _add(state, "Term", {"Name": "Net 30", "Type": "STANDARD", "DueDays": 30})
    _add_tax(state, country)
    return state


def _add_tax(state: dict[str, Any], country: str) -> None:
    if country == "US":
        for id, taxable in (("TAX", True), ("NON", False)):
            code = {"Name": id, "Taxable": taxable, "TaxGroup": False}
            _add(state, "TaxCode", code, id=id)
        return
    rates: dict[str, str] = {}
    for name, taxable, parts in TAX_CODES.get(country, TAX_CODES[""]):
        for rate_name, percent in parts:
            if rate_name not in rates:
                rate = {"Name": rate_name, "RateValue": Decimal(percent)}
                rates[rate_name] = _add(state, "TaxRate", rate)
        details = [
            {"TaxRateRef": {"value": rates[rate_name], "name": rate_name}, "TaxTypeApplicable": "TaxOnAmount"}
            for rate_name, _ in parts
        ]
        code = {"Name": name, "Taxable": taxable, "TaxGroup": True, "SalesTaxRateList": {"TaxRateDetail": details}}
        _add(state, "TaxCode", code)


def _add(state: dict[str, Any], kind: str, entity: dict[str, Any], *, id: str = "") -> str:
    if not id:
        id = str(state["next_id"])
        state["next_id"] += 1
    times = {
        "CreateTime": "2024-01-01T00:00:00" + state["offset"],
        "LastUpdatedTime": "2024-01-01T00:00:00" + state["offset"],
    }
    state["entities"][kind][id] = {"Id": id, "SyncToken": "0", "Active": True, **entity, "MetaData": times}
    return id
