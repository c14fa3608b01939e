"""The vendor's query language: one entity, conditions joined by AND, no OR. Vendor's page: "Query operations"."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import Any

from plugins.quickbooks.sandbox import faults
from plugins.quickbooks.sandbox.seed import DOCUMENTS, LISTS

_TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<word>[\w.\-:+]+|\*)|(?P<sign><=|>=|[=<>(),]))")
_COMMON = {"Id", "Active", "MetaData.LastUpdatedTime", "MetaData.CreateTime"}
FILTERABLE = {
    "Customer": {"DisplayName", "GivenName", "FamilyName", "CompanyName", "FullyQualifiedName", "Balance"},
    "Vendor": {"DisplayName", "GivenName", "FamilyName", "CompanyName", "Balance"},
    "Employee": {"DisplayName", "GivenName", "FamilyName"},
    "Item": {"Name", "FullyQualifiedName", "Type", "Sku", "UnitPrice"},
    "Account": {"Name", "FullyQualifiedName", "AccountType", "AccountSubType", "Classification"},
    "Invoice": {"DocNumber", "TxnDate", "DueDate", "CustomerRef", "Balance", "TotalAmt"},
    "CreditMemo": {"DocNumber", "TxnDate", "CustomerRef", "Balance", "TotalAmt"},
    "Payment": {"TxnDate", "CustomerRef", "PaymentRefNum", "TotalAmt"},
    "TaxCode": {"Name"},
    "TaxRate": {"Name"},
    "Term": {"Name"},
    "PaymentMethod": {"Name"},
}
PACIFIC = timezone(timedelta(hours=-8))
"""The zone in which a time without an offset is read."""
OPERATORS = {"=", "<", ">", "<=", ">=", "IN", "LIKE"}


@dataclass
class Query:
    """A parsed statement. conditions: property, operator, values as text."""

    entity: str
    columns: list[str]
    counts: bool = False
    conditions: list[tuple[str, str, list[str]]] = field(default_factory=list)
    order: list[tuple[str, bool]] = field(default_factory=list)
    start: int = 1
    limit: int = 100


def run(statement: str, entities: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The QueryResponse of a statement. Raises VendorFault 4000 or 4001."""
    query = _Parser(statement).parse()
    rows = [row for row in entities[query.entity].values() if _matches(row, query)]
    if query.counts:
        return {"totalCount": len(rows)}
    # Without ORDERBY the order is not promised: the last changed first, which is not the order of the ids.
    rows.sort(key=lambda row: (row["MetaData"]["LastUpdatedTime"], int(row["Id"]) if row["Id"].isdigit() else 0))
    rows.reverse()
    for name, descending in reversed(query.order):
        rows.sort(key=lambda row: _sortable(name, value_of(row, name)), reverse=descending)
    page = rows[query.start - 1 : query.start - 1 + query.limit]
    if not page:
        return {}
    found = [_columns(row, query) for row in page]
    return {query.entity: found, "startPosition": query.start, "maxResults": len(found)}


def value_of(row: dict[str, Any], name: str) -> Any:
    """A property by its dotted name; a reference counts as its id."""
    value: Any = row
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value.get("value") if isinstance(value, dict) else value


class _Parser:
    def __init__(self, statement: str) -> None:
        self._tokens = list(_tokens(statement))
        self._at = 0

    def parse(self) -> Query:
        self._keyword("SELECT")
        columns = self._columns()
        self._keyword("FROM")
        query = Query(self._entity(), columns, counts=columns == ["COUNT"])
        query.conditions = self._conditions(query.entity) if self._take("WHERE") else []
        query.order = self._order(query.entity) if self._take("ORDERBY") else []
        query.start = self._number("STARTPOSITION", 1)
        query.limit = self._number("MAXRESULTS", 100)
        if query.limit > 1000 or query.start < 1:
            raise faults.bad_query("STARTPOSITION starts from 1, MAXRESULTS goes up to 1000")
        if self._at < len(self._tokens):
            raise faults.bad_query(f"Encountered {self._tokens[self._at]!r} where the statement should end")
        return query

    def _columns(self) -> list[str]:
        if self._take("COUNT"):
            self._expect("(", "*", ")")
            return ["COUNT"]
        names = [self._next()]
        while self._take(","):
            names.append(self._next())
        return names

    def _entity(self) -> str:
        name = self._next()
        for known in (*LISTS, *DOCUMENTS):
            if known.lower() == name.lower():
                return known
        raise faults.bad_query(f"{name} is no entity")

    def _conditions(self, entity: str) -> list[tuple[str, str, list[str]]]:
        conditions = [self._condition(entity)]
        while self._take("AND"):
            conditions.append(self._condition(entity))
        return conditions

    def _condition(self, entity: str) -> tuple[str, str, list[str]]:
        name, operator = self._property(entity), self._next().upper()
        if operator not in OPERATORS:
            raise faults.bad_query(f"Encountered {operator!r}, was expecting one of {sorted(OPERATORS)}")
        if operator != "IN":
            return name, operator, [self._value()]
        self._expect("(")
        values = [self._value()]
        while self._take(","):
            values.append(self._value())
        self._expect(")")
        return name, operator, values

    def _order(self, entity: str) -> list[tuple[str, bool]]:
        order = []
        while True:
            name = self._property(entity)
            descending = self._take("DESC")
            if not descending:
                self._take("ASC")
            order.append((name, descending))
            if not self._take(","):
                return order

    def _property(self, entity: str) -> str:
        name = self._next()
        if name not in FILTERABLE[entity] | _COMMON:
            raise faults.not_queryable(name)
        return name

    def _value(self) -> str:
        token = self._next()
        if token.startswith("'"):
            return re.sub(r"\\(.)", r"\1", token[1:-1])
        if token.lower() in {"true", "false"} or re.fullmatch(r"-?\d+(\.\d+)?", token):
            return token.lower()
        raise faults.bad_query(f"{token!r} is no value: texts stand in single quotes")

    def _number(self, keyword: str, default: int) -> int:
        if not self._take(keyword):
            return default
        token = self._next()
        if not token.isdigit():
            raise faults.bad_query(f"{keyword} needs a number")
        return int(token)

    def _keyword(self, keyword: str) -> None:
        if not self._take(keyword):
            raise faults.bad_query(f"was expecting {keyword}")

    def _take(self, token: str) -> bool:
        found = self._at < len(self._tokens) and self._tokens[self._at].upper() == token
        self._at += found
        return found

    def _expect(self, *tokens: str) -> None:
        for token in tokens:
            self._keyword(token)

    def _next(self) -> str:
        if self._at >= len(self._tokens):
            raise faults.bad_query("Encountered <EOF>")
        self._at += 1
        return self._tokens[self._at - 1]


def _tokens(statement: str) -> Iterable[str]:
    at, statement = 0, statement.strip()
    while at < len(statement):
        match = _TOKEN.match(statement, at)
        if match is None:
            raise faults.bad_query(f"Lexical error at column {at + 1}")
        yield match.group().strip()
        at = match.end()


def _columns(row: dict[str, Any], query: Query) -> dict[str, Any]:
    if "*" in query.columns:  # all but Sku, which an item shows only when asked for it by name
        return {name: value for name, value in row.items() if name != "Sku" or "Sku" in query.columns}
    return {name: row[name] for name in {"Id", *(column.split(".")[0] for column in query.columns)} if name in row}


def _matches(row: dict[str, Any], query: Query) -> bool:
    conditions = query.conditions
    if query.entity in LISTS and not any(name == "Active" for name, _, _ in conditions):
        conditions = [*conditions, ("Active", "=", ["true"])]
    return all(_holds(value_of(row, name), name, operator, values) for name, operator, values in conditions)


def _holds(value: Any, name: str, operator: str, wanted: list[str]) -> bool:
    if value is None:
        return False
    if operator == "LIKE":
        pattern = ".*".join(re.escape(part) for part in wanted[0].split("%"))
        return re.fullmatch(pattern, str(value), re.IGNORECASE | re.DOTALL) is not None
    ours = _comparable(name, value)
    theirs = [_comparable(name, each) for each in wanted]
    match operator:
        case "IN":
            return ours in theirs
        case "=":
            return bool(ours == theirs[0])
        case "<":
            return bool(ours < theirs[0])
        case ">":
            return bool(ours > theirs[0])
        case "<=":
            return bool(ours <= theirs[0])
        case _:
            return bool(ours >= theirs[0])


def _comparable(name: str, value: Any) -> Any:
    """What is compared: instants as instants, amounts as numbers, texts without case."""
    if isinstance(value, bool):
        return str(value).lower()
    try:
        if name.startswith("MetaData."):
            moment = datetime.fromisoformat(str(value))
            return moment if moment.tzinfo else moment.replace(tzinfo=PACIFIC)
        if name in {"TotalAmt", "Balance", "UnitPrice"}:
            return Decimal(str(value))
    except (ValueError, InvalidOperation) as error:
        raise faults.bad_query(f"{value!r} is no value of {name}") from error
    return str(value).casefold()


def _sortable(name: str, value: Any) -> Any:
    """Ids in the order of their numbers; what is missing first."""
    if value is None:
        return (0, 0, "")
    text = str(value)
    if name == "Id" and text.isdigit():
        return (1, int(text), "")
    compared = _comparable(name, value)
    return (1, 0, compared) if isinstance(compared, str) else (1, compared, "")
