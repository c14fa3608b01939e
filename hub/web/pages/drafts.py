"""Drafting invoices from approved time, with a look beforehand."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from flask import request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from hub.core.errors import RuleBroken
from hub.core.invoicing.drafts import Group, billable_groups, draft_invoice
from hub.web.current import reading, transact
from hub.web.draft_preview import draft_preview
from hub.web.form_values import form_errors, posted_day, posted_text
from hub.web.invoice_states import today_of
from hub.web.listing import query_day, query_text
from hub.web.pages.blueprint import pages
from hub.web.session import flash, redirect_to, render

_WAYS: Final = ("project", "project,month", "client", "client,month")
_MOST_REASONS: Final = 3


@pages.get("/invoices/draft", permission="invoices.write")
def draft_invoices() -> ResponseReturnValue:
    """What could be drafted now."""
    by = query_text("by") if query_text("by") in _WAYS else _WAYS[0]
    with reading() as session:
        until = query_day("until") or today_of(session)
        preview = draft_preview(session, by.split(","), until)
    return render("pages/draft_invoices.html", by=by, until=until.isoformat(), preview=preview, errors={})


@pages.post("/invoices/draft", permission="invoices.write", endpoint="draft_invoices_sent")
def draft_invoices_sent() -> ResponseReturnValue:
    """Draft an invoice for each group; a group without a rate is left out and named."""
    by = posted_text("by")
    try:
        until = posted_day("until")
        with reading() as session:
            groups = billable_groups(session, by.split(","), until=until)
    except RuleBroken as refused:
        return _refused(by, refused)
    drafted, reasons = _draft_all(groups, until)
    _say(drafted, reasons)
    return redirect_to("pages.invoices", status="draft") if drafted else redirect_to("pages.draft_invoices", by=by)


def _draft_all(groups: list[Group], until: date | None) -> tuple[int, list[str]]:
    """Each group in a transaction of its own, so that one without a rate holds back no other."""
    drafted, reasons = 0, []
    for group in groups:
        try:
            drafted += transact(lambda session, group=group: _draft(session, group, until))  # type: ignore[misc]
        except RuleBroken as refused:
            reasons.append(str(refused))
    return drafted, reasons


def _draft(session: Session, group: Group, until: date | None) -> bool:
    return draft_invoice(session, group, until=until) is not None


def _say(drafted: int, reasons: list[str]) -> None:
    if drafted:
        flash("good", f"{drafted} {'invoice is' if drafted == 1 else 'invoices are'} drafted.")
    elif not reasons:
        flash("info", "There is no approved time to bill.")
    for reason in reasons[:_MOST_REASONS]:
        flash("warn", reason)
    if len(reasons) > _MOST_REASONS:
        flash("warn", f"{len(reasons) - _MOST_REASONS} more were left out: see below what is missing.")


def _refused(by: str, refused: RuleBroken) -> ResponseReturnValue:
    values: dict[str, Any] = {"by": by, "until": request.form.get("until", "")}
    return render("pages/draft_invoices.html", **values, preview=[], errors=form_errors(refused)), 422
