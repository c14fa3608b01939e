"""The wire between the connector and the fake remote: what went over it, and what is made to go wrong on it.

Stands in front of a sandbox as its WSGI server, so that the connector's own HTTP meets the trouble, whatever it calls.
"""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qsl

from hub.testing.conformance.clock import Clock
from hub.testing.sandbox import Sandbox, to_json


@dataclass(frozen=True, slots=True)
class Sent:
    """One request as it arrived. applied: whether the fake remote got to see it. signs_in: it is for tokens."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    at: datetime
    applied: bool
    signs_in: bool = False

    @property
    def reads(self) -> bool:
        """Whether it can change no record."""
        return self.signs_in or self.method in ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that goes wrong with a call. name: in words, for what is reported.

    apply: whether the call takes effect. ending: "reset" closes the connection without an answer, "cut" in the middle
    of the answer; "answer" sends the one given here instead (a body that is no text as JSON); "real" the real one.
    delay_s: before the answer.
    """

    name: str
    apply: bool = False
    ending: str = "answer"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = ""
    delay_s: float = 0


RESET = Trouble("connection reset before anything was done", ending="reset")
LOST = Trouble("answer lost after it was done", apply=True, ending="reset")
CUT = Trouble("answer cut off in the middle", apply=True, ending="cut")
HTML = Trouble("a web page instead of an answer", body="<!doctype html><html><title>Sign in</title></html>")
ERROR_IN_200 = Trouble("status 200 with an error in it", body={"error": {"code": "internal", "message": "sorry"}})
EMPTY = Trouble("status 200 with nothing in it", headers={"Content-Type": "application/json"})
BROKEN = Trouble("status 500", status=500, body={"error": "internal"})
AWAY = Trouble("status 503", status=503, body="down for maintenance")
FORBIDDEN = Trouble("status 403", status=403, body={"error": "forbidden"})

TROUBLES = (RESET, LOST, CUT, HTML, ERROR_IN_200, EMPTY, BROKEN, AWAY)
"""What happens on every wire, whoever the vendor is."""


def too_many(retry_after: str) -> Trouble:
    """Status 429 that says when to come again, in seconds or as a date."""
    return Trouble(f"status 429 with Retry-After {retry_after}", status=429, headers={"Retry-After": retry_after})


@dataclass
class _Planned:
    trouble: Trouble
    skip: int
    times: int
    method: str
    path: str

    def concerns(self, method: str, path: str) -> bool:
        wanted = self.method.split("|")
        return any(fnmatchcase(method, each) for each in wanted) and fnmatchcase(path, self.path)


class Wire:
    """What is served instead of the sandbox. `sent` is what arrived, in order.

    sign_in: the path where tokens are fetched; what happens there is only noted.
    """

    def __init__(self, sandbox: Sandbox, clock: Clock, *, sign_in: str = "") -> None:
        self.sandbox, self._clock, self._sign_in = sandbox, clock, sign_in
        self.sent: list[Sent] = []
        self.before: Callable[[Sent], None] | None = None
        """Called with every request before it is answered."""
        self._planned: list[_Planned] = []
        self._lock = threading.Lock()

    def plan(self, trouble: Trouble, *, skip: int = 0, times: int = 1, method: str = "*", path: str = "*") -> None:
        """Let a trouble happen to the next matching calls, after `skip` of them. method: "POST|PUT" for either."""
        self._planned.append(_Planned(trouble, skip, times, method, path))

    def clear(self) -> bool:
        """Plan nothing more. Returns whether all that was planned has happened."""
        over = not self._planned
        self._planned.clear()
        return over

    def writes(self) -> list[Sent]:
        """The requests that could have changed something."""
        return [sent for sent in self.sent if not sent.reads]

    def settings(self, url: str) -> dict[str, Any]:
        return self.sandbox.settings(url)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        signs_in = bool(self._sign_in) and fnmatchcase(environ["PATH_INFO"], self._sign_in)
        trouble = None if signs_in else self._next(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        request = self._note(environ, body, applied=trouble is None or trouble.apply, signs_in=signs_in)
        if self.before is not None and not signs_in:
            self.before(request)
        if trouble is None:
            return self.sandbox(environ, start_response)
        time.sleep(trouble.delay_s)
        return self._troubled(trouble, environ, start_response)

    def _next(self, method: str, path: str) -> Trouble | None:
        with self._lock:
            for planned in self._planned:
                if not planned.concerns(method, path):
                    continue
                if planned.skip:
                    planned.skip -= 1
                    continue
                planned.times -= 1
                if planned.times <= 0:
                    self._planned.remove(planned)
                return planned.trouble
        return None

    def _note(self, environ: dict[str, Any], body: bytes, *, applied: bool, signs_in: bool) -> Sent:
        request = Sent(
            method=environ["REQUEST_METHOD"],
            path=environ["PATH_INFO"],
            query=dict(parse_qsl(environ.get("QUERY_STRING", ""))),
            headers={name[5:].replace("_", "-").title(): v for name, v in environ.items() if name.startswith("HTTP_")},
            body=body,
            at=self._clock.now(),
            applied=applied,
            signs_in=signs_in,
        )
        with self._lock:
            self.sent.append(request)
        return request

    def _troubled(self, trouble: Trouble, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        status, headers, body = _answer_of(trouble)
        if trouble.apply:
            real = self._real_answer(environ)
            if trouble.ending in ("cut", "real"):
                status, headers, body = real
        if trouble.ending == "reset" or (trouble.ending == "cut" and len(body) < 2):
            _close(environ)
            start_response("200 OK", [("Content-Length", "0")])
            return [b""]
        kept = [(name, value) for name, value in headers if name.lower() != "content-length"]
        start_response(status, [*kept, ("Content-Length", str(len(body)))])
        return _half_of(body, environ) if trouble.ending == "cut" else [body]

    def _real_answer(self, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
        heard: list[Any] = []
        body = b"".join(self.sandbox(environ, lambda status, headers, info=None: heard.extend((status, headers))))
        return heard[0], heard[1], body


def _answer_of(trouble: Trouble) -> tuple[str, list[tuple[str, str]], bytes]:
    text = trouble.body if isinstance(trouble.body, str) else to_json(trouble.body)
    kind = "text/html; charset=utf-8" if isinstance(trouble.body, str) else "application/json"
    return f"{trouble.status} So", list(({"Content-Type": kind} | dict(trouble.headers)).items()), text.encode()


def _half_of(body: bytes, environ: dict[str, Any]) -> Iterator[bytes]:
    yield body[: len(body) // 2]
    _close(environ)


def _close(environ: dict[str, Any]) -> None:
    with suppress(OSError):
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
