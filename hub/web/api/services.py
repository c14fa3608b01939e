"""/services: what is sold."""

from __future__ import annotations

from uuid import UUID

from flask import Response
from marshmallow import Schema, fields
from sqlalchemy import select

from hub.core.services.models import Service
from hub.core.services.service import KINDS, change_service, create_service
from hub.web.api.fields import ListQuery, Rate, RecordOutput, choice, text
from hub.web.api.rest import ApiBlueprint, Values, answer, answer_page, filtered, row

blueprint = ApiBlueprint("services", "What is sold.", prefix="/services")


class ServiceInput(Schema):
    """What is sold. unit: a UN/ECE code. tax_rate: in per cent; null takes the company's."""

    name = text(200, least=1, required=True)
    code = text(60)
    description = text(2000)
    kind = choice(KINDS)
    unit = text(3, metadata={"example": "HUR"})
    tax_rate = Rate(allow_none=True)
    active = fields.Boolean()


class ServiceOutput(RecordOutput):
    """What is sold."""

    name = fields.String(required=True)
    code = fields.String(required=True)
    description = fields.String(required=True)
    kind = fields.String(required=True)
    unit = fields.String(required=True)
    tax_rate = Rate(required=True, allow_none=True)
    active = fields.Boolean(required=True)


class ServiceQuery(ListQuery):
    """Filters."""

    kind = choice(KINDS)
    active = fields.Boolean()


@blueprint.get("", permission="services.read", query=ServiceQuery, output=ServiceOutput, paged=True)
def list_services(query: Values) -> Response:
    """Services, the oldest first."""
    columns = {"kind": Service.kind, "active": Service.active, "updated_after": Service.updated_at}
    return answer_page(filtered(select(Service), query, columns))


@blueprint.post("", permission="services.write", body=ServiceInput, output=ServiceOutput)
def create_a_service(body: Values) -> Response:
    """Add a service."""
    return answer(lambda session: create_service(session, **body))


@blueprint.get("/<uuid:service_id>", permission="services.read", output=ServiceOutput)
def get_a_service(service_id: UUID) -> Response:
    """One service."""
    return answer(row(Service, service_id))


@blueprint.patch("/<uuid:service_id>", permission="services.write", body=ServiceInput, output=ServiceOutput)
def change_a_service(service_id: UUID, body: Values) -> Response:
    """Change what is given."""
    return answer(lambda session: change_service(session, service_id, **body), of=row(Service, service_id))
