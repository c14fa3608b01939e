"""The way of a record: what it came out of, and what became of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from hub.core.errors import HubError
from hub.core.outbox import Lineage
from hub.web.connection_states import kind_title
from hub.web.current import current_hub
from hub.web.record_link import page_of


def lineage_of(session: Session, kind: str, record_id: UUID, label: str) -> list[dict[str, Any]]:
    """The records before and after one, with that one between them; nothing for a record that stands alone."""
    found = session.scalars(
        select(Lineage).where(or_(Lineage.record_id == record_id, Lineage.origin_id == record_id)).order_by(Lineage.id)
    ).all()
    before = [(each.origin_kind, each.origin_id) for each in found if each.record_id == record_id]
    after = [(each.kind, each.record_id) for each in found if each.origin_id == record_id]
    if not before and not after:
        return []
    here = {"kind": _one(kind), "label": label, "current": True}
    return [*_places(session, before), here, *_places(session, after)]


def singular(title: str) -> str:
    """One of what a kind's title names: Projects → Project, Time entries → Time entry."""
    return f"{title.removesuffix('ies')}y" if title.endswith("ies") else title.removesuffix("s")


def _places(session: Session, records: list[tuple[str, UUID]]) -> list[dict[str, Any]]:
    return [place for kind, record_id in records if (place := _place(session, kind, record_id)) is not None]


def _place(session: Session, kind: str, record_id: UUID) -> dict[str, Any] | None:
    """One record of the way; None while its kind's plugin is disabled, or when it is gone."""
    known = current_hub().kinds.get(kind)
    if known is None:
        return None
    try:
        records = known.load(session, [record_id])
    except HubError:
        return None
    if not records:
        return None
    return {"kind": _one(kind), "label": known.label(records[0]), "href": page_of(known, record_id) or None}


def _one(kind: str) -> str:
    return singular(kind_title(kind))
