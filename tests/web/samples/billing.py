"""Invoices and their reconciliation."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal as D
from typing import Any

from tests.web.samples.frame import EMPTY_FILTERS, ID, INVOICES, NOW, SYSTEMS, button, frame, history

INVOICE = {
    "id": ID,
    "number": "INV-2026-0142",
    "status": "part_paid",
    "client_id": ID,
    "client_name": "Océane Énergie SA",
    "bill_to": {
        "street": "14 quai des Chartrons",
        "city": "Bordeaux",
        "region": "",
        "postcode": "33000",
        "country": "FR",
    },
    "bill_to_email": "comptabilite@oceane.example",
    "project_id": ID,
    "project_name": "Data platform",
    "dated_on": date(2026, 10, 31),
    "due_on": date(2026, 11, 30),
    "currency": "EUR",
    "period_from": date(2026, 10, 1),
    "period_to": date(2026, 10, 31),
    "memo": "Thank you for your trust.",
    "po_reference": "PO-77120",
    "net": D("6041.67"),
    "tax": D("1208.33"),
    "total": D("7250.00"),
    "paid": D("5000.00"),
    "open": D("2250.00"),
    "company_name": "Northgate Consulting Ltd",
    "lines": [
        {
            "position": 1,
            "description": "Ingestion service, design and build",
            "service_name": "Engineering",
            "quantity": D("42.5"),
            "unit": "HUR",
            "rate": D("120.00"),
            "net": D("5100.00"),
            "tax_rate": D("20"),
        },
        {
            "position": 2,
            "description": "Workshops in Bordeaux",
            "service_name": "Consulting",
            "quantity": D("6.2778"),
            "unit": "HUR",
            "rate": D("150.00"),
            "net": D("941.67"),
            "tax_rate": D("20"),
        },
    ],
    "taxes": [{"rate": D("20"), "base": D("6041.67"), "tax": D("1208.33")}],
}


SAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "invoices": (
        "pages/invoices.html",
        frame(
            "finance",
            "Invoices",
            filters=EMPTY_FILTERS,
            invoices=INVOICES,
            totals=[
                {
                    "label": "Open",
                    "amounts": [(D("19392.72"), "GBP"), (D("2250.00"), "EUR")],
                    "href": "#",
                    "note": "3 invoices",
                },
                {
                    "label": "Overdue",
                    "amounts": [(D("18432.60"), "GBP")],
                    "href": "#",
                    "note": "oldest by 10 days",
                    "tone": "bad",
                },
                {"label": "Drafts", "amounts": [(D("3120.00"), "GBP")], "href": "#", "note": "1 to issue"},
                {"label": "Paid this month", "amounts": [(D("42110.05"), "GBP")], "href": "#"},
            ],
            note="1–5 of 5",
            actions=[
                button("Issue all drafts", "send"),
                button("Draft from approved time", "plus", method="get", style="primary"),
            ],
        ),
    ),
    "invoices_empty": (
        "pages/invoices.html",
        frame("finance", "Invoices", filters=EMPTY_FILTERS, invoices=[], totals=[]),
    ),
    "invoice": (
        "pages/invoice.html",
        frame(
            "finance",
            "Invoices",
            invoice=INVOICE,
            payments=[
                {
                    "received_on": date(2026, 11, 20),
                    "amount": D("5000.00"),
                    "currency": "EUR",
                    "reference": "SEPA 88120",
                    "source": "from books",
                }
            ],
            systems=SYSTEMS,
            lineage=[
                {"kind": "Project", "label": "Data platform", "href": "#"},
                {"kind": "Invoice", "label": "INV-2026-0142", "href": "#", "current": True},
                {"kind": "Payment", "label": "€5,000.00", "href": "#"},
            ],
            history=history(
                ("Payment received", "books", "cash", "good"),
                ("Sent to books", "hub", "upload", "info"),
                ("Issued as INV-2026-0142", "Felix Brandt", "send", "info"),
                ("Drafted from 31 time entries", "Felix Brandt", "pencil", "calm"),
            ),
            actions=[
                button("PDF", "download", method="get"),
                button("Cancel invoice", "ban", style="danger", method="get"),
            ],
        ),
    ),
    "invoice_draft": (
        "pages/invoice.html",
        frame(
            "finance",
            "Invoices",
            invoice={**INVOICE, "number": "", "status": "draft", "paid": D("0"), "open": D("7250.00")},
            problems=["Client Océane Énergie SA has no country: accounting needs one for tax.", "Line 2 has no rate."],
            payments=[],
            systems=[],
            actions=[
                button("Delete draft", "trash", style="danger"),
                button("Issue", "send", style="primary", why="Mend what is named below first."),
            ],
        ),
    ),
    "draft_invoices": (
        "pages/draft_invoices.html",
        frame(
            "finance",
            "Invoices",
            by="project,month",
            until="2026-10-31",
            preview=[
                {
                    "client_name": "Hartwell & Sons",
                    "project_name": "Warehouse planning",
                    "entries": 31,
                    "seconds": 153000,
                    "amount": D("3400.00"),
                    "currency": "GBP",
                    "text": "",
                },
                {
                    "client_name": "Meridian Health Trust",
                    "project_name": "Rota service",
                    "entries": 2,
                    "seconds": 10836,
                    "amount": None,
                    "currency": "GBP",
                    "text": "No rate for Tom Ashby on Testing.",
                },
            ],
        ),
    ),
    "payment": (
        "pages/payment.html",
        frame(
            "finance",
            "Invoices",
            invoice={
                "number": "INV-2026-0141",
                "client_name": "Meridian Health Trust",
                "currency": "GBP",
                "total": D("960.12"),
                "paid": D("100.00"),
            },
            values={"amount": "a lot", "received_on": "2026-11-24", "reference": "BACS 4711"},
            errors={"amount": "“a lot” is not an amount in GBP. Write it as 1234.50."},
            href="#",
            back="#",
        ),
    ),
    "reconciliation": (
        "pages/reconciliation.html",
        frame(
            "finance",
            "Reconciliation",
            connections=[("books", "books")],
            filters={"connection": "books", "from": "2026-10-01", "to": "2026-10-31"},
            compare_href="#",
            running=False,
            note="Differences first",
            result={
                "compared_at": NOW - timedelta(minutes=2),
                "equal": False,
                "counts": [
                    {"key": key, "count": count, "href": "#", "active": key == "amount_differs"}
                    for key, count in (
                        ("matched", 141),
                        ("missing_there", 1),
                        ("missing_here", 1),
                        ("amount_differs", 1),
                        ("tax_differs", 0),
                        ("paid_differs", 1),
                    )
                ],
                "totals": [
                    {
                        "currency": "GBP",
                        "ours": D("214880.10"),
                        "theirs": D("213919.98"),
                        "difference": D("960.12"),
                        "tax_ours": D("35813.35"),
                        "tax_theirs": D("35653.33"),
                        "paid_ours": D("190000.00"),
                        "paid_theirs": D("190000.00"),
                    },
                    {
                        "currency": "EUR",
                        "ours": D("7250.00"),
                        "theirs": D("7250.00"),
                        "difference": D("0"),
                        "tax_ours": D("1208.33"),
                        "tax_theirs": D("1208.33"),
                        "paid_ours": D("5000.00"),
                        "paid_theirs": D("5000.00"),
                    },
                ],
                "rows": [
                    {
                        "state": "missing_there",
                        "number": "INV-2026-0141",
                        "client_name": "Meridian Health Trust",
                        "on": date(2026, 10, 31),
                        "currency": "GBP",
                        "ours": D("960.12"),
                        "theirs": None,
                        "difference": D("960.12"),
                        "our_href": "#",
                        "text": "Parked: the customer has no e-mail address.",
                        "actions": [button("Fix", method="get")],
                    },
                    {
                        "state": "amount_differs",
                        "number": "INV-2026-0130",
                        "client_name": "Hartwell & Sons",
                        "on": date(2026, 10, 15),
                        "currency": "GBP",
                        "ours": D("1200.00"),
                        "theirs": D("1200.01"),
                        "difference": D("-0.01"),
                        "our_href": "#",
                        "their_href": "#",
                        "text": "Line 3 was edited over there.",
                        "actions": [],
                    },
                    {
                        "state": "matched",
                        "number": "INV-2026-0129",
                        "client_name": "Hartwell & Sons",
                        "on": date(2026, 10, 15),
                        "currency": "GBP",
                        "ours": D("480.00"),
                        "theirs": D("480.00"),
                        "difference": D("0"),
                        "our_href": "#",
                        "their_href": "#",
                        "text": "",
                        "actions": [],
                    },
                ],
            },
        ),
    ),
    "reconciliation_unconnected": (
        "pages/reconciliation.html",
        frame("finance", "Reconciliation", connections=[], filters=EMPTY_FILTERS, result=None),
    ),
}
