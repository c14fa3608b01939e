"""The Salesforce connector: streams, and which of our modules does what."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cached_property, partial
from typing import Any, ClassVar

from hub.sdk import (
    Batch,
    CheckResult,
    ConnectionContext,
    Connector,
    Cursor,
    Found,
    Limit,
    Outcome,
    Page,
    RemoteIds,
    Sending,
    Stream,
    Values,
)
from plugins.crm_salesforce import checking, deals, mapping, pulling
from plugins.crm_salesforce.client import LIMIT, SalesforceClient
from plugins.crm_salesforce.facts import KEY_FIELD, USED_FIELDS, Facts
from plugins.crm_salesforce.settings import ClientConditions, ProjectConditions, SalesforceSettings
from plugins.crm_salesforce.statements import escaped

CHECK_S = 25.0
_LOOKBACK_S = 600
_DEALS_PER_CALL = 50
_KEY_LIFE_S = 365 * 24 * 3600
_OBJECTS = {"clients": "Account", "contacts": "Contact", "projects": "Opportunity"}


class Salesforce(Connector):
    """One Salesforce org: its accounts, contacts and won opportunities come in, registered deals go out."""

    name = "salesforce"
    title = "Salesforce"
    category = "CRM"
    settings = SalesforceSettings
    limits = (Limit(LIMIT, in_flight=20),)  # the vendor allows 25 long calls at once, to all integrations together
    call_timeout_s = 600
    streams: ClassVar[tuple[Stream, ...]] = (
        Stream(
            "clients",
            "Accounts → clients",
            pulls=True,
            lookback_s=_LOOKBACK_S,
            authority={"legal_name": "hub", "tax_id": "hub", "tax_exempt": "hub", "email": "hub"},
            conditions=ClientConditions,
        ),
        Stream("contacts", "Contacts", pulls=True, lookback_s=_LOOKBACK_S),
        Stream(
            "projects",
            "Won opportunities → projects",
            pulls=True,
            lookback_s=_LOOKBACK_S,
            authority={"status": "hub", "starts_on": "hub", "ends_on": "hub", "code": "hub"},
            conditions=ProjectConditions,
        ),
        Stream(
            "deals",
            "Registered deals → opportunities",
            pushes=True,
            batch_size=_DEALS_PER_CALL,
            find_first=True,
            authority={"*": "hub"},
        ),
    )

    def __init__(self, context: ConnectionContext) -> None:
        super().__init__(context)
        facts = Facts.of(context.facts)
        if facts.has("Opportunity", KEY_FIELD) and facts.has("Account", KEY_FIELD):
            # Everything a batch of deals writes is an upsert by our key there: a lost call is simply repeated.
            self.streams = tuple(_repeatable(stream) for stream in self.streams)  # type: ignore[misc]

    def check(self) -> CheckResult:
        client = SalesforceClient(self.context, give_up_at=time.monotonic() + CHECK_S)
        return checking.check(client, self.context.settings)

    def pull(self, stream: str, cursor: Cursor | None) -> Iterator[Page]:
        return pulling.pull(self._reader, self._source(stream), cursor)

    def fetch(self, stream: str, remote_ids: Sequence[str]) -> Page:
        return pulling.fetch(self._reader, self._source(stream, by_id=True), remote_ids)

    def body(self, stream: str, record: Any, remote_ids: RemoteIds, *, part: str = "") -> Values:
        return mapping.opportunity_from_deal(record, self._facts)

    def find(self, stream: str, sendings: Sequence[Sending]) -> Sequence[Found]:
        return deals.find_deals(self._writer, self._facts, sendings)

    def push(self, batch: Batch) -> Sequence[Outcome]:
        return deals.push_deals(self._writer, self._facts, batch.sendings)

    # ------------------------------------------------------------------------------------------------------------------

    @cached_property
    def _reader(self) -> SalesforceClient:
        """Leaves a share of the day's calls to others; what is written is worth more than that."""
        share = self.context.settings["daily_calls_share"]
        return SalesforceClient(self.context, instance_url=self._instance_url, calls_share=share)

    @cached_property
    def _writer(self) -> SalesforceClient:
        return SalesforceClient(self.context, instance_url=self._instance_url)

    @property
    def _instance_url(self) -> str | None:
        """Where the stored session is good; unknown since another login address was set."""
        facts = Facts.of(self.context.facts)
        return facts.instance_url if facts.login_url == self.context.settings["login_url"] else None

    @cached_property
    def _facts(self) -> Facts:
        if self.context.facts:
            return Facts.of(self.context.facts)
        return checking.discover(self._writer, self.context.settings)

    def _source(self, stream: str, *, by_id: bool = False) -> pulling.Source:
        name = _OBJECTS[stream]
        fields = self._facts.fields.get(name) or USED_FIELDS[name]
        lookback_s = next(each.lookback_s for each in self.streams if each.kind == stream)
        return pulling.Source(
            name=name,
            fields=tuple(fields),
            conditions=tuple(self._own_conditions(stream) if by_id else self._conditions(stream)),
            change=partial(mapping.change_of, stream, facts=self._facts),
            lookback=timedelta(seconds=lookback_s),
            unreadable=self._facts.unreadable.get(name, ""),
        )

    def _own_conditions(self, stream: str) -> list[str]:
        """What makes a row one of this stream at all, whatever the admin has chosen."""
        return {"contacts": ["AccountId != null"], "projects": ["IsWon = true"]}.get(stream, [])

    def _conditions(self, stream: str) -> list[str]:
        """Also what the admin has chosen. Contacts follow their account."""
        chosen = self.context.conditions
        conditions = self._own_conditions(stream)
        if stream == "clients":
            conditions += _of_accounts(chosen.get("clients", {}), "")
        elif stream == "contacts":
            conditions += _of_accounts(chosen.get("clients", {}), "Account.")
        else:
            conditions += _of_opportunities(chosen.get("projects", {}))
            if stream in self.context.start_on:
                conditions.append(f"CloseDate >= {self.context.start_on[stream].isoformat()}")
        return conditions


def _repeatable(stream: Stream) -> Stream:
    return replace(stream, keyed=True, key_life_s=_KEY_LIFE_S) if stream.pushes else stream


def _of_accounts(chosen: Values, path: str) -> list[str]:
    columns = {"types": f"{path}Type", "owners": f"{path}Owner.Username"}
    return _among(chosen, columns)


def _of_opportunities(chosen: Values) -> list[str]:
    return _among(
        chosen, {"record_types": "RecordType.DeveloperName", "stages": "StageName", "owners": "Owner.Username"}
    )


def _among(chosen: Values, columns: dict[str, str]) -> list[str]:
    return [escaped(f"{column} IN {{}}", chosen[name]) for name, column in columns.items() if chosen.get(name)]
