"""Plugins, users, keys, the audit log and imports."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal as D
from typing import Any

from tests.web.samples.frame import EMPTY_FILTERS, ID, NOW, ROLES, button, frame

SAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "plugins": (
        "pages/plugins.html",
        frame(
            active="Plugins",
            plugins=[
                {
                    "name": "quickbooks",
                    "title": "QuickBooks Online",
                    "text": "Invoices out, payments in.",
                    "version": "0.1",
                    "author": "PSA Hub",
                    "licence": "MIT",
                    "state": "enabled",
                    "hooks": ["connectors", "sandboxes"],
                    "actions": [button("Disable", "player-pause", method="get")],
                },
                {
                    "name": "chat",
                    "title": "",
                    "text": "Posts a line to a chat room.",
                    "version": "1.2",
                    "author": "You",
                    "licence": "MIT",
                    "state": "isolated",
                    "reason": "It failed 5 times in a row: the chat address is not set.",
                    "remedy": "Set CHAT_URL in its settings, then enable it again.",
                    "detail": "KeyError: 'CHAT_URL'\n  in invoice_issued",
                    "hooks": [],
                    "actions": [button("Enable again", "player-play")],
                },
            ],
        ),
    ),
    "users": (
        "pages/users.html",
        frame(
            active="Users",
            users=[
                {
                    "id": ID,
                    "name": "Amara Okafor",
                    "email": "amara@northgate.example",
                    "role": "admin",
                    "active": True,
                    "last_seen_at": NOW - timedelta(minutes=1),
                    "has_password": True,
                },
                {
                    "id": ID,
                    "name": "Pavel Novák",
                    "email": "pavel@bluepeak.example",
                    "role": "partner",
                    "partner_name": "Bluepeak Partners",
                    "active": True,
                    "last_seen_at": None,
                    "has_password": False,
                },
            ],
            roles=[
                {"name": "admin", "text": "Everything.", "permissions": ["Connect systems", "Manage users"]},
                {"name": "finance", "text": "Invoices and their books.", "permissions": ["Issue invoices"]},
            ],
        ),
    ),
    "user": (
        "pages/user.html",
        frame(
            active="Users",
            person={
                "id": ID,
                "name": "Pavel Novák",
                "email": "pavel@bluepeak.example",
                "role": "partner",
                "partner": "1",
                "active": True,
            },
            values={"name": "Pavel Novák", "email": "pavel", "role": "partner", "partner": "1", "active": True},
            errors={"email": "“pavel” is not an e-mail address."},
            roles=ROLES,
            partners=[("1", "Bluepeak Partners")],
            href="#",
            actions=[button("Link to set a password", "link")],
            link="https://hub.example/reset/3f9c0d1b-aa17",
        ),
    ),
    "user_new": (
        "pages/user.html",
        frame(active="Users", person=None, values={}, errors={}, roles=ROLES, partners=[], href="#"),
    ),
    "keys": (
        "pages/keys.html",
        frame(
            active="API keys",
            keys=[
                {
                    "id": ID,
                    "name": "Bluepeak CRM",
                    "prefix": "hub_9f2c",
                    "owner": "Pavel Novák",
                    "role": "partner",
                    "scopes": ["deals.own"],
                    "last_used_at": NOW - timedelta(hours=2),
                    "expires_on": date(2027, 6, 30),
                    "revoked_at": None,
                    "revoke_href": "#",
                },
                {
                    "id": ID,
                    "name": "Old script",
                    "prefix": "hub_11ab",
                    "owner": "Amara Okafor",
                    "role": "admin",
                    "scopes": None,
                    "last_used_at": None,
                    "expires_on": None,
                    "revoked_at": NOW,
                    "revoke_href": "#",
                },
            ],
            shows_owners=True,
            created={"name": "Warehouse script", "secret": "hub_5b1e9c7a20d94b0e8f1122334455667788"},
            values={"name": "", "limited": True, "scopes": ["clients.read"]},
            errors={},
            scopes=[("clients.read", "See clients and contacts"), ("invoices.read", "See invoices and payments")],
        ),
    ),
    "audit": (
        "pages/audit.html",
        frame(
            active="Audit log",
            filters=EMPTY_FILTERS,
            kinds=[("clients", "Clients"), ("invoices", "Invoices")],
            entries=[
                {
                    "id": ID,
                    "at": NOW,
                    "who": "Felix Brandt",
                    "via": "page",
                    "kind": "clients",
                    "record_label": "Hartwell & Sons",
                    "href": "#",
                    "action": "updated",
                    "changes": [
                        ("legal_name", "Hartwell & Sons", "Hartwell and Sons Limited"),
                        ("email", "", "accounts@hartwell.example"),
                    ],
                    "address": "10.0.0.7",
                },
                {
                    "id": ID,
                    "at": NOW - timedelta(hours=1),
                    "who": "crm",
                    "via": "sync",
                    "kind": "projects",
                    "record_label": "Kestrel planning",
                    "href": "#",
                    "action": "created",
                    "changes": [],
                    "address": "",
                },
            ],
        ),
    ),
    "imports": (
        "pages/imports.html",
        frame(
            active="Import",
            kinds=[("time", "Time"), ("clients", "Clients")],
            layouts=[("harvest", "Harvest detailed time")],
            values={"kind": "time", "create": True},
            errors={},
            report={
                "dry_run": True,
                "rows": 7488,
                "created": 7460,
                "unchanged": 0,
                "rejected": 28,
                "hours": D("52310.27"),
                "rejected_hours": D("512.5"),
                "faults": [
                    {
                        "line": 118,
                        "column": "Hours",
                        "value": "8,5h",
                        "reason": "Hours must be a number such as 8.5; “8,5h” is not.",
                    }
                ],
                "faults_href": "#",
                "batch_href": "#",
            },
            batches=[
                {
                    "id": ID,
                    "at": NOW - timedelta(days=3),
                    "who": "Amara Okafor",
                    "kind": "time",
                    "file_name": "harvest_october.csv",
                    "rows": 412,
                    "created": 412,
                    "rejected": 0,
                    "undone_at": None,
                    "undo_href": "#",
                }
            ],
        ),
    ),
}
