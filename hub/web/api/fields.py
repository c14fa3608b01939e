"""Fields and schemas that the whole API shares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from marshmallow import Schema, ValidationError, fields, validate
from marshmallow.utils import get_value

from hub.core.money import money_text

LONGEST_NUMBER: Final = Decimal(10) ** 12
_LARGEST_INTEGER: Final = 2**31 - 1


class Amount(fields.Decimal):
    """Money in and out as a decimal string, with the decimals of the `currency` beside it.

    places: how many decimals may come in. A JSON number is refused, so that no client makes a float of money.
    """

    def __init__(self, *, places: int = 4, **more: Any) -> None:
        more.setdefault("metadata", {"example": "1250.00"})
        super().__init__(as_string=True, allow_nan=False, **more)
        self.most_places = places

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        if value is None:
            return None
        currency = get_value(obj, "currency", None)
        return money_text(value, currency) if currency else format(value.normalize(), "f")

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Decimal:
        if not isinstance(value, str):
            raise ValidationError("Send a decimal string, such as “1250.00”.")
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise ValidationError(f"“{value[:40]}” is not a decimal number.") from None
        if not number.is_finite() or abs(number) >= LONGEST_NUMBER:
            raise ValidationError("Send a number below 1,000,000,000,000.")
        if -int(number.normalize().as_tuple().exponent) > self.most_places:
            raise ValidationError(f"Send at most {self.most_places} decimals.")
        return number


class Rate(Amount):
    """A rate, a quantity or a percentage: a decimal string of at most six decimals, without a currency's form."""

    def __init__(self, **more: Any) -> None:
        more.setdefault("metadata", {"example": "120.5"})
        super().__init__(places=6, **more)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else format(value.normalize(), "f")


class Part(fields.Nested):
    """A part of an answer that is computed from the row: an address from its columns, taxes from its lines."""

    def __init__(self, schema: type[Schema], compute: Callable[[Any], Any], *, many: bool = False) -> None:
        super().__init__(schema, many=many)
        self.compute = compute

    def get_value(self, obj: Any, attr: str, accessor: Any = None, default: Any = None) -> Any:
        return self.compute(obj)


class RecordOutput(Schema):
    """What every record shows."""

    id = fields.UUID(required=True)
    revision = fields.Integer(required=True, metadata={"description": "Grows with each change; it is the ETag."})
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class ListQuery(Schema):
    """Filters that many lists have. updated_after: changed later than this instant."""

    updated_after = fields.AwareDateTime()


def text(longest: int = 200, *, least: int = 0, **more: Any) -> fields.String:
    """One line or more of text, of bounded length."""
    return fields.String(validate=validate.Length(min=least, max=longest), **more)


def whole(least: int = 0, most: int = _LARGEST_INTEGER, **more: Any) -> fields.Integer:
    """A whole number; a text or a number with a point is refused."""
    return fields.Integer(strict=True, validate=validate.Range(min=least, max=most), **more)


def choice(options: Any, **more: Any) -> fields.String:
    """One of a few words."""
    return fields.String(validate=validate.OneOf([str(option) for option in options]), **more)


def field_errors(messages: Any, *, place: str = "pointer") -> list[dict[str, str]]:
    """marshmallow's messages as a flat list: where (a JSON Pointer, or a parameter's name), a code, a sentence."""
    found: list[dict[str, str]] = []
    _flatten(messages, "", found)
    if place == "parameter":
        return [{"parameter": error.pop("pointer").strip("/"), **error} for error in found]
    return found


def _flatten(messages: Any, pointer: str, found: list[dict[str, str]]) -> None:
    if isinstance(messages, Mapping):
        for name, inner in messages.items():
            step = "" if name == "_schema" else f"/{_escaped(str(name))}"
            _flatten(inner, pointer + step, found)
    elif isinstance(messages, list | tuple):
        for inner in messages:
            _flatten(inner, pointer, found)
    else:
        found.append({"pointer": pointer, "code": _CODES.get(str(messages), "invalid"), "message": str(messages)})


def _escaped(name: str) -> str:
    """Source: RFC 6901, section 3."""
    return name.replace("~", "~0").replace("/", "~1")


_CODES: Final = {
    "Unknown field.": "unknown-field",
    "Missing data for required field.": "required",
    "Field may not be null.": "null",
}
