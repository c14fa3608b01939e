"""/links: which record is what in which connected system, what is owed, and what waits for a person."""

from __future__ import annotations

from uuid import UUID

from flask import Response
from marshmallow import Schema, fields, validate
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.errors import RuleBroken
from hub.core.outbox import Link
from hub.sync.repairs import ignore_link, retry_all, retry_links
from hub.web.api.fields import text
from hub.web.api.rest import ApiBlueprint, Values, answer, answer_after, answer_page, filtered, row
from hub.web.current import transact

blueprint = ApiBlueprint("links", "Records and what they are called in connected systems.", prefix="/links")


class LinkOutput(Schema):
    """One record and one connection. parked: why it waits for a person. owed: something is still to be sent."""

    id = fields.UUID(required=True)
    connection_id = fields.UUID(required=True)
    kind = fields.String(required=True)
    record_id = fields.UUID(required=True, allow_none=True)
    part = fields.String(required=True)
    remote_id = fields.String(required=True, allow_none=True)
    label = fields.String(required=True)
    owed = fields.Boolean(required=True)
    delivered_revision = fields.Integer(required=True, allow_none=True)
    failures = fields.Integer(required=True)
    due_at = fields.AwareDateTime(required=True, allow_none=True)
    waiting_for = fields.UUID(required=True, allow_none=True)
    held = fields.Boolean(required=True)
    parked = fields.String(required=True, allow_none=True)
    parked_field = fields.String(required=True, allow_none=True)
    parked_remedy = fields.String(required=True, allow_none=True)
    parked_at = fields.AwareDateTime(required=True, allow_none=True)
    ignored = fields.String(required=True, allow_none=True)
    changed_at = fields.AwareDateTime(required=True)


_COLUMNS = tuple(name for name in LinkOutput._declared_fields if name not in ("owed", "delivered_revision"))


class LinkQuery(Schema):
    """Filters. parked: whether it waits for a person. owed: whether something is still to be sent."""

    connection_id = fields.UUID()
    kind = fields.String()
    record_id = fields.UUID()
    remote_id = fields.String()
    parked = fields.Boolean()
    owed = fields.Boolean()


class RetryInput(Schema):
    """These links, or all that are parked (of one connection)."""

    ids = fields.List(fields.UUID(), validate=validate.Length(min=1, max=200))
    all = fields.Boolean()
    connection_id = fields.UUID()


class RetryOutput(Schema):
    """How many are owed again."""

    retried = fields.Integer(required=True)


class IgnoreInput(Schema):
    """Why it is not to be sent."""

    reason = text(500, least=1, required=True)


@blueprint.get("", permission="connections.read", query=LinkQuery, output=LinkOutput, paged=True)
def list_links(query: Values) -> Response:
    """Links, the oldest first."""
    columns = {name: getattr(Link, name) for name in ("connection_id", "kind", "record_id", "remote_id")}
    statement = filtered(select(Link), query, columns)
    if "parked" in query:
        parked = Link.parked.is_not(None) & Link.ignored.is_(None)
        statement = statement.where(parked if query["parked"] else ~parked)
    if "owed" in query:
        statement = statement.where(Link.wanted > Link.done if query["owed"] else Link.wanted <= Link.done)
    return answer_page(statement, view=_shown)


@blueprint.get("/<uuid:link_id>", permission="connections.read", output=LinkOutput)
def get_a_link(link_id: UUID) -> Response:
    """One link."""
    return answer(row(Link, link_id), view=_shown)


@blueprint.post("/<uuid:link_id>/retry", permission="connections.sync", output=LinkOutput)
def retry_link(link_id: UUID) -> Response:
    """Owe this record again as it is now."""

    def work(session: Session) -> Link:
        link: Link = row(Link, link_id)(session)
        retry_links(session, [link_id])
        return link

    return answer(work, of=row(Link, link_id), view=_shown)


@blueprint.post("/retry", permission="connections.sync", body=RetryInput, output=RetryOutput)
def retry_many_links(body: Values) -> Response:
    """Owe many again: these, or all that are parked."""

    if body.get("all"):
        which = [Link.connection_id == body["connection_id"]] if "connection_id" in body else []
        return answer_after(lambda: {"retried": retry_all(transact, *which)})
    if "ids" not in body:
        raise RuleBroken("Say which links, or all.", fields={"ids": "name them, or send all: true"})
    return answer(lambda session: {"retried": retry_links(session, body["ids"])})


@blueprint.post("/<uuid:link_id>/ignore", permission="connections.sync", body=IgnoreInput, output=LinkOutput)
def ignore_a_link(link_id: UUID, body: Values) -> Response:
    """Decide that this record is not to be sent; a retry takes that back."""
    return answer(lambda session: ignore_link(session, link_id, body["reason"]), of=row(Link, link_id), view=_shown)


def _shown(session: Session, link: Link) -> Values:
    """Without what only the engine needs. Its `revision` is the one delivered, so the ETag is made of what is shown."""
    shown = {name: getattr(link, name) for name in _COLUMNS}
    return {**shown, "owed": link.wanted > link.done, "delivered_revision": link.revision}
