"""The partners' deals and the firm's answer to them."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal as D
from typing import Any

from tests.web.samples.frame import DEAL_HISTORY, ID, NOW, button, frame

DEAL = {
    "id": ID,
    "title": "New planning system for three sites",
    "status": "submitted",
    "customer": "Kestrel Foods plc",
    "website": "kestrelfoods.example",
    "country": "GB",
    "postcode": "LS1 4DY",
    "contact_name": "Imogen Hale",
    "contact_email": "imogen.hale@kestrelfoods.example",
    "products": ["Planning", "Analytics"],
    "deal_type": "new",
    "business_problem": "Three sites plan in spreadsheets; stock-outs cost them about a week of production a year.",
    "amount": D("86000"),
    "currency": "GBP",
    "target_close_on": date(2027, 2, 26),
    "external_id": "BP-2291",
    "submitted_at": NOW - timedelta(hours=20),
    "decided_at": None,
    "protected_until": None,
    "reason": "",
    "clock": "The decision is due in 1 day 4 hours.",
    "clock_tone": "info",
    "partner_name": "Bluepeak Partners",
    "tier": "Gold",
}


FORM_VALUES = {
    "customer_name": "Kestrel Foods plc",
    "customer_website": "kestrelfoods.example",
    "customer_country": "GB",
    "customer_postcode": "LS1 4DY",
    "title": DEAL["title"],
    "products": ["planning"],
    "deal_type": "new",
    "amount": "86000",
    "currency": "GBP",
}


DEAL_CHOICES = {
    "countries": [("GB", "United Kingdom"), ("DE", "Germany"), ("FR", "France")],
    "currencies": [("GBP", "GBP"), ("EUR", "EUR")],
    "deal_types": [("new", "New"), ("expansion", "Expansion"), ("renewal", "Renewal")],
    "products": [
        ("planning", "Planning"),
        ("analytics", "Analytics"),
        ("delivery", "Delivery"),
        ("support", "Support"),
    ],
}


SAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "partner_deals": (
        "partner_portal/deals.html",
        frame(
            "partner",
            "Deals",
            new_href="#",
            tabs=[
                ("All", "#", True, 3),
                ("Drafts", "#", False, 1),
                ("With us", "#", False, 1),
                ("Protected", "#", False, 1),
                ("Closed", "#", False, None),
            ],
            kpis=[
                {"label": "Protected", "value": "£86,000.00", "note": "1 deal"},
                {"label": "With us", "value": "1 deal", "note": "answer due in 1 day", "tone": "", "symbol": "clock"},
            ],
            deals=[
                {
                    "id": ID,
                    "title": DEAL["title"],
                    "customer": "Kestrel Foods plc",
                    "status": "submitted",
                    "amount": D("86000"),
                    "currency": "GBP",
                    "products": ["Planning", "Analytics"],
                    "clock": "decision due in 1 day 4 h",
                    "next_step": "wait for us",
                    "href": "#",
                },
                {
                    "id": ID,
                    "title": "Orchard rollout",
                    "customer": "Orchard Care",
                    "status": "approved",
                    "amount": D("31000"),
                    "currency": "GBP",
                    "products": ["Planning"],
                    "clock": "protected until 12 Feb (80 days)",
                    "next_step": "close it",
                    "href": "#",
                },
                {
                    "id": ID,
                    "title": "Pilot",
                    "customer": "Finch Labs",
                    "status": "draft",
                    "amount": None,
                    "currency": "GBP",
                    "products": [],
                    "clock": "",
                    "next_step": "submit it",
                    "href": "#",
                },
            ],
        ),
    ),
    "partner_deals_empty": (
        "partner_portal/deals.html",
        frame("partner", "Deals", new_href="#", tabs=[("All", "#", True, 0)], deals=[]),
    ),
    "partner_deal_customer": (
        "partner_portal/deal_form.html",
        frame(
            "partner",
            "Deals",
            step=1,
            href="#",
            values=FORM_VALUES,
            errors={"contact_email": "Contact e-mail is missing."},
            verdict={
                "code": "possible",
                "text": "A registration for a similar name exists. You may go on; we look at it.",
                "until": None,
            },
            **DEAL_CHOICES,
        ),
    ),
    "partner_deal_details": (
        "partner_portal/deal_form.html",
        frame(
            "partner",
            "Deals",
            step=2,
            href="#",
            values=FORM_VALUES,
            errors={},
            verdict={"code": "clear", "text": "Nobody holds it for these products.", "until": None},
            duplicates=[{"title": "Kestrel pilot", "href": "#", "status": "lost"}],
            **DEAL_CHOICES,
        ),
    ),
    "partner_deal": (
        "partner_portal/deal.html",
        frame(
            "partner",
            "Deals",
            deal=DEAL,
            verdict=None,
            lineage=[
                {"kind": "Deal", "label": "Kestrel planning", "href": "#", "current": True},
                {"kind": "Opportunity", "label": ""},
                {"kind": "Project", "label": ""},
            ],
            history=DEAL_HISTORY,
            actions=[button("Withdraw", "arrow-left", style="danger", method="get")],
        ),
    ),
    "partner_review_queue": (
        "partner_portal/review_queue.html",
        frame(
            active="Deal review",
            tabs=[("Waiting", "#", True, 2), ("Decided", "#", False, None)],
            deals=[
                {**DEAL, "verdict": "taken", "due_text": "due in 1 day 4 h", "due_tone": "warn", "href": "#"},
                {
                    **DEAL,
                    "title": "Pilot",
                    "verdict": "clear",
                    "due_text": "3 h overdue",
                    "due_tone": "bad",
                    "href": "#",
                },
            ],
        ),
    ),
    "partner_review": (
        "partner_portal/review.html",
        frame(
            active="Deal review",
            deal=DEAL,
            evidence=[
                {
                    "other_label": "Kestrel rollout",
                    "other_href": "#",
                    "partner_name": "Summit Systems",
                    "status": "approved",
                    "match": "strong",
                    "why": "same registrable domain kestrelfoods.example",
                    "products": ["Planning"],
                    "blocking": True,
                }
            ],
            compare={
                "left_title": "This deal",
                "right_title": "Kestrel rollout",
                "rows": [
                    ("Customer", "Kestrel Foods plc", "Kestrel Foods", False),
                    ("Domain", "kestrelfoods.example", "kestrelfoods.example", True),
                ],
            },
            allowed=["request_info", "reject"],
            why_not={"approve": "Summit Systems holds Planning for this customer until 12 Feb 2027."},
            reasons=[("duplicate", "Duplicate"), ("existing_customer", "Existing customer"), ("other", "Other")],
            errors={},
            values={},
            decide_href="#",
            lineage=[],
            history=DEAL_HISTORY,
        ),
    ),
}
