"""The OpenAPI 3.1 document: what each operation takes and answers, every error included."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from marshmallow import Schema, fields

from hub.web.api.paging import PAGING_FIELDS
from hub.web.problems import KINDS

if TYPE_CHECKING:
    from hub.web.api.rest import Operation

SETTINGS: Final = {
    "API_TITLE": "PSA Hub",
    "OPENAPI_VERSION": "3.1.0",
    "OPENAPI_URL_PREFIX": "/api/v1",
    "OPENAPI_JSON_PATH": "openapi.json",
}

_ABOUT = """Clients, projects, time and invoices of a services firm, and the systems they are kept in step with.

Instants are RFC 3339 in UTC, days are dates, money is a decimal string with its currency beside it. Lists are paged by
cursors: follow `next_cursor` or the Link header. Every record has a `revision`, which is its ETag: send it as If-Match
to change only what you have seen. Send an Idempotency-Key with whatever changes something, and a repeated request gets
the first one's answer; keys are kept for 48 hours. Errors are problem documents (RFC 9457): switch on `code`.
"""


class FieldError(Schema):
    """What is wrong with one value. pointer: where it stands in the body; parameter: its name in the query."""

    pointer = fields.String(metadata={"example": "/currency"})
    parameter = fields.String()
    code = fields.String(required=True, metadata={"example": "invalid"})
    message = fields.String(required=True)


class Problem(Schema):
    """Why a request was refused (RFC 9457)."""

    type = fields.String(required=True, metadata={"example": "/api/v1/problems/validation"})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    instance = fields.String(required=True)
    code = fields.String(required=True, metadata={"example": "validation"})
    request_id = fields.String(required=True)
    errors = fields.List(fields.Nested(FieldError))


def operation(described: Operation, *, has_id: bool) -> dict[str, Any]:
    """One operation as flask-smorest merges it into the document; schemas are resolved by apispec."""
    found: dict[str, Any] = {"operationId": described.name, "parameters": _parameters(described)}
    if described.body is not None:
        schema = described.body(partial=True) if described.method == "PATCH" else described.body
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    found["responses"] = {
        str(described.status): _success(described),
        **{str(status): str(status) for status in _errors(described, has_id=has_id)},
    }
    if not described.permission:
        found["security"] = []
    elif described.permission != "*":
        found["x-permission"] = described.permission
    return found


def _parameters(described: Operation) -> list[Any]:
    found: list[Any] = []
    if described.query is not None:
        found.append({"in": "query", "schema": described.query})
    if described.paged:
        found.append({"in": "query", "schema": _paging()})
    if described.method == "GET":
        return found
    found.append("IdempotencyKey")
    if described.matches:
        found.append("IfMatch")
    return found


def _success(described: Operation) -> dict[str, Any]:
    if described.status == 204 or described.output is None:
        return {"description": "Done."}
    schema = page_of(described.output) if described.paged else described.output
    found: dict[str, Any] = {"description": "As asked.", "content": {"application/json": {"schema": schema}}}
    names = ("Link",) if described.paged else ("ETag", "Location") if described.status == 201 else ("ETag",)
    found["headers"] = dict(zip(names, names, strict=True))
    return found


def _errors(described: Operation, *, has_id: bool) -> list[int]:
    """The statuses an operation can be refused with."""
    found = {400, 500, 503}
    if described.permission:
        found |= {401, 403}
    if has_id:
        found.add(404)
    if described.query is not None or described.paged:
        found.add(422)
    if described.method != "GET":
        found |= {404, 409, 412, 413, 415, 422, 502}
        if described.strict:
            found.add(428)
    return sorted(found)


@cache
def page_of(output: type[Schema]) -> type[Schema]:
    """The schema of one page of a list."""
    name = output.__name__.removesuffix("Output") + "Page"
    return Schema.from_dict(
        {
            "data": fields.List(fields.Nested(output), required=True),
            "next_cursor": fields.String(required=True, allow_none=True),
        },
        name=name,
    )


@cache
def _paging() -> type[Schema]:
    return Schema.from_dict(dict(PAGING_FIELDS), name="Paging")


def schema_name(schema: Any) -> str:
    """A schema's name in the document: of a patch, which demands nothing, another one than of the whole."""
    kind = schema if isinstance(schema, type) else type(schema)
    name = str(kind.__name__)
    if not isinstance(schema, type) and schema.partial:
        return name.removesuffix("Input") + "Patch"
    return name


def complete(api: Any) -> None:
    """Add to the document what all operations share."""
    spec = api.spec
    spec.options["info"] = {"description": _ABOUT}
    spec.options["security"] = [{"key": []}]
    spec.components.security_scheme("key", {"type": "http", "scheme": "bearer", "bearerFormat": "psah_live_..."})
    api.ma_plugin.converter.add_attribute_function(_decimal_as_text)
    for name, described in _HEADERS.items():
        spec.components.header(name, described)
    for name, described in _PARAMETERS.items():
        spec.components.parameter(name, described["in"], described)
    spec.components.schema("Problem", schema=Problem)
    for status in sorted({kind.status for kind in KINDS.values()}):
        kinds = [kind for kind in KINDS.values() if kind.status == status]
        spec.components.response(
            str(status),
            {
                "description": " ".join(f"`{kind.code}`: {kind.text}" for kind in kinds),
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            },
        )


def _decimal_as_text(self: Any, field: Any, ret: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Decimals travel as strings."""
    if not isinstance(field, fields.Decimal) or not field.as_string:
        return {}
    return {"type": ["string", "null"] if field.allow_none else "string", "format": "decimal"}


_HEADERS: Final = {
    "ETag": {"description": "The record's revision.", "schema": {"type": "string", "examples": ['"5"']}},
    "Location": {"description": "The new record.", "schema": {"type": "string"}},
    "Link": {"description": "rel next and first (RFC 8288).", "schema": {"type": "string"}},
}
_PARAMETERS: Final = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A random text, new for each request; a repeat with it gets the first answer.",
        "schema": {"type": "string"},
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "description": "The ETag you have seen; 412 if the record has changed since.",
        "schema": {"type": "string", "examples": ['"5"']},
    },
}
