"""A consultant's week: a grid of hours, saved and handed in as plain forms."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from hub.core.errors import RuleBroken
from hub.core.timesheets.rules import EDITABLE
from hub.core.timesheets.service import submit_time
from hub.web.current import current_user, reading, transact
from hub.web.invoice_states import today_of
from hub.web.listing import query_text
from hub.web.pages.blueprint import pages
from hub.web.session import flash, render
from hub.web.session import redirect_to as go_to
from hub.web.week_form import PostedCell, WeekRefused, posted_cells, save_cells
from hub.web.week_grid import Week, entries_of, tasks_of, week_grid, week_named


@pages.get("/time", permission="time.own")
def week() -> ResponseReturnValue:
    """One week of the user's own time."""
    with reading() as session:
        shown = week_named(query_text("week"), today_of(session))
        extra = [UUID(text) for text in request.args.getlist("row") if _is_uuid(text)]
        return render("pages/week.html", **_page(session, shown, extra), errors={})


@pages.post("/time", permission="time.own", endpoint="week_sent")
def week_sent() -> ResponseReturnValue:
    """Save what was typed; then add a row, copy last week's rows, or hand the week in, whichever was pressed."""
    with reading() as session:
        shown = week_named(query_text("week"), today_of(session))
    cells, errors = posted_cells(shown)
    if errors:
        return _refused(shown, cells, errors)
    try:
        sentence = transact(lambda session: _act(session, shown, cells))
    except WeekRefused as refused:
        return _refused(shown, cells, {"": str(refused)})
    if sentence:
        flash("good", sentence)
    return go_to("pages.week", week=shown.key, row=_rows_to_keep(shown, cells))


def _act(session: Session, shown: Week, cells: Mapping[str, PostedCell]) -> str:
    """Carry out what was pressed, all in one transaction. Returns what to say, or nothing."""
    person_id, action = _own_person(), request.form.get("action", "save")
    changed = save_cells(session, person_id, shown, cells)
    if action == "submit":
        open_ids = [each.id for each in entries_of(session, person_id, shown) if each.status in EDITABLE]
        if not open_ids:
            raise WeekRefused("There is nothing to hand in: enter hours first.")
        submit_time(session, open_ids)
        return f"{shown.name} is submitted for approval."
    if action == "add" and not request.form.get("add"):
        raise WeekRefused("Choose the task to add.")
    return f"{shown.name} is saved." if action == "save" or changed else ""


def _rows_to_keep(shown: Week, cells: Mapping[str, PostedCell]) -> list[str]:
    """The tasks whose rows are to be there on the next page, though they hold no hours yet."""
    with_hours = {cell.task_id for cell in cells.values() if cell.seconds}
    tasks = dict.fromkeys(str(cell.task_id) for cell in cells.values() if cell.task_id not in with_hours)
    action = request.form.get("action", "save")
    if action == "add":
        tasks[request.form.get("add", "").rpartition(" ")[2]] = None
    if action == "copy":
        with reading() as session:
            before = week_named("", shown.from_on - timedelta(days=7))
            tasks |= dict.fromkeys(str(task_id) for task_id in tasks_of(session, _own_person(), before))
    return list(tasks)


def _refused(shown: Week, cells: Mapping[str, PostedCell], errors: Mapping[str, str]) -> ResponseReturnValue:
    """The page again with all that was typed, and what is wrong beside it; nothing was saved."""
    extra = list(dict.fromkeys(cell.task_id for cell in cells.values()))
    with reading() as session:
        context = _page(session, shown, extra)
    for row in context["rows"]:
        for cell in row["cells"]:
            typed = cells.get(f"{row['project_id']}.{row['task_id']}.{cell['on'].isoformat()}")
            if typed is not None and not cell["locked"]:
                cell |= {"text": typed.text, "note": typed.note, "error": errors.get(f"seconds.{typed.key}", "")}
    return render("pages/week.html", **context, errors=errors), 422


def _page(session: Session, shown: Week, extra: list[UUID]) -> dict[str, Any]:
    today = today_of(session)
    before, after = shown.from_on - timedelta(days=7), shown.from_on + timedelta(days=7)
    return {
        **week_grid(session, _own_person(), shown, extra, today),
        "previous_href": url_for("pages.week", week=week_named("", before).key),
        "next_href": url_for("pages.week", week=week_named("", after).key),
        "this_href": url_for("pages.week"),
    }


def _own_person() -> UUID:
    """Whose time it is. Raises RuleBroken for a user who is nobody of the firm's people."""
    person_id = current_user().person_id
    if person_id is None:
        raise RuleBroken(
            "Your user is not one of the firm's people, so it has no time of its own. "
            "Ask an administrator to say which person you are.",
            code="no-person",
        )
    return person_id


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
