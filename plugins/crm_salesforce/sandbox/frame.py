"""What all calls of the stand-in share: the session, the API budget, and the transaction around a change."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cached_property
from threading import get_ident
from time import sleep
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request, Response

from hub.testing.sandbox import Sandbox, from_json, json_response
from plugins.crm_salesforce.sandbox.errors import ApiError
from plugins.crm_salesforce.sandbox.org import Org
from plugins.crm_salesforce.sandbox.schema import HUB_ID_FIELDS, SObject, build_schema
from plugins.crm_salesforce.sandbox.seed import ORGANIZATION_ID, STAGES, fill, new_user_id

OLDEST_VERSION, NEWEST_VERSION = 31, 68
API_USER, SALES_USER = new_user_id(1), new_user_id(2)
ORG_ID = ORGANIZATION_ID
_LONGEST_ADDRESS = 16_384
_DAY = timedelta(hours=24)
_VERSION = re.compile(r"/services/data/v(\d+)\.0(?:/|$)")


class SalesforceFrame(Sandbox):
    """State: rows, tokens, refresh tokens, query locators, the day's calls, locks, refusals and the duplicate rule.

    options: client_id, client_secret, username, certificate (of the assertion's key: PEM, or a file of it),
    refresh_token, rotate_refresh_tokens, my_domain, run_as, hub_id_field, currencies (given: multi-currency, the first
    is the default), currency, country, organization, seed ("firm", "empty" or {object: [row]}), missing (objects and
    "Object.Field" the API user may not see), closed (those it may not write, see schema.build_schema), daily_calls,
    session_s, page_size, duplicate_rule (off, alert, block), save_s (how long a write holds its rows and their
    accounts; a parallel one is refused with UNABLE_TO_LOCK_ROW meanwhile), bad_field_refuses (an unknown field or an
    ill-typed value refuses the "call" or the "row"), trims_text (text is stored without its outer blanks).
    hub_id_field: true, false, or one of schema.HUB_ID_FIELDS.
    """

    name = "salesforce"

    def __init__(self, **options: Any) -> None:
        self._held: dict[str, int] = {}
        """Rows that an open call holds, with that call's thread."""
        super().__init__(**options)

    def first_state(self) -> dict[str, Any]:
        state: dict[str, Any] = {
            "rows": {},
            "last_number": 100,
            "tokens": {},
            "refresh_tokens": [self.options["refresh_token"]] if "refresh_token" in self.options else [],
            "locators": {},
            "usage": {"since": self.now().isoformat(), "calls": 0},
            "locked": {},
            "refusals": [],
            "duplicate_rule": "off",
        }
        named = {name: self.options[name] for name in ("seed", "country", "organization") if name in self.options}
        fill(state, self.full_schema, now=self.now(), username=self.username, **named)
        return {**state, "duplicate_rule": self.options.get("duplicate_rule", "off")}

    # Options ---------------------------------------------------------------------------------------------------------

    @cached_property
    def currencies(self) -> tuple[str, ...]:
        """The active currencies of a multi-currency org; none where the org has one currency."""
        return self._names("currencies")

    @cached_property
    def schema(self) -> dict[str, SObject]:
        """What the integration user may see, and write."""
        return self._build_schema(missing=self._names("missing"), closed=self._names("closed"))

    @cached_property
    def full_schema(self) -> dict[str, SObject]:
        """What the org has."""
        return self._build_schema()

    def _names(self, option: str) -> tuple[str, ...]:
        given = self.options.get(option, ())
        return tuple(given.split(",")) if isinstance(given, str) and given else tuple(given)

    def _build_schema(self, *, missing: tuple[str, ...] = (), closed: tuple[str, ...] = ()) -> dict[str, SObject]:
        key_field = str(self.options.get("hub_id_field", True))
        if key_field not in HUB_ID_FIELDS:
            key_field = "good" if truth(key_field) else ""
        return build_schema(
            stages=tuple(stage[0] for stage in STAGES),
            hub_id_field=key_field,
            currencies=self.currencies,
            missing=missing,
            closed=closed,
        )

    @property
    def client_id(self) -> str:
        return str(self.options.get("client_id", "3MVG9.stand-in.consumer.key"))

    @property
    def client_secret(self) -> str:
        return str(self.options.get("client_secret", "stand-in-consumer-secret"))

    @property
    def username(self) -> str:
        return str(self.options.get("username", "hub@example.com"))

    @property
    def daily_calls(self) -> int:
        return int(self.options.get("daily_calls", 100_000))

    def settings(self, url: str) -> dict[str, Any]:
        settings = {"login_url": url, "client_id": self.client_id, "client_secret": self.client_secret}
        if not self.currencies:
            settings["currency"] = str(self.options.get("currency", "USD"))
        return settings

    # A call ----------------------------------------------------------------------------------------------------------

    def admit(self, request: Request, counts: str) -> Response | None:
        if counts in ("token", "public"):
            return None
        if len(request.environ.get("REQUEST_URI", "")) > _LONGEST_ADDRESS:
            raise ApiError("URI_TOO_LONG", "The address is too long", status=414)
        _refuse_version(request.path)
        self._refuse_session(request)
        if self.calls_left() <= 0:
            raise ApiError("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
        self.state["usage"]["calls"] += 1
        self.changed()
        if request.get_data() and request.mimetype != "application/json":
            raise ApiError("UNSUPPORTED_MEDIA_TYPE", "Content-Type header specified in HTTP request is not supported")
        return None

    def unknown_call(self, request: Request, error: HTTPException) -> Response:
        if error.code == 405:
            return ApiError("METHOD_NOT_ALLOWED", f"HTTP Method '{request.method}' not allowed.").response
        return ApiError("NOT_FOUND", "The requested resource does not exist").response

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Every data answer carries the API usage."""

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            if environ.get("PATH_INFO", "").startswith("/services/data/"):
                headers = [*headers, ("Sforce-Limit-Info", f"api-usage={self.calls_used()}/{self.daily_calls}")]
            return start_response(status, headers, exc_info)

        try:
            return super().__call__(environ, start)
        finally:
            self._let_go()

    def _hold(self, id: str) -> bool:
        """Take a row for this call until its answer leaves; False where another call has it."""
        if not float(self.options.get("save_s", 0)):
            return True
        with self.lock:
            return self._held.setdefault(id, get_ident()) == get_ident()

    def _let_go(self) -> None:
        """A save takes its time: the rows are free when it is over, and others are refused until then."""
        with self.lock:
            mine = [id for id, thread in self._held.items() if thread == get_ident()]
        if not mine:
            return
        sleep(float(self.options.get("save_s", 0)))
        with self.lock:
            for id in mine:
                del self._held[id]

    def dispatch(self, request: Request) -> Response:
        """Answer a subrequest, without counting it or looking at its session."""
        try:
            (name, _), variables = self._match(request)
            value = getattr(self, name)(request, **variables)
            return value if isinstance(value, Response) else json_response(value)
        except ApiError as error:
            return error.response
        except HTTPException as error:
            return self.unknown_call(request, error)

    # Sessions and budget ---------------------------------------------------------------------------------------------

    def _refuse_session(self, request: Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        session = self.state["tokens"].get(token) if scheme in ("Bearer", "OAuth") else None
        if session is None or datetime.fromisoformat(session["ends_at"]) <= self.now():
            raise ApiError("INVALID_SESSION_ID", "Session expired or invalid")
        session["ends_at"] = self.session_end()  # an idle time-out: each call keeps it alive

    def session_end(self) -> str:
        return (self.now() + timedelta(seconds=float(self.options.get("session_s", 7200)))).isoformat()

    def calls_used(self) -> int:
        """API calls of the present 24 hours."""
        with self.lock:
            usage = self.state["usage"]
            if self.now() - datetime.fromisoformat(usage["since"]) >= _DAY:
                usage |= {"since": self.now().isoformat(), "calls": 0}
            return int(usage["calls"])

    def calls_left(self) -> int:
        return self.daily_calls - self.calls_used()

    # Changing rows ---------------------------------------------------------------------------------------------------

    _open: Org | None = None

    @contextmanager
    def transaction(
        self, *, actor: str = "api", now: datetime | None = None, allow_duplicates: bool = False
    ) -> Iterator[Org]:
        """An Org that is saved at the end, or undone by an exception; within another one it is a part of it."""
        if self._open is not None:
            mark = self._open.mark()
            try:
                yield self._open
            except Exception:
                self._open.roll_back(mark)
                raise
            return
        self._open = org = self.org(actor=actor, now=now, allow_duplicates=allow_duplicates)
        try:
            yield org
            org.commit()
        except BaseException:
            org.roll_back()
            raise
        finally:
            self._open = None
            self.changed()

    def org(self, *, actor: str = "api", now: datetime | None = None, allow_duplicates: bool = False) -> Org:
        def record(operation: str, kind: str, id: str, key: str) -> None:
            self.record(operation, kind, id, actor=actor, key=key)

        return Org(
            self.state,
            self.schema if actor == "api" else self.full_schema,
            now=now or self.now(),
            user_id=API_USER if actor == "api" else SALES_USER,
            record=record,
            by_api=actor == "api",
            hold=self._hold,
            trims=truth(self.options.get("trims_text", True)),
            allow_duplicates=allow_duplicates,
        )


class AllUndone(Exception):
    """Ends a transaction of a call in which all or nothing was asked for."""


def truth(value: Any) -> bool:
    """An option that may come from a command line."""
    return value if isinstance(value, bool) else str(value).lower() in ("1", "true", "yes", "on")


def json_body(request: Request) -> Any:
    """The JSON of a request. Raises JSON_PARSER_ERROR."""
    try:
        return from_json(request.get_data())
    except ValueError:
        raise ApiError("JSON_PARSER_ERROR", "Unexpected character in the body") from None


def json_object(request: Request) -> dict[str, Any]:
    body = json_body(request)
    if not isinstance(body, dict):
        raise ApiError("JSON_PARSER_ERROR", "Can not deserialize: unexpected array or value")
    return body


def version_of(request: Request) -> str:
    """The version of a call as "66.0"."""
    match = _VERSION.match(request.path)
    return f"{match[1]}.0" if match else f"{NEWEST_VERSION}.0"


def _refuse_version(path: str) -> None:
    match = _VERSION.match(path)
    if match is None or int(match[1]) > NEWEST_VERSION:
        raise ApiError("NOT_FOUND", "The requested resource does not exist")
    if int(match[1]) < OLDEST_VERSION:
        raise ApiError("UNSUPPORTED_API_VERSION", f"API version {match[1]}.0 has been retired")


def duplicates_allowed(request: Request) -> bool:
    """Whether the caller passes an alert of the duplicate rule."""
    header = request.headers.get("Sforce-Duplicate-Rule-Header", "")
    return "allowsave=true" in header.replace(" ", "").lower()
