"""A connection of the QuickBooks connector to a running stand-in, without a database."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from types import SimpleNamespace
from uuid import UUID, uuid5

import requests

from hub.core.frozen import freeze
from hub.http import HttpClient
from hub.sdk import (
    Address,
    Batch,
    ClientRecord,
    ConnectionContext,
    InvoiceLineRecord,
    InvoiceRecord,
    Op,
    Ref,
    Sending,
    ServiceRecord,
    TaxGroup,
    rounded,
)
from plugins.quickbooks import QuickBooks
from plugins.quickbooks.settings import QuickBooksSettings

NAMESPACE = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
SILENT = SimpleNamespace(info=lambda *_, **__: None, warning=lambda *_, **__: None)


def id_of(name):
    """A fixed id for a name."""
    return uuid5(NAMESPACE, name)


class OneTokenStore:
    """Tokens as one process keeps them."""

    def __init__(self, refresh_token):
        self.tokens = {"refresh_token": refresh_token}

    def access_token(self, renew, *, seen=None):
        if self.tokens.get("access_token") in (None, seen):
            self.tokens |= renew(dict(self.tokens))
        return self.tokens["access_token"]


class Connection:
    """A connector that was tested, and what the sync engine would keep for it."""

    def __init__(self, server, *, start_on=None, **settings):
        self.server = server
        self.settings = QuickBooksSettings().load({**server.settings, **settings})
        self.tokens = OneTokenStore(self.settings["refresh_token"])
        self.start_on = {"payments": start_on} if start_on else {}
        self.facts = {}
        self.remote_ids = {}
        self.http = HttpClient()
        self.batches = 0

    @property
    def connector(self):
        context = ConnectionContext(
            "books", self.settings, self.facts, self.http, self.tokens, SILENT, start_on=self.start_on
        )
        return QuickBooks(context)

    def check(self):
        result = self.connector.check()
        self.facts = result.facts
        return result

    def batch(self, stream, *records, part="", key=None):
        """A batch that creates these records, as the engine stores it: JSON values."""
        self.batches += 1
        sendings = []
        for number, record in enumerate(records, 1):
            body = freeze(self.connector.body(stream, record, self.remote_ids, part=part))
            sendings.append(Sending(str(number), f"key-{self.batches}-{number}", Op.CREATE, body, str(record.id)))
        return Batch(key or f"{self.batches:032x}", stream, tuple(sendings))

    def push(self, stream, *records, part=""):
        """Create records, note their ids, and return the outcomes."""
        outcomes = self.connector.push(self.batch(stream, *records, part=part))
        for record, outcome in zip(records, outcomes, strict=True):
            if outcome.remote_id:
                self.remote_ids[Ref(stream, record.id, part)] = outcome.remote_id
        return outcomes

    def update(self, stream, record, outcome, **body):
        """A batch that updates one record with these fields."""
        self.batches += 1
        sending = Sending("1", "key", Op.UPDATE, body, "", outcome.remote_id, outcome.remote_version)
        return Batch(f"{self.batches:032x}", stream, (sending,))

    def advance(self, seconds):
        """Let time pass over there."""
        url = f"{self.server.url}/_control/clock"
        requests.post(url, json={"advance_s": seconds}, timeout=5).raise_for_status()

    def rows(self, kind):
        """What the books hold of a kind."""
        return list(self.server.sandbox.state["entities"][kind].values())

    def created(self, kind):
        return self.server.sandbox.effects("create", kind, actor="api")


# Records --------------------------------------------------------------------------------------------------------------


def a_service(name="Consulting", **values):
    record = ServiceRecord(id_of(name), 1, name, "", "", "hours", "HUR", None, True)
    return replace(record, **values)


def a_client(name="Acme", **values):
    record = ClientRecord(id_of(name), 1, name, name, None, Address(), "", "", "", "", False, False)
    return replace(record, **values)


def a_line(quantity="1", rate="100.00", tax_rate="0", *, position=1, service="Consulting", net=None):
    quantity, rate = Decimal(quantity), Decimal(rate)
    net = rounded(quantity * rate) if net is None else Decimal(net)
    return InvoiceLineRecord(
        id_of(f"line {position}"), position, id_of(service), "Work", quantity, "HUR", rate, net, Decimal(tax_rate)
    )


def an_invoice(number="2026-0001", *lines, client="Acme", currency="USD", tax=None, **values):
    """An issued invoice with taxes as the hub computes them: once per rate."""
    lines = lines or (a_line(),)
    rates = sorted({line.tax_rate for line in lines})
    bases = {rate: sum(line.net for line in lines if line.tax_rate == rate) for rate in rates}
    groups = tuple(TaxGroup(rate, base, rounded(base * rate / 100)) for rate, base in bases.items())
    net = sum(bases.values())
    tax = sum(group.tax for group in groups) if tax is None else Decimal(tax)
    record = InvoiceRecord(
        id=id_of(number),
        revision=1,
        company_id=id_of("company"),
        client_id=id_of(client),
        client_name=client,
        bill_to=Address(),
        bill_to_email="",
        project_id=None,
        number=number,
        status="issued",
        dated_on=date(2026, 1, 31),
        due_on=date(2026, 3, 2),
        currency=currency,
        lines=lines,
        taxes=groups,
        net=net,
        tax=tax,
        total=net + tax,
        paid=Decimal(0),
        memo="",
        po_reference="",
        period_from=None,
        period_to=None,
    )
    return replace(record, **values)
