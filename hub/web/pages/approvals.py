"""Time that waits for approval, a group per person and week."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from hub.core.errors import RuleBroken
from hub.core.timesheets.service import approve_time, reject_time
from hub.web.current import current_user, reading, transact
from hub.web.form_values import posted_text
from hub.web.listing import query_text
from hub.web.pages.blueprint import pages
from hub.web.session import flash, redirect_to, render
from hub.web.waiting_time import filter_choices, waiting_groups


@pages.get("/approvals", permission="time.approve")
def approvals() -> ResponseReturnValue:
    """What waits, the oldest week first."""
    return _page({})


@pages.post("/approvals/decide", permission="time.approve")
def decide_time() -> ResponseReturnValue:
    """Approve what is ticked, or send it back with a comment."""
    try:
        ids = _ticked()
        sentence = transact(lambda session: _decide(session, ids))
    except RuleBroken as refused:
        if not refused.fields:
            raise
        return _page({"": str(refused)}), 422
    flash("good", sentence)
    return redirect_to("pages.approvals")


def _decide(session: Session, ids: list[UUID]) -> str:
    number = f"{len(ids)} {'entry' if len(ids) == 1 else 'entries'}"
    if posted_text("action") == "return":
        reject_time(session, ids, reason=posted_text("comment"))
        return f"{number} returned."
    approve_time(session, ids, by_person=current_user().person_id)
    return f"{number} approved."


def _ticked() -> list[UUID]:
    if posted_text("action") not in ("approve", "return"):
        raise RuleBroken("Say whether to approve or to return what is ticked.", fields={"action": "is needed"})
    try:
        ids = [UUID(text) for text in request.form.getlist("entry")]
    except ValueError:
        raise RuleBroken("One of the ticked entries is none of the list.", fields={"entry": "is none"}) from None
    if not ids:
        raise RuleBroken("Tick what you decide on.", fields={"entry": "is needed"})
    return list(dict.fromkeys(ids))


def _page(errors: dict[str, str]) -> str:
    filters: dict[str, Any] = {"person": query_text("person"), "project": query_text("project")}
    with reading() as session:
        waiting = waiting_groups(session, filters, query_text("after"), without=current_user().person_id)
        people, projects = filter_choices(session)
    return render(
        "pages/approvals.html",
        groups=waiting.groups,
        filters=filters,
        people=people,
        projects=projects,
        previous=waiting.previous,
        next=waiting.next,
        note=waiting.note,
        errors=errors,
    )
