"""What each run did, and what came of every record of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from hub.core.errors import NotFound
from hub.core.outbox import Link
from hub.sync.models import Connection, MatchCase, Run, RunItem, RunStatus
from hub.sync.repairs import retry_all, retry_links
from hub.web.connection_states import run_shown
from hub.web.current import current_hub, current_user, reading, transact
from hub.web.listing import listing, query_text
from hub.web.pages.blueprint import pages
from hub.web.record_link import page_of
from hub.web.session import flash, redirect_to, render

_REMEDIES = {
    RunStatus.FAILED: "It is tried again by itself. If it stays so, test the connection.",
    RunStatus.STALE: "The next run takes up what was left.",
    RunStatus.DEFERRED: "It goes on by itself.",
}


@pages.get("/runs", permission="connections.read")
def runs() -> ResponseReturnValue:
    """Runs, the newest first."""
    filters = {name: query_text(name) for name in ("connection", "status")}
    with reading() as session:
        page = listing(session, _filtered(filters), Run.id, newest_first=True)
        names = session.scalars(select(Connection.name).order_by(Connection.name)).all()
    return render(
        "pages/runs.html",
        runs=[run_shown(run) for run in page.rows],
        connections=[(name, name) for name in names],
        filters=filters,
        previous=page.previous,
        next=page.next,
        note="The newest first" if page.rows else "",
    )


@pages.get("/runs/<uuid:run_id>", permission="connections.read")
def run(run_id: UUID) -> ResponseReturnValue:
    """One run and its records."""
    outcome = query_text("outcome")
    with reading() as session:
        found = _run(session, run_id)
        statement = select(RunItem).where(RunItem.run_id == run_id)
        if outcome:
            statement = statement.where(RunItem.outcome == outcome)
        page = listing(session, statement, RunItem.id)
        parked = _parked(session, found, page.rows)
        undecided = _undecided(session, found, page.rows)
    return render(
        "pages/run.html",
        run={**run_shown(found), **_verdict(found), "finished_at": found.ended_at},
        records=[_record(item, found, parked, undecided) for item in page.rows],
        filters={"outcome": outcome},
        previous=page.previous,
        next=page.next,
        note="",
        actions=_actions(found),
    )


@pages.post("/runs/<uuid:run_id>/retry", permission="connections.sync")
def retry_run(run_id: UUID) -> ResponseReturnValue:
    """Owe again what this run could not send and what is still set aside."""

    with reading() as session:
        found = _run(session, run_id)
    rejected = select(RunItem.record_id).where(RunItem.run_id == run_id, RunItem.outcome == "rejected")
    count = retry_all(transact, Link.connection_id == found.connection_id, Link.record_id.in_(rejected))
    flash(*(("good", f"{_records(count)} will be sent again.") if count else ("info", "Nothing of it is set aside.")))
    return redirect_to("pages.run", run_id=run_id)


@pages.post("/runs/<uuid:run_id>/retry/<uuid:link_id>", permission="connections.sync")
def retry_run_record(run_id: UUID, link_id: UUID) -> ResponseReturnValue:
    """Owe one record again."""
    if not transact(lambda session: retry_links(session, [link_id])):
        raise NotFound("This record is not owed to the connection any more.")
    flash("good", "The record will be sent again.")
    return redirect_to("pages.run", run_id=run_id)


def _records(count: int) -> str:
    return "One record" if count == 1 else f"{count:,} records"


def _filtered(filters: dict[str, str]) -> Select[Any]:
    statement = select(Run)
    if filters["connection"]:
        statement = statement.where(Run.connection_name == filters["connection"])
    if filters["status"]:
        statement = statement.where(Run.status == filters["status"])
    return statement


def _run(session: Session, run_id: UUID) -> Run:
    found = session.get(Run, run_id)
    if found is None:
        raise NotFound("There is no such run.")
    return found


def _verdict(found: Run) -> dict[str, str]:
    """Why a run did not simply succeed. A run of which some records failed says it at each of them."""
    if found.status == RunStatus.PARTIAL:
        return {"error": "", "remedy": ""}
    return {"error": found.headline, "remedy": _REMEDIES.get(RunStatus(found.status), "") if found.headline else ""}


def _parked(session: Session, found: Run, items: Sequence[RunItem]) -> dict[tuple[str, UUID], UUID]:
    """The links of these records that are set aside now, by kind and record, in one query."""
    ids = {item.record_id for item in items if item.outcome == "rejected" and item.record_id is not None}
    if not ids:
        return {}
    rows = session.execute(
        select(Link.kind, Link.record_id, Link.id).where(
            Link.connection_id == found.connection_id,
            Link.record_id.in_(ids),
            Link.parked.is_not(None),
            Link.ignored.is_(None),
        )
    )
    return {(kind, record_id): link_id for kind, record_id, link_id in rows if record_id is not None}


def _undecided(session: Session, found: Run, items: Sequence[RunItem]) -> set[tuple[str, str]]:
    """Which of these wait for a person to say what they are: kind and our or their id, in one query."""
    if not any(item.outcome == "deferred" for item in items):
        return set()
    rows = session.execute(
        select(MatchCase.kind, MatchCase.record_id, MatchCase.remote_id).where(
            MatchCase.connection_id == found.connection_id, MatchCase.decision.is_(None)
        )
    )
    return {(kind, str(record_id or remote_id)) for kind, record_id, remote_id in rows}


def _record(
    item: RunItem, found: Run, parked: dict[tuple[str, UUID], UUID], undecided: set[tuple[str, str]]
) -> dict[str, Any]:
    href = record_href(item.kind, item.record_id)
    link_id = parked.get((item.kind, item.record_id)) if item.record_id is not None else None
    may = current_user().may("connections.sync")
    is_undecided = (item.kind, str(item.record_id or item.remote_id)) in undecided
    matching = url_for("pages.matching", name=found.connection_name, stream=item.kind)
    return {
        "label": item.label or item.remote_id or "Without a name",
        "kind": item.kind,
        "href": href,
        "outcome": item.outcome,
        "reason": item.reason,
        "remedy": item.remedy,
        "field": item.field,
        "remote_id": item.remote_id,
        "at": item.happened_at,
        "retry_href": url_for("pages.retry_run_record", run_id=item.run_id, link_id=link_id) if link_id and may else "",
        "fix_href": matching if is_undecided else href if link_id else "",
    }


def record_href(kind: str, record_id: UUID | None) -> str:
    """The page of a record of the hub; "" for a kind without pages."""
    return page_of(current_hub().kinds.get(kind), record_id)


def _actions(found: Run) -> list[dict[str, Any]]:
    if not current_user().may("connections.sync") or found.status == RunStatus.RUNNING:
        return []
    retry = {
        "label": "Retry what was rejected",
        "href": url_for("pages.retry_run", run_id=found.id),
        "method": "post",
        "icon": "refresh",
        "style": "default",
    }
    again = {
        "label": "Run again",
        "href": url_for("pages.sync_connection", name=found.connection_name),
        "method": "post",
        "icon": "player-play",
        "style": "primary",
    }
    return [*([retry] if found.rejected else []), again]
