"""The three-way merge of one record's fields: which side changed what since both agreed, and whose value wins. Pure.

Each side's changes are found against its own base, because the other system trims and reformats what it is given:
theirs against what they last showed (`seen`), ours against what our record said when both last agreed (`agreed`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.sync.connector import Authority, Values

_UNKNOWN = object()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of the fields that they show.

    taken: their values that our record gets. refused: fields that stay ours though theirs differ, and go out again.
    undecided: fields on which a person has to decide. disputed: per field that both sides changed, both values, the
    base, the winner and the rule. is_conflict: whether both really changed it; where there is no base (the record was
    just found over there), nobody knows.
    """

    taken: Values = field(default_factory=dict)
    refused: frozenset[str] = frozenset()
    undecided: frozenset[str] = frozenset()
    disputed: dict[str, dict[str, Any]] = field(default_factory=dict)
    is_conflict: bool = False


def judge(
    shown: Mapping[str, Any],
    ours: Mapping[str, Any],
    *,
    seen: Mapping[str, Any],
    agreed: Mapping[str, Any],
    authority: Callable[[str], str],
    theirs_is_newer: bool = True,
) -> Verdict:
    """Merge what they show with what our record says; all values spelt alike, a field of theirs ours lacks is taken.

    A field that only one side changed is no conflict. One that the hub has authority over stays as it is here, unless
    it is empty here. theirs_is_newer: who wins where the newest does.
    """
    taken: Values = {}
    refused: set[str] = set()
    undecided: set[str] = set()
    disputed: dict[str, dict[str, Any]] = {}
    is_conflict = False
    for name, theirs in shown.items():
        here = ours.get(name, _UNKNOWN)
        their_base = seen.get(name, agreed.get(name, _UNKNOWN))
        our_base = agreed.get(name, seen.get(name, _UNKNOWN))
        they_changed, we_changed = theirs != their_base, here != our_base
        if here == theirs or not they_changed:
            continue
        if here is _UNKNOWN:
            taken[name] = theirs
            continue
        rule = authority(name)
        if we_changed:
            winner = _winner(rule, theirs_is_newer=theirs_is_newer)
            base = None if our_base is _UNKNOWN else our_base
            disputed[name] = {"base": base, "hub": here, "remote": theirs, "winner": winner, "rule": rule}
            is_conflict = is_conflict or our_base is not _UNKNOWN
        else:
            winner = Authority.HUB if rule == Authority.HUB and here not in (None, "", [], {}) else Authority.REMOTE
        if winner == Authority.REMOTE:
            taken[name] = theirs
        elif winner == Authority.HUB:
            refused.add(name)
        else:
            undecided.add(name)
    return Verdict(taken, frozenset(refused), frozenset(undecided), disputed, is_conflict)


def _winner(rule: str, *, theirs_is_newer: bool) -> str:
    if rule == Authority.NEWEST:
        return Authority.REMOTE if theirs_is_newer else Authority.HUB
    return rule
