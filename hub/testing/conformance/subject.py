"""What the author of a connector gives the kit: the connector, its settings, its fake remote, and hands on that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from hub.core.errors import RuleBroken
from hub.sync.connector import Connector, Cursor
from hub.testing.conformance.rules import NotShown, all_rules
from hub.testing.conformance.wire import Trouble
from hub.testing.sandbox import Effect, Sandbox

if TYPE_CHECKING:
    from hub.testing.conformance.bench import Bench

MONEY = frozenset({"invoices", "credit_notes", "payments", "expenses"})
SHORTEST_REASON = 20


class RemoteUser:
    """What the vendor's own users and servers do, told to the fake remote. Write what your streams need.

    What is left out makes the rules that need it count as not checked. kinds: a stream's name → what the effect
    ledger calls its records; the same name unless said. sign_in: the path where tokens are fetched (with * as in file
    names), which has rules of its own: no other trouble happens there.
    """

    kinds: ClassVar[Mapping[str, str]] = {}
    sign_in: ClassVar[str] = ""

    def __init__(self, sandbox: Any) -> None:
        self.sandbox = sandbox

    def prepare(self, bench: Bench, connection: UUID) -> None:
        """What has to be there on both sides before records of the streams that are read can come in. Nothing, mostly.

        Called once on a bench, before the first record is added over there.
        """

    def add(self, stream: str, name: str) -> str:
        """One more record of a stream that is read, complete, of this name. Returns its id."""
        raise _not_offered("add")

    def change(self, stream: str, remote_id: str) -> None:
        """Change a field that the hub reads, to a value it has not had."""
        raise _not_offered("change")

    def stamp(self, stream: str, remote_id: str, at: datetime | None) -> None:
        """Let the record say that it was last changed at this instant; None: let it not say."""
        raise _not_offered("stamp")

    def spoil(self, stream: str, remote_id: str) -> None:
        """Make it a row that no hub can read: without its name, with a word for an amount."""
        raise _not_offered("spoil")

    def remove(self, stream: str, remote_id: str) -> None:
        """Delete it."""
        raise _not_offered("remove")

    def copy(self, stream: str, remote_id: str) -> str:
        """Make a second record that looks the same. Returns its id."""
        raise _not_offered("copy")

    def refuse(self, stream: str, name: str) -> None:
        """Refuse, for good, whatever is sent of the record of this name."""
        raise _not_offered("refuse")

    def allow(self, stream: str, name: str) -> None:
        """Take it again from now on."""
        raise _not_offered("allow")

    def values(self, stream: str, remote_id: str) -> Mapping[str, Any]:
        """The record as it stands there."""
        raise _not_offered("values")

    def total(self, stream: str, remote_id: str) -> Decimal:
        """What a document comes to there."""
        raise _not_offered("total")

    def message(self, stream: str, remote_id: str) -> tuple[Mapping[str, str], bytes]:
        """The webhook that tells of a record: headers and body, signed."""
        raise _not_offered("message")

    def ids(self, stream: str) -> set[str]:
        """The records that exist there now."""
        raise _not_offered("ids")

    def standing(self) -> Any:
        """All that stands over there; what signing in changes may be left out."""
        return self.sandbox.state

    def effects(self, stream: str = "*", operation: str = "*") -> list[Effect]:
        """What the connector really did over there."""
        return self.sandbox.effects(operation, self.kinds.get(stream, stream), actor="api")  # type: ignore[no-any-return]


def _not_offered(name: str) -> NotShown:
    return NotShown(f"the fake remote's user has no `{name}`")


@dataclass(frozen=True, slots=True)
class Waiver:
    """Why a connector need not keep a rule, who answers for it, and until when."""

    rule: str
    reason: str
    owner: str
    until: date

    def __post_init__(self) -> None:
        known = all_rules().get(self.rule)
        if known is None:
            raise RuleBroken(f"The waiver names {self.rule}, which is no rule.", fields={"rule": "such as S03"})
        if known.unwaivable:
            raise RuleBroken(f"{self.rule} cannot be waived: {known.text}", fields={"rule": "has to be kept"})
        if len(self.reason.strip()) < SHORTEST_REASON:
            raise RuleBroken(
                f"The waiver of {self.rule} says only “{self.reason}”.",
                fields={"reason": f"needs {SHORTEST_REASON} characters or more"},
            )
        if not self.owner.strip():
            raise RuleBroken(f"Nobody answers for the waiver of {self.rule}.", fields={"owner": "name a person"})


@dataclass(frozen=True)
class Subject:
    """A connector to be graded.

    plugin: the name of the module with its hooks, or that itself. sandbox: makes a fresh fake remote, with small pages
    (keywords: `zone`, if the account can stand in another time zone). second_sandbox: another account, with other
    credentials. wrong_settings: for each setting, by name, a value that its schema must refuse. wrong_credentials:
    settings that are well-formed but let nobody in. hosts: those it calls besides the ones in its settings. docs: its
    README. answers: what this vendor answers at an instant for "missing scope", "quota spent" and "refused" (a call
    that it will never take); None where it has no such thing. earlier_cursors: per stream, cursors as earlier releases
    stored them. zones: whether the sandbox takes `zone`. distribution: the package it is installed by, if that is not
    found by its module. small: numbers in the connector's own modules that the bench
    makes small ("plugins.mine.client.PAGE": 5), where the size of a page is not the fake remote's to choose. waivers:
    rules it need not keep for now.
    """

    plugin: Any
    connector: type[Connector]
    sandbox: Callable[..., Sandbox]
    second_sandbox: Callable[[], Sandbox]
    user: type[RemoteUser]
    wrong_settings: Mapping[str, Any]
    wrong_credentials: Mapping[str, Any]
    owner: str
    security_contact: str
    licence: str
    docs: Path
    hosts: Sequence[str] = ()
    answers: Mapping[str, Callable[[datetime], Trouble] | None] = field(default_factory=dict)
    earlier_cursors: Mapping[str, Sequence[Cursor]] = field(default_factory=dict)
    zones: bool = False
    distribution: str = ""
    small: Mapping[str, int] = field(default_factory=dict)
    waivers: Sequence[Waiver] = ()

    @property
    def module(self) -> Any:
        return import_module(self.plugin) if isinstance(self.plugin, str) else self.plugin

    @property
    def pulled(self) -> list[str]:
        return [stream.kind for stream in self.connector.streams if stream.pulls]

    @property
    def pushed(self) -> list[str]:
        return [stream.kind for stream in self.connector.streams if stream.pushes]

    @property
    def capabilities(self) -> frozenset[str]:
        """What it can do, read off the connector itself, so that nothing it does goes unnamed."""
        streams = self.connector.streams
        found = {
            "pull": any(stream.pulls for stream in streams),
            "push": any(stream.pushes for stream in streams),
            "two_way": any(stream.pulls and stream.pushes for stream in streams),
            "batch": any(stream.pushes and stream.batch_size > 1 for stream in streams),
            "keys": any(stream.pushes and stream.keyed for stream in streams),
            "no_keys": any(stream.pushes and not stream.keyed for stream in streams),
            "versions": any(stream.pushes and stream.versioned for stream in streams),
            "money": any(stream.pushes and stream.kind in MONEY for stream in streams),
            "parents": self.connector.needs is not Connector.needs,
            "webhook": self.connector.webhook is not Connector.webhook,
            "oauth": any(field.metadata.get("oauth") for field in self.connector.settings().fields.values()),
            "pages": any(hasattr(self.module, hook) for hook in ("api_blueprints", "page_blueprints", "permissions")),
            "tables": hasattr(self.module, "migrations"),
        }
        return frozenset(name for name, has in found.items() if has)


def find_subject(target: str) -> Subject | None:
    """The subject that comes with a plugin's module: `subject()` in its module `conformance`, beside or inside it."""
    for name in (f"{target}.conformance", f"{target}_conformance"):
        try:
            module = import_module(name)
        except ModuleNotFoundError as missing:
            if missing.name and name.startswith(missing.name):
                continue
            raise
        found: Subject = module.subject()
        return found
    return None
