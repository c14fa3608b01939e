"""/tasks: the pieces of a project that time is booked on."""

from __future__ import annotations

from uuid import UUID

from flask import Response
from marshmallow import Schema, fields
from sqlalchemy import select

from hub.core.projects.models import Task
from hub.core.projects.service import create_task
from hub.web.api.fields import ListQuery, RecordOutput, text
from hub.web.api.rest import ApiBlueprint, Values, answer, answer_page, filtered, row

blueprint = ApiBlueprint("tasks", "The pieces of a project that time is booked on.", prefix="/tasks")


class TaskInput(Schema):
    """A new task. service_id: what its hours are sold as; unless given, consulting hours."""

    project_id = fields.UUID(required=True)
    service_id = fields.UUID(allow_none=True)
    name = text(200, least=1, required=True)
    billable = fields.Boolean()


class TaskOutput(RecordOutput):
    """A piece of a project."""

    project_id = fields.UUID(required=True)
    service_id = fields.UUID(required=True, allow_none=True)
    name = fields.String(required=True)
    billable = fields.Boolean(required=True)


class TaskQuery(ListQuery):
    """Filters."""

    project_id = fields.UUID()


@blueprint.get("", permission="projects.read", query=TaskQuery, output=TaskOutput, paged=True)
def list_tasks(query: Values) -> Response:
    """Tasks, the oldest first."""
    columns = {"project_id": Task.project_id, "updated_after": Task.updated_at}
    return answer_page(filtered(select(Task), query, columns))


@blueprint.post("", permission="projects.write", body=TaskInput, output=TaskOutput)
def create_a_task(body: Values) -> Response:
    """Add a task to a project."""
    return answer(lambda session: create_task(session, **body))


@blueprint.get("/<uuid:task_id>", permission="projects.read", output=TaskOutput)
def get_a_task(task_id: UUID) -> Response:
    """One task."""
    return answer(row(Task, task_id))
