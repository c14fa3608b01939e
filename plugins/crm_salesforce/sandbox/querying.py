"""What a query finds: conditions, order and shape of the rows (contract, section 7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from plugins.crm_salesforce.sandbox.errors import ApiError
from plugins.crm_salesforce.sandbox.ids import as_long_id
from plugins.crm_salesforce.sandbox.org import Org, Row
from plugins.crm_salesforce.sandbox.schema import Field, SObject
from plugins.crm_salesforce.sandbox.soql import Both, Comparison, Condition, Not, Query, like_pattern

_ORDERED = ("<", "<=", ">", ">=")
_NUMBERS = ("currency", "double", "percent", "int")
_NO_ORDER = ("boolean", "id", "reference")


class Finder:
    """Runs a parsed query over an org. Every path is checked against the schema, also where no row is there."""

    def __init__(self, org: Org, query: Query) -> None:
        self._org, self._query = org, query
        try:
            self._object = org.object(query.object)
        except ApiError:
            message = f"sObject type '{query.object}' is not supported."
            raise ApiError("INVALID_TYPE", message) from None
        self._check()

    @property
    def object_name(self) -> str:
        return self._object.name

    def ids(self, *, deleted: bool) -> list[str]:
        """Ids of the rows found, in order. deleted: also those in the bin."""
        rows = [row for row in self._org.rows(self._object.name).values() if deleted or not row.get("IsDeleted")]
        if self._query.where is not None:
            rows = [row for row in rows if self._holds(self._query.where, row)]
        for order in reversed(self._query.order):
            known = [row for row in rows if self._value(row, order.path) is not None]
            unknown = [row for row in rows if self._value(row, order.path) is None]
            known.sort(key=lambda row: self._comparable(row, order.path), reverse=order.descending)
            rows = known + unknown if order.nulls_last else unknown + known
        end = None if self._query.limit is None else self._query.offset + self._query.limit
        return [row["Id"] for row in rows[self._query.offset : end]]

    def shown(self, ids: Iterable[str], *, version: str) -> list[dict[str, Any]]:
        """The selected fields of rows that are still there, parents nested."""
        rows = self._org.rows(self._object.name)
        return [
            shown_row(self._org, self._object, rows[id], self._query.paths, version=version) for id in ids if id in rows
        ]

    # Checking --------------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        for path in self._query.paths:
            self._field(path)
        for order in self._query.order:
            if not self._field(order.path).filterable:
                raise ApiError("MALFORMED_QUERY", f"field '{order.path}' can not be sorted in a query call")
        if self._query.where is not None:
            self._check_condition(self._query.where)

    def _check_condition(self, condition: Condition) -> None:
        match condition:
            case Both():
                for each in condition.conditions:
                    self._check_condition(each)
            case Not():
                self._check_condition(condition.condition)
            case Comparison():
                self._check_comparison(condition)

    def _check_comparison(self, comparison: Comparison) -> None:
        field = self._field(comparison.path)
        if not field.filterable:
            raise ApiError("INVALID_FIELD", f"field '{field.name}' can not be filtered in a query call")
        if comparison.operator in _ORDERED and field.type in ("boolean",):
            raise ApiError("INVALID_QUERY_FILTER_OPERATOR", f"invalid operator on {field.type} field")
        if comparison.operator == "LIKE":
            if field.type in (*_NUMBERS, "date", "datetime", "boolean", "id", "reference"):
                raise ApiError("INVALID_QUERY_FILTER_OPERATOR", f"invalid operator on {field.type} field")
            return
        values = comparison.value if isinstance(comparison.value, tuple) else (comparison.value,)
        for value in values:
            _check_literal(field, value)

    def _field(self, path: str) -> Field:
        sobject, name = self._object, path
        while "." in name:
            relationship, _, name = name.partition(".")
            parent = sobject.parent(relationship)
            if parent is None or parent.refers_to not in self._org.schema:
                message = f"Didn't understand relationship '{relationship}' in field path."
                raise ApiError("INVALID_FIELD", message)
            sobject = self._org.schema[parent.refers_to]
        field = sobject.field(name)
        if field is None:
            raise ApiError("INVALID_FIELD", f"No such column '{name}' on entity '{sobject.name}'.")
        return field

    # Comparing -------------------------------------------------------------------------------------------------------

    def _holds(self, condition: Condition, row: Row) -> bool:
        match condition:
            case Both(operator="AND"):
                return all(self._holds(each, row) for each in condition.conditions)
            case Both():
                return any(self._holds(each, row) for each in condition.conditions)
            case Not():
                return not self._holds(condition.condition, row)
            case Comparison():
                return self._compares(condition, row)

    def _compares(self, comparison: Comparison, row: Row) -> bool:
        field = self._field(comparison.path)
        value = _typed(field, self._value(row, comparison.path))
        if comparison.operator == "LIKE":
            return value is not None and like_pattern(comparison.value).fullmatch(value) is not None
        if comparison.operator in ("IN", "NOT IN"):
            return (value in [_asked(field, each) for each in comparison.value]) == (comparison.operator == "IN")
        wanted = _asked(field, comparison.value)
        match comparison.operator:
            case "=":
                return bool(value == wanted)
            case "!=":
                return bool(value != wanted)
        if value is None or wanted is None:
            return False
        match comparison.operator:
            case "<":
                return bool(value < wanted)
            case "<=":
                return bool(value <= wanted)
            case ">":
                return bool(value > wanted)
            case _:
                return bool(value >= wanted)

    def _comparable(self, row: Row, path: str) -> Any:
        return _typed(self._field(path), self._value(row, path))

    def _value(self, row: Row, path: str) -> Any:
        found, name = _follow(self._org, self._object, row, path)
        return found.get(name) if found else None


def shown_row(org: Org, sobject: SObject, row: Row, paths: Iterable[str], *, version: str) -> dict[str, Any]:
    """A row as JSON: `attributes`, then the selected fields; parents nested, null where there is none."""
    shown: dict[str, Any] = {"attributes": attributes(sobject.name, row["Id"], version)}
    nested: dict[str, list[str]] = {}
    for path in paths:
        if "." in path:
            relationship, _, rest = path.partition(".")
            nested.setdefault(relationship.lower(), []).append(rest)
            shown.setdefault(_relationship(sobject, relationship), None)
            continue
        field = sobject.field(path)
        if field is not None:
            shown[field.name] = row.get(field.name)
    for relationship, rest_paths in nested.items():
        parent = sobject.parent(relationship)
        if parent is None:
            continue
        target = org.rows(parent.refers_to).get(row.get(parent.name) or "")
        if target is not None:
            child = org.schema[parent.refers_to]
            shown[parent.relationship] = shown_row(org, child, target, rest_paths, version=version)
    return shown


def attributes(name: str, id: str, version: str) -> dict[str, str]:
    return {"type": name, "url": f"/services/data/v{version}/sobjects/{name}/{id}"}


def _relationship(sobject: SObject, name: str) -> str:
    parent = sobject.parent(name)
    return parent.relationship if parent else name


def _follow(org: Org, sobject: SObject, row: Mapping[str, Any], path: str) -> tuple[Mapping[str, Any] | None, str]:
    """The row a path ends at and its field's name there."""
    while "." in path:
        relationship, _, path = path.partition(".")
        parent = sobject.parent(relationship)
        if parent is None:
            return None, path
        found = org.rows(parent.refers_to).get(row.get(parent.name) or "")
        if found is None:
            return None, path
        sobject, row = org.schema[parent.refers_to], found
    field = sobject.field(path)
    return row, field.name if field else path


def _check_literal(field: Field, value: Any) -> None:
    """The literal fits the field's type. A quoted date is the commonest mistake."""
    if value is None:
        return
    kind = field.type
    if kind in ("date", "datetime"):
        fits = isinstance(value, date) and isinstance(value, datetime) == (kind == "datetime")
        hint = "and should not be enclosed in quotes"
    elif kind == "boolean":
        fits, hint = isinstance(value, bool), "and should not be enclosed in quotes"
    elif kind in _NUMBERS:
        fits, hint = isinstance(value, Decimal), "and should not be enclosed in quotes"
    else:
        fits, hint = isinstance(value, str), "and should be enclosed in quotes"
    if not fits:
        message = f"value of filter criterion for field '{field.name}' must be of type {kind} {hint}"
        raise ApiError("INVALID_FIELD", message)
    if kind in ("id", "reference") and value and as_long_id(value) is None:
        raise ApiError("INVALID_QUERY_FILTER_OPERATOR", f"invalid ID field: {value}")


def _typed(field: Field, value: Any) -> Any:
    """A stored value as it is compared: text without case, ids with it."""
    if value is None:
        return False if field.type == "boolean" else None
    match field.type:
        case "date":
            return date.fromisoformat(value)
        case "datetime":
            return datetime.fromisoformat(value)
        case "boolean" | "id" | "reference":
            return value
        case "currency" | "double" | "percent" | "int":
            return Decimal(value)
    return str(value).lower()


def _asked(field: Field, value: Any) -> Any:
    """A literal as it is compared; the empty text asks for null."""
    if value is None or value == "":
        return None
    if field.type in ("id", "reference"):
        return as_long_id(value)
    return value.lower() if isinstance(value, str) else value
