"""What every sample starts from: the frame of a page, and values that several pages show."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal as D
from types import SimpleNamespace
from typing import Any
from uuid import UUID

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


ID = UUID("0193a5c1-7c1e-7b11-9d3a-2f1e5c7a9b01")


MENUS = {
    "admin": [
        ("", [("Home", "/", "home")]),
        (
            "Work",
            [
                ("Clients", "/clients", "building"),
                ("Projects", "/projects", "briefcase"),
                ("Time", "/time", "calendar-week"),
                ("Approvals", "/approvals", "clipboard-check"),
                ("Invoices", "/invoices", "file-invoice"),
                ("Deal review", "/partner/review", "heart-handshake"),
            ],
        ),
        (
            "Integration",
            [
                ("Connections", "/connections", "plug-connected"),
                ("Sync runs", "/runs", "refresh"),
                ("Parked records", "/parked", "alert-triangle"),
                ("Reconciliation", "/reconciliation", "scale"),
                ("Import", "/import", "file-import"),
            ],
        ),
        (
            "Administration",
            [
                ("Plugins", "/plugins", "puzzle"),
                ("Users", "/users", "users"),
                ("API keys", "/keys", "key"),
                ("Audit log", "/audit", "history"),
            ],
        ),
    ],
    "finance": [
        ("", [("Home", "/", "home")]),
        (
            "Billing",
            [
                ("Invoices", "/invoices", "file-invoice"),
                ("Reconciliation", "/reconciliation", "scale"),
                ("Approvals", "/approvals", "clipboard-check"),
            ],
        ),
        ("Work", [("Clients", "/clients", "building"), ("Projects", "/projects", "briefcase")]),
    ],
    "consultant": [
        ("", [("Home", "/", "home"), ("Time", "/time", "calendar-week"), ("Projects", "/projects", "briefcase")])
    ],
    "partner": [("", [("Home", "/", "home"), ("Deals", "/partner/deals", "heart-handshake")])],
}


PEOPLE = {
    "admin": ("Amara Okafor", "amara@northgate.example"),
    "finance": ("Felix Brandt", "felix@northgate.example"),
    "consultant": ("Chloé Martin", "chloe@northgate.example"),
    "partner": ("Pavel Novák", "pavel@bluepeak.example"),
}


def frame(role: str = "admin", active: str = "", **more: Any) -> dict[str, Any]:
    """The part of the context that every page gets."""
    name, email = PEOPLE[role]
    nav = [
        {
            "label": label,
            "items": [
                {
                    "label": text,
                    "href": href,
                    "icon": icon,
                    "active": text == active,
                    "count": 3 if text == "Parked records" else None,
                }
                for text, href, icon in items
            ],
        }
        for label, items in MENUS[role]
    ]
    return {
        "user": SimpleNamespace(name=name, email=email, role=role, permissions=set()),
        "nav": nav,
        "theme": "system",
        "company": "Northgate Consulting Ltd",
        "messages": [],
        "csrf_token": "sample-token",
        "shortcuts": [("i", "Invoices", "/invoices"), ("c", "Clients", "/clients"), ("t", "This week", "/time")],
        **more,
    }


def button(
    label: str, icon: str = "", *, method: str = "post", style: str = "default", why: str = ""
) -> dict[str, Any]:
    return {"label": label, "href": "#", "icon": icon, "method": method, "style": style, "why": why}


def history(*entries: tuple[str, str, str, str]) -> list[dict[str, Any]]:
    """Timeline entries: title, who, icon, tone; one a few hours before the other."""
    return [
        {"title": title, "who": who, "icon": icon, "tone": tone, "at": NOW - timedelta(hours=5 * index + 1)}
        for index, (title, who, icon, tone) in enumerate(entries)
    ]


SYSTEMS = [
    {
        "connection": "books",
        "remote_id": "Invoice 1043",
        "href": "#",
        "state": "in_step",
        "at": NOW - timedelta(minutes=4),
    },
    {
        "connection": "books-de",
        "remote_id": "",
        "state": "parked",
        "text": "Line 2: the tax code for 19 % is not set. Choose it in the connection's settings.",
        "action": button("Open settings", method="get"),
    },
]


INVOICES = [
    {
        "id": ID,
        "number": "INV-2026-0143",
        "status": "overdue",
        "client_name": "Hartwell & Sons",
        "project_name": "Warehouse planning",
        "dated_on": date(2026, 10, 31),
        "due_on": date(2026, 11, 14),
        "currency": "GBP",
        "total": D("18432.60"),
        "open": D("18432.60"),
        "systems": [{"name": "books", "state": "in_step"}],
    },
    {
        "id": ID,
        "number": "INV-2026-0142",
        "status": "part_paid",
        "client_name": "Océane Énergie SA",
        "project_name": "Data platform",
        "dated_on": date(2026, 10, 31),
        "due_on": date(2026, 11, 30),
        "currency": "EUR",
        "total": D("7250.00"),
        "open": D("2250.00"),
        "systems": [{"name": "books", "state": "in_step"}],
    },
    {
        "id": ID,
        "number": "INV-2026-0141",
        "status": "issued",
        "client_name": "Meridian Health Trust",
        "project_name": "Rota service",
        "dated_on": date(2026, 10, 31),
        "due_on": date(2026, 11, 30),
        "currency": "GBP",
        "total": D("960.12"),
        "open": D("960.12"),
        "systems": [{"name": "books", "state": "parked"}],
    },
    {
        "id": ID,
        "number": "INV-2026-0140",
        "status": "paid",
        "client_name": "Lindqvist Logistik AB",
        "project_name": "Route planner",
        "dated_on": date(2026, 9, 30),
        "due_on": date(2026, 10, 30),
        "currency": "SEK",
        "total": D("142800.00"),
        "open": D("0.00"),
        "systems": [{"name": "books", "state": "in_step"}],
    },
    {
        "id": ID,
        "number": "",
        "status": "draft",
        "client_name": "Hartwell & Sons",
        "project_name": "Support",
        "dated_on": date(2026, 11, 30),
        "due_on": date(2026, 12, 14),
        "currency": "GBP",
        "total": D("3120.00"),
        "open": D("3120.00"),
        "systems": [],
    },
]


CHECK = {
    "ok": False,
    "account_name": "Northgate Consulting Ltd",
    "environment": "sandbox",
    "seconds": D("0.8"),
    "findings": [
        {"ok": True, "name": "Sign in", "text": "The token was accepted.", "remedy": ""},
        {"ok": True, "name": "Company", "text": "Northgate Consulting Ltd, GB, GBP.", "remedy": ""},
        {
            "ok": False,
            "name": "Tax code for 20 %",
            "text": "No tax code has this rate.",
            "remedy": "Name one under Tax codes, or create it there.",
        },
    ],
}


LINEAGE = [
    {"kind": "Deal", "label": "Kestrel planning", "href": "#"},
    {"kind": "Opportunity", "label": "006-1182", "href": "#"},
    {"kind": "Project", "label": "Kestrel planning", "href": "#", "current": True},
    {"kind": "Invoices", "label": "2", "href": "#"},
    {"kind": "Commission", "label": "", "href": ""},
]


DEAL_HISTORY = history(("Submitted", "Pavel Novák", "send", "info"), ("Draft saved", "Pavel Novák", "pencil", "calm"))


EMPTY_FILTERS: dict[str, Any] = {}


ROLES = [("admin", "Administrator"), ("finance", "Finance"), ("consultant", "Consultant"), ("partner", "Partner")]
