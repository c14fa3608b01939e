"""Where a record's page is, for who may open it: no link leads to a refusal."""

from __future__ import annotations

from uuid import UUID

from hub.core.kinds import RecordKind
from hub.web.current import current_user


def page_of(kind: RecordKind | None, record_id: UUID | None) -> str:
    """The path of a record's page; empty where it has none, or not for this user."""
    if kind is None or record_id is None or not kind.page:
        return ""
    if kind.page_permission and not current_user().may(kind.page_permission):
        return ""
    return kind.page.format(id=record_id)
