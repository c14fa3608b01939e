"""What the conformance kit needs to grade this connector: the stand-in, and hands on its company."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from copy import deepcopy
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

from hub.testing.conformance import Bench, DoesNotHappen, RemoteUser, Subject, Trouble
from plugins.quickbooks import QuickBooks
from plugins.quickbooks.sandbox import faults
from plugins.quickbooks.sandbox.server import QuickBooksSandbox

VERIFIER_TOKEN = "verifier-token-5d1b"  # noqa: S105
NO_LIMITS = {"calls_per_minute": 0, "calls_per_second": 0, "batches_per_minute": 0, "calls_in_flight": 0}

_references = count(1)


class TrialCompany(QuickBooksSandbox):
    """A company whose messages are signed, and that refuses some names."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"country": "GB", "currency": "GBP", **NO_LIMITS, **options})
        self.refused_names: set[str] = set()

    def first_state(self) -> dict[str, Any]:
        """Tokens unlike those of any other company."""
        state = super().first_state()
        state["tokens"]["refresh"].clear()
        state["tokens"]["serial"] = 1000 * int(self.options["realm_id"][-3:]) + 1000
        return state

    def settings(self, url: str) -> dict[str, Any]:
        return {**super().settings(url), "webhook_verifier_token": VERIFIER_TOKEN}

    def _once(self, key: str, kind: str, operation: str, body: dict[str, Any], **more: Any) -> dict[str, Any]:
        if self.refused_names & {str(body.get("Name")), str(body.get("DisplayName"))}:
            raise faults.business("This name is not allowed here")
        return super()._once(key, kind, operation, body, **more)


class Bookkeeper(RemoteUser):
    """Somebody who works in the company's books."""

    kinds = {"services": "Item", "clients": "Customer", "invoices": "Invoice", "payments": "Payment"}
    sign_in = "/[.o]*"  # the discovery document and the token's own address
    sandbox: TrialCompany

    def prepare(self, bench: Bench, connection: UUID) -> None:
        """Payments come from customers that the hub knows: there is one, with an invoice."""
        bench.firm.make("invoices")
        bench.run("push", connection=connection)

    def add(self, stream: str, name: str) -> str:
        customer = self.sandbox.effects("create", "Customer", actor="api")[0].id
        return str(self.sandbox.receive_payment(customer, "1.25", reference=name[:21])["Id"])

    def change(self, stream: str, remote_id: str) -> None:
        reference = {"PaymentRefNum": f"Changed {next(_references)}"}
        self.sandbox._edit("Payment", self._row(stream, remote_id), reference)

    def stamp(self, stream: str, remote_id: str, at: datetime | None) -> None:
        if at is None:
            raise DoesNotHappen("QuickBooks stamps whatever is saved in it")
        self._row(stream, remote_id)["MetaData"]["LastUpdatedTime"] = at.isoformat(timespec="seconds")

    def spoil(self, stream: str, remote_id: str) -> None:
        self._row(stream, remote_id)["TotalAmt"] = "much"

    def remove(self, stream: str, remote_id: str) -> None:
        self.sandbox.delete_payment(remote_id)

    def copy(self, stream: str, remote_id: str) -> str:
        row = deepcopy(self._row(stream, remote_id))
        row["Id"] = f"{remote_id}9"
        self._rows(stream)[row["Id"]] = row
        return str(row["Id"])

    def refuse(self, stream: str, name: str) -> None:
        self.sandbox.refused_names.add(name)

    def allow(self, stream: str, name: str) -> None:
        self.sandbox.refused_names.remove(name)

    def values(self, stream: str, remote_id: str) -> Mapping[str, Any]:
        return self._row(stream, remote_id)

    def total(self, stream: str, remote_id: str) -> Decimal:
        return Decimal(str(self._row(stream, remote_id)["TotalAmt"]))

    def message(self, stream: str, remote_id: str) -> tuple[Mapping[str, str], bytes]:
        entity = {"name": self.kinds[stream], "id": remote_id, "operation": "Update"}
        change = {"realmId": self.sandbox.state["realm_id"], "dataChangeEvent": {"entities": [entity]}}
        body = json.dumps({"eventNotifications": [change]}).encode()
        signature = base64.b64encode(hmac.new(VERIFIER_TOKEN.encode(), body, hashlib.sha256).digest()).decode()
        return {"intuit-signature": signature}, body

    def standing(self) -> Any:
        return self.sandbox.state["entities"]

    def ids(self, stream: str) -> set[str]:
        return set(self._rows(stream))

    def _rows(self, stream: str) -> dict[str, Any]:
        rows: dict[str, Any] = self.sandbox.state["entities"][self.kinds[stream]]
        return rows

    def _row(self, stream: str, remote_id: str) -> dict[str, Any]:
        row: dict[str, Any] = self._rows(stream)[remote_id]
        return row


def subject() -> Subject:
    """The connector, and all that is to be tried on it."""
    return Subject(
        plugin="plugins.quickbooks",
        connector=QuickBooks,
        sandbox=TrialCompany,
        second_sandbox=lambda: TrialCompany(realm_id="9130350000000001", company="Second Company"),
        user=Bookkeeper,
        wrong_settings={
            "client_id": "",
            "client_secret": "",
            "realm_id": "my company",
            "refresh_token": "",
            "environment": "moon",
            "webhook_verifier_token": 5,
            "income_account": 5,
            "tax_mode": "perhaps",
            "tax_codes": "twenty",
            "base_url": "http://books.example",
            "discovery_url": "http://books.example",
        },
        wrong_credentials={"refresh_token": "somebody-elses-token"},
        owner="The makers of the hub",
        security_contact="security@psa-hub.example",
        licence="MIT",
        docs=Path(__file__).with_name("README.md"),
        hosts=("quickbooks.api.intuit.com", "sandbox-quickbooks.api.intuit.com", "*.intuit.com"),
        answers={
            "missing scope": lambda now: Trouble(
                "a token without the scope",
                status=403,
                body={
                    "Fault": {"Error": [{"Message": "Permission Denied", "code": "003100"}], "type": "AUTHORIZATION"}
                },
            ),
            "quota spent": None,
            "refused": lambda now: Trouble(
                "a call that is not valid",
                status=400,
                body={"Fault": {"Error": [{"Message": "Invalid", "code": "2010"}], "type": "ValidationFault"}},
            ),
        },
        small={"plugins.quickbooks.client.PAGE": 5},
        earlier_cursors={
            "payments": [{"v": 1, "since": (datetime.now().astimezone() - timedelta(days=40)).isoformat()}]
        },
    )
