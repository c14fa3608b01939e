"""A connector's marshmallow schema as JSON Schema, from which forms are drawn and which the API can show.

Understood of a field: `required`, `load_default`, `allow_none`, the validators OneOf, Range and Length, and of its
`metadata`: title, help, secret, multiline, group, example and order (fields without one come after, as declared).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import marshmallow
from marshmallow import fields, validate

JsonSchema = dict[str, Any]

# The first that fits: a subclass stands before its base.
_TYPES: tuple[tuple[type[fields.Field[Any]], JsonSchema], ...] = (
    (fields.Boolean, {"type": "boolean"}),
    (fields.Integer, {"type": "integer"}),
    (fields.Number, {"type": "number"}),
    (fields.Url, {"type": "string", "format": "uri"}),
    (fields.Date, {"type": "string", "format": "date"}),
    (fields.List, {"type": "array", "items": {"type": "string"}}),
    (fields.Dict, {"type": "object", "additionalProperties": {"type": "string"}}),
)


def json_schema(schema: type[marshmallow.Schema]) -> JsonSchema:
    """The JSON Schema of what a person enters, its properties in the order of the form."""
    declared = {name: field for name, field in schema().fields.items() if not field.dump_only}
    ordered = sorted(declared.items(), key=lambda item: _place(item[1]))  # sorting keeps the order of equals
    return {
        "type": "object",
        "properties": {name: _property(field) for name, field in ordered},
        "required": [name for name, field in ordered if field.required],
    }


def _place(field: fields.Field[Any]) -> float:
    return float(field.metadata.get("order", "inf"))


def _property(field: fields.Field[Any]) -> JsonSchema:
    rule: JsonSchema = {**_type(field)}
    for key, name in (("title", "title"), ("help", "description"), ("group", "x-group")):
        if field.metadata.get(key):
            rule[name] = field.metadata[key]
    if "example" in field.metadata:
        rule["examples"] = [field.metadata["example"]]
    if field.metadata.get("secret"):
        rule["writeOnly"] = True
    if field.metadata.get("multiline"):
        rule["x-multiline"] = True
    for validator in field.validators:
        rule |= _bounds(validator)
    default = _default(field)
    return rule if default is None or "writeOnly" in rule else {**rule, "default": default}


def _type(field: fields.Field[Any]) -> JsonSchema:
    """A field class of a connector's own is text: it reads what a person writes."""
    rule = next((rule for known, rule in _TYPES if isinstance(field, known)), {"type": "string"})
    return {**rule, "type": [rule["type"], "null"]} if field.allow_none else dict(rule)


def _bounds(validator: Callable[[Any], Any]) -> JsonSchema:
    if isinstance(validator, validate.OneOf):
        labels = [str(label) for label in validator.labels]
        return {"enum": list(validator.choices), **({"x-labels": labels} if labels else {})}
    if isinstance(validator, validate.Range):
        return dict(_given(("minimum", validator.min), ("maximum", validator.max)))
    if isinstance(validator, validate.Length):
        return dict(_given(("minLength", validator.min), ("maxLength", validator.max)))
    return {}


def _given(*pairs: tuple[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in pairs:
        if value is not None:
            yield name, value


def _default(field: fields.Field[Any]) -> Any:
    """What counts when nothing is entered; None for nothing."""
    value = field.load_default
    if value is marshmallow.missing or callable(value) or value in ("", None):
        return None
    return str(value) if isinstance(value, Decimal) else value
