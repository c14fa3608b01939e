"""What needs a user now, the most urgent first; each entry leads to where it is settled."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from flask import url_for
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from hub.core.invoicing.models import Invoice, InvoiceStatus
from hub.core.outbox import Link
from hub.core.timesheets.models import TimeEntry, TimeStatus
from hub.core.timesheets.service import counts
from hub.sync.models import Connection, MatchCase
from hub.web.connection_repairs import connection_repairs
from hub.web.current import current_user
from hub.web.display import hours
from hub.web.invoice_totals import draft_sums, how_many_of, overdue_sums, sums_text
from hub.web.waiting_time import waiting_counts
from hub.web.week_grid import Week, week_named

Need = dict[str, Any]


def home_needs(session: Session, today: date) -> list[Need]:
    """Everything that waits for this user, by what they may do."""
    user = current_user()
    found: list[Need] = []
    if user.may("connections.read"):
        found += [*_repairs(session), *_parked(session), *_cases(session)]
    if user.may("time.own") and user.person_id is not None:
        found += [*_returned(session, user.person_id), *_not_handed_in(session, user.person_id, today)]
    if user.may("time.approve"):
        found += _waiting(session, user.person_id)
    if user.may("invoices.write"):
        found += [*_overdue(session, today), *_drafts(session), *_to_bill(session)]
    return found


def _repairs(session: Session) -> Iterable[Need]:
    for each in connection_repairs(session):
        yield _need(each["title"], each["text"], each["href"], each["tone"], "plug-x", each["since"])


def _parked(session: Session) -> Iterable[Need]:
    query = (
        select(Connection.name, func.count(), func.max(Link.parked_at))
        .join(Link, Link.connection_id == Connection.id)
        .where(Link.parked.is_not(None), Link.ignored.is_(None))
        .group_by(Connection.name)
        .order_by(Connection.name)
    )
    for name, number, newest in session.execute(query):
        title = f"{_number(number, 'record', 'records')} cannot go to {name}"
        text = "Each says what is wrong and what to do."
        yield _need(title, text, url_for("pages.parked", connection=name), "bad", "alert-triangle", newest)


def _cases(session: Session) -> Iterable[Need]:
    query = (
        select(Connection.name, func.count())
        .join(MatchCase, MatchCase.connection_id == Connection.id)
        .where(MatchCase.decision.is_(None))
        .group_by(Connection.name)
        .order_by(Connection.name)
    )
    for name, number in session.execute(query):
        title = f"{_number(number, 'record', 'records')} to match with {name}"
        text = "Each may be one that is there already: say which."
        yield _need(title, text, url_for("pages.matching", name=name), "warn", "link")


def _returned(session: Session, person_id: UUID) -> Iterable[Need]:
    query = select(TimeEntry).where(TimeEntry.person_id == person_id, TimeEntry.status == TimeStatus.REJECTED, counts())
    weeks: dict[str, TimeEntry] = {}
    for entry in session.scalars(query.order_by(TimeEntry.worked_on).limit(200)):
        weeks.setdefault(week_named("", entry.worked_on).key, entry)
    for key, entry in weeks.items():
        title = f"{week_named(key, entry.worked_on).name} was returned to you"
        yield _need(title, entry.rejected_reason or "", url_for("pages.week", week=key), "warn", "arrow-left")


def _not_handed_in(session: Session, person_id: UUID, today: date) -> Iterable[Need]:
    """The oldest week before this one with open time; else last week, if somebody who records time forgot it."""
    this_week = week_named("", today)
    waits = (TimeEntry.person_id == person_id, TimeEntry.status == TimeStatus.OPEN, counts())
    oldest = session.scalar(
        select(func.min(TimeEntry.worked_on)).where(*waits, TimeEntry.worked_on < this_week.from_on)
    )
    if oldest is not None:
        week = week_named("", oldest)
        query = select(func.sum(TimeEntry.seconds)).where(*waits, week.holds(TimeEntry.worked_on))
        seconds = session.scalar(query) or 0
        text = f"{hours(seconds)} h are entered. What is not submitted cannot be billed."
        yield _need(f"Submit {week.name.lower()}", text, url_for("pages.week", week=week.key), "warn", "send")
        return
    before = Week(this_week.from_on - timedelta(days=7))
    earlier = TimeEntry.worked_on.between(before.from_on - timedelta(days=28), before.from_on - timedelta(days=1))
    if _has_time(session, person_id, earlier) and not _has_time(session, person_id, before.holds(TimeEntry.worked_on)):
        address = url_for("pages.week", week=before.key)
        yield _need(f"{before.name} is empty", "Nothing is entered for last week.", address, "info", "calendar-week")


def _has_time(session: Session, person_id: UUID, within: ColumnElement[bool]) -> bool:
    query = select(TimeEntry.id).where(TimeEntry.person_id == person_id, within, counts()).limit(1)
    return session.scalar(query) is not None


def _waiting(session: Session, person_id: UUID | None) -> Iterable[Need]:
    entries, people = waiting_counts(session, without=person_id)
    if entries:
        title = f"Time of {_number(people, 'person', 'people')} waits for approval"
        text = f"{_number(entries, 'entry', 'entries')}. Approved time can be billed."
        yield _need(title, text, url_for("pages.approvals"), "info", "clipboard-check")


def _overdue(session: Session, today: date) -> Iterable[Need]:
    late = overdue_sums(session, today)
    if late:
        oldest = session.scalar(select(func.min(Invoice.due_on)).where(Invoice.status == InvoiceStatus.ISSUED))
        days = (today - oldest).days if oldest else 0
        text = f"{sums_text(late)}, the oldest for {_number(days, 'day', 'days')}."
        address = url_for("pages.invoices", status="overdue")
        yield _need(f"{how_many_of(late).capitalize()} overdue", text, address, "bad", "clock")


def _drafts(session: Session) -> Iterable[Need]:
    drafts = draft_sums(session)
    if drafts:
        title = f"{how_many_of(drafts, 'draft').capitalize()} to issue"
        address = url_for("pages.invoices", status="draft")
        yield _need(title, f"{sums_text(drafts)} with tax.", address, "info", "file-invoice")


def _to_bill(session: Session) -> Iterable[Need]:
    query = select(func.sum(TimeEntry.seconds)).where(
        TimeEntry.status == TimeStatus.APPROVED, TimeEntry.billable, counts()
    )
    seconds = session.scalar(query)
    if seconds:
        text = "Approved and billable, and on no invoice yet."
        address = url_for("pages.draft_invoices")
        yield _need(f"{hours(seconds)} h to bill", text, address, "info", "hourglass")


def _need(title: str, text: str, href: str, tone: str, icon: str, at: Any = None) -> Need:
    return {"title": title, "text": text, "href": href, "tone": tone, "icon": icon, "at": at}


def _number(number: int, one: str, several: str) -> str:
    return f"{number:,} {one if number == 1 else several}"
