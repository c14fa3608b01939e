"""What may be done with a time entry in which state. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from hub.core.errors import RuleBroken
from hub.core.money import rounded
from hub.core.timesheets.models import TimeStatus

SECONDS_PER_HOUR: Final = 3600
LONGEST_DAY_S: Final = 90_000

TRANSITIONS: Final[Mapping[str, tuple[frozenset[str], str]]] = {
    "submit": (frozenset({TimeStatus.OPEN, TimeStatus.REJECTED}), TimeStatus.SUBMITTED),
    "approve": (frozenset({TimeStatus.SUBMITTED}), TimeStatus.APPROVED),
    "reject": (frozenset({TimeStatus.SUBMITTED}), TimeStatus.REJECTED),
}
EDITABLE: Final = frozenset({TimeStatus.OPEN, TimeStatus.REJECTED})


def next_status(status: str, action: str) -> str:
    """The state an action leads to. Raises RuleBroken for one that is not possible now."""
    origins, target = TRANSITIONS[action]
    if status not in origins:
        raise RuleBroken(
            f"This entry is {status}; only one that is {' or '.join(sorted(origins))} can be changed by “{action}”.",
            code="invalid-transition",
        )
    return target


def hours_of(seconds: int) -> Decimal:
    """Hours as they are billed: two decimals, half up."""
    return rounded(Decimal(seconds) / SECONDS_PER_HOUR)


def check_seconds(seconds: int) -> int:
    """Raises RuleBroken unless it is more than nothing and at most the longest local day."""
    if not 1 <= seconds <= LONGEST_DAY_S:
        raise RuleBroken(
            f"{hours_of(seconds)} h is no day's work.", fields={"seconds": f"must be 1 to {LONGEST_DAY_S}"}
        )
    return seconds
