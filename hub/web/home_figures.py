"""The figures on a user's home page, each with a link to the rows behind it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

from flask import url_for
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub.core import clock
from hub.core.invoicing.models import Invoice, InvoiceStatus
from hub.core.timesheets.models import TimeEntry, TimeStatus
from hub.core.timesheets.service import counts
from hub.sync.models import Connection, RunItem
from hub.sync.standing import standings, together
from hub.web.current import current_user
from hub.web.display import hours, money, number
from hub.web.invoice_totals import Sums, billed_sums, how_many_of, open_sums, overdue_sums, received_sums, sums_text
from hub.web.week_grid import Week, week_named

_WEEKS: Final = 8
_MONTHS: Final = 6
_SENT: Final = ("created", "updated", "deleted")

Figure = dict[str, Any]


def home_figures(session: Session, today: date) -> list[Figure]:
    """At most four figures, by what the user may see."""
    user = current_user()
    found: list[Figure] = []
    if user.may("connections.write"):
        found += [_in_step(session), _exchanged(session)]
    if user.may("invoices.write"):
        found += [*_invoices(session, today), _received(session, today)]
    elif user.may("time.approve"):
        found += [_firm_hours(session, today), _waiting_hours(session)]
    elif user.may("time.own") and user.person_id is not None:
        found += _own_hours(session, user.person_id, today)
    return found[:4]


def _in_step(session: Session) -> Figure:
    names = dict(session.execute(select(Connection.id, Connection.name)).all())
    found = standings(session, names)
    good = sum(together(found, each).in_step for each in names)
    all_good = good == len(names)
    note = "" if not names else "everything has arrived" if all_good else "some have work left"
    return _figure(
        "Systems in step",
        f"{good} of {len(names)}",
        note or "none is connected",
        url_for("pages.connections"),
        tone="good" if names and all_good else "warn" if names else "",
        symbol="circle-check" if names and all_good else "",
    )


def _exchanged(session: Session) -> Figure:
    since = clock.now() - timedelta(days=1)
    query = select(func.count()).select_from(RunItem).where(RunItem.happened_at >= since, RunItem.outcome.in_(_SENT))
    return _figure(
        "Exchanged in 24 hours",
        number(session.scalar(query) or 0),
        "records created or changed",
        url_for("pages.runs"),
    )


def _invoices(session: Session, today: date) -> list[Figure]:
    owed, late = open_sums(session), overdue_sums(session, today)
    month = today.replace(day=1)
    billed = billed_sums(session, month, (month + timedelta(days=31)).replace(day=1) - timedelta(days=1))
    return [
        _figure("Open", _first(owed), _rest(owed), url_for("pages.invoices", status="issued")),
        _figure(
            "Overdue",
            _first(late),
            _rest(late) if late else "nothing is late",
            url_for("pages.invoices", status="overdue"),
            tone="bad" if late else "good",
            symbol="clock" if late else "circle-check",
        ),
        {
            **_figure("Billed this month", _first(billed), "without tax", url_for("pages.invoices")),
            "points": _billed_by_month(session, today, billed[0][1] if billed else ""),
        },
    ]


def _received(session: Session, today: date) -> Figure:
    received = received_sums(session, today.replace(day=1), today)
    note = _rest(received, "payment") if received else "nothing yet"
    return _figure("Received this month", _first(received), note, url_for("pages.invoices", status="paid"))


def _billed_by_month(session: Session, today: date, currency: str) -> list[int]:
    """What was billed in each of the last months in one currency, in whole units, the oldest first."""
    months = [_months_before(today, back) for back in range(_MONTHS - 1, -1, -1)]
    query = select(Invoice.dated_on, func.sum(Invoice.net)).where(
        Invoice.status != InvoiceStatus.DRAFT, Invoice.currency == currency, Invoice.dated_on >= months[0]
    )
    totals = dict.fromkeys(months, 0)
    for day, net in session.execute(query.group_by(Invoice.dated_on)):
        if day.replace(day=1) in totals:
            totals[day.replace(day=1)] += round(net)
    return list(totals.values()) if any(totals.values()) else []


def _months_before(today: date, back: int) -> date:
    months = today.year * 12 + today.month - 1 - back
    return date(months // 12, months % 12 + 1, 1)


def _firm_hours(session: Session, today: date) -> Figure:
    week = week_named("", today)
    within = TimeEntry.worked_on.between(week.from_on, week.to_on)
    billable = func.sum(TimeEntry.seconds).filter(TimeEntry.billable)
    total, earned = session.execute(select(func.sum(TimeEntry.seconds), billable).where(within, counts())).one()
    note = f"{round(100 * (earned or 0) / total)} % billable" if total else "nothing entered yet"
    return _figure("Hours this week", hours(total or 0), note, url_for("pages.projects"))


def _waiting_hours(session: Session) -> Figure:
    query = select(func.sum(TimeEntry.seconds), func.min(TimeEntry.submitted_at)).where(
        TimeEntry.status == TimeStatus.SUBMITTED, counts()
    )
    seconds, _ = session.execute(query).one()
    return _figure("Hours to approve", hours(seconds or 0), "submitted", url_for("pages.approvals"))


def _own_hours(session: Session, person_id: UUID, today: date) -> list[Figure]:
    this_week = week_named("", today)
    first = Week(this_week.from_on - timedelta(days=7 * (_WEEKS - 1)))
    query = (
        select(TimeEntry.worked_on, TimeEntry.billable, func.sum(TimeEntry.seconds))
        .where(TimeEntry.person_id == person_id, counts())
        .where(TimeEntry.worked_on.between(first.from_on, this_week.to_on))
        .group_by(TimeEntry.worked_on, TimeEntry.billable)
    )
    weeks = {Week(first.from_on + timedelta(days=7 * i)): [0, 0] for i in range(_WEEKS)}
    for day, billable, seconds in session.execute(query):
        totals = weeks[week_named("", day)]
        totals[0] += seconds
        totals[1] += seconds if billable else 0
    total, earned = weeks[this_week]
    address = url_for("pages.week")
    share = f"{round(100 * earned / total)} %" if total else "–"
    return [
        {
            **_figure("Hours this week", hours(total), f"{this_week.name}", address),
            "points": [each[0] for each in weeks.values()],
        },
        _figure("Billable this week", share, f"{hours(earned)} h" if total else "nothing entered yet", address),
    ]


def _first(sums: Sums) -> str:
    return money(sums[0][0], sums[0][1]) if sums else "–"


def _rest(sums: Sums, one: str = "invoice") -> str:
    """The other currencies, and how many documents there are."""
    others = f"and {sums_text(sums[1:])}, " if len(sums) > 1 else ""
    return f"{others}{how_many_of(sums, one)}" if sums else ""


def _figure(label: str, value: str, note: str, href: str, *, tone: str = "", symbol: str = "") -> Figure:
    return {"label": label, "value": value, "note": note, "href": href, "tone": tone, "symbol": symbol, "points": ()}
