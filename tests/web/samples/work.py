"""Clients, projects, time and its approval."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal as D
from typing import Any

from tests.web.samples.frame import EMPTY_FILTERS, ID, INVOICES, LINEAGE, NOW, SYSTEMS, button, frame, history


def week(*, locked: bool = False) -> dict[str, Any]:
    monday = date(2026, 11, 23)
    days = [
        {
            "on": monday + timedelta(days=n),
            "today": n == 1,
            "weekend": n > 4,
            "total_seconds": [27000, 28800, 0, 0, 0, 0, 0][n],
        }
        for n in range(7)
    ]
    table = [
        ("Data platform", "Engineering", "Océane Énergie SA", True, [18000, 21600, 0, 0, 0, 0, 0]),
        ("Data platform", "Workshops", "Océane Énergie SA", True, [5400, 0, 0, 0, 0, 0, 0]),
        ("Internal", "Meetings", "Northgate", False, [3600, 7200, 0, 0, 0, 0, 0]),
    ]
    rows = [
        {
            "project_id": f"p{index}",
            "task_id": f"t{index}",
            "client_name": client,
            "project_name": project,
            "task_name": task,
            "billable": billable,
            "total_seconds": sum(seconds),
            "cells": [
                {
                    "on": days[n]["on"],
                    "text": f"{each // 3600}:{each % 3600 // 60:02}" if each else "",
                    "note": "Ingestion, retries" if each == 21600 else "",
                    "seconds": each,
                    "error": "",
                    "locked": "Approved on 24 Nov" if locked and each else "",
                }
                for n, each in enumerate(seconds)
            ],
        }
        for index, (project, task, client, billable, seconds) in enumerate(table)
    ]
    return {
        "week": {
            "key": "2026-W48",
            "name": "Week 48",
            "from_on": monday,
            "to_on": date(2026, 11, 29),
            "status": "approved" if locked else "open",
            "target_seconds": 135000,
            "total_seconds": 55800,
            "this": True,
        },
        "days": days,
        "rows": rows,
        "choices": [("a b", "Rota service · Testing"), ("a c", "Route planner · Support")],
        "previous_href": "#",
        "next_href": "#",
        "this_href": "#",
        "submit_why": "This week is approved." if locked else "",
    }


SAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "clients": (
        "pages/clients.html",
        frame(
            active="Clients",
            filters={"q": "", "show": "active"},
            clients=[
                {
                    "id": ID,
                    "name": "Hartwell & Sons",
                    "legal_name": "Hartwell and Sons Limited",
                    "currency": "GBP",
                    "country": "GB",
                    "projects": 3,
                    "open": [(D("21552.60"), "GBP")],
                    "archived": False,
                    "systems": [{"name": "crm", "state": "in_step"}, {"name": "books", "state": "parked"}],
                },
                {
                    "id": ID,
                    "name": "Océane Énergie SA",
                    "legal_name": "Océane Énergie SA",
                    "currency": None,
                    "country": "FR",
                    "projects": 1,
                    "open": [(D("2250.00"), "EUR"), (D("118.40"), "GBP")],
                    "archived": False,
                    "systems": [{"name": "crm", "state": "in_step"}],
                },
                {
                    "id": ID,
                    "name": "Lindqvist Logistik AB",
                    "legal_name": "",
                    "currency": "SEK",
                    "country": "SE",
                    "projects": 0,
                    "open": [],
                    "archived": False,
                    "systems": [],
                },
            ],
            previous=None,
            next="?after=x",
            note="1–3 of 96",
        ),
    ),
    "clients_empty": ("pages/clients.html", frame(active="Clients", filters=EMPTY_FILTERS, clients=[])),
    "client": (
        "pages/client.html",
        frame(
            active="Clients",
            client={
                "id": ID,
                "name": "Hartwell & Sons",
                "legal_name": "Hartwell and Sons Limited",
                "currency": "GBP",
                "tax_id": "GB123456789",
                "email": "accounts@hartwell.example",
                "phone": "+44 20 7946 0000",
                "website": "hartwell.example",
                "tax_exempt": False,
                "archived": False,
                "address": {
                    "street": "2 Quay Street",
                    "city": "Bristol",
                    "region": "",
                    "postcode": "BS1 4DJ",
                    "country": "GB",
                },
            },
            contacts=[
                {
                    "name": "Dora Hartwell",
                    "job_title": "Finance director",
                    "email": "dora@hartwell.example",
                    "phone": "",
                }
            ],
            projects=[
                {
                    "id": ID,
                    "name": "Warehouse planning",
                    "code": "HW-07",
                    "status": "active",
                    "currency": "GBP",
                    "budget": D("40000"),
                    "billed": D("18432.60"),
                }
            ],
            invoices=INVOICES[:2],
            systems=SYSTEMS,
            history=history(
                ("Legal name changed", "Felix Brandt", "pencil", "info"),
                ("Arrived from the CRM", "crm", "download", "good"),
            ),
            actions=[button("Edit", "pencil", method="get"), button("Archive", "archive", why="It has open invoices.")],
        ),
    ),
    "client_form": (
        "pages/client_form.html",
        frame(
            active="Clients",
            is_new=False,
            values={"name": "Hartwell & Sons", "legal_name": "Hartwell and Sons Limited", "currency": "GBQ"},
            errors={"currency": "“GBQ” is not a currency. Use a three-letter ISO 4217 code such as EUR."},
            href="#",
            back="#",
        ),
    ),
    "projects": (
        "pages/projects.html",
        frame(
            active="Projects",
            filters=EMPTY_FILTERS,
            projects=[
                {
                    "id": ID,
                    "name": "Warehouse planning",
                    "code": "HW-07",
                    "client_name": "Hartwell & Sons",
                    "client_id": ID,
                    "status": "active",
                    "starts_on": date(2026, 6, 1),
                    "ends_on": date(2027, 1, 31),
                    "currency": "GBP",
                    "budget": D("40000"),
                    "used": D("31220.50"),
                    "seconds": 1404900,
                },
                {
                    "id": ID,
                    "name": "Route planner",
                    "code": "",
                    "client_name": "Lindqvist Logistik AB",
                    "client_id": ID,
                    "status": "planned",
                    "starts_on": None,
                    "ends_on": None,
                    "currency": "SEK",
                    "budget": None,
                    "used": D("0"),
                    "seconds": 0,
                },
            ],
        ),
    ),
    "project": (
        "pages/project.html",
        frame(
            active="Projects",
            project={
                "id": ID,
                "name": "Kestrel planning",
                "code": "KF-01",
                "status": "active",
                "client_id": ID,
                "client_name": "Kestrel Foods plc",
                "starts_on": date(2026, 9, 1),
                "ends_on": None,
                "currency": "GBP",
                "budget": D("86000"),
            },
            used={"seconds": 1404900, "value": D("78044.00"), "billed": D("60000.00"), "unbilled": D("18044.00")},
            tasks=[
                {"name": "Engineering", "service": "Engineering", "billable": True, "seconds": 1200000},
                {"name": "Meetings", "service": None, "billable": False, "seconds": 204900},
            ],
            team=[{"name": "Chloé Martin", "seconds": 904800}, {"name": "Tom Ashby", "seconds": 500100}],
            invoices=INVOICES[:2],
            lineage=LINEAGE,
            systems=SYSTEMS[:1],
            history=history(("Won in the CRM", "crm", "star", "good")),
        ),
    ),
    "week": ("pages/week.html", frame("consultant", "Time", **week())),
    "week_returned": (
        "pages/week.html",
        frame("consultant", "Time", **{**week(locked=True), "comment": "Please split Monday by task."}),
    ),
    "week_empty": ("pages/week.html", frame("consultant", "Time", **{**week(), "rows": []})),
    "approvals": (
        "pages/approvals.html",
        frame(
            active="Approvals",
            filters=EMPTY_FILTERS,
            people=[("1", "Chloé Martin")],
            projects=[("1", "Data platform")],
            groups=[
                {
                    "key": "k",
                    "person_name": "Chloé Martin",
                    "week_name": "Week 47",
                    "seconds": 136800,
                    "billable_seconds": 110000 // 3600 * 3600,
                    "submitted_at": NOW - timedelta(days=1),
                    "warnings": ["11:30 hours on Thursday: more than the 10 hours of a day."],
                    "entries": [
                        {
                            "id": ID,
                            "worked_on": date(2026, 11, 16),
                            "client_name": "Océane Énergie SA",
                            "project_name": "Data platform",
                            "task_name": "Engineering",
                            "seconds": 27000,
                            "billable": True,
                            "note": "Ingestion, retries",
                            "warning": "",
                        },
                        {
                            "id": ID,
                            "worked_on": date(2026, 11, 19),
                            "client_name": "Northgate",
                            "project_name": "Internal",
                            "task_name": "Meetings",
                            "seconds": 41400,
                            "billable": False,
                            "note": "",
                            "warning": "long day",
                        },
                    ],
                }
            ],
        ),
    ),
    "approvals_empty": (
        "pages/approvals.html",
        frame(active="Approvals", filters=EMPTY_FILTERS, people=[], projects=[], groups=[]),
    ),
}
