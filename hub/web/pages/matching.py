"""First matching: a person says which record over there is which of ours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from hub.core.errors import NotFound, RuleBroken
from hub.core.outbox import Link
from hub.sync.connections import connection_named
from hub.sync.matching import accept_all, open_cases, settle_case
from hub.sync.models import Connection, ConnectionState, MatchCase
from hub.sync.standing import standings, together
from hub.web.connection_states import kind_title
from hub.web.current import current_user, reading, transact
from hub.web.listing import query_text
from hub.web.pages.blueprint import pages
from hub.web.queueing import queue_run
from hub.web.session import flash, redirect_to, render

_SHOWN = 50
_DONE = {
    "link": "“{label}” is linked.",
    "create": "“{label}” will be created as a new record.",
    "ignore": "“{label}” is never synced.",
}


@pages.get("/connections/<name>/matching", permission="connections.read")
def matching(name: str) -> ResponseReturnValue:
    """The open cases of one stream, or of all."""
    wanted = query_text("stream")
    with reading() as session:
        connection = connection_named(session, name)
        cases = open_cases(session, connection.id)
        shown = [case for case in cases if wanted in ("", case.kind)][:_SHOWN]
        children = _children(session, shown)
        standing = together(standings(session, [connection.id]), connection.id)
    return render(
        "pages/matching.html",
        connection=name,
        streams=_tabs(name, cases, wanted),
        cases=[_case(connection, case, children) for case in shown],
        summary={
            "adopted": standing.linked,
            "to_create": standing.owed + standing.waiting,
            "to_decide": len(cases),
        },
        actions=_actions(name, cases),
    )


@pages.post("/connections/<name>/matching/accept", permission="connections.write")
def accept_matches(name: str) -> ResponseReturnValue:
    """Link every case that has one best candidate."""

    def work(session: Session) -> tuple[Connection, int]:
        connection = connection_named(session, name)
        return connection, accept_all(session, connection.id, actor=current_user().actor)

    connection, count = transact(work)
    text = "No case has one best candidate." if count == 0 else f"{count:,} records are linked to their best match."
    _carry_on(connection, text)
    return redirect_to("pages.matching", name=name)


@pages.post("/connections/<name>/matching/<uuid:case_id>", permission="connections.write")
def settle_match(name: str, case_id: UUID) -> ResponseReturnValue:
    """Link to the chosen candidate, create a new record, or ignore."""
    decision, chosen = request.form.get("action", ""), request.form.get("remote_id") or None

    def work(session: Session) -> tuple[Connection, MatchCase]:
        connection = connection_named(session, name)
        case = session.get(MatchCase, case_id)
        if case is None or case.connection_id != connection.id:
            raise NotFound(f"{name} has no such match.")
        if case.decision is not None:
            raise RuleBroken(f"“{case.label}” was settled by somebody else meanwhile.", code="match-settled")
        return connection, settle_case(session, case_id, decision, chosen=chosen, actor=current_user().actor)

    connection, case = transact(work)
    _carry_on(connection, _DONE[decision].format(label=case.label))
    return redirect_to("pages.matching", name=name, stream=query_text("stream") or None)


def _carry_on(connection: Connection, text: str) -> None:
    """What is settled takes effect at once, unless the connection rests."""
    if connection.state in (ConnectionState.ACTIVE, ConnectionState.READ_ONLY):
        queue_run(connection.id, done=text)
    else:
        flash("good", f"{text} It takes effect when {connection.name} goes on.")


def _children(session: Session, cases: Sequence[MatchCase]) -> dict[tuple[str, UUID], int]:
    """How many records wait for each of ours that is to be matched, in one query."""
    ids = [case.record_id for case in cases if case.record_id is not None]
    if not ids:
        return {}
    child = aliased(Link)
    rows = session.execute(
        select(Link.kind, Link.record_id, func.count(child.id))
        .join(child, child.waiting_for == Link.id)
        .where(Link.record_id.in_(ids), Link.connection_id == cases[0].connection_id)
        .group_by(Link.kind, Link.record_id)
    )
    return {(kind, record_id): count for kind, record_id, count in rows if record_id is not None}


def _tabs(name: str, cases: Sequence[MatchCase], wanted: str) -> list[tuple[str, str, bool, int]]:
    counts = Counter(case.kind for case in cases)
    if len(counts) < 2 and not wanted:
        return []
    everything = ("All", url_for("pages.matching", name=name), not wanted, len(cases))
    kinds = [
        (kind_title(kind), url_for("pages.matching", name=name, stream=kind), kind == wanted, count)
        for kind, count in counts.items()
    ]
    return [everything, *kinds]


def _case(connection: Connection, case: MatchCase, children: Mapping[tuple[str, UUID], int]) -> dict[str, Any]:
    theirs = case.direction == "in"
    where = f"in {connection.account_name or connection.name}" if theirs else "in the hub"
    candidates = sorted(case.candidates, key=lambda item: -item["score"])
    return {
        "id": case.id,
        "ours": {"label": case.label, "facts": [(kind_title(case.kind), where)]},
        "candidates": [
            {"remote_id": item["id"], "label": item["label"], "score": item["score"], "why": item["why"], "facts": []}
            for item in candidates
        ],
        "children": children.get((case.kind, case.record_id), 0) if case.record_id is not None else 0,
        "href": url_for(
            "pages.settle_match", name=connection.name, case_id=case.id, stream=query_text("stream") or None
        ),
    }


def _actions(name: str, cases: Sequence[MatchCase]) -> list[dict[str, Any]]:
    if not cases or not current_user().may("connections.write"):
        return []
    return [
        {
            "label": "Link all to their best match",
            "href": url_for("pages.accept_matches", name=name),
            "method": "post",
            "icon": "link",
            "style": "default",
        }
    ]
