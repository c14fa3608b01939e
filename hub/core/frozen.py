"""Records as JSON and back: what an event keeps of a record, and what the API's exports are made of."""

from __future__ import annotations

import dataclasses
import types
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints
from uuid import UUID

T = TypeVar("T")


def freeze(value: Any) -> Any:
    """A record (or a value of one) as JSON: decimals, days, instants and ids as strings."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: freeze(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, (UUID, datetime, date)):
        return value.isoformat() if isinstance(value, date) else str(value)
    if isinstance(value, dict):
        return {str(key): freeze(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [freeze(item) for item in value]
    return value


def thaw(kind: type[T], frozen: dict[str, Any]) -> T:
    """The record that `freeze` was given. Keys that the record does not know (any more) are left out."""
    hints: dict[str, Any] = _hints(kind)  # type: ignore[arg-type]  # a class is hashable
    return kind(**{name: _thawed(hints[name], value) for name, value in frozen.items() if name in hints})


def canonical(kind: type, name: str, value: Any) -> Any:
    """A value of a record's field as `freeze` would write it, whatever spelling it came in: 120.00 and 120 are one."""
    hint = _hints(kind).get(name)
    return freeze(value) if hint is None else freeze(_thawed(hint, freeze(value)))


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _thawed(hint: Any, value: Any) -> Any:
    if value is None:
        return "" if hint is str else None
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _thawed(next(item for item in arguments if item is not type(None)), value)
    if origin in (tuple, list):
        return origin(_thawed(arguments[0], item) for item in value)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return thaw(hint, value)
    if hint in (Decimal, UUID):
        return hint(value)
    if hint in (date, datetime):
        return hint.fromisoformat(value)
    return value
