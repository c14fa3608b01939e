"""The HTTP session that everything outgoing uses: time-outs, limits, traces, redaction, address checks.

It never retries and never waits for anything but the other side: what to do after a failure is the caller's decision,
and the class of the error says which ones make sense.
"""

from __future__ import annotations

import base64
import ipaddress
import json as json_module
import re
import socket
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import requests
import structlog

from hub.core.errors import ConfigurationFailure, ConnectorError, OutcomeUnknown, TemporaryFailure

CONNECT_S, READ_S = 10.0, 100.0
LARGEST_ANSWER = 64 * 1024 * 1024
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_ALWAYS_REFUSED = (ipaddress.ip_network("169.254.0.0/16"), ipaddress.ip_network("fe80::/10"))

log = structlog.get_logger("hub.http")


class CallBudget(Protocol):
    """Waits until a call of these limit classes may be made, and holds its place while it runs."""

    def slot(self, classes: Sequence[str]) -> AbstractContextManager[None]: ...


class HttpClient:
    """A session for one connection (or none), for one thread at a time."""

    def __init__(
        self,
        *,
        limiter: CallBudget | None = None,
        secrets: Collection[str] = (),
        allow_private: bool = False,
        trace: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        """secrets: never logged, in whatever encoding. allow_private: addresses of a local network may be called."""
        self._session = requests.Session()
        self._session.trust_env = False
        self._limiter = limiter
        self._hidden = hidden_forms(secrets)
        self._allow_private = allow_private
        self._trace = trace
        self.calls = 0

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
        auth: tuple[str, str] | None = None,
    ) -> requests.Response:
        """One call; the response, whatever its status. Redirects are not followed.

        limits: the limit classes it counts towards. Raises TemporaryFailure when no connection came about, or a read
        got no answer; OutcomeUnknown when something else was sent and no complete answer came; ConfigurationFailure
        for an address that may not be called.
        """
        check_address(url, allow_private=self._allow_private)
        sent_headers = dict(headers or {})
        if json is not None:
            data = encode_json(json)
            sent_headers.setdefault("Content-Type", "application/json")
        started = time.monotonic()
        with self._limiter.slot(limits) if self._limiter is not None else nullcontext():
            self.calls += 1
            try:
                response = self._session.request(
                    method,
                    url,
                    params=params,
                    data=data,
                    headers=sent_headers,
                    auth=auth,
                    timeout=(CONNECT_S, timeout_s or READ_S),
                    allow_redirects=False,
                    stream=True,
                )
                _read_body(response)
            except (requests.ConnectTimeout, requests.exceptions.InvalidSchema) as failure:
                raise TemporaryFailure(f"{_host(url)} cannot be reached.") from failure
            except requests.exceptions.SSLError as failure:
                raise ConfigurationFailure(f"The certificate of {_host(url)} is not valid.") from failure
            except requests.RequestException as failure:
                self._note(method, url, None, started)
                raise _no_answer(method, url, failure) from failure
        self._note(method, url, response, started)
        return response

    def get(self, url: str, **more: Any) -> requests.Response:
        return self.request("GET", url, **more)

    def post(self, url: str, **more: Any) -> requests.Response:
        return self.request("POST", url, **more)

    def put(self, url: str, **more: Any) -> requests.Response:
        return self.request("PUT", url, **more)

    def patch(self, url: str, **more: Any) -> requests.Response:
        return self.request("PATCH", url, **more)

    def delete(self, url: str, **more: Any) -> requests.Response:
        return self.request("DELETE", url, **more)

    def _note(self, method: str, url: str, response: requests.Response | None, started: float) -> None:
        call = {
            "method": method,
            "url": redacted(url, self._hidden),
            "status": response.status_code if response is not None else None,
            "seconds": round(time.monotonic() - started, 3),
        }
        log.debug("call", **call)
        if self._trace is not None:
            self._trace(call)


def failure_for(response: requests.Response, *, write: bool) -> ConnectorError | None:
    """What a status means everywhere, or None for one that only the vendor can explain.

    429 and 408: try again, after what Retry-After says. 5xx: a read may be repeated; a write may have been applied.
    """
    status, host = response.status_code, _host(response.url)
    if status in (408, 425, 429):
        return TemporaryFailure(f"{host} is busy ({status}).", retry_after_s=retry_after_s(response))
    if status >= 500:
        if write:
            return OutcomeUnknown(f"{host} failed ({status}) before it said what became of the request.")
        return TemporaryFailure(f"{host} failed ({status}).", retry_after_s=retry_after_s(response))
    return None


def retry_after_s(response: requests.Response) -> float | None:
    """Seconds to wait as the Retry-After header says, in seconds or as a date (RFC 9110, 10.2.3)."""
    text = response.headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.isdigit():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def check_address(url: str, *, allow_private: bool) -> None:
    """Refuse what may not be called: plain http beyond this machine, and addresses of other people's networks.

    Loopback only when the address itself names it, so that no name can be made to point there. Raises
    ConfigurationFailure.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigurationFailure(f"“{parts.scheme}://{host}” is no web address.")
    if _is_loopback_name(host):
        return
    if parts.scheme != "https":
        raise ConfigurationFailure(f"{host} would be called without encryption: use https.")
    try:
        found = {item[4][0] for item in socket.getaddrinfo(host, parts.port or 443, type=socket.SOCK_STREAM)}
    except OSError as failure:
        raise TemporaryFailure(f"{host} cannot be found ({failure.strerror}). Check the address.") from failure
    for text in found:
        address = ipaddress.ip_address(str(text).partition("%")[0])
        if any(address in network for network in _ALWAYS_REFUSED) or address.is_loopback or address.is_unspecified:
            raise ConfigurationFailure(f"{host} points to {address}, which may not be called.")
        if not allow_private and not address.is_global:
            raise ConfigurationFailure(f"{host} points into a private network ({address}), which may not be called.")


def encode_json(value: Any) -> bytes:
    """JSON with decimals as numbers, digit by digit, never through a float."""
    marked: list[str] = []

    def mark(item: Any) -> Any:
        if isinstance(item, Decimal):
            marked.append(format(item, "f"))
            return f"\x00{len(marked) - 1}\x00"
        if isinstance(item, dict):
            return {key: mark(inner) for key, inner in item.items()}
        if isinstance(item, (list, tuple)):
            return [mark(inner) for inner in item]
        if isinstance(item, float):
            raise TypeError("a float in a body that other systems calculate with: use Decimal")
        return item

    text = json_module.dumps(mark(value), ensure_ascii=False)
    return re.sub(r'"\\u0000(\d+)\\u0000"', lambda found: marked[int(found[1])], text).encode()


def hidden_forms(secrets: Collection[str]) -> tuple[str, ...]:
    """A secret as it may turn up: as it is, url-encoded, in base64."""
    forms: set[str] = set()
    for secret in secrets:
        if len(secret) >= 4:
            forms |= {secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode()}
    return tuple(sorted(forms, key=len, reverse=True))


def redacted(text: str, hidden: Collection[str]) -> str:
    """The text without secrets."""
    for form in hidden:
        text = text.replace(form, "•••")
    return text


def _read_body(response: requests.Response) -> None:
    """Read the whole answer, unless it is larger than any answer should be."""
    chunks, size = [], 0
    for chunk in response.iter_content(65536):
        size += len(chunk)
        if size > LARGEST_ANSWER:
            response.close()
            raise requests.exceptions.ContentDecodingError("the answer is too large")
        chunks.append(chunk)
    response._content = b"".join(chunks)


def _no_answer(method: str, url: str, failure: requests.RequestException) -> ConnectorError:
    host = _host(url)
    if _was_never_sent(failure):
        return TemporaryFailure(f"{host} cannot be reached.")
    if method.upper() in _READS:
        return TemporaryFailure(f"{host} did not answer.")
    return OutcomeUnknown(f"{host} did not answer after the request was sent.")


def _was_never_sent(failure: BaseException) -> bool:
    """Whether no connection came about; a connection that broke may have carried the whole request."""
    seen: BaseException | None = failure
    while seen is not None:
        if type(seen).__name__ in ("NewConnectionError", "ConnectTimeoutError", "NameResolutionError"):
            return True
        reason = getattr(seen, "reason", None) or (seen.args[0] if seen.args else None)
        seen = reason if isinstance(reason, BaseException) else None
    return False


def _is_loopback_name(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host(url: str) -> str:
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2]
