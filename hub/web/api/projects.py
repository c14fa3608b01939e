"""/projects: work for clients."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from marshmallow import Schema, fields, post_dump
from sqlalchemy import select

from hub.core.projects.models import Project, ProjectStatus
from hub.core.projects.service import change_project, create_project
from hub.web.api.bulk import BulkInput, BulkOutput, answer_bulk
from hub.web.api.fields import Amount, ListQuery, RecordOutput, choice, text
from hub.web.api.rest import ApiBlueprint, Values, answer, answer_page, filtered, row
from hub.web.current import current_user

blueprint = ApiBlueprint("projects", "Work for clients.", prefix="/projects")


class ProjectChange(Schema):
    """What can be changed of a project. budget: in `currency`, without tax."""

    client_id = fields.UUID()
    name = text(200, least=1)
    code = text(60)
    status = choice(ProjectStatus)
    starts_on = fields.Date(allow_none=True)
    ends_on = fields.Date(allow_none=True)
    currency = text(3, least=3, metadata={"example": "EUR"})
    budget = Amount(allow_none=True)


class ProjectInput(ProjectChange):
    """A new project. currency: unless given, the client's, else the company's."""

    company_id = fields.UUID(metadata={"description": "Needed when the firm has several."})
    client_id = fields.UUID(required=True)
    name = text(200, least=1, required=True)


class ProjectOutput(RecordOutput):
    """Work for a client."""

    company_id = fields.UUID(required=True)
    client_id = fields.UUID(required=True)
    name = fields.String(required=True)
    code = fields.String(required=True)
    status = fields.String(required=True)
    starts_on = fields.Date(required=True, allow_none=True)
    ends_on = fields.Date(required=True, allow_none=True)
    currency = fields.String(required=True)
    budget = Amount(required=True, allow_none=True)

    @post_dump
    def keep_budget(self, values: Values, **kwargs: Any) -> Values:
        """What a project may cost is for those who may see rates; null for everybody else."""
        return values if current_user().may("rates.read") else {**values, "budget": None}


class ProjectQuery(ListQuery):
    """Filters."""

    client_id = fields.UUID()
    status = choice(ProjectStatus)
    code = fields.String()


@blueprint.get("", permission="projects.read", query=ProjectQuery, output=ProjectOutput, paged=True)
def list_projects(query: Values) -> Response:
    """Projects, the oldest first."""
    columns = {
        "client_id": Project.client_id,
        "status": Project.status,
        "code": Project.code,
        "updated_after": Project.updated_at,
    }
    return answer_page(filtered(select(Project), query, columns))


@blueprint.post("", permission="projects.write", body=ProjectInput, output=ProjectOutput)
def create_a_project(body: Values) -> Response:
    """Add a project."""
    return answer(lambda session: create_project(session, **body))


@blueprint.post("/bulk", permission="projects.write", body=BulkInput, output=BulkOutput)
def create_projects(body: Values) -> Response:
    """Add many projects, with a verdict for each."""
    return answer_bulk(body["data"], ProjectInput, lambda session, values: create_project(session, **values))


@blueprint.get("/<uuid:project_id>", permission="projects.read", output=ProjectOutput)
def get_a_project(project_id: UUID) -> Response:
    """One project."""
    return answer(row(Project, project_id))


@blueprint.patch("/<uuid:project_id>", permission="projects.write", body=ProjectChange, output=ProjectOutput)
def change_a_project(project_id: UUID, body: Values) -> Response:
    """Change what is given."""
    return answer(lambda session: change_project(session, project_id, **body), of=row(Project, project_id))
