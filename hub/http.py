"""The HTTP session that everything outgoing uses.

One call is one request and its whole answer: with time-outs, a cap on size, the account's limits, checked addresses
and certificates, and a trace without secrets. Nothing is repeated and no redirect is followed; who calls decides.
What went wrong comes as the ConnectorError that says whether the call may have had an effect:

    the connection could not be made                        → TemporaryFailure
    no answer, or not all of it, to GET, HEAD or OPTIONS    → TemporaryFailure
    no answer, or not all of it, to anything else           → OutcomeUnknown
    an address that must not be called                      → ConfigurationFailure, nothing is sent
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
import structlog
import urllib3
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from hub import exact_json
from hub.addresses import AddressRules
from hub.checked_connections import CheckingAdapter, making
from hub.core.errors import (
    Busy,
    ConfigurationFailure,
    ConnectorError,
    OutcomeUnknown,
    PermanentFailure,
    TemporaryFailure,
)
from hub.redaction import Redactor
from hub.tracing import current_trace, new_span

CONNECT_TIMEOUT_S = 10.0
CALL_TIMEOUT_S = 60.0
LIMIT_WAIT_S = 75.0
"""The longest wait for a turn: more than the minute that most vendors' windows have."""
MAX_ANSWER_BYTES = 64 * 1024 * 1024

_READS = {"GET", "HEAD", "OPTIONS"}
_PIECE = 64 * 1024
_HEADERS = {"User-Agent": "psa-hub", "Accept": "*/*", "Accept-Encoding": "gzip, deflate"}

log = structlog.get_logger("hub.http")


class CallBudget(Protocol):
    """The call budget of a remote account (`hub.sync.limits.Limiter`)."""

    def slot(self, classes: Sequence[str], timeout_s: float) -> AbstractContextManager[None]:
        """Wait for a turn in all these classes (none named: in every class), and hold it for as long as it is open.

        Raises TemporaryFailure, with the time it takes, when there is none within timeout_s.
        """

    def penalise(self, classes: Sequence[str], seconds: float) -> None:
        """The remote system asked for silence."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it is traced: no body, no headers, an address without secrets. status: None without an answer.

    trace: what set it off; span: this call within it (see `hub.tracing`).
    """

    method: str
    url: str
    status: int | None
    duration_s: float
    sent_bytes: int
    received_bytes: int
    failure: str = ""
    trace: str = ""
    span: str = ""


class HttpClient:
    """Makes calls, and counts them in `calls`. May be used by several threads.

    limiter: is asked before every call. secrets: what must appear in no log and no trace. trace: called after every
    call. allow_private: hosts of a private network may be called (connectors, whose settings an admin wrote; never
    outgoing webhooks). allow_loopback: so may a URL that itself names this machine, also by plain http.
    """

    def __init__(
        self,
        *,
        limiter: CallBudget | None = None,
        secrets: Collection[str] = (),
        trace: Callable[[Call], None] | None = None,
        allow_private: bool = False,
        allow_loopback: bool = True,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        self._limiter, self._trace, self._max_bytes = limiter, trace, max_answer_bytes
        self._secrets = tuple(secrets)
        self.calls, self._counting = 0, threading.Lock()
        self._rules = AddressRules(private=allow_private, loopback=allow_loopback)
        self._adapter = CheckingAdapter(self._rules)

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        limits: Sequence[str] = (),
        timeout_s: float | None = None,
    ) -> requests.Response:
        """One call and its whole answer, whatever its status; `failure_for` judges that.

        json: Decimal allowed, float refused. limits: the classes it counts in; none named means all of the account's.
        timeout_s: for the call, and again at most as long for its turn. Raises the errors of the module's table.
        """
        self._rules.check_url(url)
        prepared = _prepare(method.upper(), url, params, json, data, headers)
        wait_s = LIMIT_WAIT_S if timeout_s is None else min(timeout_s, LIMIT_WAIT_S)
        timeout_s = CALL_TIMEOUT_S if timeout_s is None else timeout_s
        with self._turn(limits, wait_s):
            with self._counting:
                self.calls += 1
            response = self._send(prepared, timeout_s)
        silence_s = retry_after_s(response) if response.status_code in (429, 503) else None
        if self._limiter is not None and silence_s:
            self._limiter.penalise(limits, silence_s)
        return response

    def pause(self, seconds: float, limits: Sequence[str] = ()) -> None:
        """The other system asked for silence: nobody calls this account, in any class unless named, for so long."""
        if self._limiter is not None:
            self._limiter.penalise(limits, seconds)

    def get(self, url: str, **options: Any) -> requests.Response:
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> requests.Response:
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Any) -> requests.Response:
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Any) -> requests.Response:
        return self.request("PATCH", url, **options)

    def delete(self, url: str, **options: Any) -> requests.Response:
        return self.request("DELETE", url, **options)

    def close(self) -> None:
        """Close idle connections."""
        self._adapter.close()

    def _turn(self, limits: Sequence[str], wait_s: float) -> AbstractContextManager[None]:
        return nullcontext() if self._limiter is None else self._limiter.slot(limits, wait_s)

    def _send(self, prepared: requests.PreparedRequest, timeout_s: float) -> requests.Response:
        started = time.monotonic()
        making.failed = False
        response, received, failure = None, 0, None
        try:
            response = self._adapter.send(
                prepared, stream=True, timeout=(min(CONNECT_TIMEOUT_S, timeout_s), timeout_s), verify=True, proxies={}
            )
            received = _read(response, self._max_bytes, started + timeout_s)
            return response
        except _TooLarge:
            failure = self._too_large(prepared)
            raise failure from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            failure = _explained(error, prepared, timeout_s)
            raise failure from error
        except ConnectorError as refused:
            failure = refused
            raise
        finally:
            self._report(prepared, response, time.monotonic() - started, received, failure)

    def _too_large(self, prepared: requests.PreparedRequest) -> ConnectorError:
        text = f"{_host(prepared)} answered with more than {self._max_bytes:,} bytes."
        return PermanentFailure(text) if prepared.method in _READS else OutcomeUnknown(text)

    def _report(
        self,
        prepared: requests.PreparedRequest,
        response: requests.Response | None,
        duration_s: float,
        received: int,
        failure: Exception | None,
    ) -> None:
        redactor = Redactor([*self._secrets, *_credentials(prepared)])
        call = Call(
            method=str(prepared.method),
            url=redactor.url(str(prepared.url)),
            status=response.status_code if response is not None and failure is None else None,
            duration_s=round(duration_s, 4),
            sent_bytes=len(prepared.body or b""),
            received_bytes=received,
            failure=redactor.text(str(failure)) if failure else "",
            trace=current_trace(),
            span=new_span(),
        )
        details = {"method": call.method, "url": call.url, "status": call.status, "duration_s": call.duration_s}
        details["span"] = call.span
        if failure is None:
            log.debug("call", **details, sent_bytes=call.sent_bytes, received_bytes=call.received_bytes)
        else:
            log.warning("call failed", **details, failure=call.failure)
        if self._trace is not None:
            self._trace(call)


# Judging an answer ---------------------------------------------------------------------------------------------------


def failure_for(response: requests.Response, *, write: bool) -> ConnectorError | None:
    """What a status means at any vendor, or None where that is the vendor's own affair (2xx, most 4xx).

    429, 408, 425: it was not carried out. 5xx to a write: it may have been. A redirect: the address is wrong.
    """
    status, text = response.status_code, f"{_host(response.request)} answered {_status_text(response)}"
    if status in (425, 429):
        return Busy(f"{text}.", retry_after_s=retry_after_s(response))
    if status == HTTPStatus.REQUEST_TIMEOUT:
        return TemporaryFailure(f"{text}.", retry_after_s=retry_after_s(response))
    if status >= 500 and write:
        return OutcomeUnknown(f"{text}; it may have been carried out.")
    if status >= 500:
        return TemporaryFailure(f"{text}.", retry_after_s=retry_after_s(response))
    if 300 <= status < 400 and status != HTTPStatus.NOT_MODIFIED:
        elsewhere = urlsplit(response.headers.get("Location", "")).hostname or "another address"
        return ConfigurationFailure(f"{text} and points to {elsewhere}. Set the address that it has now.")
    return None


def retry_after_s(response: requests.Response) -> float | None:
    """How long the other system asks us to wait: Retry-After in seconds or as a date, measured by its own clock."""
    text = response.headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.replace(".", "", 1).isdecimal():
        return float(text)
    until = _http_date(text)
    if until is None:
        return None
    there = _http_date(response.headers.get("Date", "")) or datetime.now(UTC)
    return max(0.0, (until - there).total_seconds())


def _http_date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _status_text(response: requests.Response) -> str:
    return f"{response.status_code} {response.reason or ''}".strip()


# One request ---------------------------------------------------------------------------------------------------------


def _prepare(
    method: str,
    url: str,
    params: Mapping[str, Any] | None,
    json: Any,
    data: Any,
    headers: Mapping[str, str] | None,
) -> requests.PreparedRequest:
    all_headers = {**_HEADERS, **(headers or {})}
    if json is not None:
        data = exact_json.dumps(json).encode()
        if "content-type" not in {name.lower() for name in all_headers}:
            all_headers["Content-Type"] = "application/json"
    try:
        return requests.Request(method, url, params=params, data=data, headers=all_headers).prepare()
    except requests.RequestException as failure:
        host = urlsplit(url).hostname
        raise ConfigurationFailure(f"The address or a header for {host} is malformed; check the settings.") from failure


def _host(prepared: requests.PreparedRequest) -> str:
    return urlsplit(prepared.url or "").hostname or "The other system"


def _credentials(prepared: requests.PreparedRequest) -> list[str]:
    """What the Authorization header says after its scheme."""
    return [str(prepared.headers.get("Authorization", "")).rpartition(" ")[2]]


class _TooLarge(Exception):
    pass


def _read(response: requests.Response, max_bytes: int, deadline: float) -> int:
    """Read the whole body into the response; returns its size. Raises what urllib3 does, and _TooLarge."""
    body = bytearray()
    while piece := response.raw.read1(_PIECE, decode_content=True):
        body += piece
        if len(body) > max_bytes:
            response.close()
            raise _TooLarge
        if time.monotonic() > deadline:
            response.close()
            raise TimeoutError("the answer did not end in time")
    response._content = bytes(body)
    response._content_consumed = True  # type: ignore[attr-defined]
    response.close()
    return len(body)


def _explained(error: Exception, prepared: requests.PreparedRequest, timeout_s: float) -> ConnectorError:
    host, reason = _host(prepared), _reason(error, timeout_s)
    if making.failed or isinstance(error, requests.ConnectTimeout):
        return TemporaryFailure(f"{host} cannot be reached: {reason}.")
    if prepared.method in _READS:
        return TemporaryFailure(f"{host} gave no complete answer: {reason}.")
    return OutcomeUnknown(f"{host} gave no complete answer ({reason}); it may have done what was asked.")


def _reason(error: Exception, timeout_s: float) -> str:
    cause = getattr(error.args[0], "reason", None) if error.args else None
    found = cause or error
    if isinstance(found, NameResolutionError):
        return "its name is not known"
    if isinstance(found, NewConnectionError):
        return "it accepts no connection"
    if isinstance(found, ConnectTimeoutError) or isinstance(error, requests.ConnectTimeout):
        return f"no connection within {min(CONNECT_TIMEOUT_S, timeout_s):g} s"
    if isinstance(found, urllib3.exceptions.SSLError) or isinstance(error, requests.exceptions.SSLError):
        return "its certificate or encryption is not acceptable"
    if isinstance(found, urllib3.exceptions.TimeoutError | requests.Timeout | TimeoutError):
        return f"time-out after {timeout_s:g} s"
    return "the connection broke"
