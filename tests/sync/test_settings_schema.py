"""A connector's settings as JSON Schema."""

from __future__ import annotations

from decimal import Decimal

import pytest
from marshmallow import Schema, fields, validate

from hub.sync.settings_schema import json_schema


def only(field):
    return json_schema(Schema.from_dict({"it": field}))["properties"]["it"]


@pytest.mark.parametrize(
    ("field", "rule"),
    [
        (fields.String(), {"type": "string"}),
        (fields.String(allow_none=True, load_default=None), {"type": ["string", "null"]}),
        (fields.String(load_default="ours"), {"type": "string", "default": "ours"}),
        (fields.Boolean(load_default=False), {"type": "boolean", "default": False}),
        (fields.Integer(validate=validate.Range(1, 100)), {"type": "integer", "minimum": 1, "maximum": 100}),
        (fields.Decimal(load_default=Decimal("1.50")), {"type": "number", "default": "1.50"}),
        (fields.Float(), {"type": "number"}),
        (fields.Url(), {"type": "string", "format": "uri"}),
        (fields.Date(), {"type": "string", "format": "date"}),
        (fields.List(fields.String(), load_default=list), {"type": "array", "items": {"type": "string"}}),
        (fields.Dict(), {"type": "object", "additionalProperties": {"type": "string"}}),
        (fields.String(validate=validate.OneOf(["a", "b"])), {"type": "string", "enum": ["a", "b"]}),
        (
            fields.String(validate=validate.OneOf(["a"], labels=["The first"])),
            {"type": "string", "enum": ["a"], "x-labels": ["The first"]},
        ),
        (fields.String(validate=validate.Length(max=9)), {"type": "string", "maxLength": 9}),
        (
            fields.String(metadata={"title": "Name", "help": "Any", "group": "You", "example": "Ada"}),
            {"type": "string", "title": "Name", "description": "Any", "x-group": "You", "examples": ["Ada"]},
        ),
        (
            fields.String(load_default="never shown", metadata={"secret": True, "multiline": True}),
            {"type": "string", "writeOnly": True, "x-multiline": True},
        ),
    ],
)
def test_a_field_becomes_a_rule(field, rule):
    assert only(field) == rule


def test_the_order_of_the_form_is_the_declared_one_unless_it_is_said():
    schema = Schema.from_dict(
        {
            "last": fields.String(),
            "second": fields.String(required=True, metadata={"order": 2}),
            "first": fields.String(required=True, metadata={"order": 1}),
            "very_last": fields.String(),
        }
    )

    found = json_schema(schema)

    assert list(found["properties"]) == ["first", "second", "last", "very_last"]
    assert found["required"] == ["first", "second"]


def test_what_is_only_shown_is_not_asked_for():
    assert json_schema(Schema.from_dict({"it": fields.String(dump_only=True)}))["properties"] == {}
