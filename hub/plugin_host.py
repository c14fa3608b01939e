"""Finds, loads, enables, calls and isolates plugins.

Plugins are entry points of the group `hub.plugins`. One that is not enabled is never imported in this process: what
the catalogue shows of it comes from a probe in a process of its own, once per version. Which versions of the hub it is
for stands in its distribution's requirements, and is looked at before anything of it is imported. Which plugins are
enabled stands in the database with a generation number; every process compares it and loads anew when it has grown.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from types import ModuleType
from typing import Any

import pluggy
import structlog
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, mapped_column

from hub.core import audit, clock, hookspecs
from hub.core.database import Base, Circumstances, Database
from hub.core.errors import HubError, NotFound, PluginFault, RuleBroken, SetupError

GROUP = "hub.plugins"
PROBE_TIMEOUT_S = 20
ERRORS_BEFORE_QUARANTINE = 5
QUARANTINE_WINDOW_S = 600

DISTRIBUTION = "psa-hub"
HUB_VERSION = importlib.metadata.version(DISTRIBUTION)

log = structlog.get_logger("hub.plugins")


class PluginState(Base):
    """One plugin the hub knows: whether it is enabled, and what became of it. probe: what it said of itself."""

    __tablename__ = "plugin"

    name: Mapped[str] = mapped_column(primary_key=True)
    enabled: Mapped[bool] = mapped_column(default=False)
    status: Mapped[str] = mapped_column(default="available")
    """available, enabled, disabled, failed, incompatible, quarantined."""
    reason: Mapped[str] = mapped_column(default="")
    version: Mapped[str] = mapped_column(default="")
    probe: Mapped[dict[str, Any] | None]
    settings: Mapped[str | None]
    """This plugin's own settings, encrypted."""
    changed_at: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)


class Generation(Base):
    """One row: grows with every change of what is enabled."""

    __tablename__ = "generation"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(default=0)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a plugin comes from: a module at hand (tests), or an entry point that is imported when it is needed.

    requires: the versions of the hub it is for (">=0.1,<0.3"), as its distribution says; empty if it does not say.
    """

    name: str
    target: str
    version: str = ""
    module: Any = None
    requires: str = ""

    @property
    def unfit(self) -> str:
        """Why it is not for this version of the hub; empty if it is. Nothing is imported to find out."""
        if SpecifierSet(self.requires).contains(HUB_VERSION, prereleases=True):
            return ""
        return f"it is for PSA Hub {self.requires}, and this is {HUB_VERSION}; install another version of it"

    def load(self) -> Any:
        return self.module if self.module is not None else importlib.import_module(self.target)


@dataclass(frozen=True, slots=True)
class Implementation:
    """One plugin's function for one hook, and the arguments it takes."""

    plugin: str
    function: Callable[..., Any]
    arguments: tuple[str, ...]

    def __call__(self, arguments: Mapping[str, Any]) -> Any:
        return self.function(**{name: arguments[name] for name in self.arguments})


@dataclass(frozen=True)
class Hooks:
    """The caller of hooks, for one generation of plugins. The core gets it handed; plugins never see it."""

    implementations: Mapping[str, Sequence[Implementation]] = field(default_factory=dict)
    report: Callable[[str, str, BaseException], None] = lambda plugin, hook, failure: None

    def listeners(self, hook: str) -> list[str]:
        """The plugins that implement a hook, in effective order."""
        return [implementation.plugin for implementation in self.implementations.get(hook, ())]

    def check(self, hook: str, **arguments: Any) -> list[str]:
        """The reasons against something. A plugin that fails is one: checks fail closed."""
        reasons: list[str] = []
        for implementation, answer in self._answers(hook, arguments):
            if isinstance(answer, PluginFault):
                reasons.append(
                    f"The plugin {implementation.plugin} could not check it; it is disabled or mended first."
                )
            else:
                reasons.extend(str(reason) for reason in answer or ())
        return reasons

    def first(self, hook: str, **arguments: Any) -> Any:
        """The first answer that is not None."""
        for _, answer in self._answers(hook, arguments):
            if answer is not None and not isinstance(answer, PluginFault):
                return answer
        return None

    def collect(self, hook: str, **arguments: Any) -> list[tuple[str, Any]]:
        """All contributions, each with the plugin it comes from."""
        return [
            (implementation.plugin, item)
            for implementation, answer in self._answers(hook, arguments)
            if not isinstance(answer, PluginFault)
            for item in answer or ()
        ]

    def pipeline(self, hook: str, name: str, value: Any, **arguments: Any) -> Any:
        """The value of argument `name` after every plugin had its turn."""
        for implementation in self.implementations.get(hook, ()):
            answer = self._call(hook, implementation, {**arguments, name: value})
            if answer is not None and not isinstance(answer, PluginFault):
                value = answer
        return value

    def tell(self, hook: str, plugin: str, **arguments: Any) -> bool:
        """Tell one plugin; False if it does not listen (any more).

        Raises what the plugin raises if the hub knows the error, else PluginFault.
        """
        for implementation in self.implementations.get(hook, ()):
            if implementation.plugin == plugin:
                answer = self._call(hook, implementation, arguments)
                if isinstance(answer, PluginFault):
                    raise answer.__cause__ if isinstance(answer.__cause__, HubError) else answer
                return True
        return False

    def _answers(self, hook: str, arguments: Mapping[str, Any]) -> Iterator[tuple[Implementation, Any]]:
        for implementation in self.implementations.get(hook, ()):
            yield implementation, self._call(hook, implementation, arguments)

    def _call(self, hook: str, implementation: Implementation, arguments: Mapping[str, Any]) -> Any:
        """One call in its own try: whatever a plugin does, the hub goes on."""
        started = time.perf_counter()
        try:
            return implementation(arguments)
        except Exception as failure:
            log.warning("hook failed", plugin=implementation.plugin, hook=hook, error=repr(failure), exc_info=failure)
            if not isinstance(failure, HubError):
                self.report(implementation.plugin, hook, failure)
            fault = PluginFault(f"The plugin {implementation.plugin} failed in {hook}: {type(failure).__name__}.")
            fault.__cause__ = failure
            return fault
        finally:
            log.debug("hook called", plugin=implementation.plugin, hook=hook, seconds=time.perf_counter() - started)


class PluginHost:
    """The plugins of one hub in this process."""

    def __init__(self, database: Database, *, plugins: Mapping[str, Any] | None = None, strict: bool = False) -> None:
        """plugins: modules by name, all of them enabled, instead of the installed ones (for tests).

        strict: a plugin that cannot be loaded is an error of the hub, instead of being set aside.
        """
        self._database = database
        self._given, self._strict = plugins, strict
        self._lock = threading.Lock()
        self._failures: dict[str, list[float]] = {}
        self.generation = -1
        self.hooks = Hooks()
        self.modules: dict[str, Any] = {}

    def sources(self) -> dict[str, Source]:
        """What is installed, by name in a fixed order."""
        if self._given is not None:
            return {name: Source(name, "", module=module) for name, module in sorted(self._given.items())}
        found = sorted(importlib.metadata.entry_points(group=GROUP), key=lambda entry: entry.name)
        return {entry.name: _source_of(entry) for entry in found}

    def refresh(self, session: Session) -> bool:
        """Load anew if another process changed what is enabled. Returns whether that was so."""
        number = session.scalar(select(Generation.number).where(Generation.id == 1)) or 0
        if number == self.generation:
            return False
        with self._lock:
            if number == self.generation:
                return False
            enabled = set(session.scalars(select(PluginState.name).where(PluginState.enabled)))
            self._load(enabled if self._given is None else set(self._given))
            self.generation = number
        return True

    def states(self, session: Session) -> list[PluginState]:
        """Every installed plugin with its state, probed if its version is new; and those that are gone."""
        known = {state.name: state for state in session.scalars(select(PluginState))}
        for source in self.sources().values():
            state = known.setdefault(source.name, PluginState(name=source.name, enabled=False, status="available"))
            if source.unfit:
                state.status, state.reason, state.version = "incompatible", source.unfit, source.version
                session.merge(state)
                continue
            if state.status == "incompatible":
                state.status, state.reason = "enabled" if state.enabled else "available", ""
            if state.probe is None or state.version != source.version:
                state.probe, state.version = probe(source), source.version
                session.merge(state)
        for name, failure in self._load_failures.items():
            if name in known and known[name].status != "incompatible":
                known[name].status, known[name].reason = "failed", failure
        return [known[name] for name in sorted(known)]

    def enable(self, name: str, *, actor: str) -> None:
        """Switch a plugin on in every process. Raises NotFound, RuleBroken with the reason it cannot be loaded."""
        source = self._source(name)
        if source.unfit:
            self._set(name, enabled=False, status="incompatible", reason=source.unfit, found=None, actor=actor)
            raise RuleBroken(f"The plugin {name} cannot be enabled: {source.unfit}.", code="plugin-incompatible")
        found = probe(source)
        if not found["ok"]:
            self._set(name, enabled=False, status="failed", reason=found["reason"], found=found, actor=actor)
            raise RuleBroken(f"The plugin {name} cannot be enabled: {found['reason']}", code="plugin-failed")
        self._set(name, enabled=True, status="enabled", reason="", found=found, actor=actor)

    def disable(self, name: str, *, actor: str, reason: str = "", status: str = "disabled") -> None:
        """Switch a plugin off in every process; nothing of its data is touched."""
        self._source(name)
        self._set(name, enabled=False, status=status, reason=reason, found=None, actor=actor)

    def _source(self, name: str) -> Source:
        sources = self.sources()
        if name not in sources:
            raise NotFound(f"There is no plugin called {name}. Installed: {', '.join(sources) or 'none'}.")
        return sources[name]

    def _set(
        self, name: str, *, enabled: bool, status: str, reason: str, found: dict[str, Any] | None, actor: str
    ) -> None:
        version = self.sources()[name].version

        def work(session: Session) -> None:
            state = session.get(PluginState, name) or PluginState(name=name)
            session.add(state)
            state.enabled, state.status, state.reason, state.version = enabled, status, reason, version
            state.probe = found or state.probe
            generation = session.get(Generation, 1, with_for_update=True) or Generation(id=1, number=0)
            generation.number += 1
            session.add(generation)
            audit.note(session, status, "plugin", None, name=name, reason=reason)

        self._database.transact(work, Circumstances(actor=actor))
        with self._database.read() as session:
            self.refresh(session)

    def _load(self, enabled: set[str]) -> None:
        """Import and register the enabled plugins, one by one, each in its own try."""
        manager = pluggy.PluginManager("hub")
        manager.add_hookspecs(hookspecs)
        self.modules = {}
        self._load_failures: dict[str, str] = {}
        self._failures = {}  # what was switched on again is judged anew
        # pluggy calls the last registered first: registered backwards, the effective order is the order of names.
        for name, source in reversed(self.sources().items()):
            if name not in enabled:
                continue
            try:
                if source.unfit:
                    raise PluginFault(source.unfit)
                module = source.load()
                check_implementations(module)
                manager.register(module, name)
                self.modules[name] = module
            except (Exception, SystemExit) as failure:
                self._load_failures[name] = reason_of(failure)
                log.error("plugin failed to load", plugin=name, error=repr(failure), exc_info=failure)
        self.hooks = Hooks(_implementations(manager), self._report)
        if self._strict and self._load_failures:
            listed = "; ".join(f"{name}: {reason}" for name, reason in sorted(self._load_failures.items()))
            raise SetupError(f"HUB_STRICT_PLUGINS is set, and not every enabled plugin can be loaded: {listed}.")

    def _report(self, plugin: str, hook: str, failure: BaseException) -> None:
        """Count failures that are no answer; too many in a short time and the plugin is taken out of the way."""
        now = time.monotonic()
        recent = [at for at in self._failures.get(plugin, []) if now - at < QUARANTINE_WINDOW_S]
        self._failures[plugin] = [*recent, now]
        if len(recent) + 1 >= ERRORS_BEFORE_QUARANTINE and self._given is None:
            # In a thread of its own: the caller may be inside a transaction that holds the database's writer.
            reason = f"{len(recent) + 1} failures within {QUARANTINE_WINDOW_S // 60} minutes, the last in {hook}"
            threading.Thread(
                target=self.disable,
                kwargs={"name": plugin, "actor": "system", "reason": reason, "status": "quarantined"},
                daemon=True,
            ).start()

    _load_failures: dict[str, str] = {}


def _source_of(entry: importlib.metadata.EntryPoint) -> Source:
    if entry.dist is None:
        return Source(entry.name, entry.value)
    wanted = [Requirement(text) for text in entry.dist.requires or ()]
    of_hub = [str(each.specifier) for each in wanted if canonicalize_name(each.name) == DISTRIBUTION]
    return Source(entry.name, entry.value, entry.dist.version, requires=",".join(filter(None, of_hub)))


def reason_of(failure: BaseException) -> str:
    """A failure to load, in one sentence for the person who installed the plugin."""
    if isinstance(failure, PluginFault):
        return str(failure)
    return f"it cannot be imported ({type(failure).__name__}: {failure})"


def check_implementations(module: Any) -> list[str]:
    """The hooks a plugin implements. Raises PluginFault for one that does not exist or shadows an argument."""
    found: list[str] = []
    for name, function in inspect.getmembers(module, callable):
        if not getattr(function, "hub_impl", None):
            continue
        spec = getattr(hookspecs, name, None)
        if spec is None or not getattr(spec, "hub_spec", None):
            raise PluginFault(f"it implements the hook “{name}”, which does not exist; see hub/core/hookspecs.py")
        known = inspect.signature(spec).parameters
        for argument in inspect.signature(function).parameters.values():
            if argument.name not in known:
                raise PluginFault(f"its hook {name} asks for “{argument.name}”, which the hub does not pass")
            if argument.default is not argument.empty:
                raise PluginFault(f"its hook {name} gives “{argument.name}” a default, which would hide the value")
        found.append(name)
    return found


def _implementations(manager: pluggy.PluginManager) -> dict[str, list[Implementation]]:
    return {
        name: [
            Implementation(item.plugin_name, item.function, tuple(item.argnames))
            for item in reversed(getattr(manager.hook, name).get_hookimpls())
        ]
        for name in vars(manager.hook)
        if not name.startswith("_")
    }


def probe(source: Source) -> dict[str, Any]:
    """What a plugin is, found out in a process of its own: {"ok", "reason", "title", "hooks", "connectors"}."""
    if source.module is not None:
        return describe(source.module)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "hub.plugin_host", source.target],
            capture_output=True,
            text=True,
            timeout=PROBE_TIMEOUT_S,
            check=False,
        )
        answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        return _failed(f"it was not imported within {PROBE_TIMEOUT_S} seconds")
    except (json.JSONDecodeError, IndexError):
        return _failed("its import ended the process")
    return answer


def describe(module: Any) -> dict[str, Any]:
    """A plugin's title, hooks and connectors."""
    try:
        hooks = check_implementations(module)
        connectors = [
            {
                "name": connector.name,
                "title": connector.title,
                "category": connector.category,
                "streams": [
                    {"kind": stream.kind, "pulls": stream.pulls, "pushes": stream.pushes}
                    for stream in connector.streams
                ],
            }
            for connector in (module.connectors() if "connectors" in hooks else ())
        ]
    except Exception as failure:
        return _failed(reason_of(failure))
    title = (inspect.getdoc(module) or "").partition("\n")[0] if isinstance(module, ModuleType) else ""
    return {"ok": True, "reason": "", "title": title, "hooks": hooks, "connectors": connectors}


def _failed(reason: str) -> dict[str, Any]:
    return {"ok": False, "reason": reason, "title": "", "hooks": [], "connectors": []}


@contextmanager
def _stdout_kept_apart() -> Iterator[Callable[[str], None]]:
    """A plugin that prints while it is imported must not spoil the answer."""
    out = sys.stdout
    sys.stdout = sys.stderr
    try:
        yield lambda text: print(text, file=out)
    finally:
        sys.stdout = out


def main() -> None:
    """Import one plugin and print what it is, as one line of JSON."""
    with _stdout_kept_apart() as answer:
        try:
            found = describe(importlib.import_module(sys.argv[1]))
        except (Exception, SystemExit) as failure:
            found = _failed(reason_of(failure))
        answer("\n" + json.dumps(found))


if __name__ == "__main__":
    main()
