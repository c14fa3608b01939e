"""What the connector's tests share: a connection to a running stand-in, with tokens in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from uuid import UUID, uuid4

import structlog

from hub.sdk import Batch, ConnectionContext, HttpClient, Op, Sending
from plugins.crm_salesforce import Salesforce
from plugins.crm_salesforce.settings import SalesforceSettings


class MemoryTokens:
    """A token store of one process: a refused token is renewed."""

    def __init__(self, token=None):
        self.tokens = {"access_token": token} if token else {}
        self.renewals = 0

    def access_token(self, renew, *, seen=None):
        if self.tokens.get("access_token") in (None, seen):
            self.tokens = renew(self.tokens)
            self.renewals += 1
        return self.tokens["access_token"]


def context(settings, *, facts=None, tokens=None, **more):
    return ConnectionContext(
        name="crm",
        settings=SalesforceSettings().load(settings),
        facts=facts or {},
        http=HttpClient(),
        tokens=tokens or MemoryTokens(),
        log=structlog.get_logger(),
        **more,
    )


def connect(server, *, facts=None, tokens=None, settings=None, **more):
    """A connector of this stand-in, tested once so that it knows the org's facts."""
    values = {**server.settings, **(settings or {})}
    if facts is None:
        facts = Salesforce(context(values)).check().facts
    return Salesforce(context(values, facts=facts, tokens=tokens, **more))


@dataclass(frozen=True)
class Deal:
    """A deal as the connector knows it."""

    id: UUID = field(default_factory=uuid4)
    revision: int = 1
    number: str = "D-1001"
    title: str = "Network refresh"
    customer_name: str = "Newcomer Ltd"
    customer_website: str = "https://newcomer.example"
    customer_country: str = "GB"
    customer_city: str = "Leeds"
    customer_postcode: str = "LS1 4AP"
    contact_name: str = "Nell Newton"
    contact_email: str = "nell@newcomer.example"
    contact_phone: str = "+44 113 000"
    products: tuple[str, ...] = ("Routers", "Support")
    amount: Decimal | None = Decimal("12500.50")
    currency: str = "USD"
    target_close_on: date | None = date(2027, 3, 31)
    business_problem: str = "Their network is slow."
    partner_name: str = "Partner & Co"
    protected_until: date | None = date(2027, 2, 28)
    state: str = "approved"


def sendings(connector, *deals, **more):
    return tuple(
        Sending(str(place), f"key-{place}", Op.CREATE, connector.body("deals", deal, {}), deal.title, **more)
        for place, deal in enumerate(deals, 1)
    )


def push(connector, *deals):
    """Send these deals as a new batch; outcomes by ref."""
    batch = Batch("batch-1", "deals", sendings(connector, *deals))
    return {outcome.ref: outcome for outcome in connector.push(batch)}
