"""A form that changes a record carries the revision it shows, so that nobody overwrites what they have not seen."""

from __future__ import annotations

from typing import Any, Final

from flask import request
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.audit import AuditEntry
from hub.core.database import Revised
from hub.core.errors import RuleBroken
from hub.web.actors import actor_names
from hub.web.display import words
from hub.web.record_history import NEVER_SHOWN

FIELD: Final = "_revision"


class ChangedMeanwhile(RuleBroken):
    """Somebody else changed the record while the form was open. revision: what it is at now."""

    def __init__(self, message: str, revision: int) -> None:
        super().__init__(message, code="changed-meanwhile")
        self.revision = revision


def check_revision(session: Session, record: Revised) -> None:
    """Lock the record of a form. Raises ChangedMeanwhile unless it is as the form showed it."""
    given = request.form.get(FIELD, "")
    session.refresh(record, with_for_update=True)
    if given and given != str(record.revision):
        raise ChangedMeanwhile(_sentence(session, record, given), record.revision)


def revision_to_show(refused: RuleBroken) -> str | int:
    """What a refused form carries: the revision it came with, or the one that its sender knows of now."""
    return refused.revision if isinstance(refused, ChangedMeanwhile) else request.form.get(FIELD, "")


def _sentence(session: Session, record: Any, given: str) -> str:
    """What changed since, and by whom."""
    query = select(AuditEntry).where(
        AuditEntry.record_kind == record.__tablename__,
        AuditEntry.record_id == record.id,
        AuditEntry.revision > (int(given) if given.isdecimal() else 0),
    )
    entries = session.scalars(query.order_by(AuditEntry.id.desc()).limit(20)).all()
    names = actor_names(session, (entry.actor for entry in entries))
    who = dict.fromkeys(names[entry.actor] for entry in reversed(entries))
    what = dict.fromkeys(
        words(name) for entry in reversed(entries) for name in entry.changes if name not in NEVER_SHOWN
    )
    changed = f" by {', '.join(who)}" if who else ""
    fields = f": {', '.join(what)}" if what else ""
    return (
        f"This was changed{changed} while the form was open{fields}. Save again to put your values in place of theirs."
    )
