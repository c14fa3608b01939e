"""The calls of the Salesforce REST API that we use, on the hub's HTTP session. No domain here."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

from requests import Response

from hub.sdk import ConnectionContext, OutcomeUnknown, TemporaryFailure, Values
from plugins.crm_salesforce.failures import NOT_FOR_US, code_of, failure_of, is_expired_session, quota_spent
from plugins.crm_salesforce.sign_in import sign_in

LIMIT = "calls"
MOST_ROWS = 200
"""Records of one collection call."""
_USAGE = re.compile(r"api-usage=(\d+)/(\d+)")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class QueryPage:
    """Rows of one answer. server_at: the server's clock when it answered; total: rows of the whole result."""

    rows: list[Row]
    total: int
    server_at: datetime | None


class SalesforceClient:
    """Speaks to one org with one session, which is renewed once when it is refused.

    instance_url: where the stored session is good, if known; every login tells it anew. give_up_at: monotonic seconds
    after which no call is made any more. calls_share: the per cent of the day's calls after which `query` pauses.
    """

    def __init__(
        self,
        context: ConnectionContext,
        *,
        instance_url: str | None = None,
        calls_share: int | None = None,
        give_up_at: float | None = None,
    ) -> None:
        self._http, self._tokens, self._settings = context.http, context.tokens, context.settings
        self._calls_share, self._give_up_at = calls_share, give_up_at
        self._token: str | None = None
        self.instance_url = instance_url
        self.identity_url: str | None = None
        """Ends with the ids of the org and of our user; known after a login of our own."""
        self.usage: tuple[int, int] | None = None
        """API calls used and allowed in 24 hours, as the last answer said."""

    # Reading ---------------------------------------------------------------------------------------------------------

    def versions(self) -> list[str]:
        """API versions of the org. Reference: REST API, “Versions”."""
        return [str(each["version"]) for each in self._list(self._call("GET", "/services/data"))]

    def resources(self) -> Row:
        """Resources of the version in use, with the address of our own identity. Reference: “Resources by Version”."""
        return self._object(self._call("GET", self._path("")))

    def limits(self) -> Row:
        """Reference: REST API, “Limits”."""
        return self._object(self._call("GET", self._path("/limits")))

    def describe(self, name: str) -> Row | None:
        """An object's fields as we may see them, or None where we may not. Reference: “sObject Describe”."""
        response = self._send("GET", self._path(f"/sobjects/{name}/describe"))
        if response.status_code == 404 or code_of(response) in (*NOT_FOR_US, "INVALID_TYPE"):
            return None
        return self._object(self._checked(response, write=False))

    def query(self, statement: str, *, deleted: bool = False) -> Iterator[QueryPage]:
        """All pages of a query; deleted: with what is in the recycle bin. Reference: “Query”, “QueryAll”."""
        self._leave_calls_for_others()
        path = self._path("/queryAll" if deleted else "/query")
        answer = self._call("GET", path, params={"q": statement})
        while True:
            body = self._object(answer)
            yield QueryPage(_rows(body), int(body["totalSize"]), _server_clock(answer))
            if body["done"]:
                return
            self._leave_calls_for_others()
            answer = self._call("GET", _next_path(body))

    # Writing ---------------------------------------------------------------------------------------------------------

    def create_rows(self, rows: Sequence[Row]) -> list[Row]:
        """One result per row, in order. Reference: “Create Records Using sObject Collections”."""
        return self._collection("POST", "/composite/sobjects", rows)

    def update_rows(self, rows: Sequence[Row]) -> list[Row]:
        """Each row with its `id`. Reference: “Update Records Using sObject Collections”."""
        return self._collection("PATCH", "/composite/sobjects", rows)

    def upsert_rows(self, name: str, key_field: str, rows: Sequence[Row]) -> list[Row]:
        """Each row with its key; a repeat changes nothing. Reference: “Upsert Records Using sObject Collections”."""
        return self._collection("PATCH", f"/composite/sobjects/{name}/{key_field}", rows)

    def _collection(self, method: str, path: str, rows: Sequence[Row]) -> list[Row]:
        answer = self._call(method, self._path(path), json={"allOrNone": False, "records": list(rows)})
        results = _body(answer, list)
        if results is None or len(results) != len(rows):
            raise OutcomeUnknown("Salesforce answered a write with something that is not one result per record.")
        return list(results)

    # One call --------------------------------------------------------------------------------------------------------

    def _path(self, rest: str) -> str:
        return f"/services/data/v{self._settings['api_version']}{rest}"

    def _call(self, method: str, path: str, **body: Any) -> Response:
        return self._checked(self._send(method, path, **body), write=method != "GET")

    def _checked(self, response: Response, *, write: bool) -> Response:
        if response.status_code >= 300:
            raise failure_of(response, write=write)
        return response

    def _send(self, method: str, path: str, **body: Any) -> Response:
        """The answer, whatever it says; a refused session is renewed once and the call made again."""
        token = self._session()
        response = self._request(method, path, token, **body)
        if is_expired_session(response):
            token = self._session(seen=token)
            response = self._request(method, path, token, **body)
        usage = _USAGE.search(response.headers.get("Sforce-Limit-Info", ""))
        if usage:
            self.usage = int(usage[1]), int(usage[2])
        return response

    def _request(self, method: str, path: str, token: str, **body: Any) -> Response:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        response: Response = self._http.request(
            method,
            f"{self.instance_url}{path}",
            headers=headers,
            limits=(LIMIT,),
            timeout_s=self._time_left_s(),
            **body,
        )
        return response

    def _time_left_s(self) -> float | None:
        if self._give_up_at is None:
            return None
        left_s = self._give_up_at - time.monotonic()
        if left_s <= 0:
            raise TemporaryFailure("Salesforce takes too long to answer; try again later.")
        return left_s

    # Session ---------------------------------------------------------------------------------------------------------

    def _session(self, seen: str | None = None) -> str:
        """An access token, and with it the address where it is good."""
        if self._token is None or self._token == seen:
            self._token = self._tokens.access_token(self._renew, seen=seen)
        if self.instance_url is None:  # another process signed in; only a login of our own tells us where
            self._token = self._tokens.access_token(self._renew, seen=self._token)
        if self.instance_url is None:
            raise TemporaryFailure("Another process is signing in to Salesforce; try again.", retry_after_s=1)
        return self._token

    def _renew(self, tokens: Values, /) -> Values:
        answer = sign_in(self._http, self._settings, limits=(LIMIT,), timeout_s=self._time_left_s())
        self.instance_url, self.identity_url = answer["instance_url"], answer["id"]
        return {"access_token": answer["access_token"]}

    def _leave_calls_for_others(self) -> None:
        if self.usage is None or self._calls_share is None:
            return
        used, allowed = self.usage
        if used * 100 >= allowed * self._calls_share:
            raise quota_spent(
                f"{used} of the org's {allowed} API calls of a day are used (share: {self._calls_share} %)"
            )

    @staticmethod
    def _object(response: Response) -> Row:
        return dict(_read(response, dict))

    @staticmethod
    def _list(response: Response) -> list[Any]:
        return list(_read(response, list))


def _body(response: Response, shape: type) -> Any:
    """The JSON of an answer, with Decimal for numbers; None when it is HTML, empty or of another shape."""
    try:
        body = response.json(parse_float=Decimal)
    except ValueError:
        return None
    return body if isinstance(body, shape) else None


def _read(response: Response, shape: type) -> Any:
    body = _body(response, shape)
    if body is None:
        raise TemporaryFailure("Salesforce answered with something that is not what was asked for.")
    return body


def _rows(body: Row) -> list[Row]:
    """The rows of a page. An answer without them is a fault, never the end of the data."""
    if not isinstance(body.get("records"), list) or not isinstance(body.get("done"), bool) or "totalSize" not in body:
        raise TemporaryFailure("Salesforce answered a query with something that is no page.")
    return list(body["records"])


def _next_path(body: Row) -> str:
    path = body.get("nextRecordsUrl")
    if not isinstance(path, str) or not path.startswith("/services/"):
        raise TemporaryFailure("Salesforce says there are more rows, but not where.")
    return path


def _server_clock(response: Response) -> datetime | None:
    try:
        return parsedate_to_datetime(response.headers.get("Date", ""))
    except (ValueError, TypeError):
        return None
