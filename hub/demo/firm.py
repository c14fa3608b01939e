"""The firm of the demo: its people, its partner and the deal that is told of."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any, Final

COMPANY: Final = "Northwind Consulting Ltd"
RATE: Final = Decimal("95.00")
PASSWORD: Final = "northwind-demo"  # noqa: S105 (a stand-in's firm, on this machine only)
LOGINS: Final = {
    "admin": ("admin@northwind.example", "Alex Admin"),
    "finance": ("finance@northwind.example", "Fiona Finance"),
    "consultant": ("consultant@northwind.example", "Ada Byron"),
    "partner": ("partner@bluebird.example", "Pat Partner"),
}
PARTNER: Final = "Bluebird Partners"


def deal(target_close_on: date) -> dict[str, Any]:
    """What the partner registers, as the API takes it."""
    return {
        "external_id": "BB-2041",
        "title": "Customer data platform",
        "customer_name": "Orchard Insurance Ltd",
        "customer_website": "https://orchard-insurance.example",
        "customer_country": "GB",
        "customer_city": "Leeds",
        "customer_postcode": "LS1 4AP",
        "customer_street": "3 Park Row",
        "contact_name": "Imogen Hart",
        "contact_email": "imogen.hart@orchard-insurance.example",
        "contact_role": "CIO",
        "consent_to_contact": True,
        "business_problem": "Customer data lies in nine systems and no two of them agree on who a customer is.",
        "products": ["data"],
        "deal_type": "new",
        "amount": "64000.00",
        "currency": "GBP",
        "target_close_on": target_close_on.isoformat(),
    }
