"""The form of a connection's settings: drawn from the connector's schema, read back typed, refused field by field."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from hub.core.errors import ConfigurationFailure, ConnectorError, RuleBroken
from hub.sync.connector import Connector
from hub.sync.settings_schema import JsonSchema, json_schema
from hub.web.forms import FormField, form_fields, posted_values

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,39}")
_EMPTY = ("Missing data for required field.", "Field may not be null.", "Shorter than minimum length 1.")


@dataclass(frozen=True, slots=True)
class SettingsForm:
    """What a person entered, and what is wrong with it. text: a sentence about all of it."""

    schema: JsonSchema
    values: Mapping[str, Any] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    text: str = ""

    def fields(self, stored_secrets: Collection[str] = ()) -> list[FormField]:
        """The fields as they are drawn."""
        return form_fields(self.schema, self.values, errors=self.errors, stored_secrets=stored_secrets)


def settings_form(kind: type[Connector], values: Mapping[str, Any] | None = None) -> SettingsForm:
    """The form before anything was wrong."""
    return SettingsForm(json_schema(kind.settings), values or {})


def entered(kind: type[Connector], form: Mapping[str, str]) -> dict[str, Any]:
    """The settings that were posted, as JSON values; what was left empty is not there."""
    posted = posted_values(json_schema(kind.settings), form)
    return {name: str(value) if isinstance(value, Decimal) else value for name, value in posted.items()}


def refused(kind: type[Connector], values: Mapping[str, Any], failure: RuleBroken | ConnectorError) -> SettingsForm:
    """The form again, with what a failure says of it. Secrets have to be entered again."""
    schema = json_schema(kind.settings)
    properties = schema["properties"]
    if isinstance(failure, RuleBroken):
        errors = {name: _sentence(properties.get(name, {}), name, text) for name, text in failure.fields.items()}
        return SettingsForm(schema, values, errors, "" if errors else str(failure))
    name = failure.field if isinstance(failure, ConfigurationFailure) else None
    if name in properties:
        return SettingsForm(schema, values, {str(name): str(failure)})
    return SettingsForm(schema, values, {}, str(failure))


def name_fault(name: str) -> str:
    """What is wrong with a connection's name; "" for a good one."""
    if not name:
        return "A connection needs a name."
    return "" if _NAME.fullmatch(name) else f"“{name}” is no name. Use letters, digits and dashes, at most 40."


def _sentence(rule: Mapping[str, Any], name: str, text: str) -> str:
    title = rule.get("title") or name
    if text in _EMPTY:
        return f"{title} must not be empty."
    return f"{title}: {text}" if rule else text
