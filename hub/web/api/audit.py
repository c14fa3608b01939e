"""/audit: who changed what."""

from __future__ import annotations

from flask import Response
from marshmallow import Schema, fields
from sqlalchemy import select

from hub.core.audit import AuditEntry
from hub.web.api.rest import ApiBlueprint, Values, answer_page, filtered

blueprint = ApiBlueprint("audit", "Who changed what.", prefix="/audit")


class AuditOutput(Schema):
    """One change. changes: field → [old, new]; secrets are masked."""

    id = fields.Integer(required=True)
    happened_at = fields.AwareDateTime(required=True)
    actor = fields.String(required=True)
    request_id = fields.String(required=True)
    action = fields.String(required=True)
    record_kind = fields.String(required=True)
    record_id = fields.UUID(required=True, allow_none=True)
    revision = fields.Integer(required=True, allow_none=True)
    changes = fields.Dict(required=True)


class AuditQuery(Schema):
    """Filters. since: at this instant or later."""

    record_kind = fields.String()
    record_id = fields.UUID()
    actor = fields.String()
    action = fields.String()
    request_id = fields.String()
    since = fields.AwareDateTime()


@blueprint.get("", permission="audit.read", query=AuditQuery, output=AuditOutput, paged=True)
def list_audit_entries(query: Values) -> Response:
    """Changes, the newest first."""
    names = ("record_kind", "record_id", "actor", "action", "request_id")
    statement = filtered(select(AuditEntry), query, {name: getattr(AuditEntry, name) for name in names})
    if "since" in query:
        statement = statement.where(AuditEntry.happened_at >= query["since"])
    return answer_page(statement, newest_first=True)
