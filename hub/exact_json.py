"""JSON that is exact: a Decimal is written as the number it is, and a float is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def dumps(value: Any) -> str:
    """JSON text without spaces. Raises TypeError for a float and what JSON does not know, naming its place."""
    return _written(value, "")


def _written(value: Any, path: str) -> str:
    if value is None or isinstance(value, bool | int | str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise TypeError(f"JSON has no number for {value}{_at(path)}.")
        return format(value, "f")  # never an exponent: 1E+2 is 100
    if isinstance(value, Mapping):
        members = (
            f"{json.dumps(_key(k, path), ensure_ascii=False)}:{_written(v, f'{path}.{k}')}" for k, v in value.items()
        )
        return "{" + ",".join(members) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(_written(item, f"{path}[{index}]") for index, item in enumerate(value)) + "]"
    if isinstance(value, float):
        raise TypeError(f"A float is not exact{_at(path)}; give a Decimal or a string.")
    raise TypeError(f"JSON has no form for {type(value).__name__}{_at(path)}.")


def _key(key: Any, path: str) -> str:
    if not isinstance(key, str):
        raise TypeError(f"A key of an object must be a string{_at(path)}, not {type(key).__name__}.")
    return key


def _at(path: str) -> str:
    return f" at {path.lstrip('.')}" if path else ""
