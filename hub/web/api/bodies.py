"""Reading what a caller sends: JSON by a schema, and the query by another; whatever is wrong is named."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import cache
from typing import Any

from flask import request
from marshmallow import Schema, ValidationError, fields

from hub.web.api.paging import PAGING_FIELDS
from hub.web.problems import Refused

JSON_TYPES = ("application/json",)
PATCH_TYPES = ("application/json", "application/merge-patch+json")


class BadQuery(ValidationError):
    """Something is wrong with the query, not with the body."""


def load_body(schema: type[Schema], *, partial: bool = False) -> dict[str, Any]:
    """The body by its schema. Raises Refused (400, 415), ValidationError. partial: only what was sent, as for PATCH."""
    loaded: dict[str, Any] = schema().load(read_json(PATCH_TYPES if partial else JSON_TYPES), partial=partial)
    return loaded


def read_json(types: tuple[str, ...] = JSON_TYPES) -> dict[str, Any]:
    """The body, which must be a JSON object; numbers with a point become Decimal."""
    raw = request.get_data(cache=True)
    if not raw and request.mimetype in ("", *types):
        return {}
    if request.mimetype not in types:
        raise Refused("unsupported-media-type", f"Send Content-Type: {types[0]}.")
    try:
        body = json.loads(raw, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError) as failure:
        raise Refused("malformed", f"The body is not JSON: {failure}.") from None
    if not isinstance(body, dict):
        raise ValidationError({"_schema": ["Send a JSON object."]})
    _refuse_unstorable(body, [])
    return body


def load_query(schema: type[Schema] | None, *, paged: bool) -> dict[str, Any]:
    """The query by its schema, with limit and cursor for a list. Raises BadQuery, also for a name it does not know."""
    whole = query_schema(schema, paged=paged)
    values: dict[str, Any] = {}
    for name in request.args:
        listed = isinstance(whole.fields.get(name), fields.List)
        values[name] = request.args.getlist(name) if listed else request.args[name]
    try:
        _refuse_unstorable(values, [])
        loaded: dict[str, Any] = whole.load(values)
    except ValidationError as failure:
        raise BadQuery(failure.normalized_messages()) from None
    return loaded


@cache
def query_schema(schema: type[Schema] | None, *, paged: bool) -> Schema:
    """A list's filters together with its paging."""
    own = {} if schema is None else schema._declared_fields
    return Schema.from_dict({**own, **(PAGING_FIELDS if paged else {})}, name="Query")()


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _refuse_unstorable(value: Any, path: list[str]) -> None:
    """A text with a zero or half a surrogate pair can be stored nowhere."""
    if isinstance(value, dict):
        for name, inner in value.items():
            _refuse_unstorable(name, [*path, "?"])
            _refuse_unstorable(inner, [*path, str(name)])
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _refuse_unstorable(inner, [*path, str(index)])
    elif isinstance(value, str) and any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in value):
        message: Any = ["This text holds a character that cannot be stored."]
        for step in reversed(path):
            message = {step: message}
        raise ValidationError(message)
