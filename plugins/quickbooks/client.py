"""The QuickBooks calls we use. Speaks the vendor's language only; every number is exact."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hub.sdk import (
    ConfigurationFailure,
    ConnectionContext,
    OutcomeUnknown,
    TemporaryFailure,
    Values,
)
from plugins.quickbooks.faults import failure_of, fault_in, is_token_refused, json_of
from plugins.quickbooks.settings import base_url, discovery_url

Row = dict[str, Any]

PAGE = 1000
"""The most rows of one query answer."""
DISCOVERY_LIFE = timedelta(days=1)
NAME_LISTS = ("Customer", "Item")
"""Queries show only the active ones of these unless asked otherwise."""
READ_LIMITS, BATCH_LIMITS = ("company", "app"), ("company", "app", "batch")
_NUMBERS = frozenset({"Amount", "Qty", "UnitPrice", "TotalTax", "TaxPercent", "NetAmountTaxable"})


def quoted(text: str) -> str:
    """A text as a query's literal. Vendor's page "Query operations": a quote is escaped by a backslash."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def select(entity: str, where: str = "", *, order: str = "", start: int = 1) -> str:
    """A statement for up to a thousand rows from a position on; texts in `where` are `quoted`."""
    parts = ["SELECT * FROM", entity, where and f"WHERE {where}", order and f"ORDERBY {order}"]
    return " ".join([*filter(None, parts), f"STARTPOSITION {start} MAXRESULTS {PAGE}"])


class QuickBooksClient:
    """One company, under one login. For one thread at a time."""

    def __init__(self, context: ConnectionContext) -> None:
        self._http = context.http
        self._tokens = context.tokens
        self._log = context.log
        self._settings = context.settings
        self._company_url = f"{base_url(context.settings)}/v3/company/{context.settings['realm_id']}"

    # Reading ---------------------------------------------------------------------------------------------------------

    def company_info(self) -> Row:
        """Vendor's page "CompanyInfo": name and country, which decides the tax model."""
        answer = self._call("GET", f"companyinfo/{self._settings['realm_id']}")
        return dict(_part(answer, "CompanyInfo"))

    def preferences(self) -> Row:
        """Vendor's page "Preferences": sales tax, currencies, closing date."""
        return dict(_part(self._call("GET", "preferences"), "Preferences"))

    def query(self, statement: str) -> list[Row]:
        """The rows of one statement, at most 1000. Vendor's page "Query operations and syntax"."""
        return self._query(statement)[0]

    def query_all(self, entity: str, where: str = "") -> Iterator[Row]:
        """All rows of an entity, a thousand a call, in the order of their ids."""
        start = 1
        while True:
            rows = self.query(select(entity, where, order="Id", start=start))
            yield from rows
            if len(rows) < PAGE:
                return
            start += PAGE

    def query_changed(self, entity: str, since: str) -> Iterator[tuple[list[Row], str]]:
        """Pages of what changed at or after a time, oldest first, each with the server's time of its answer.

        The lower bound moves with the rows, so that a row that changes while paging comes again instead of pushing
        another one out of sight. Where one second has more rows than a page, its pages are read by position, and once
        more until they show nothing new: a row that left the second meanwhile has moved the others up.
        """
        lower, start = since, 1
        seen: set[tuple[str, str]] = set()
        is_news = False
        while True:
            changed = f"MetaData.LastUpdatedTime >= {quoted(lower)}"
            rows, time = self._query(select(entity, changed, order="MetaData.LastUpdatedTime, Id", start=start))
            fresh = [row for row in rows if (row["Id"], row["SyncToken"]) not in seen]
            seen |= {(row["Id"], row["SyncToken"]) for row in fresh}
            is_news = is_news or bool(fresh)
            yield fresh, time
            last = str(rows[-1]["MetaData"]["LastUpdatedTime"]) if rows else lower
            if len(rows) == PAGE and last == lower:
                start += PAGE
            elif start > 1 and is_news:
                start, is_news = 1, False
            elif len(rows) < PAGE:
                return
            else:
                lower, start, is_news = last, 1, False

    def changes(self, entity: str, since: str) -> tuple[list[Row], str]:
        """Change data capture: what changed or was deleted since, and the server's time. At most 1000, unmarked."""
        answer = self._call("GET", "cdc", params={"entities": entity, "changedSince": since})
        rows: list[Row] = []
        for captured in answer.get("CDCResponse") or []:
            for response in captured.get("QueryResponse") or []:
                rows += response.get(entity) or []
        return rows, str(answer.get("time", ""))

    def by_ids(self, entity: str, ids: Sequence[str]) -> list[Row]:
        """The rows with these ids, a hundred a call, inactive names too; unknown ones are left out."""
        inactive_too = " AND Active IN (true,false)" if entity in NAME_LISTS else ""
        rows: list[Row] = []
        for start in range(0, len(ids), 100):
            listed = ",".join(quoted(id) for id in ids[start : start + 100])
            rows += self.query(select(entity, f"Id IN ({listed}){inactive_too}"))
        return rows

    # Writing ---------------------------------------------------------------------------------------------------------

    def batch(self, items: Sequence[Row], *, request_id: str) -> dict[str, Row]:
        """Send up to 30 items; the answers by bId. The same request_id never applies an item twice.

        Vendor's page "Batch operations". request_id and the longest bId together: at most 50 characters. Raises
        OutcomeUnknown when it is not known what became of them.
        """
        body = {"BatchItemRequest": [_with_numbers(item) for item in items]}
        answer = self._call("POST", "batch", params={"requestid": request_id}, json=body, limits=BATCH_LIMITS)
        return {str(item.get("bId")): item for item in answer.get("BatchItemResponse") or []}

    # One call --------------------------------------------------------------------------------------------------------

    def _query(self, statement: str) -> tuple[list[Row], str]:
        answer = self._call("GET", "query", params={"query": statement})
        response = _part(answer, "QueryResponse")
        rows = next((value for value in response.values() if isinstance(value, list)), [])
        return rows, str(answer.get("time", ""))

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        limits: Sequence[str] = READ_LIMITS,
    ) -> Row:
        """One call with a good token: one that is refused is renewed once, and the same call made again."""
        token = self._tokens.access_token(self.renew)
        response = self._send(method, path, token, params, json, limits)
        answer = json_of(response)
        if is_token_refused(response, answer):
            token = self._tokens.access_token(self.renew, seen=token)
            response = self._send(method, path, token, params, json, limits)
            answer = json_of(response)
            if is_token_refused(response, answer):
                raise _reconnect()
        failure = failure_of(response, answer, write=method != "GET")
        if failure is not None:
            tid, fault = response.headers.get("intuit_tid", ""), fault_in(answer)
            code = fault.code if fault else 0
            self._log.warning("QuickBooks refused a call", path=path, status=response.status_code, code=code, tid=tid)
            if isinstance(failure, TemporaryFailure) and failure.retry_after_s:
                self._http.pause(failure.retry_after_s)  # the whole company, not only this kind of call
            raise failure
        return dict(answer)

    def _send(
        self, method: str, path: str, token: str, params: Mapping[str, str] | None, json: Any, limits: Sequence[str]
    ) -> Any:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        whole = {"minorversion": "75", **(params or {})}
        url = f"{self._company_url}/{path}"
        return self._http.request(method, url, params=whole, json=json, headers=headers, limits=limits)

    # The login -------------------------------------------------------------------------------------------------------

    def renew(self, tokens: Values) -> Values:
        """New tokens for the refresh token, which is good for one use. Vendor's page "OAuth 2.0", refresh.

        Raises ConfigurationFailure for a dead token or wrong app credentials, TemporaryFailure for all else.
        """
        address, login = self._token_address(tokens)
        try:
            return self._renewed(address, str(tokens["refresh_token"])) | login
        except OutcomeUnknown:  # the answer is lost, and perhaps a rotated token with it: once more with the old one
            try:
                return self._renewed(address, str(tokens["refresh_token"])) | login
            except OutcomeUnknown as failure:
                raise TemporaryFailure("The QuickBooks login service does not answer.") from failure

    def _renewed(self, address: str, refresh_token: str) -> Values:
        app = f"{self._settings['client_id']}:{self._settings['client_secret']}"
        headers = {"Authorization": "Basic " + base64.b64encode(app.encode()).decode(), "Accept": "application/json"}
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        response = self._http.request("POST", address, data=form, headers=headers)
        answer = json_of(response)
        error = answer.get("error") if isinstance(answer, dict) else None
        if error == "invalid_grant":
            raise _reconnect()
        if error == "invalid_client" or response.status_code == 401:
            raise ConfigurationFailure(
                "QuickBooks does not know this app. Check client_id and client_secret.", field="client_secret"
            )
        if not response.ok or not isinstance(answer, dict) or not answer.get("access_token"):
            raise TemporaryFailure(f"The QuickBooks login service failed ({response.status_code}).")
        life = timedelta(seconds=int(answer.get("expires_in", 3600)))
        return {
            "access_token": answer["access_token"],
            "expires_at": (datetime.now(UTC) + life).isoformat(),
            "refresh_token": answer.get("refresh_token") or refresh_token,
        }

    def _token_address(self, tokens: Values) -> tuple[str, Values]:
        """The token address, from the discovery document of at most a day ago; it is kept with the tokens."""
        url = discovery_url(self._settings)
        known = tokens.get("discovered") or {}
        now = datetime.now(UTC)
        if known.get("url") == url and now - datetime.fromisoformat(known["at"]) < DISCOVERY_LIFE:
            return str(known["token_endpoint"]), {"discovered": known}
        response = self._http.request("GET", url, headers={"Accept": "application/json"})
        answer = json_of(response)
        if response.status_code >= 500 or response.status_code == 429:
            raise TemporaryFailure(f"The QuickBooks discovery document cannot be read ({response.status_code}).")
        if not response.ok or not isinstance(answer, dict) or "token_endpoint" not in answer:
            raise ConfigurationFailure(
                f"{url} is no OAuth discovery document. Check discovery_url.", field="discovery_url"
            )
        found = {"url": url, "token_endpoint": str(answer["token_endpoint"]), "at": now.isoformat()}
        return found["token_endpoint"], {"discovered": found}


def _part(answer: Row, name: str) -> Row:
    """The part of an answer that was asked for: one without it is no empty result, whatever its status."""
    part = answer.get(name)
    if not isinstance(part, dict):
        raise TemporaryFailure("QuickBooks answered something that is no result.")
    return part


def _reconnect() -> ConfigurationFailure:
    return ConfigurationFailure(
        "QuickBooks no longer accepts this login. Connect again, and give the new refresh_token.",
        field="refresh_token",
        reauthorise=True,
    )


def _with_numbers(value: Any, name: str = "") -> Any:
    """Amounts as JSON numbers: they are stored as texts, and go over the wire digit by digit."""
    if isinstance(value, dict):
        return {key: _with_numbers(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_numbers(item, name) for item in value]
    return Decimal(value) if name in _NUMBERS and isinstance(value, str) else value
