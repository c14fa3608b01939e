"""What a plan's items say, in words for people: commands and pages show the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
    """Per field what is there and what would be, as text; fields that are empty and stay so are left out.

    Of a conflict: what is here, what is there, and who wins.
    """
    before, after = ("remote", "hub") if item.direction == "push" else ("hub", "remote")
    rows: list[tuple[str, str, str]] = []
    for field, both in item.differences.items():
        if field.startswith(_OWN):
            continue
        if "rule" in both:
            wins = f" ({both['winner']} wins)" if both.get("winner") else ""
            rows.append((field + wins, _text(both["hub"], new), _text(both["remote"], new)))
        elif both[before] not in _EMPTY or both[after] not in _EMPTY:
            rows.append((field, _text(both[before], new), _text(both[after], new)))
    return rows


def _text(value: Any, new: Mapping[str, str]) -> str:
    """A value for people: a record that the plan creates itself by its name."""
    if value in _EMPTY:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    for stands_for in new_in(value):
        text = text.replace(stands_for, f"(new) {new.get(stands_for, '')}")
    return text
