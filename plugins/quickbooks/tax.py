"""Tax outside the US: when QuickBooks, computing per rate of a code, would come to another cent than the hub. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from hub.sdk import InvoiceRecord, TaxGroup, Values, rounded
from plugins.quickbooks.company import plain


def overriding_tax(invoice: InvoiceRecord, codes: Mapping[str, Values]) -> dict[str, Any] | None:
    """A TxnTaxDetail with our tax, or None when QuickBooks comes to the same by itself.

    The hub rounds once per rate; a code of two rates (5 % and 9.975 %) is rounded twice over there. An override needs
    one line for every rate of the codes, and the lines add up to ours. Vendor's page "Manage sales tax for non-US".
    """
    percents: dict[str, Decimal] = {}
    bases: dict[str, Decimal] = {}
    ours: dict[str, Decimal] = {}
    for group in invoice.taxes:
        code = codes.get(plain(group.rate))
        if code is None:
            return None
        shares = _shares(group, code["rates"])
        for rate, share in zip(code["rates"], shares, strict=True):
            id = rate["id"]
            percents[id] = Decimal(rate["percent"])
            bases[id] = bases.get(id, Decimal(0)) + group.base
            ours[id] = ours.get(id, Decimal(0)) + share
    # One rate can stand in several codes: over there it is rounded once over all of them.
    theirs = sum((rounded(bases[id] * percents[id] / 100) for id in bases), Decimal(0))
    if theirs == invoice.tax:
        return None
    lines = [_tax_line(id, ours[id], percents[id], bases[id]) for id in ours]
    return {"TotalTax": f"{sum(ours.values(), Decimal(0)):.2f}", "TaxLine": lines}


def _shares(group: TaxGroup, rates: Sequence[Values]) -> list[Decimal]:
    """Our tax of one group, divided among the rates of its code: each rounded, the first takes what is left over."""
    shares = [rounded(group.base * Decimal(rate["percent"]) / 100) for rate in rates]
    if shares:
        shares[0] += group.tax - sum(shares, Decimal(0))
    return shares


def _tax_line(rate_id: str, amount: Decimal, percent: Decimal, base: Decimal) -> dict[str, Any]:
    return {
        "Amount": f"{rounded(amount):f}",
        "DetailType": "TaxLineDetail",
        "TaxLineDetail": {
            "TaxRateRef": {"value": rate_id},
            "PercentBased": True,
            "TaxPercent": plain(percent),
            "NetAmountTaxable": f"{rounded(base):f}",
        },
    }
