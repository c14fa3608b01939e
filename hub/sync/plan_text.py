"""What a plan's items say, in words for people: commands and pages show the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.sync.connector import Ref
from hub.sync.models import PlanItem
from hub.sync.plan_outgoing import new_in, placeholder, ref_of

_EMPTY: tuple[Any, ...] = (None, "", [], {})
_OWN = "hub:"
"""How fields of a body begin that carry the hub's own key."""


def new_labels(session: Session, plan_id: UUID, items: Sequence[PlanItem]) -> dict[str, str]:
    """The names of the records that the plan creates itself and these items refer to, by their placeholders."""
    refs = {ref_of(text) for item in items for text in new_in(item.body)}
    if not refs:
        return {}
    found = session.scalars(
        select(PlanItem).where(
            PlanItem.plan_id == plan_id,
            PlanItem.direction == "push",
            PlanItem.record_id.in_([ref.id for ref in refs]),
        )
    )
    return {placeholder(Ref(item.kind, item.record_id, item.part)): item.label for item in found if item.record_id}


def field_changes(item: PlanItem, new: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Per field what is there and what would be, as text; what is the same or empty on both sides is left out.

    A part of a field is named after it (`BillAddr.City`, `Line 2`). Of a conflict: what is here, what is there, and who
    wins.
    """
    first, second = ("remote", "hub") if item.direction == "push" else ("hub", "remote")
    rows: list[tuple[str, str, str]] = []
    for field, both in item.differences.items():
        if field.startswith(_OWN):
            continue
        is_conflict = "rule" in both
        wins = f" ({both['winner']} wins)" if is_conflict and both.get("winner") else ""
        sides = [_parts(field, both[name], new) for name in (("hub", "remote") if is_conflict else (first, second))]
        for name in dict.fromkeys([*sides[0], *sides[1]]):
            before, after = (side.get(name, "") for side in sides)
            if before != after:
                rows.append((name + wins, before, after))
    return rows


def _parts(field: str, value: Any, new: Mapping[str, str]) -> dict[str, str]:
    """A value as texts by name: of a list one for each element, of what has parts one for each."""
    if isinstance(value, list):
        return {f"{field} {number}": _text(each, new) for number, each in enumerate(value, start=1)}
    return {name: _text(part, new) for name, part in _leaves(field, value)}


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value.keys() == {"value"}:  # a reference, as many systems write it
        value = value["value"]
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _leaves(f"{path}.{name}" if path else name, part)
    else:
        yield path, value


def _text(value: Any, new: Mapping[str, str]) -> str:
    """A value for people: a record that the plan creates itself by its name."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(part, new)}" for name, part in _leaves("", value) if part not in _EMPTY)
    if isinstance(value, list):
        return ", ".join(_text(each, new) for each in value)
    if value in _EMPTY:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    for stands_for in new_in(value):
        text = text.replace(stands_for, f"(new) {new.get(stands_for, '')}")
    return text
