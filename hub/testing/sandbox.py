"""The frame of a sandbox: a vendor's stand-in as a real HTTP server, with a ledger of what really happened.

A subclass writes the vendor: handlers marked with `route`, what the vendor's own users do marked with `action`. The
frame gives it a threaded server on loopback, one state kept in a file, scripted faults and a control surface:

    GET  /_control/           the actions and their arguments
    GET  /_control/ledger     {"effects": [...], "calls": {class: count}}
    GET  /_control/state      the whole state
    POST /_control/faults     one fault or a list of them (see Fault); DELETE forgets them
    POST /_control/clock      {"advance_s": 3600}: the sandbox's clock goes ahead
    POST /_control/reset      back to the first state, with an empty ledger
    POST /_control/<action>   a vendor's user does something

The effect ledger is what a test of "exactly once" looks at: it names every change that was applied, whatever the
answers said. Faults are met only by API calls, never by the control surface.
"""

from __future__ import annotations

import inspect
import ipaddress
import json
import re
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from hub.core.errors import SetupError
from hub.testing.sandbox_spec import SandboxSpec

__all__ = [
    "ActionRefused",
    "Answer",
    "Effect",
    "Fault",
    "Sandbox",
    "SandboxServer",
    "SandboxSpec",
    "action",
    "from_json",
    "json_response",
    "route",
    "to_json",
]

Method = TypeVar("Method", bound=Callable[..., Any])


# Exact numbers in JSON ------------------------------------------------------------------------------------------------

_MARKED_NUMBER = re.compile(r'"\\u0000([^"\\]*)\\u0000"')


def to_json(value: Any, *, indent: int | None = None) -> str:
    """JSON text in which a Decimal is a number with exactly its digits; the standard encoder knows only floats."""

    def marked(other: object) -> str:
        if isinstance(other, Decimal):
            return f"\0{other:f}\0"
        raise TypeError(f"{type(other).__name__} is not JSON")

    return _MARKED_NUMBER.sub(r"\1", json.dumps(value, default=marked, indent=indent))


def from_json(text: str | bytes) -> Any:
    """The value of a JSON text, with Decimal for every number that is not whole. Raises ValueError."""
    return json.loads(text, parse_float=Decimal)


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(to_json(value), status=status, headers=dict(headers or {}), content_type="application/json")


# What a subclass marks ------------------------------------------------------------------------------------------------


def route(method: str, path: str, *, counts: str = "call") -> Callable[[Method], Method]:
    """Mark a method as the handler of an API call. path: in werkzeug's syntax; counts: the class it is counted under.

    The handler gets the request and the path's variables; it returns a Response, or a value to be sent as JSON. It
    runs under the sandbox's lock.
    """

    def mark(function: Method) -> Method:
        marks = getattr(function, "_routes", ())
        function._routes = (*marks, (method, path, counts))  # type: ignore[attr-defined]
        return function

    return mark


def action(function: Method) -> Method:
    """Mark a method as something the vendor's user can do: `POST /_control/<its name>` with its arguments as JSON."""
    function._action = True  # type: ignore[attr-defined]
    return function


class Answer(Exception):
    """Ends a call from anywhere in a handler with this response. What the handler changed before it stays changed."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


class ActionRefused(Exception):
    """The vendor's user cannot do this; the text says why."""


# Ledger and faults ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Effect:
    """One change that was applied. actor: "api" or "user"; key: the request key it came with, if any."""

    sequence: int
    at: str
    actor: str
    operation: str
    kind: str
    id: str
    key: str = ""


@dataclass(slots=True)
class Fault:
    """Something that goes wrong with the next matching API calls.

    method and path: which calls, path with * as in file names. skip: so many matching calls pass first; times: so
    many are hit. delay_s: wait first. apply: whether the call takes effect. close: drop the connection without an
    answer. status, headers, body: the answer instead of the real one (a body that is no text is sent as JSON). With
    neither close nor status the call is only delayed, and applied.
    """

    method: str = "*"
    path: str = "*"
    times: int = 1
    skip: int = 0
    delay_s: float = 0
    apply: bool = False
    close: bool = False
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = ""

    @classmethod
    def from_values(cls, values: Any) -> Fault:
        """A fault from JSON. Raises ActionRefused for what is no fault."""
        known = {each.name for each in fields(cls)}
        if not isinstance(values, dict) or not set(values) <= known:
            raise ActionRefused(f"A fault is an object with some of: {', '.join(sorted(known))}.")
        return cls(**values)

    def matches(self, request: Request) -> bool:
        return fnmatchcase(request.method, self.method) and fnmatchcase(request.path, self.path)

    @property
    def replaces_answer(self) -> bool:
        return self.close or self.status is not None

    def response(self) -> Response:
        kind = self.headers.get("Content-Type", "text/html" if isinstance(self.body, str) else "application/json")
        text = self.body if isinstance(self.body, str) else to_json(self.body)
        response = Response(text, status=self.status or 200, content_type=kind)
        response.headers.update(self.headers)
        return response


# The sandbox ----------------------------------------------------------------------------------------------------------


class Sandbox(ABC):
    """A vendor's stand-in. `state` is one JSON-able dict (Decimals allowed), made by `first_state`.

    Handlers and actions run one at a time, under `lock`. A handler that changes the state calls `record` for what is
    an effect, or `changed` for what is not (a token, a replayed answer); the state is saved before the answer goes
    out. options: the subclass's own, plus latency_s, which every API call takes at least.
    """

    name: ClassVar[str] = "sandbox"
    _rules: ClassVar[tuple[tuple[str, str, str, str], ...]] = ()
    _actions: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        members = {name: getattr(cls, name, None) for name in dir(cls)}
        cls._rules = tuple(
            (method, path, counts, name)
            for name, member in members.items()
            for method, path, counts in getattr(member, "_routes", ())
        )
        cls._actions = tuple(name for name, member in members.items() if getattr(member, "_action", False))

    def __init__(self, *, state_file: Path | None = None, latency_s: float = 0, **options: Any) -> None:
        self.state_file = state_file
        self.latency_s = latency_s
        self.options = options
        self.lock = threading.RLock()
        self.in_flight = 0
        """API calls open at this moment, this one included."""
        self._faults: list[Fault] = []
        self._url_map = Map(
            [Rule(path, methods=[method], endpoint=(name, counts)) for method, path, counts, name in self._rules]
        )
        self._unsaved = False
        self._load()

    # For the subclass to write ---------------------------------------------------------------------------------------

    @abstractmethod
    def first_state(self) -> dict[str, Any]:
        """The state of a fresh account, made from `options`."""

    @abstractmethod
    def settings(self, url: str) -> dict[str, Any]:
        """The connection settings that point a connector at this sandbox when it is served under `url`."""

    def admit(self, request: Request, counts: str) -> Response | None:
        """Look at an API call before its handler (credentials, limits); a response ends it here."""
        return None

    def unknown_call(self, request: Request, error: HTTPException) -> Response:
        """The vendor's answer to an unknown path (404) or method (405)."""
        return json_response({"error": error.description}, error.code or 404)

    def finish(self, request: Request, response: Response) -> Response:
        """The last look at every answer of the API: headers that all of them carry, another format."""
        return response

    # For handlers and tests ------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The sandbox's own clock, aware UTC; `POST /_control/clock` moves it ahead."""
        return datetime.now(UTC) + timedelta(seconds=self._ahead_s)

    def record(self, operation: str, kind: str, id: str, *, actor: str = "api", key: str = "") -> None:
        """Write an applied change into the ledger."""
        with self.lock:
            at = self.now().isoformat(timespec="microseconds")
            self._ledger.append(Effect(len(self._ledger) + 1, at, actor, operation, kind, id, key))
            self.changed()

    def changed(self) -> None:
        """The state changed without an effect: it is saved before the answer goes out."""
        self._unsaved = True

    def effects(self, operation: str = "*", kind: str = "*", *, actor: str = "*") -> list[Effect]:
        """The ledger, or the part of it with this operation, kind and actor."""
        wanted = (operation, kind, actor)
        with self.lock:
            return [
                effect
                for effect in self._ledger
                if all(map(fnmatchcase, (effect.operation, effect.kind, effect.actor), wanted))
            ]

    def calls(self) -> dict[str, int]:
        """API calls that arrived, by class, those hit by a fault included."""
        with self.lock:
            return dict(self._calls)

    def add_fault(self, **values: Any) -> None:
        """Script a fault; see Fault. Faults are tried in the order in which they were added."""
        with self.lock:
            self._faults.append(Fault(**values))

    def reset(self) -> None:
        """Back to the first state, with an empty ledger, no faults and the real time."""
        with self.lock:
            self._faults.clear()
            self._start({"state": self.first_state()})
            self.save()

    def serve(self, port: int = 0, host: str = "127.0.0.1") -> SandboxServer:
        """Start serving in threads of this process; port 0 takes a free one. Raises SetupError if the port is taken."""
        return SandboxServer(self, host, port)

    # State -----------------------------------------------------------------------------------------------------------

    def _start(self, saved: dict[str, Any]) -> None:
        self.state: dict[str, Any] = saved["state"]
        self._ledger = [Effect(**values) for values in saved.get("ledger", [])]
        self._calls: dict[str, int] = dict(saved.get("calls", {}))
        self._ahead_s = float(saved.get("ahead_s", 0))

    def _load(self) -> None:
        if self.state_file is None or not self.state_file.exists():
            self._start({"state": {}})  # first_state may ask for the time
            return self.reset()
        try:
            return self._start(from_json(self.state_file.read_text("utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SetupError(
                f"{self.state_file} is not a sandbox's state file. Move it away to start afresh."
            ) from error

    def save(self) -> None:
        """Write everything to the state file, if there is one; calls and actions do so by themselves."""
        self._unsaved = False
        if self.state_file is None:
            return
        self.state_file.parent.mkdir(parents=True, exist_ok=True)
        saved = {
            "state": self.state,
            "ledger": [asdict(effect) for effect in self._ledger],
            "calls": self._calls,
            "ahead_s": self._ahead_s,
        }
        new = self.state_file.with_name(self.state_file.name + ".new")
        new.write_text(to_json(saved), "utf-8")
        new.replace(self.state_file)

    # Answering -------------------------------------------------------------------------------------------------------

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """The WSGI application."""
        request = Request(environ)
        response = self._control(request) if request.path.startswith("/_control/") else self._api(request)
        if response is None:
            return _hang_up(environ, start_response)
        return response(environ, start_response)

    def _api(self, request: Request) -> Response | None:
        request.get_data(cache=True)  # a connection closed before its body is read would be reset instead of closed
        with self.lock:
            self.in_flight += 1
            fault = self._next_fault(request)
        try:
            time.sleep(max(self.latency_s, fault.delay_s if fault else 0))
            if fault is None or fault.apply or not fault.replaces_answer:
                response = self._handle(request)
            else:
                self._handle_nothing(request)
            if fault is None or not fault.replaces_answer:
                return response
            return None if fault.close else fault.response()
        finally:
            with self.lock:
                self.in_flight -= 1

    def _next_fault(self, request: Request) -> Fault | None:
        for fault in self._faults:
            if not fault.matches(request):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            fault.times -= 1
            if fault.times <= 0:
                self._faults.remove(fault)
            return fault
        return None

    def _handle(self, request: Request) -> Response:
        with self.lock:
            try:
                return self.finish(request, self._answer(request))
            finally:
                if self._unsaved:
                    self.save()

    def _answer(self, request: Request) -> Response:
        try:
            (name, counts), variables = self._match(request)
            self._count(counts)
            return self.admit(request, counts) or _as_response(getattr(self, name)(request, **variables))
        except Answer as answer:
            return answer.response
        except HTTPException as error:
            return self.unknown_call(request, error)

    def _handle_nothing(self, request: Request) -> None:
        with self.lock, suppress(HTTPException):
            (_, counts), _ = self._match(request)
            self._count(counts)

    def _match(self, request: Request) -> tuple[tuple[str, str], Mapping[str, Any]]:
        return self._url_map.bind_to_environ(request.environ).match()

    def _count(self, counts: str) -> None:
        self._calls[counts] = self._calls.get(counts, 0) + 1

    # Control surface -------------------------------------------------------------------------------------------------

    def _control(self, request: Request) -> Response:
        if not ipaddress.ip_address(request.remote_addr or "0.0.0.0").is_loopback:  # noqa: S104
            return json_response({"error": "The control surface answers to this machine only."}, 403)
        name = request.path.removeprefix("/_control/")
        try:
            body = from_json(request.get_data() or b"{}")
        except ValueError:
            return json_response({"error": "The body is not JSON."}, 400)
        with self.lock:
            try:
                return json_response(self._controlled(request.method, name, body))
            except ActionRefused as refused:
                return json_response({"error": str(refused)}, 422)
            finally:
                if self._unsaved:
                    self.save()

    def _controlled(self, method: str, name: str, body: Any) -> Any:
        match method, name:
            case "GET", "":
                return {"actions": {each: self._usage(each) for each in self._actions}}
            case "GET", "ledger":
                return {"effects": [asdict(effect) for effect in self._ledger], "calls": self._calls}
            case "GET", "state":
                return self.state
            case "POST", "faults":
                faults = [Fault.from_values(values) for values in (body if isinstance(body, list) else [body])]
                self._faults.extend(faults)
                return {"faults": [asdict(fault) for fault in self._faults]}
            case "DELETE", "faults":
                self._faults.clear()
                return {"faults": []}
            case "POST", "clock":
                return self._advance(body)
            case "POST", "reset":
                self.reset()
                return {"reset": True}
            case "POST", _ if name in self._actions:
                return self._act(name, body)
        raise ActionRefused(f"There is no {method} {name!r}. GET /_control/ lists the actions.")

    def _advance(self, body: Any) -> dict[str, str]:
        try:
            self._ahead_s += float(body["advance_s"])
        except (TypeError, KeyError, ValueError) as error:
            raise ActionRefused('Say {"advance_s": seconds}.') from error
        self.changed()
        return {"now": self.now().isoformat()}

    def _act(self, name: str, body: Any) -> Any:
        method = getattr(self, name)
        try:
            inspect.signature(method).bind(**body)
        except TypeError as error:
            raise ActionRefused(f"{error}. Usage: {self._usage(name)}") from error
        return method(**body)

    def _usage(self, name: str) -> str:
        method = getattr(self, name)
        return f"{name}{inspect.signature(method)}: {inspect.getdoc(method) or ''}".strip()


def _as_response(value: Any) -> Response:
    return value if isinstance(value, Response) else json_response(value)


def _hang_up(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Close the connection without a byte of an answer; what is written afterwards goes nowhere."""
    with suppress(OSError):
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    start_response("200 OK", [("Content-Length", "0")])
    return [b""]


# The server -----------------------------------------------------------------------------------------------------------


class _QuietHandler(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """The ledger and the counts are the log."""


class SandboxServer:
    """A running sandbox: `url` without a slash at the end, `stop()`; a context manager that stops it."""

    def __init__(self, sandbox: Sandbox, host: str, port: int) -> None:
        self.sandbox = sandbox
        try:
            self._server = make_server(host, port, sandbox, threaded=True, request_handler=_QuietHandler)
        except (OSError, SystemExit) as error:  # werkzeug exits the program when the port is taken
            raise SetupError(f"Port {port} of {host} cannot be opened. Choose another one with --port.") from error
        self.url = f"http://{host}:{self._server.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def settings(self) -> dict[str, Any]:
        """The connection settings that point a connector here."""
        return self.sandbox.settings(self.url)

    def stop(self) -> None:
        """Stop answering and free the port; the sandbox keeps its state and can be served again."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
