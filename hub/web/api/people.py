"""/people: who works."""

from __future__ import annotations

from uuid import UUID

from flask import Response
from marshmallow import Schema, fields
from sqlalchemy import select

from hub.core.people.models import Person
from hub.core.people.service import change_person, create_person
from hub.web.api.bulk import BulkInput, BulkOutput, answer_bulk
from hub.web.api.fields import ListQuery, RecordOutput, text
from hub.web.api.rest import ApiBlueprint, Values, answer, answer_page, filtered, row

blueprint = ApiBlueprint("people", "Who works.", prefix="/people")


class PersonInput(Schema):
    """Who works. external_id: their number where their time comes from; unique."""

    name = text(200, least=1, required=True)
    email = text(254)
    external_id = text(100, least=1, allow_none=True)


class PersonChange(PersonInput):
    """What can be changed of a person."""

    active = fields.Boolean()


class PersonOutput(RecordOutput):
    """Who works."""

    name = fields.String(required=True)
    email = fields.String(required=True)
    external_id = fields.String(required=True, allow_none=True)
    active = fields.Boolean(required=True)


class PersonQuery(ListQuery):
    """Filters."""

    external_id = fields.String()
    active = fields.Boolean()


@blueprint.get("", permission="people.read", query=PersonQuery, output=PersonOutput, paged=True)
def list_people(query: Values) -> Response:
    """People, the oldest first."""
    columns = {"external_id": Person.external_id, "active": Person.active, "updated_after": Person.updated_at}
    return answer_page(filtered(select(Person), query, columns))


@blueprint.post("", permission="people.write", body=PersonInput, output=PersonOutput)
def create_a_person(body: Values) -> Response:
    """Add a person."""
    return answer(lambda session: create_person(session, **body))


@blueprint.post("/bulk", permission="people.write", body=BulkInput, output=BulkOutput)
def create_people(body: Values) -> Response:
    """Add many people, with a verdict for each."""
    return answer_bulk(body["data"], PersonInput, lambda session, values: create_person(session, **values))


@blueprint.get("/<uuid:person_id>", permission="people.read", output=PersonOutput)
def get_a_person(person_id: UUID) -> Response:
    """One person."""
    return answer(row(Person, person_id))


@blueprint.patch("/<uuid:person_id>", permission="people.write", body=PersonChange, output=PersonOutput)
def change_a_person(person_id: UUID, body: Values) -> Response:
    """Change what is given."""
    return answer(lambda session: change_person(session, person_id, **body), of=row(Person, person_id))
