"""What a field takes: the vendor's checks of one value (contract, sections 3, 5 and 13)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from plugins.crm_salesforce.sandbox.errors import ApiError
from plugins.crm_salesforce.sandbox.ids import as_long_id
from plugins.crm_salesforce.sandbox.schema import Field

_TEXT = ("string", "textarea", "email", "phone", "url", "picklist")
_EMAIL = re.compile(r"[^@\s,;]+@[^@\s,;]+\.[^@\s,;]+")


def instant_text(instant: datetime) -> str:
    """An instant as the vendor writes it: whole seconds, no colon in the zone."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def accepted(field: Field, value: Any, *, trims: bool = True) -> Any:
    """The value as it is stored: text trimmed, numbers exact, "" and null both null. Raises ApiError."""
    if isinstance(value, str) and (trims or field.type not in _TEXT):
        value = value.strip()
    if value is None or value == "":
        return None
    if field.type in _TEXT:
        return _text(field, value)
    if field.type in ("currency", "double", "percent", "int"):
        return _number(field, value)
    if field.type == "boolean":
        return _boolean(value)
    if field.type == "date":
        return _date(value)
    if field.type == "reference":
        return _reference(field, value)
    return value


def _ill_typed(value: Any, type: str) -> ApiError:
    return ApiError(
        "JSON_PARSER_ERROR", f"Cannot deserialize instance of {type} from value {value!s:.40}", whole_call=True
    )


def _text(field: Field, value: Any) -> str:
    if isinstance(value, bool | dict | list):
        raise _ill_typed(value, field.type)
    text = str(value)
    if field.type != "picklist" and len(text) > field.length:
        message = f"{field.name}: data value too large: {text} (max length={field.length})"
        raise ApiError("STRING_TOO_LONG", message, fields=[field.name])
    if field.type == "email" and not _EMAIL.fullmatch(text):
        message = f"{field.name}: invalid email address: {text}"
        raise ApiError("INVALID_EMAIL_ADDRESS", message, fields=[field.name])
    if field.restricted and text not in field.values:
        message = f"{field.name}: bad value for restricted picklist field: {text}"
        raise ApiError("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, fields=[field.name])
    return text


def _number(field: Field, value: Any) -> Decimal | int:
    if isinstance(value, bool | dict | list):
        raise _ill_typed(value, field.type)
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise _ill_typed(value, field.type) from None
    whole, places = field.digits
    if not number.is_finite() or abs(number) >= Decimal(10) ** whole:
        message = f"{field.name}: value outside of valid range on numeric field: {value}"
        raise ApiError("NUMBER_OUTSIDE_VALID_RANGE", message, fields=[field.name])
    rounded = number.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    return int(rounded) if field.type == "int" else rounded


def _boolean(value: Any) -> bool:
    if value in (True, "true"):
        return True
    if value in (False, "false"):
        return False
    raise _ill_typed(value, "boolean")


def _date(value: Any) -> str:
    try:
        if not isinstance(value, str) or len(value) != 10:
            raise ValueError
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise _ill_typed(value, "date") from None


def _reference(field: Field, value: Any) -> str:
    id = as_long_id(value)
    if id is None:
        message = f"{field.relationship} ID: id value of incorrect type: {value!s:.40}"
        raise ApiError("MALFORMED_ID", message, fields=[field.name])
    return id
