"""Tax on a sale in the vendor's two models: sent and honoured in the US, computed per rate elsewhere."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from plugins.quickbooks.sandbox import faults
from plugins.quickbooks.sandbox.books import Books, Entity, amount, cents, number, only_known

CALCULATIONS = ("TaxExcluded", "TaxInclusive", "NotApplicable")


def check_line_code(books: Books, detail: Entity, item: Entity) -> None:
    """Check a sales line's TaxCodeRef; in the US a missing one is taken from the item."""
    if books.state["country"] == "US":
        detail.setdefault("TaxCodeRef", {"value": "TAX" if item.get("Taxable") else "NON"})
    elif "TaxCodeRef" not in detail:
        raise faults.business("Make sure all your transactions have a tax code before you save")
    books.referenced("TaxCode", detail["TaxCodeRef"], "TaxCodeRef")


def tax_detail(books: Books, values: Entity, *, us_rate: Decimal | None, ignores_sent_tax: bool) -> Entity | None:
    """The TxnTaxDetail of a sale with checked lines. None: the company uses no sales tax.

    us_rate: per cent that automated sales tax would take; None: the company lacks automated tax.
    """
    if not books.state["using_sales_tax"]:
        return None
    sent = values.get("TxnTaxDetail") or {}
    if not isinstance(sent, dict):
        raise faults.unparsable("TxnTaxDetail is an object", "TxnTaxDetail")
    only_known(sent, {"TotalTax", "TaxLine", "TxnTaxCodeRef"}, "TxnTaxDetail.")
    if books.state["country"] == "US":
        return _us_detail(values, {} if ignores_sent_tax else sent, us_rate)
    if "GlobalTaxCalculation" not in values:
        raise faults.missing("GlobalTaxCalculation")
    if values["GlobalTaxCalculation"] not in CALCULATIONS:
        raise faults.invalid_enumeration("GlobalTaxCalculation", values["GlobalTaxCalculation"])
    if values["GlobalTaxCalculation"] == "NotApplicable":
        return {"TotalTax": Decimal("0.00"), "TaxLine": []}
    computed = _tax_lines(books, values)
    if "TotalTax" in sent and "TaxLine" in sent and not ignores_sent_tax:
        computed = _overridden(computed, sent)
    return {"TotalTax": sum((line["Amount"] for line in computed), Decimal("0.00")), "TaxLine": computed}


def _us_detail(values: Entity, sent: Entity, us_rate: Decimal | None) -> Entity:
    base = sum((line["Amount"] for line in _sales_lines(values) if _code(line) == "TAX"), Decimal(0))
    taxed = any(_code(line) == "TAX" for line in _sales_lines(values))
    if "TotalTax" in sent:
        total = amount(sent["TotalTax"], "TotalTax")
        return {"TotalTax": total if taxed else Decimal("0.00"), "TaxLine": []}  # no taxed line, no base
    return {"TotalTax": cents(base * (us_rate or 0) / 100), "TaxLine": []}


def _tax_lines(books: Books, values: Entity) -> list[dict[str, Any]]:
    bases: dict[str, Decimal] = {}
    for line in _sales_lines(values):
        code = books.get("TaxCode", _code(line))
        for rate in code["SalesTaxRateList"]["TaxRateDetail"]:
            id = rate["TaxRateRef"]["value"]
            bases[id] = bases.get(id, Decimal(0)) + line["Amount"]
    return [_tax_line(books.get("TaxRate", id), base) for id, base in bases.items()]


def _tax_line(rate: Entity, base: Decimal) -> dict[str, Any]:
    percent = Decimal(rate["RateValue"])
    detail = {"TaxRateRef": {"value": rate["Id"]}, "PercentBased": True, "TaxPercent": percent}
    return {
        "Amount": cents(base * percent / 100),  # rounded once per rate
        "DetailType": "TaxLineDetail",
        "TaxLineDetail": detail | {"NetAmountTaxable": base},
    }


def _overridden(computed: list[dict[str, Any]], sent: Entity) -> list[dict[str, Any]]:
    """The sent amounts, if there is one tax line for every rate and they add up."""
    amounts = {}
    for line in sent["TaxLine"]:
        detail = line.get("TaxLineDetail") or {}
        id = str((detail.get("TaxRateRef") or {}).get("value"))
        amounts[id] = amount(line.get("Amount"), "TaxLine.Amount")
    if set(amounts) != {line["TaxLineDetail"]["TaxRateRef"]["value"] for line in computed}:
        raise faults.business("An overriding TxnTaxDetail needs one TaxLine for every rate of the tax codes")
    if sum(amounts.values()) != number(sent["TotalTax"], "TotalTax"):
        raise faults.business("TotalTax is not the sum of the TaxLines")
    return [line | {"Amount": amounts[line["TaxLineDetail"]["TaxRateRef"]["value"]]} for line in computed]


def _sales_lines(values: Entity) -> list[Entity]:
    return [line for line in values["Line"] if line["DetailType"] == "SalesItemLineDetail" and "Amount" in line]


def _code(line: Entity) -> str:
    return str(line["SalesItemLineDetail"]["TaxCodeRef"]["value"])
