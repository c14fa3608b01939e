"""Signing in, the first steps, home, search, questions and errors."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from markupsafe import Markup

from tests.web.samples.frame import DEAL_HISTORY, NOW, button, frame, history

SAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "login": ("pages/login.html", {"email": "", "next": "/", "csrf_token": "t"}),
    "login_refused": (
        "pages/login.html",
        {"email": "amara@northgate.example", "error": "E-mail or password is wrong.", "csrf_token": "t"},
    ),
    "reset_password": (
        "pages/reset_password.html",
        {"person": "Amara Okafor", "href": "#", "errors": {"repeat": "The two are not the same."}, "csrf_token": "t"},
    ),
    "reset_password_used": ("pages/reset_password.html", {"person": None, "href": "#", "csrf_token": "t"}),
    "first_admin": (
        "pages/first_admin.html",
        {
            "values": {"name": "Amara Okafor", "country": "GB", "currency": "POUND"},
            "errors": {"currency": "“POUND” is no currency. Use a three-letter ISO 4217 code such as GBP."},
            "href": "#",
            "csrf_token": "t",
        },
    ),
    "password": ("pages/password.html", frame()),
    "shortcuts": ("pages/shortcuts.html", frame()),
    "first_run": (
        "pages/first_run.html",
        frame(
            active="Home",
            finished=False,
            steps=[
                {
                    "title": "Create an administrator",
                    "text": "You are signed in as Amara Okafor.",
                    "done": True,
                    "skipped": False,
                    "actions": [],
                },
                {
                    "title": "Company and currency",
                    "text": "Northgate Consulting Ltd bills in GBP and keeps London time.",
                    "done": True,
                    "skipped": False,
                    "actions": [],
                },
                {
                    "title": "Bring your data",
                    "text": "Import time and clients, or look around with a made-up firm first.",
                    "done": False,
                    "skipped": False,
                    "actions": [
                        button("Load demo data", "database"),
                        button("Import", "file-import", method="get", style="primary"),
                    ],
                    "skip_href": "#",
                },
                {
                    "title": "Connect a system",
                    "text": "Your CRM, your accounting. It starts read only.",
                    "done": False,
                    "skipped": False,
                    "actions": [button("Choose one", "plug", method="get", style="primary")],
                    "skip_href": "#",
                },
                {
                    "title": "Invite people",
                    "text": "Finance, consultants, partners.",
                    "done": False,
                    "skipped": True,
                    "actions": [button("Add a user", "user-plus", method="get")],
                    "skip_href": "#",
                },
                {
                    "title": "First sync",
                    "text": "See what would happen, then let it.",
                    "done": False,
                    "skipped": False,
                    "actions": [button("Sync now", "refresh", why="Connect a system first.")],
                },
            ],
        ),
    ),
    "home_admin": (
        "pages/home.html",
        frame(
            active="Home",
            messages=[{"tone": "good", "text": "Connection books was resumed."}],
            greeting="Good morning, Amara",
            note="Tuesday 24 November. Two of three systems are in step.",
            needs=[
                {
                    "title": "Connection crm needs to be signed in again",
                    "text": "Its refresh token was revoked over there. Nothing is lost: 12 changes wait.",
                    "href": "#",
                    "tone": "bad",
                    "icon": "plug-x",
                    "at": NOW - timedelta(minutes=40),
                },
                {
                    "title": "3 parked records in books",
                    "text": "Most frequent: the customer has no e-mail address.",
                    "href": "#",
                    "tone": "bad",
                    "icon": "alert-triangle",
                    "at": NOW - timedelta(hours=3),
                },
                {
                    "title": "4 clients to match with books",
                    "text": "Each has more than one possible partner over there.",
                    "href": "#",
                    "tone": "warn",
                    "icon": "link",
                    "at": NOW - timedelta(days=1),
                },
                {
                    "title": "Plugin chat was isolated",
                    "text": "It failed 5 times in a row; the hub goes on without it.",
                    "href": "#",
                    "tone": "warn",
                    "icon": "puzzle-off",
                    "at": NOW - timedelta(days=1),
                },
            ],
            kpis=[
                {
                    "label": "Sent today",
                    "value": "1,204",
                    "note": "all accepted but 3",
                    "href": "#",
                    "tone": "",
                    "symbol": "",
                    "points": [3, 5, 4, 8, 7, 12],
                },
                {
                    "label": "Waiting to be sent",
                    "value": "18",
                    "note": "oldest 4 seconds",
                    "href": "#",
                    "tone": "good",
                    "symbol": "clock",
                },
                {
                    "label": "Parked",
                    "value": "3",
                    "note": "2 more than yesterday",
                    "href": "#",
                    "tone": "bad",
                    "symbol": "trending-up",
                    "points": [0, 0, 1, 1, 3],
                },
                {
                    "label": "Connections in step",
                    "value": "2 of 3",
                    "note": "crm needs attention",
                    "href": "#",
                    "tone": "bad",
                    "symbol": "alert-triangle",
                },
            ],
            activity=history(
                ("Invoice INV-2026-0143 issued", "Felix Brandt", "send", "info"),
                ("Payment of €5,000.00 from Océane Énergie SA", "books", "cash", "good"),
                ("Client Lindqvist Logistik AB updated", "crm", "pencil", "calm"),
                ("Deal “Kestrel planning” approved", "Amara Okafor", "check", "good"),
            ),
            panels=[
                {
                    "title": "Deals",
                    "note": "From the partner portal",
                    "html": Markup('<p class="mb-0">2 deals wait for a decision.</p>'),
                }
            ],
            quick=[button("Connect a system", "plug", method="get")],
        ),
    ),
    "home_consultant": (
        "pages/home.html",
        frame(
            "consultant",
            "Home",
            greeting="Good morning, Chloé",
            note="15:30 of 37:30 hours entered this week.",
            needs=[],
            kpis=[
                {"label": "This week", "value": "15:30", "note": "22:00 to go", "href": "#"},
                {"label": "Billable", "value": "80 %", "note": "goal 75 %", "tone": "good", "symbol": "target"},
            ],
            activity=[],
            quick=[button("Enter time", "calendar-week", method="get", style="primary")],
        ),
    ),
    "home_partner": (
        "pages/home.html",
        frame(
            "partner",
            "Home",
            greeting="Good morning, Pavel",
            note="One deal needs your answer.",
            needs=[
                {
                    "title": "Protection of “Orchard rollout” ends in 7 days",
                    "text": "Close it or ask for more time.",
                    "href": "#",
                    "tone": "warn",
                    "icon": "hourglass",
                }
            ],
            kpis=[
                {"label": "Protected", "value": "4 deals", "note": "£310,000.00", "href": "#"},
                {"label": "With us", "value": "2 deals", "note": "decision due in 1 day", "href": "#"},
            ],
            activity=DEAL_HISTORY,
            quick=[button("Register a deal", "plus", method="get", style="primary")],
        ),
    ),
    "search": (
        "pages/search.html",
        frame(
            query="hart",
            groups=[
                {
                    "label": "Clients",
                    "icon": "building",
                    "hits": [{"label": "Hartwell & Sons", "note": "GB, 3 projects", "href": "#"}],
                },
                {
                    "label": "Invoices",
                    "icon": "file-invoice",
                    "hits": [{"label": "INV-2026-0143", "note": "Hartwell & Sons", "href": "#", "status": "overdue"}],
                },
            ],
        ),
    ),
    "search_nothing": ("pages/search.html", frame(query="zzz", groups=[])),
    "confirm": (
        "confirm.html",
        frame(
            title="Remove connection books?",
            text="Its settings and links are removed here. Nothing is deleted over there.",
            consequences=["1,043 invoices lose their link.", "6 changes that wait are never sent."],
            href="#",
            button="Remove connection",
            danger=True,
            back="#",
            typed="books",
            error="Type the name exactly: books.",
        ),
    ),
    "ignore": (
        "confirm.html",
        frame(
            title="Ignore INV-2026-0141?",
            text="It is not sent to books any more, unless you press Retry.",
            href="#",
            button="Ignore",
            back="#",
            reason=True,
        ),
    ),
    "error_403": (
        "error.html",
        frame(
            "partner",
            code=403,
            title="You may not see this",
            text="Your role does not include invoices. Ask an administrator if you need them.",
        ),
    ),
    "error_404": (
        "error.html",
        frame(
            code=404,
            title="There is no such page",
            text="No invoice has this address. It may have been a draft that was deleted.",
            back="/invoices",
        ),
    ),
    "error_409": (
        "error.html",
        frame(
            code=409,
            title="That is not possible now",
            text="Invoice INV-2026-0142 is issued; only a draft can be deleted.",
        ),
    ),
    "error_500": (
        "error.html",
        {
            "code": 500,
            "title": "Something went wrong here",
            "text": "It was logged and nothing was half done. Try again; if it stays, tell an administrator.",
            "request_id": "01JDE7Q2",
        },
    ),
}
