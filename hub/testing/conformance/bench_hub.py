"""The hub of a bench: the real one, whose clock, call budgets and moment of death are in the kit's hands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy.orm import Session

from hub.bootstrap import Hub
from hub.config import Settings
from hub.core.errors import Busy, HubError
from hub.sync.connector import Connector, Limit, Page
from hub.testing.conformance.clock import Clock

T = TypeVar("T")


class Killed(BaseException):
    """The worker is dead: nothing catches this, and nothing it does counts any more."""


class DatabaseFull(HubError):
    """The database is full."""


class _Budget:
    """A call budget by the kit's clock: knows the classes, never waits, and keeps to a silence that was asked for."""

    def __init__(self, limits: Sequence[Limit], clock: Clock) -> None:
        self._names, self._clock = {limit.name for limit in limits}, clock
        self._silent_until: dict[str, float] = {}

    @contextmanager
    def slot(self, classes: Sequence[str], timeout_s: float) -> Iterator[None]:
        unknown = sorted(set(classes) - self._names)
        if unknown:
            raise ValueError(f"There is no limit class {unknown[0]}.")
        wait_s = max((self._silent_until.get(name, 0) for name in classes or self._names), default=0)
        wait_s -= self._clock.now().timestamp()
        if wait_s > 0:
            raise Busy("The other side asked for silence.", retry_after_s=wait_s)
        yield

    def penalise(self, classes: Sequence[str], seconds: float) -> None:
        for name in classes or self._names:
            self._silent_until[name] = self._clock.now().timestamp() + seconds


class BenchHub(Hub):
    """A hub without a queue, that can die at any transaction.

    dies_at: the number of the transaction, from 1, that it does not survive: all before it counts, with the calls made
    since. fails_at: the number of the one in which the database fails.
    """

    def __init__(self, settings: Settings, *, plugins: Mapping[str, Any], clock: Clock) -> None:
        super().__init__(settings, plugins=plugins)
        self.clock, self.budgets = clock, dict[str, _Budget]()
        self.transactions, self.dies_at, self.fails_at = 0, 0, 0
        self.dead = False
        self.spy = Spy()
        clock.rule_over_database(self.database.engine)

    def wake(self, connection_ids: set[UUID]) -> None:
        """There are no workers to wake."""

    def limiter(self, connection: Any, kind: type[Connector], *, share: int = 100) -> Any:
        return self.budgets.setdefault(str(connection.id), _Budget(kind.limits, self.clock))

    def connector_classes(self) -> dict[str, tuple[str, type[Connector]]]:
        return {name: (plugin, self.spy.on(kind)) for name, (plugin, kind) in super().connector_classes().items()}

    def transact(self, work: Callable[[Session], T], **about: Any) -> T:
        if self.dead:
            raise Killed
        self.transactions += 1
        if self.transactions == self.dies_at:
            self.dead = True
            raise Killed
        if self.transactions == self.fails_at:
            raise DatabaseFull
        return super().transact(work, **about)

    @contextmanager
    def dying_at(self, number: int) -> Iterator[None]:
        """Die in this transaction of the block, if there are as many; alive again after the block."""
        self.transactions, self.dies_at = 0, number
        try:
            with suppress(Killed):
                yield
        finally:
            self.dead, self.dies_at = False, 0

    @contextmanager
    def failing_at(self, number: int) -> Iterator[None]:
        """Let the database fail in this transaction of the block."""
        self.transactions, self.fails_at = 0, number
        try:
            with suppress(DatabaseFull):
                yield
        finally:
            self.fails_at = 0


class Spy:
    """Notes what a connector raises to the engine, and how much it gives it."""

    def __init__(self) -> None:
        self.raised: list[BaseException] = []
        self.largest_page = 0
        self.before_page: Callable[[Page], None] | None = None
        """Called with every page that is read, before the engine gets it."""
        self._classes: dict[type[Connector], type[Connector]] = {}

    def on(self, kind: type[Connector]) -> type[Connector]:
        """The same connector, watched."""
        if kind not in self._classes:
            watched = {name: self._watched(getattr(kind, name)) for name in ("check", "fetch", "find", "push")}
            self._classes[kind] = type(kind.__name__, (kind,), watched | {"pull": self._pages(kind.pull)})
        return self._classes[kind]

    def _watched(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            try:
                return method(*arguments, **named)
            except Exception as failure:
                self.raised.append(failure)
                raise

        return call

    def _pages(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def pull(*arguments: Any, **named: Any) -> Any:
            try:
                for page in method(*arguments, **named):
                    self.largest_page = max(self.largest_page, len(page.changes) + len(page.refused))
                    if self.before_page is not None:
                        self.before_page(page)
                    yield page
            except Exception as failure:
                self.raised.append(failure)
                raise

        return pull
