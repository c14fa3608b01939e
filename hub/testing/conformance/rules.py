"""What a rule of the quality scale is, and the list of all of them.

A rule is a function that tries a connector on a bench and raises `Broken` where it does not do as the rule's sentence
says. A rule that no function checks yet stands in the list as well, so that nobody takes it for passed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from hub.core.errors import HubError

if TYPE_CHECKING:
    from hub.testing.conformance.bench import Lab

Check = Callable[["Lab"], None]


class Level(IntEnum):
    """How far a connector can be relied on; a level needs all lower ones."""

    BRONZE = 1
    SILVER = 2
    GOLD = 3
    PLATINUM = 4

    @property
    def title(self) -> str:
        return self.name.capitalize()


MEANING = {
    Level.BRONZE: "safe to install",
    Level.SILVER: "reads reliably without anybody watching",
    Level.GOLD: "safe for writes, money and both directions",
    Level.PLATINUM: "can be operated at scale",
}


class Broken(AssertionError):
    """A connector does not keep a rule; the text says how."""


class NotShown(Exception):
    """A rule cannot be tried here, because the author's part of the bench offers no way to; the text says what."""


class DoesNotHappen(Exception):
    """What a rule is about cannot be at this vendor's; the text says why not."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. needs: the capability without which it does not apply. unwaivable: no waiver is taken.

    check: None while the kit does not check it. lacks: what the check leaves out of what the rule is about.
    """

    id: str
    text: str
    needs: str = ""
    unwaivable: bool = False
    check: Check | None = None
    lacks: str = ""

    @property
    def level(self) -> Level:
        return {"B": Level.BRONZE, "S": Level.SILVER, "G": Level.GOLD, "P": Level.PLATINUM}[self.id[0]]


_RULES: dict[str, Rule] = {}
_MODULES = (
    *("bronze", "bronze_calls"),
    *("silver", "silver_reading", "silver_trouble"),
    *("gold", "gold_backfill", "gold_repairs", "gold_sending"),
    "platinum",
)


def rule(id: str, text: str, *, needs: str = "", unwaivable: bool = False, lacks: str = "") -> Callable[[Check], Check]:
    """Make a function the check of a rule."""

    def register(check: Check) -> Check:
        _RULES[id] = Rule(id, text, needs, unwaivable, check, lacks)
        return check

    return register


def not_checked_yet(id: str, text: str, *, needs: str = "", unwaivable: bool = False) -> None:
    """List a rule that nothing checks yet. It bars its level."""
    _RULES[id] = Rule(id, text, needs, unwaivable)


@cache
def all_rules() -> dict[str, Rule]:
    """Every rule by its id, level by level."""
    for name in _MODULES:
        import_module(f"hub.testing.conformance.{name}")
    return {rule.id: rule for rule in sorted(_RULES.values(), key=lambda rule: (rule.level, rule.id))}


def expect(condition: object, text: str) -> None:
    """Say what is wrong where a condition does not hold."""
    if not condition:
        raise Broken(text)


def failure_of(work: Callable[[], object]) -> Exception | None:
    """What a piece of work ends in, if it fails."""
    try:
        work()
    except Exception as failure:
        return failure
    return None


def named(failure: Exception | None) -> str:
    """A failure in words, with whether the hub knows its kind."""
    if failure is None:
        return "success"
    known = isinstance(failure, HubError)
    return f"{type(failure).__name__}: {failure}" if known else f"{type(failure).__name__}, which is no ConnectorError"
