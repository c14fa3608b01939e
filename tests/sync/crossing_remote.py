"""A remote system for streams that cross: it is edited over there, refuses stale writes, and has calls that come late.

Every call goes by a plan of faults, and of things that happen while it is open.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from hub.sdk import (
    Change,
    CheckResult,
    Connector,
    Found,
    OutcomeUnknown,
    Page,
    Ref,
    Stream,
    TemporaryFailure,
    hookimpl,
    money_text,
)
from hub.sync.connector import Outcome, Status
from tests.sync.fake_remote import FakeSettings

FIELDS = ("name", "phone", "email", "website")


@dataclass
class Crossing:
    """What is over there. faults: what the next calls do; meanwhile: what happens while the next one is open.

    late: calls that were given up here and are still on their way there. A call is answered, else: "lose" applies it
    and drops the answer, "drop" does not apply it, "late" applies it later, "down" does not reach it, "crash" is a
    fault of the connector.
    """

    records: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    answers: dict[str, list[Outcome]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    meanwhile: list[Callable[[], None]] = field(default_factory=list)
    late: list[Any] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        return self.records.setdefault(kind, {})

    def add(self, kind: str, body: dict[str, Any]) -> str:
        remote_id = f"{kind}-{len(self.of(kind)) + 1}"
        self.of(kind)[remote_id] = {"our_id": None, **body, "version": 1}
        return remote_id

    def edit(self, kind: str, remote_id: str, **values: Any) -> None:
        held = self.of(kind)[remote_id]
        held |= values
        held["version"] += 1

    def apply(self, batch: Any, *, keyed: bool) -> list[Outcome]:
        with self.lock:
            if not keyed or batch.key not in self.answers:
                self.answers[batch.key] = [self._apply(batch.stream, item) for item in batch.sendings]
            return self.answers[batch.key]

    def arrive(self) -> None:
        """What was on its way is there now, or is over."""
        late, self.late = self.late, []
        for batch, keyed in late:
            self.apply(batch, keyed=keyed)

    def _apply(self, kind: str, item: Any) -> Outcome:
        if item.remote_id is None:
            return Outcome(item.ref, Status.CREATED, self.add(kind, item.body), "1")
        held = self.of(kind)[item.remote_id]
        if item.remote_version != str(held["version"]):
            return Outcome(item.ref, Status.CONFLICT, reason="It was changed over there.")
        self.edit(kind, item.remote_id, **item.body)
        return Outcome(item.ref, Status.UPDATED, item.remote_id, str(held["version"]))


REMOTES: dict[str, Crossing] = {}


class Crosses(Connector):
    """Clients both ways, their payments out: with keys that are honoured for an hour, and clients without any."""

    name = "crosses"
    title = "Crosses"
    category = "CRM"
    settings = FakeSettings
    call_timeout_s = 600
    streams = (
        Stream("clients", "Clients", pushes=True, pulls=True, batch_size=2, versioned=True, authority={"phone": "hub"}),
        Stream("payments", "Payments", pushes=True, batch_size=2, keyed=True, key_life_s=3600, versioned=True),
    )

    @property
    def remote(self) -> Crossing:
        return REMOTES[self.context.settings["account"]]

    def check(self):
        return CheckResult(self.context.settings["account"], "Crosses", "sandbox")

    def needs(self, stream, record):
        return [Ref("clients", record.client_id)] if stream == "payments" else ()

    def body(self, stream, record, remote_ids, *, part=""):
        if stream == "clients":
            return {"our_id": str(record.id), **{name: getattr(record, name) for name in FIELDS}}
        client = remote_ids[Ref("clients", record.client_id)]
        return {"our_id": str(record.id), "client": client, "amount": money_text(record.amount, record.currency)}

    def push(self, batch):
        keyed = batch.stream == "payments"
        fault = self._fault()
        if fault == "drop":
            raise OutcomeUnknown("It did not answer.")
        if fault == "late":
            self.remote.late.append((batch, keyed))
            raise OutcomeUnknown("It did not answer.")
        outcomes = self.remote.apply(batch, keyed=keyed)
        self._happen()
        if fault == "lose":
            raise OutcomeUnknown("It did not answer.")
        return list(reversed(outcomes))

    def find(self, stream, sendings):
        self._fault()
        return [
            Found(item.ref, remote_id, str(held["version"]), item.label, ours=True)
            for item in sendings
            for remote_id, held in self.remote.of(stream).items()
            if held["our_id"] == item.body["our_id"]
        ]

    def pull(self, stream, cursor):
        ids = sorted(self.remote.of(stream))
        for start in range(0, len(ids), 2):  # all of it each time: what was read before is known
            yield self._page(stream, ids[start : start + 2], {"v": 1})

    def fetch(self, stream, remote_ids):
        return self._page(stream, remote_ids, None)

    def _page(self, stream, ids, cursor):
        self._fault()
        shown = tuple(self._change(stream, remote_id, dict(self.remote.of(stream)[remote_id])) for remote_id in ids)
        self._happen()  # the page is older than that
        return Page(shown, cursor)

    def _change(self, stream, remote_id, held):
        our_id = held["our_id"] and UUID(held["our_id"])
        values = {name: held.get(name, "") for name in FIELDS}
        return Change(stream, remote_id, values, version=str(held["version"]), label=held["name"], our_id=our_id)

    def _fault(self) -> str:
        fault = self.remote.faults.pop(0) if self.remote.faults else ""
        if fault == "down":
            raise TemporaryFailure("It cannot be reached.", retry_after_s=0)
        if fault == "crash":
            raise ZeroDivisionError
        return fault

    def _happen(self) -> None:
        if self.remote.meanwhile:
            self.remote.meanwhile.pop(0)()


@hookimpl
def connectors():
    return [Crosses]


def plugin() -> SimpleNamespace:
    return SimpleNamespace(connectors=connectors)
