"""What waits for a person: connections to mend, and records that were refused, the same failures together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from hub.core.errors import RuleBroken
from hub.core.outbox import Link
from hub.sync.models import Attempt, Connection
from hub.sync.repairs import get_link, ignore_link, retry_all, retry_links
from hub.web.connection_repairs import connection_repairs
from hub.web.connection_states import kind_title
from hub.web.current import current_user, reading, transact
from hub.web.listing import listing, query_text
from hub.web.pages.blueprint import pages
from hub.web.pages.runs import record_href
from hub.web.session import flash, redirect_to, render


@dataclass(frozen=True, slots=True)
class Cause:
    """The same failure of the same stream. key: names it in an address."""

    connection_id: UUID
    kind: str
    text: str
    field: str
    remedy: str
    count: int
    first_at: datetime | None
    last_at: datetime | None

    @property
    def key(self) -> str:
        return hashlib.sha256(f"{self.connection_id}:{self.kind}:{self.text}".encode()).hexdigest()[:16]

    def clauses(self) -> list[ColumnElement[bool]]:
        return [Link.connection_id == self.connection_id, Link.kind == self.kind, Link.parked == self.text]


@pages.get("/parked", permission="connections.read")
def parked() -> ResponseReturnValue:
    """What waits, by cause and one by one."""
    with reading() as session:
        names = _connection_names(session)
        causes = _causes(session, names)
        page = listing(session, select(Link).where(*_chosen(causes, names)), Link.id)
        sent = _times_sent(session, page.rows)
        repairs = connection_repairs(session)
    return render(
        "pages/parked.html",
        repairs=[each for each in repairs if query_text("connection") in ("", each["connection"])],
        causes=[_cause_shown(cause, names) for cause in causes],
        records=[_record(link, names, sent) for link in page.rows],
        connections=[(name, name) for name in sorted(names.values())],
        filters={name: query_text(name) for name in ("connection", "stream", "cause")},
        previous=page.previous,
        next=page.next,
        note="",
        actions=_actions(bool(page.rows)),
    )


@pages.post("/parked/retry", permission="connections.sync")
def retry_parked() -> ResponseReturnValue:
    """Owe again what the same filters show."""
    with reading() as session:
        names = _connection_names(session)
        causes = _causes(session, names)
    is_gone = query_text("cause") and query_text("cause") not in {cause.key for cause in causes}
    count = 0 if is_gone else retry_all(transact, *_chosen(causes, names))
    flash("good" if count else "info", f"{count:,} will be sent again." if count else "Nothing was parked any more.")
    return redirect_to("pages.parked", **_kept())


@pages.post("/parked/<uuid:link_id>/retry", permission="connections.sync")
def retry_one_parked(link_id: UUID) -> ResponseReturnValue:
    """Owe one record again."""

    def work(session: Session) -> str:
        label = get_link(session, link_id).label
        retry_links(session, [link_id])
        return label

    flash("good", f"{transact(work) or 'The record'} will be sent again.")
    return redirect_to("pages.parked", **_kept())


@pages.get("/parked/<uuid:link_id>/ignore", permission="connections.sync")
def ignore_parked(link_id: UUID) -> ResponseReturnValue:
    """Ask why it is not to be sent."""
    return _ignore_page(link_id)


@pages.post("/parked/<uuid:link_id>/ignore", permission="connections.sync", endpoint="ignore_parked_sent")
def ignore_parked_sent(link_id: UUID) -> ResponseReturnValue:
    """Ignore the record, with a reason."""
    try:
        label = transact(lambda session: ignore_link(session, link_id, request.form.get("reason", "")).label)
    except RuleBroken as refused:
        return _ignore_page(link_id, error=str(refused)), 422
    flash("good", f"{label or 'The record'} is not sent any more.")
    return redirect_to("pages.parked")


def _ignore_page(link_id: UUID, *, error: str = "") -> str:
    with reading() as session:
        link = session.get(Link, link_id) or get_link(session, link_id)
    return render(
        "confirm.html",
        title=f"Ignore {link.label or 'this record'}?",
        text=f"It is not sent any more. It was refused because: {link.parked}" if link.parked else "It is not sent.",
        href=url_for("pages.ignore_parked", link_id=link_id),
        button="Ignore it",
        danger=False,
        back=url_for("pages.parked"),
        reason=True,
        error=error,
    )


def _connection_names(session: Session) -> dict[UUID, str]:
    return dict(session.execute(select(Connection.id, Connection.name)).all())


def _waiting(names: dict[UUID, str]) -> list[ColumnElement[bool]]:
    """Parked links of connections that are there, within the filters."""
    clauses: list[ColumnElement[bool]] = [Link.parked.is_not(None), Link.ignored.is_(None)]
    wanted = query_text("connection")
    clauses.append(Link.connection_id.in_([id for id, name in names.items() if wanted in ("", name)]))
    if query_text("stream"):
        clauses.append(Link.kind == query_text("stream"))
    return clauses


def _causes(session: Session, names: dict[UUID, str]) -> list[Cause]:
    """The causes within the filters, the most frequent first, in one query."""
    what = (Link.connection_id, Link.kind, Link.parked)
    rows = session.execute(
        select(
            *what,
            func.max(Link.parked_field),
            func.max(Link.parked_remedy),
            func.count(),
            func.min(Link.parked_at),
            func.max(Link.parked_at),
        )
        .where(*_waiting(names))
        .group_by(*what)
        .order_by(func.count().desc(), Link.parked)
    )
    return [Cause(row[0], row[1], row[2] or "", row[3] or "", row[4] or "", row[5], row[6], row[7]) for row in rows]


def _chosen(causes: Sequence[Cause], names: dict[UUID, str]) -> list[ColumnElement[bool]]:
    """The clauses of the records shown: of one cause, or of all."""
    wanted = query_text("cause")
    for cause in causes:
        if cause.key == wanted:
            return [*_waiting(names), *cause.clauses()]
    return _waiting(names)


def _times_sent(session: Session, links: Sequence[Link]) -> dict[UUID, int]:
    """How often each of these was sent, in one query. What cannot even be written in their fields never was."""
    ids = [link.id for link in links]
    query = select(Attempt.link_id, func.count()).where(Attempt.link_id.in_(ids)).group_by(Attempt.link_id)
    return dict(session.execute(query).all())


def _kept() -> dict[str, Any]:
    """The filters, for the next address."""
    return {name: query_text(name) for name in ("connection", "stream", "cause") if query_text(name)}


def _cause_shown(cause: Cause, names: dict[UUID, str]) -> dict[str, Any]:
    active = query_text("cause") == cause.key
    rest = {name: value for name, value in _kept().items() if name != "cause"}
    return {
        "text": cause.text,
        "remedy": cause.remedy,
        "field": cause.field,
        "connection": names[cause.connection_id],
        "stream": kind_title(cause.kind),
        "count": cause.count,
        "first_at": cause.first_at,
        "last_at": cause.last_at,
        "href": url_for("pages.parked", **rest) if active else url_for("pages.parked", **rest, cause=cause.key),
        "active": active,
    }


def _record(link: Link, names: dict[UUID, str], sent: dict[UUID, int]) -> dict[str, Any]:
    href = record_href(link.kind, link.record_id)
    may = current_user().may("connections.sync")
    return {
        "id": link.id,
        "label": link.label or "Without a name",
        "href": href,
        "connection": names[link.connection_id],
        "stream": kind_title(link.kind),
        "reason": link.parked,
        "remedy": link.parked_remedy,
        "field": link.parked_field,
        "since": link.parked_at,
        "attempts": sent.get(link.id, 0),
        "retry_href": url_for("pages.retry_one_parked", link_id=link.id, **_kept()) if may else "",
        "ignore_href": url_for("pages.ignore_parked", link_id=link.id) if may else "",
        "fix_href": href,
    }


def _actions(any_records: bool) -> list[dict[str, Any]]:
    if not any_records or not current_user().may("connections.sync"):
        return []
    label = "Retry these" if _kept() else "Retry all"
    return [
        {
            "label": label,
            "href": url_for("pages.retry_parked", **_kept()),
            "method": "post",
            "icon": "refresh",
            "style": "primary",
        }
    ]
