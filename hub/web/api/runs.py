"""/runs: what was done for a connection, and what came of every record."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from marshmallow import Schema, fields
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.errors import NotFound
from hub.sync.models import Run, RunItem, RunStatus
from hub.sync.runs import RunSummary, counts_of
from hub.web.api.fields import choice
from hub.web.api.rest import ApiBlueprint, Values, answer, answer_page, filtered, row

blueprint = ApiBlueprint("runs", "What was done for a connection, and what came of every record.", prefix="/runs")

_COLUMNS = (
    "id",
    "connection_id",
    "connection_name",
    "direction",
    "kinds",
    "trigger",
    "actor",
    "status",
    "headline",
    "started_at",
    "ended_at",
    "resumes_at",
    "api_calls",
)


class Counts(Schema):
    """What came of the records: read is the sum of all others."""

    read = fields.Integer(required=True)
    created = fields.Integer(required=True)
    updated = fields.Integer(required=True)
    unchanged = fields.Integer(required=True)
    deleted = fields.Integer(required=True)
    rejected = fields.Integer(required=True)
    deferred = fields.Integer(required=True)
    conflicts = fields.Integer(required=True)


class RunOutput(Schema):
    """One piece of work of a connection."""

    id = fields.UUID(required=True)
    connection_id = fields.UUID(required=True)
    connection_name = fields.String(required=True)
    direction = fields.String(required=True)
    kinds = fields.List(fields.String(), required=True)
    trigger = fields.String(required=True)
    actor = fields.String(required=True)
    status = choice(RunStatus, required=True)
    headline = fields.String(required=True)
    started_at = fields.AwareDateTime(required=True)
    ended_at = fields.AwareDateTime(required=True, allow_none=True)
    resumes_at = fields.AwareDateTime(required=True, allow_none=True)
    counts = fields.Nested(Counts, required=True)
    api_calls = fields.Integer(required=True)


class RunItemOutput(Schema):
    """What became of one record in one run."""

    id = fields.UUID(required=True)
    kind = fields.String(required=True)
    direction = fields.String(required=True)
    record_id = fields.UUID(required=True, allow_none=True)
    remote_id = fields.String(required=True, allow_none=True)
    label = fields.String(required=True)
    outcome = fields.String(required=True)
    reason = fields.String(required=True)
    field = fields.String(required=True)
    remedy = fields.String(required=True)
    differences = fields.Dict(required=True, allow_none=True)
    happened_at = fields.AwareDateTime(required=True)


class RunQuery(Schema):
    """Filters."""

    connection_id = fields.UUID()
    status = choice(RunStatus)


class RunItemQuery(Schema):
    """Filters."""

    outcome = fields.String()
    kind = fields.String()


@blueprint.get("", permission="connections.read", query=RunQuery, output=RunOutput, paged=True)
def list_runs(query: Values) -> Response:
    """Runs, the newest first."""
    statement = filtered(select(Run), query, {"connection_id": Run.connection_id, "status": Run.status})
    return answer_page(statement, view=_shown, newest_first=True)


@blueprint.get("/<uuid:run_id>", permission="connections.read", output=RunOutput)
def get_run(run_id: UUID) -> Response:
    """One run."""
    return answer(row(Run, run_id), view=_shown)


@blueprint.get(
    "/<uuid:run_id>/items", permission="connections.read", query=RunItemQuery, output=RunItemOutput, paged=True
)
def list_run_items(run_id: UUID, query: Values) -> Response:
    """What became of each record, in the order it happened."""

    def statement(session: Session) -> Any:
        row(Run, run_id)(session)
        columns = {"outcome": RunItem.outcome, "kind": RunItem.kind}
        return filtered(select(RunItem).where(RunItem.run_id == run_id), query, columns)

    return answer_page(statement)


def run_view(session: Session, summary: RunSummary) -> Values:
    """A run that just ended, as it is shown."""
    run = session.get(Run, summary.id) if summary.id is not None else None
    if run is None:
        raise NotFound("This run left nothing to show.")
    return _shown(session, run)


def _shown(session: Session, run: Run) -> Values:
    return {**{name: getattr(run, name) for name in _COLUMNS}, "counts": counts_of(run)}
