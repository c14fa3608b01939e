"""The hub against an accounting system, compared when somebody asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

import redis
from flask import url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.errors import ConnectorError, RuleBroken
from hub.core.money import ZERO
from hub.core.outbox import Subscription
from hub.sync.connections import connection_named
from hub.sync.models import Connection
from hub.sync.reconcile import Row, Total, Verdict, reconcile
from hub.web.current import current_hub, reading
from hub.web.form_values import posted_day, posted_text
from hub.web.kept_comparison import Kept, keep, kept
from hub.web.listing import query_day, query_text
from hub.web.pages.blueprint import pages
from hub.web.planning import have_planned
from hub.web.record_lineage import singular
from hub.web.record_link import page_of
from hub.web.session import flash, redirect_to, render

_ROWS_SHOWN: Final = 500
_NOT_OURS: Final = "It did not come from this hub."


@pages.get("/reconciliation", permission="reconciliation.read")
def reconciliation() -> ResponseReturnValue:
    """The last comparison with a connection; nothing over there is asked."""
    with reading() as session:
        names = _comparable(session)
        filters = {name: query_text(name) for name in ("connection", "from", "to", "show")}
        filters["connection"] = filters["connection"] or (names[0] if names else "")
        found = _kept(session, filters["connection"])
    result = None if found is None else _shown(found, filters)
    return render(
        "pages/reconciliation.html",
        connections=[(name, name) for name in names],
        filters=filters,
        result=result,
        running=False,
        compare_href=url_for("pages.compare"),
        plan_href=url_for("pages.plan_to_mend"),
        note=_note(result),
    )


@pages.post("/reconciliation", permission="reconciliation.read")
def compare() -> ResponseReturnValue:
    """Compare now: reads both sides, changes neither."""
    name, from_on, to_on = posted_text("connection"), posted_day("from"), posted_day("to")
    with reading() as session:
        connection_id = connection_named(session, name).id
    try:
        found = reconcile(current_hub(), connection_id, from_on=from_on, to_on=to_on)
        keep(connection_id, from_on, to_on, found)
    except ConnectorError as failure:
        flash("bad", f"{name} could not be compared: {failure}")
    except redis.RedisError:
        flash("bad", "The comparison could not be kept, because the queue server cannot be reached. Try again.")
    else:
        flash("info", f"Compared with {name}.")
    period = {"from": posted_text("from"), "to": posted_text("to")}
    return redirect_to("pages.reconciliation", connection=name, **{key: day for key, day in period.items() if day})


@pages.post("/reconciliation/plan", permission="connections.sync")
def plan_to_mend() -> ResponseReturnValue:
    """Have it worked out how the differences of the last comparison are mended by sending ours again."""
    name, from_on, to_on = posted_text("connection"), posted_day("from"), posted_day("to")
    with reading() as session:
        connection_id = connection_named(session, name).id
    found = kept(connection_id, from_on, to_on)
    if found is None or not found.found.mendable():
        flash("bad", "There is nothing to mend by sending it again. Compare once more.")
        return redirect_to("pages.reconciliation", connection=name)
    return redirect_to("pages.plan", plan_id=have_planned(connection_id, anew=found.found.mendable()).id)


def _comparable(session: Session) -> list[str]:
    """The connections with a stream of documents."""
    kinds = [name for name, kind in current_hub().kinds.items() if kind.documents is not None]
    streams = select(Subscription.connection_id).where(Subscription.kind.in_(kinds))
    return list(session.scalars(select(Connection.name).where(Connection.id.in_(streams)).order_by(Connection.name)))


def _kept(session: Session, name: str) -> Kept | None:
    from_on, to_on = query_day("from"), query_day("to")
    if from_on is not None and to_on is not None and to_on < from_on:
        raise RuleBroken("The period ends before it begins.", fields={"to": f"must be {from_on} or later"})
    return kept(connection_named(session, name).id, from_on, to_on) if name else None


def _shown(found: Kept, filters: dict[str, str]) -> dict[str, Any]:
    wanted = [row for row in found.found.rows if filters["show"] in ("", row.verdict)]
    differences_first = sorted(wanted, key=lambda row: (_rank(row), row.on, row.number))
    return {
        "compared_at": found.compared_at,
        "equal": found.found.equal,
        "mendable": sum(len(of) for of in found.found.mendable().values()),
        "truncated": len(wanted) > _ROWS_SHOWN,
        "matching": len(wanted),
        "counts": [_count(verdict, found.found.rows, filters) for verdict in Verdict],
        "totals": [_total(each, found.found.rows) for each in found.found.totals],
        "rows": [_row(row) for row in differences_first[:_ROWS_SHOWN]],
    }


def _note(result: dict[str, Any] | None) -> str:
    if result is None or not result["rows"]:
        return ""
    if result["truncated"]:
        return f"{_ROWS_SHOWN} of {result['matching']:,} documents, differences first"
    return f"{result['matching']:,} {'document' if result['matching'] == 1 else 'documents, differences first'}"


def _rank(row: Row) -> int:
    return {Verdict.MATCHED: 2, Verdict.MISSING_HERE: 1}.get(row.verdict, 0)


def _count(verdict: Verdict, rows: Sequence[Row], filters: dict[str, str]) -> dict[str, Any]:
    active = filters["show"] == verdict
    shown = {**filters, "show": "" if active else str(verdict)}
    address = f"{url_for('pages.reconciliation')}?{urlencode({k: v for k, v in shown.items() if v})}"
    number = sum(row.verdict == verdict for row in rows)
    return {"key": str(verdict), "count": number, "href": address, "active": active}


def _total(total: Total, rows: Sequence[Row]) -> dict[str, Any]:
    mine = [
        row
        for row in rows
        if (row.kind, row.currency) == (total.kind, total.currency) and row.verdict != Verdict.MISSING_HERE
    ]
    return {
        "kind": current_hub().kinds[total.kind].title,
        "currency": total.currency,
        "ours": total.ours,
        "theirs": total.theirs,
        "difference": total.ours - total.theirs,
        "tax_ours": total.our_tax,
        "tax_theirs": total.their_tax,
        "paid_ours": sum(((row.ours or ZERO) - (row.our_open or ZERO) for row in mine), ZERO),
        "paid_theirs": sum(((row.theirs or ZERO) - (row.their_open or ZERO) for row in mine), ZERO),
    }


def _row(row: Row) -> dict[str, Any]:
    kind = current_hub().kinds[row.kind]
    number = row.number or row.remote_id or "–"
    return {
        "kind": kind.title,
        "state": str(row.verdict),
        "number": number if kind.page else f"{singular(kind.title)} {number}",
        "client_name": row.label,
        "on": row.on,
        "currency": row.currency,
        "ours": row.ours,
        "theirs": row.theirs,
        "difference": (row.ours or ZERO) - (row.theirs or ZERO),
        "our_href": page_of(kind, row.record_id) or None,
        "text": row.reason or (_NOT_OURS if row.verdict == Verdict.MISSING_HERE else ""),
        "remedy": row.remedy,
        "actions": [],
    }
