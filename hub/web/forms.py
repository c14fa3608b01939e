"""Forms that are drawn from a JSON Schema: connector settings, plugin settings, conditions of a stream.

The subset of JSON Schema that is understood, per property:

    {"type": "string"}                                   one line of text
    {"type": "string", "x-multiline": true}              several lines (a private key)
    {"type": "string", "writeOnly": true}                a secret: masked, never shown again; with x-multiline too
    {"type": "string", "enum": [...], "x-labels": [...]} one of a few (radio buttons up to three, else a list)
    {"type": "string", "format": "uri" | "date"}         an address, a day
    {"type": "boolean"}                                  a tick
    {"type": "integer" | "number"}                       with minimum and maximum
    {"type": "object", "additionalProperties": {...}}    pairs of texts, one "name = value" a line
    {"type": "array", "items": {"type": "string"}}       texts, one a line

`title`, `description`, `default`, `examples` (the first becomes the placeholder) and `x-group` (a heading) say the
rest; `required` on top lists the compulsory ones. The order of the properties is the order on the page.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

RADIO_UP_TO = 3


@dataclass(frozen=True, slots=True)
class FormField:
    """One field as the macro `forms.field` draws it.

    kind: text, area, secret, secret_area, choice, radio, tick, number, url, date. value: what stands in it, as text
    (a bool for a tick; never a secret). choices: value and label. kept: a secret is stored; empty means keep it.
    """

    name: str
    label: str
    kind: str
    value: str | bool = ""
    help: str = ""
    error: str = ""
    required: bool = False
    placeholder: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    minimum: str = ""
    maximum: str = ""
    group: str = ""
    kept: bool = False


def form_fields(
    schema: Mapping[str, Any],
    values: Mapping[str, Any] | None = None,
    *,
    errors: Mapping[str, str] | None = None,
    stored_secrets: Collection[str] = (),
) -> list[FormField]:
    """The fields of a schema, filled.

    values: by property name, as stored or as posted. errors: a sentence by property name. stored_secrets: the secrets
    that have a value; it is not shown and need not be given again.
    """
    required = schema.get("required", ())
    return [
        _field(
            name,
            rule,
            value=(values or {}).get(name, rule.get("default")),
            error=(errors or {}).get(name, ""),
            required=name in required,
            kept=name in stored_secrets,
        )
        for name, rule in schema.get("properties", {}).items()
    ]


def posted_values(schema: Mapping[str, Any], form: Mapping[str, str]) -> dict[str, Any]:
    """What a person entered, in the types of the schema, for its validation.

    Empty fields are left out (an empty secret means "as it was"); an unticked box is False. What cannot be read as
    the schema's type stays the text it is, so that validation names it.
    """
    values: dict[str, Any] = {}
    for name, rule in schema.get("properties", {}).items():
        text = form.get(name, "").replace("\r\n", "\n").strip()
        if _type(rule) == "boolean":
            values[name] = text not in ("", "false", "off", "0")
        elif text:
            values[name] = _parsed(rule, text)
    return values


def _field(name: str, rule: Mapping[str, Any], *, value: Any, error: str, required: bool, kept: bool) -> FormField:
    kind = _kind(rule)
    return FormField(
        name=name,
        label=rule.get("title") or name.replace("_", " ").capitalize(),
        kind=kind,
        value=_shown(kind, value),
        help=rule.get("description", ""),
        error=error,
        required=required and not kept and kind != "tick",
        placeholder=str(next(iter(rule.get("examples", ())), "")),
        choices=_choices(rule, required=required),
        minimum=str(rule.get("minimum", "")),
        maximum=str(rule.get("maximum", "")),
        group=rule.get("x-group", ""),
        kept=kept,
    )


def _type(rule: Mapping[str, Any]) -> str:
    """The one type of a property; a nullable one names "null" beside it."""
    types = rule.get("type", "string")
    return types if isinstance(types, str) else next(each for each in types if each != "null")


def _kind(rule: Mapping[str, Any]) -> str:
    several_lines = rule.get("x-multiline") or _type(rule) in ("object", "array")
    if "enum" in rule:
        return "radio" if len(_options(rule)) <= RADIO_UP_TO else "choice"
    if rule.get("writeOnly") or rule.get("format") == "password":
        return "secret_area" if several_lines else "secret"
    if several_lines:
        return "area"
    if _type(rule) in ("integer", "number"):
        return "number"
    by_format = {"uri": "url", "url": "url", "date": "date"}
    return "tick" if _type(rule) == "boolean" else by_format.get(rule.get("format", ""), "text")


def _options(rule: Mapping[str, Any]) -> Sequence[Any]:
    return [option for option in rule.get("enum", ()) if option not in (None, "")]


def _choices(rule: Mapping[str, Any], *, required: bool) -> tuple[tuple[str, str], ...]:
    options = _options(rule)
    labels = rule.get("x-labels") or [str(option).replace("_", " ").capitalize() for option in options]
    choices = tuple((str(option), str(label)) for option, label in zip(options, labels, strict=False))
    return choices if required or not choices or "default" in rule else (("", "Not set"), *choices)


def _shown(kind: str, value: Any) -> str | bool:
    if kind == "tick":
        return bool(value)
    if value is None or kind.startswith("secret"):
        return ""
    if isinstance(value, Mapping):
        between = "\n" if kind == "area" else "; "
        return between.join(f"{name} = {each}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return "\n".join(str(each) for each in value)
    return str(value)


def _parsed(rule: Mapping[str, Any], text: str) -> Any:
    kind = _type(rule)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if kind == "array":
        return lines
    if kind == "object":
        pairs = [line.partition("=") for line in lines]
        return {name.strip(): value.strip() for name, _, value in pairs} if all(sign for _, sign, _ in pairs) else text
    if kind == "integer":
        return int(text) if text.lstrip("-").isdecimal() else text
    if kind == "number":
        try:
            return Decimal(text)
        except InvalidOperation:
            return text
    return text
