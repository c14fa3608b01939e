"""/contacts: whom to talk to at a client."""

from __future__ import annotations

from uuid import UUID

from flask import Response
from marshmallow import Schema, fields
from sqlalchemy import select

from hub.core.clients.models import Contact
from hub.core.clients.service import change_contact, create_contact
from hub.web.api.fields import ListQuery, RecordOutput, text
from hub.web.api.rest import ApiBlueprint, Values, answer, answer_page, filtered, row

blueprint = ApiBlueprint("contacts", "Whom to talk to at a client.", prefix="/contacts")


class ContactInput(Schema):
    """Someone at a client."""

    client_id = fields.UUID(required=True)
    first_name = text()
    last_name = text(200, least=1, required=True)
    email = text(254)
    phone = text(60)
    job_title = text()


class ContactOutput(RecordOutput):
    """Someone at a client."""

    client_id = fields.UUID(required=True)
    first_name = fields.String(required=True)
    last_name = fields.String(required=True)
    email = fields.String(required=True)
    phone = fields.String(required=True)
    job_title = fields.String(required=True)


class ContactQuery(ListQuery):
    """Filters."""

    client_id = fields.UUID()
    email = fields.String()


@blueprint.get("", permission="clients.read", query=ContactQuery, output=ContactOutput, paged=True)
def list_contacts(query: Values) -> Response:
    """Contacts, the oldest first."""
    columns = {"client_id": Contact.client_id, "email": Contact.email, "updated_after": Contact.updated_at}
    return answer_page(filtered(select(Contact), query, columns))


@blueprint.post("", permission="clients.write", body=ContactInput, output=ContactOutput)
def create_a_contact(body: Values) -> Response:
    """Add a contact."""
    return answer(lambda session: create_contact(session, **body))


@blueprint.get("/<uuid:contact_id>", permission="clients.read", output=ContactOutput)
def get_a_contact(contact_id: UUID) -> Response:
    """One contact."""
    return answer(row(Contact, contact_id))


@blueprint.patch("/<uuid:contact_id>", permission="clients.write", body=ContactInput, output=ContactOutput)
def change_a_contact(contact_id: UUID, body: Values) -> Response:
    """Change what is given."""
    return answer(lambda session: change_contact(session, contact_id, **body), of=row(Contact, contact_id))
