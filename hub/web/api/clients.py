"""/clients: who buys."""

from __future__ import annotations

from uuid import UUID

from flask import Response
from marshmallow import Schema, fields
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.clients.models import Client
from hub.core.clients.service import archive_client, change_client, create_client
from hub.web.api.bulk import BulkInput, BulkOutput, answer_bulk
from hub.web.api.fields import ListQuery, Part, RecordOutput, text
from hub.web.api.rest import ApiBlueprint, Values, answer, answer_page, filtered, row

blueprint = ApiBlueprint("clients", "Who buys.", prefix="/clients")


class Address(Schema):
    """A postal address. country: ISO 3166-1 alpha-2."""

    street = text()
    city = text()
    region = text()
    postcode = text(40)
    country = text(2, metadata={"example": "DE"})


class ClientInput(Schema):
    """A client. legal_name: what finance puts on documents, where it differs. currency: unless set, the company's."""

    name = text(200, least=1, required=True, metadata={"example": "Acme GmbH"})
    legal_name = text()
    currency = text(3, least=3, allow_none=True, metadata={"example": "EUR"})
    address = fields.Nested(Address)
    tax_id = text(40)
    email = text(254)
    phone = text(60)
    website = text()
    tax_exempt = fields.Boolean()


class ClientOutput(RecordOutput):
    """A client."""

    name = fields.String(required=True)
    legal_name = fields.String(required=True)
    currency = fields.String(required=True, allow_none=True)
    address = Part(Address, lambda client: client)
    tax_id = fields.String(required=True)
    email = fields.String(required=True)
    phone = fields.String(required=True)
    website = fields.String(required=True)
    tax_exempt = fields.Boolean(required=True)
    archived_at = fields.AwareDateTime(required=True, allow_none=True)


class ClientQuery(ListQuery):
    """Filters. name: exactly this one. archived: without it, both."""

    name = fields.String()
    archived = fields.Boolean()


@blueprint.get("", permission="clients.read", query=ClientQuery, output=ClientOutput, paged=True)
def list_clients(query: Values) -> Response:
    """Clients, the oldest first."""
    statement = filtered(select(Client), query, {"name": Client.name, "updated_after": Client.updated_at})
    if "archived" in query:
        archived = Client.archived_at.is_not(None) if query["archived"] else Client.archived_at.is_(None)
        statement = statement.where(archived)
    return answer_page(statement)


@blueprint.post("", permission="clients.write", body=ClientInput, output=ClientOutput)
def create_a_client(body: Values) -> Response:
    """Add a client."""
    return answer(lambda session: create_client(session, **body))


@blueprint.post("/bulk", permission="clients.write", body=BulkInput, output=BulkOutput)
def create_clients(body: Values) -> Response:
    """Add many clients, with a verdict for each."""
    return answer_bulk(body["data"], ClientInput, lambda session, values: create_client(session, **values))


@blueprint.get("/<uuid:client_id>", permission="clients.read", output=ClientOutput)
def get_a_client(client_id: UUID) -> Response:
    """One client."""
    return answer(row(Client, client_id))


@blueprint.patch("/<uuid:client_id>", permission="clients.write", body=ClientInput, output=ClientOutput)
def change_a_client(client_id: UUID, body: Values) -> Response:
    """Change what is given."""
    return answer(lambda session: change_client(session, client_id, **body), of=row(Client, client_id))


@blueprint.post("/<uuid:client_id>/archive", permission="clients.write", output=ClientOutput)
def archive_a_client(client_id: UUID) -> Response:
    """Take a client out of use; nothing is lost."""
    return answer(lambda session: archive_client(session, client_id), of=row(Client, client_id))


@blueprint.post("/<uuid:client_id>/restore", permission="clients.write", output=ClientOutput)
def restore_a_client(client_id: UUID) -> Response:
    """Take an archived client into use again."""

    def work(session: Session) -> Client:
        return archive_client(session, client_id, archived=False)

    return answer(work, of=row(Client, client_id))
