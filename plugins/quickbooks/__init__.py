"""QuickBooks Online: services, customers and invoices go there, payments come back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import cached_property
from typing import Any

from hub.sdk import (
    Batch,
    CheckResult,
    ConfigurationFailure,
    Connector,
    Cursor,
    Found,
    Hint,
    Limit,
    Outcome,
    Page,
    PermanentFailure,
    Ref,
    RemoteIds,
    SandboxSpec,
    Sending,
    StatementLine,
    Stream,
    TemporaryFailure,
    Values,
    hookimpl,
)
from plugins.quickbooks import mapping, receiving, webhooks
from plugins.quickbooks.client import QuickBooksClient
from plugins.quickbooks.company import facts_of, findings_of
from plugins.quickbooks.finding import Names, find_invoices, find_renumbered
from plugins.quickbooks.sending import BatchSender
from plugins.quickbooks.settings import QuickBooksSettings, base_url

BATCH_SIZE = 30
KEY_LIFE_S = 3600
"""How long the service keeps a request id is not documented; after an hour a document is looked up instead."""


class QuickBooks(Connector):
    """One QuickBooks Online company."""

    name = "quickbooks"
    title = "QuickBooks Online"
    category = "Accounting"
    settings = QuickBooksSettings
    streams = (
        Stream(
            "services", "Services → Items", pushes=True, batch_size=BATCH_SIZE, keyed=True, key_life_s=KEY_LIFE_S,
            versioned=True, find_first=True, authority={"*": "hub"},
        ),
        Stream(
            "clients", "Clients → Customers", pushes=True, batch_size=BATCH_SIZE, keyed=True, key_life_s=KEY_LIFE_S,
            versioned=True, on_demand=True, find_first=True, authority={"*": "hub"},
        ),
        Stream(
            "invoices", "Invoices → Invoices", pushes=True, batch_size=BATCH_SIZE, keyed=True, key_life_s=KEY_LIFE_S,
            versioned=True, authority={"*": "hub"},
        ),
        Stream("payments", "Payments → Payments", pulls=True, lookback_s=300),
    )  # fmt: skip
    # Vendor's page "API call limits and throttles": 500 a minute and 10 in flight for a company, 10 a second for an
    # app, 40 batches a minute. The windows are a little longer here, because calls arrive later than they leave.
    limits = (
        Limit("company", calls=500, per_s=61, in_flight=10),
        Limit("app", calls=10, per_s=1.2),
        Limit("batch", calls=40, per_s=61),
    )
    call_timeout_s = 120

    @cached_property
    def _client(self) -> QuickBooksClient:
        return QuickBooksClient(self.context)

    @property
    def _facts(self) -> Values:
        if not self.context.facts:
            raise ConfigurationFailure("The connection was never tested. Test it first.")
        return self.context.facts

    def check(self) -> CheckResult:
        """Who are we there, and which account, currency and tax codes would be used. Five reads."""
        settings, client = self.context.settings, self._client
        company = self._company_info()
        preferences = client.preferences()
        accounts = list(client.query_all("Account"))
        tax_codes, tax_rates = list(client.query_all("TaxCode")), list(client.query_all("TaxRate"))
        facts = facts_of(company, preferences, accounts, tax_codes, tax_rates, settings)
        findings = tuple(findings_of(facts, settings))
        return CheckResult(settings["realm_id"], facts["company"], settings["environment"], findings, facts)

    def _company_info(self) -> Mapping[str, Any]:
        """The first call there: what fails here is more likely the address than the service."""
        address = base_url(self.context.settings)
        try:
            return self._client.company_info()
        except TemporaryFailure as failure:
            text = f"{failure} If it stays so, check base_url ({address})."
            raise type(failure)(text, retry_after_s=failure.retry_after_s) from failure
        except PermanentFailure as failure:
            text = f"{address} does not answer as QuickBooks does. Check base_url and environment. ({failure})"
            raise ConfigurationFailure(text, field="base_url") from failure

    # Going out -------------------------------------------------------------------------------------------------------

    def needs(self, stream: str, record: Any) -> Sequence[Ref]:
        if stream != "invoices":
            return ()
        services = dict.fromkeys(line.service_id for line in record.lines)
        return [mapping.client_ref(record, self._facts), *(Ref("services", id) for id in services)]

    def body(self, stream: str, record: Any, remote_ids: RemoteIds, *, part: str = "") -> Values:
        match stream:
            case "services":
                return mapping.item_from_service(record, self._facts)
            case "clients":
                return mapping.customer_from_client(record, self._facts, part)
        return mapping.invoice_from_invoice(record, self._facts, self.context.settings, remote_ids)

    def find(self, stream: str, sendings: Sequence[Sending]) -> Sequence[Found]:
        if stream == "invoices":
            look = find_invoices if self._facts.get("our_numbers", True) else find_renumbered
            return look(self._client, sendings)
        names = self._item_names if stream == "services" else self._customer_names
        return [found for sending in sendings for found in names.like(sending)]

    def push(self, batch: Batch) -> Sequence[Outcome]:
        return BatchSender(self._client, batch, lambda refused: self._find_now(batch.stream, refused)).send()

    def _find_now(self, stream: str, sendings: Sequence[Sending]) -> Sequence[Found]:
        """A look after a refusal: names that were read before it say nothing."""
        self.__dict__.pop("_item_names", None)
        self.__dict__.pop("_customer_names", None)
        return self.find(stream, sendings)

    @cached_property
    def _item_names(self) -> Names:
        return Names(self._client, "Item", "Name")

    @cached_property
    def _customer_names(self) -> Names:
        return Names(self._client, "Customer", "DisplayName")

    # Coming in -------------------------------------------------------------------------------------------------------

    def pull(self, stream: str, cursor: Cursor | None) -> Iterator[Page]:
        return self._payments.pages(cursor)

    def fetch(self, stream: str, remote_ids: Sequence[str]) -> Page:
        return self._payments.read(remote_ids)

    @property
    def _payments(self) -> receiving.PaymentReader:
        stream = next(stream for stream in self.streams if stream.kind == "payments")
        return receiving.PaymentReader(
            self._client,
            home_currency=self._facts["currency"],
            start_on=self.context.start_on.get("payments"),
            lookback_s=stream.lookback_s,
        )

    def statement(self, stream: str, from_on: date | None, to_on: date | None) -> Iterator[StatementLine]:
        return receiving.statement(self._client, stream, from_on, to_on, self._facts["currency"])

    def webhook(self, headers: Mapping[str, str], body: bytes) -> Sequence[Hint]:
        webhooks.verify(headers, body, self.context.settings["webhook_verifier_token"])
        return webhooks.hints(body, self.context.settings["realm_id"])


@hookimpl
def connectors() -> Sequence[type[Connector]]:
    return [QuickBooks]


@hookimpl
def sandboxes() -> Sequence[SandboxSpec]:
    options = ("country", "currency", "multicurrency", "company", "realm_id", "automated_tax", "latency_s")
    return [SandboxSpec("quickbooks", "QuickBooks Online", _sandbox, options)]


def _sandbox(**options: Any) -> Any:
    """The stand-in, imported when somebody wants one: a hub that only syncs needs no test server."""
    from plugins.quickbooks.sandbox.server import QuickBooksSandbox

    return QuickBooksSandbox(**options)
