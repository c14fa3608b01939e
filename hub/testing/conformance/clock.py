"""Time that the kit moves: the hub's, its database's and the fake remote's, all three at once."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any
from unittest import mock

from sqlalchemy import Engine, event

from hub.core import clock

if TYPE_CHECKING:
    from hub.testing.sandbox import Sandbox


class Clock:
    """Runs as the real one does, `ahead_s` seconds ahead of it (or behind)."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self._sandboxes: list[Sandbox] = []

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead_s)

    def advance(self, seconds: float) -> None:
        """Let so much time pass, at once."""
        self.ahead_s += seconds
        for sandbox in self._sandboxes:
            sandbox._ahead_s = self.ahead_s

    def set(self, at: datetime) -> None:
        """Make it this instant."""
        self.advance((at - self.now()).total_seconds())

    def rule_over(self, sandbox: Sandbox) -> None:
        """Let a fake remote go by this clock."""
        self._sandboxes.append(sandbox)
        sandbox._ahead_s = self.ahead_s

    def rule_over_database(self, engine: Engine) -> None:
        """Let SQLite's 'now' be this clock's. To be called before the first connection is made."""
        plain, lock = sqlite3.connect(":memory:", check_same_thread=False), threading.Lock()

        def strftime(form: str, *of: Any) -> Any:
            shift = (f"{self.ahead_s:+.3f} seconds",) if of[:1] == ("now",) else ()
            values = (form, *of, *shift)
            with lock:
                return plain.execute(f"SELECT strftime({','.join('?' * len(values))})", values).fetchone()[0]

        @event.listens_for(engine, "connect")
        def connected(connection: Any, record: Any) -> None:
            connection.create_function("strftime", -1, strftime)

    @contextmanager
    def installed(self, *packages: str) -> Iterator[None]:
        """Let the hub in this process go by this clock, and the modules of these packages that ask for the time."""
        ours = self

        class AnyInstant(type):
            def __instancecheck__(cls, value: object) -> bool:
                return isinstance(value, datetime)

        class Shifted(datetime, metaclass=AnyInstant):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> Any:
                return ours.now().astimezone(tz)

        asking = [
            module
            for name, module in list(sys.modules.items())
            if name == clock.__name__ or any(name == each or name.startswith(f"{each}.") for each in packages)
        ]
        with ExitStack() as stack:
            for module in asking:
                if vars(module).get("datetime") is datetime:
                    stack.enter_context(mock.patch.object(module, "datetime", Shifted))
            yield


@contextmanager
def host_zone(name: str) -> Iterator[None]:
    """Let this process believe that its host stands in a time zone (Asia/Kolkata)."""
    try:
        with mock.patch.dict(os.environ, {"TZ": name}):
            time.tzset()
            yield
    finally:
        time.tzset()
