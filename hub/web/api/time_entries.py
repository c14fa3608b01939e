"""/time-entries: worked time, from entry to approval. Who may not see everybody's sees their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from flask import Response
from marshmallow import Schema, fields, validate
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from hub.core.errors import NotFound, RuleBroken
from hub.core.timesheets.models import TimeEntry, TimeStatus
from hub.core.timesheets.rules import LONGEST_DAY_S
from hub.core.timesheets.service import (
    approve_time,
    change_time,
    counts,
    delete_time,
    get_time,
    record_time,
    reject_time,
    submit_time,
)
from hub.web.api.bulk import BulkInput, BulkOutput, answer_bulk
from hub.web.api.fields import ListQuery, RecordOutput, choice, text, whole
from hub.web.api.rest import ApiBlueprint, Values, answer, answer_page, filtered
from hub.web.current import current_user

blueprint = ApiBlueprint("time entries", "Worked time, from entry to approval.", prefix="/time-entries")


class TimeEntryChange(Schema):
    """What can be changed of an entry while it is open or sent back."""

    worked_on = fields.Date()
    seconds = whole(1, LONGEST_DAY_S, metadata={"example": 5400})
    note = text(2000)
    billable = fields.Boolean()


class TimeEntryInput(TimeEntryChange):
    """A block of work on one day. person_id: unless given, the caller's own. billable: unless given, as the task."""

    task_id = fields.UUID(required=True)
    person_id = fields.UUID()
    worked_on = fields.Date(required=True)
    seconds = whole(1, LONGEST_DAY_S, required=True, metadata={"example": 5400})
    external_id = text(100, least=1, allow_none=True)


class TimeEntryOutput(RecordOutput):
    """A block of work on one day."""

    project_id = fields.UUID(required=True)
    task_id = fields.UUID(required=True)
    person_id = fields.UUID(required=True)
    worked_on = fields.Date(required=True)
    seconds = fields.Integer(required=True)
    note = fields.String(required=True)
    billable = fields.Boolean(required=True)
    status = fields.String(required=True)
    external_id = fields.String(required=True, allow_none=True)
    submitted_at = fields.AwareDateTime(required=True, allow_none=True)
    approved_at = fields.AwareDateTime(required=True, allow_none=True)
    rejected_reason = fields.String(required=True, allow_none=True)


class TimeEntryQuery(ListQuery):
    """Filters. worked_from and worked_to: days, both included."""

    project_id = fields.UUID()
    task_id = fields.UUID()
    person_id = fields.UUID()
    status = choice(TimeStatus)
    external_id = fields.String()
    worked_from = fields.Date()
    worked_to = fields.Date()


class Chosen(Schema):
    """Which entries."""

    ids = fields.List(fields.UUID(), required=True, validate=validate.Length(min=1, max=200))


class Refusal(Chosen):
    """Which entries are sent back, and why."""

    reason = text(500, least=1, required=True)


class TimeEntries(Schema):
    """The entries as they are now."""

    data = fields.List(fields.Nested(TimeEntryOutput), required=True)


@blueprint.get("", permission="time.own", query=TimeEntryQuery, output=TimeEntryOutput, paged=True)
def list_time_entries(query: Values) -> Response:
    """Time entries, the oldest first."""
    names = ("project_id", "task_id", "person_id", "status", "external_id")
    columns = {name: getattr(TimeEntry, name) for name in names}
    statement = filtered(_visible(), query, {**columns, "updated_after": TimeEntry.updated_at})
    if "worked_from" in query:
        statement = statement.where(TimeEntry.worked_on >= query["worked_from"])
    if "worked_to" in query:
        statement = statement.where(TimeEntry.worked_on <= query["worked_to"])
    return answer_page(statement)


@blueprint.post("", permission="time.own", body=TimeEntryInput, output=TimeEntryOutput)
def create_time_entry(body: Values) -> Response:
    """Record time."""
    return answer(lambda session: _record(session, body))


@blueprint.post("/bulk", permission="time.own", body=BulkInput, output=BulkOutput)
def create_time_entries(body: Values) -> Response:
    """Record many entries, with a verdict for each."""
    return answer_bulk(body["data"], TimeEntryInput, _record)


@blueprint.get("/<uuid:entry_id>", permission="time.own", output=TimeEntryOutput)
def get_time_entry(entry_id: UUID) -> Response:
    """One entry."""
    return answer(_entry(entry_id))


@blueprint.patch("/<uuid:entry_id>", permission="time.own", body=TimeEntryChange, output=TimeEntryOutput)
def change_time_entry(entry_id: UUID, body: Values) -> Response:
    """Change what is given, while the entry is open."""
    return answer(_on_own(entry_id, lambda session: change_time(session, entry_id, **body)), of=_entry(entry_id))


@blueprint.delete("/<uuid:entry_id>", permission="time.own", output=TimeEntryOutput)
def delete_time_entry(entry_id: UUID) -> Response:
    """Take an open entry out."""
    return answer(_on_own(entry_id, lambda session: delete_time(session, entry_id)), of=_entry(entry_id))


@blueprint.post("/submit", permission="time.own", body=Chosen, output=TimeEntries)
def submit_time_entries(body: Values) -> Response:
    """Hand entries in for approval."""

    def work(session: Session) -> Values:
        for entry_id in body["ids"]:
            _refuse_others(get_time(session, entry_id))
        return {"data": submit_time(session, body["ids"])}

    return answer(work)


@blueprint.post("/approve", permission="time.approve", body=Chosen, output=TimeEntries)
def approve_time_entries(body: Values) -> Response:
    """Approve entries that were handed in; nobody approves their own."""
    by = current_user().person_id
    return answer(lambda session: {"data": approve_time(session, body["ids"], by_person=by)})


@blueprint.post("/reject", permission="time.approve", body=Refusal, output=TimeEntries)
def reject_time_entries(body: Values) -> Response:
    """Send entries back, with the reason."""
    return answer(lambda session: {"data": reject_time(session, body["ids"], reason=body["reason"])})


@blueprint.post("/<uuid:entry_id>/submit", permission="time.own", output=TimeEntryOutput)
def submit_time_entry(entry_id: UUID) -> Response:
    """Hand one entry in for approval."""
    return answer(_on_own(entry_id, lambda session: submit_time(session, [entry_id])[0]), of=_entry(entry_id))


@blueprint.post("/<uuid:entry_id>/approve", permission="time.approve", output=TimeEntryOutput)
def approve_time_entry(entry_id: UUID) -> Response:
    """Approve one entry that was handed in."""
    by = current_user().person_id
    return answer(lambda session: approve_time(session, [entry_id], by_person=by)[0], of=_entry(entry_id))


class Reason(Schema):
    """Why an entry is sent back."""

    reason = text(500, least=1, required=True)


@blueprint.post("/<uuid:entry_id>/reject", permission="time.approve", body=Reason, output=TimeEntryOutput)
def reject_time_entry(entry_id: UUID, body: Values) -> Response:
    """Send one entry back, with the reason."""
    reason = body["reason"]
    return answer(lambda session: reject_time(session, [entry_id], reason=reason)[0], of=_entry(entry_id))


def _visible() -> Select[Any]:
    statement = select(TimeEntry).where(counts())
    user = current_user()
    return statement if user.may("time.read") else statement.where(TimeEntry.person_id == user.person_id)


def _entry(entry_id: UUID) -> Callable[[Session], TimeEntry]:
    def find(session: Session) -> TimeEntry:
        entry: TimeEntry | None = session.scalar(_visible().where(TimeEntry.id == entry_id))
        if entry is None:
            raise NotFound(f"There is no time entry with id {entry_id}.")
        return entry

    return find


def _on_own(entry_id: UUID, work: Callable[[Session], Any]) -> Callable[[Session], Any]:
    def checked(session: Session) -> Any:
        _refuse_others(_entry(entry_id)(session))
        return work(session)

    return checked


def _refuse_others(entry: TimeEntry) -> None:
    """Somebody else's time is not there for who may only handle their own. Raises NotFound."""
    user = current_user()
    if not user.may("time.write") and entry.person_id != user.person_id:
        raise NotFound(f"There is no time entry of yours with id {entry.id}.")


def _record(session: Session, values: Values) -> TimeEntry:
    user = current_user()
    person_id = values.get("person_id") or user.person_id
    if person_id is None:
        raise RuleBroken("Your user is no person of the firm: say whose time it is.", fields={"person_id": "is needed"})
    if person_id != user.person_id and not user.may("time.write"):
        raise RuleBroken("You may record your own time only.", fields={"person_id": "is not you"})
    return record_time(session, **{**values, "person_id": person_id})
