"""A small remote system in memory with an effect ledger, and the connector that speaks to it.

Faults are played by naming what the next calls do: "lose" applies and drops the answer, "drop" does not even apply,
"down" refuses the connection.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace

from marshmallow import Schema, fields

from hub.sdk import (
    Change,
    CheckResult,
    Connector,
    Found,
    OutcomeUnknown,
    Page,
    PermanentFailure,
    Ref,
    RemoteRef,
    StatementLine,
    Stream,
    TemporaryFailure,
    hookimpl,
    money_text,
)
from hub.sync.connector import Outcome, Status


@dataclass
class Remote:
    """What exists over there, and every effect that was really applied."""

    records: dict[str, dict[str, dict]] = field(default_factory=dict)
    ledger: list[tuple[str, str, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    answers: dict[str, list] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    bad_names: set[str] = field(default_factory=set)
    pages: list[Page] = field(default_factory=list)
    keyed: bool = True
    lock: threading.RLock = field(default_factory=threading.RLock)

    def put(self, kind: str, remote_id: str | None, body: dict) -> tuple[str, str]:
        table = self.records.setdefault(kind, {})
        if remote_id is None:
            remote_id = f"{kind[0]}{len(table) + 1}"
            table[remote_id] = {"version": 0}
            self.ledger.append(("create", kind, remote_id))
        else:
            self.ledger.append(("update", kind, remote_id))
        table[remote_id] |= body
        table[remote_id]["version"] += 1
        return remote_id, str(table[remote_id]["version"])

    def created(self, kind: str) -> int:
        return sum(1 for op, of, _ in self.ledger if (op, of) == ("create", kind))


REMOTES: dict[str, Remote] = {}


class FakeSettings(Schema):
    account = fields.String(required=True, metadata={"title": "Account", "help": "Which one"})
    token = fields.String(load_default="", metadata={"title": "Token", "help": "A secret", "secret": True})


class Fake(Connector):
    """Pushes services, clients on demand and invoices; pulls contacts and payments."""

    name = "fake"
    title = "Fake"
    category = "Accounting"
    settings = FakeSettings
    call_timeout_s = 0.2
    streams = (
        Stream("services", "Services", pushes=True, batch_size=10, keyed=True, key_life_s=3600),
        Stream("clients", "Clients", pushes=True, pulls=True, on_demand=True, find_first=True, batch_size=10),
        Stream("invoices", "Invoices", pushes=True, batch_size=10, keyed=True, key_life_s=3600),
        Stream("payments", "Payments", pulls=True),
    )

    @property
    def remote(self) -> Remote:
        return REMOTES[self.context.settings["account"]]

    def check(self):
        self.remote.calls.append("check")
        return CheckResult(self.context.settings["account"], "The fake firm", "sandbox", facts={"currency": "GBP"})

    def needs(self, stream, record):
        if stream != "invoices":
            return ()
        services = dict.fromkeys(line.service_id for line in record.lines)
        return [Ref("clients", record.client_id), *(Ref("services", id) for id in services)]

    def body(self, stream, record, remote_ids, *, part=""):
        if stream == "invoices":
            return {
                "number": record.number,
                "client": remote_ids[Ref("clients", record.client_id)],
                "total": money_text(record.total, record.currency),
                "tax": money_text(record.tax, record.currency),
            }
        if record.name in self.remote.bad_names:
            raise PermanentFailure(f"{record.name} is no good name.", field="name")
        return {"name": record.name}

    def find(self, stream, sendings):
        self.remote.calls.append(f"find {stream}")
        wanted = {item.ref: item.body.get("number") or item.body.get("name") for item in sendings}
        return [
            Found(ref, remote_id, str(held["version"]), str(name), ours=held.get("name", held.get("number")) == name)
            for ref, name in wanted.items()
            for remote_id, held in self.remote.records.get(stream, {}).items()
            if str(name).split()[0] in str(held.get("name", held.get("number")))
        ]

    def push(self, batch):
        self.remote.calls.append(f"push {batch.stream}")
        fault = self.remote.faults.pop(0) if self.remote.faults else ""
        if fault == "down":
            raise TemporaryFailure("It cannot be reached.", retry_after_s=0)
        if fault == "drop":
            raise OutcomeUnknown("It did not answer.")
        if fault == "crash":
            raise ZeroDivisionError
        if any(item.body.get("name") == "poison" for item in batch.sendings):
            raise PermanentFailure("One of these is refused.")
        with self.remote.lock:
            known = self.remote.answers.get(batch.key) if self.remote.keyed else None
            outcomes = known or [self._apply(batch.stream, item) for item in batch.sendings]
            self.remote.answers[batch.key] = outcomes
        if fault == "lose":
            raise OutcomeUnknown("It did not answer.")
        return list(reversed(outcomes))

    def _apply(self, stream, item):
        if item.body.get("number") == "refuse":
            return Outcome(item.ref, Status.REJECTED, reason="No such number.", field="number")
        created = item.remote_id is None
        remote_id, version = self.remote.put(stream, item.remote_id, item.body)
        return Outcome(item.ref, Status.CREATED if created else Status.UPDATED, remote_id, version)

    def pull(self, stream, cursor):
        self.remote.calls.append(f"pull {stream}")
        start = (cursor or {}).get("page", 0)
        pages = [page for page in self.remote.pages if not page.changes or page.changes[0].kind == stream]
        for number, page in enumerate(pages[start:], start):
            yield Page(page.changes, {"v": 1, "page": number + 1}, page.refused)

    def fetch(self, stream, remote_ids):
        changes = {c.remote_id: c for page in self.remote.pages for c in page.changes if c.kind == stream}
        return Page(tuple(changes[id] for id in remote_ids if id in changes), None)

    def statement(self, stream, from_on, to_on):
        from datetime import date
        from decimal import Decimal

        for remote_id, held in self.remote.records.get(stream, {}).items():
            total, tax = Decimal(held["total"]), Decimal(held["tax"])
            label = held.get("label", "")
            yield StatementLine(remote_id, held["number"], date(2026, 1, 31), "GBP", total, tax, label=label)


def payment(remote_id: str, *, client: str, invoice: str, amount: str) -> Change:
    """A payment as the remote shows it."""
    from hub.sdk import Missing

    return Change(
        "payments",
        remote_id,
        {
            "client_id": RemoteRef("clients", client, Missing.LEAVE_OUT),
            "currency": "GBP",
            "amount": amount,
            "received_on": "2026-02-10",
            "reference": remote_id,
            "allocations": [{"invoice_id": RemoteRef("invoices", invoice, Missing.NONE), "amount": amount}],
        },
        label=remote_id,
    )


@hookimpl
def connectors():
    return [Fake]


def plugin() -> SimpleNamespace:
    """The fake connector as a plugin module."""
    return SimpleNamespace(connectors=connectors)
