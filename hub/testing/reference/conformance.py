"""What the kit needs to grade the notebook's connector."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

from hub.testing.conformance import RemoteUser, Subject, Trouble
from hub.testing.reference.connector import Notebook
from hub.testing.reference.sandbox import NotebookSandbox

_phones = count(1000)


class NotebookUser(RemoteUser):
    """Somebody who writes in the notebook."""

    sandbox: NotebookSandbox

    def add(self, stream: str, name: str) -> str:
        email = f"hello@{name.replace(' ', '-').lower()}.example"
        return self.sandbox.put(stream, None, {"name": name, "email": email, "phone": ""}, actor="user")

    def change(self, stream: str, remote_id: str) -> None:
        self.sandbox.put(stream, remote_id, {"phone": f"+44 20 {next(_phones)}"}, actor="user")

    def stamp(self, stream: str, remote_id: str, at: datetime | None) -> None:
        text = at and at.astimezone(UTC).isoformat(timespec="microseconds")
        self.sandbox.of(stream)[remote_id]["modified_at"] = text

    def spoil(self, stream: str, remote_id: str) -> None:
        self.sandbox.put(stream, remote_id, {"name": ""}, actor="user")

    def remove(self, stream: str, remote_id: str) -> None:
        self.sandbox.put(stream, remote_id, {"deleted": True}, actor="user")

    def copy(self, stream: str, remote_id: str) -> str:
        known = self.sandbox.of(stream)[remote_id]
        values = {name: value for name, value in known.items() if name not in ("id", "version")}
        return self.sandbox.put(stream, None, values, actor="user")

    def refuse(self, stream: str, name: str) -> None:
        self.sandbox.state["refused_names"].append(name)

    def allow(self, stream: str, name: str) -> None:
        self.sandbox.state["refused_names"].remove(name)

    def values(self, stream: str, remote_id: str) -> Mapping[str, Any]:
        return self.sandbox.of(stream)[remote_id]

    def total(self, stream: str, remote_id: str) -> Decimal:
        return Decimal(self.sandbox.of(stream)[remote_id]["total"])

    def ids(self, stream: str) -> set[str]:
        return {remote_id for remote_id, row in self.sandbox.of(stream).items() if not row.get("deleted")}


def subject() -> Subject:
    return Subject(
        plugin="hub.testing.reference",
        connector=Notebook,
        sandbox=NotebookSandbox,
        second_sandbox=lambda: NotebookSandbox(account="nb-2", token="second-token-77aa01"),  # noqa: S106
        user=NotebookUser,
        wrong_settings={"url": "notebook", "token": None},
        wrong_credentials={"token": "somebody-elses-token"},
        owner="The makers of the hub",
        security_contact="security@psa-hub.example",
        licence="MIT",
        docs=Path(__file__).with_name("README.md"),
        answers={
            "missing scope": lambda now: Trouble("a token without the scope", status=403, body={"error": "scope"}),
            "quota spent": lambda now: Trouble(
                "the day's calls are used up",
                status=429,
                headers={"X-Quota-Resets-At": (now + timedelta(hours=5)).isoformat()},
            ),
        },
        earlier_cursors={"clients": [{"v": 1, "at": None, "page": None}]},
        zones=True,
    )
