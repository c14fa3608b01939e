"""A small parser of SOQL: what a connector needs, and refuses the rest as the vendor would (contract, section 7).

    SELECT path, ... | COUNT()  FROM object  [WHERE condition]  [ORDER BY path [ASC|DESC] [NULLS FIRST|LAST], ...]
    [LIMIT n]  [OFFSET n]

Conditions: AND, OR (not mixed without parentheses), NOT, = != <> < <= > >=, LIKE, IN, NOT IN; literals: quoted text,
numbers, dates, instants with a zone, true, false, null.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from plugins.crm_salesforce.sandbox.errors import ApiError

Literal = str | Decimal | date | datetime | bool | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """path operator value; value is a tuple for IN and NOT IN."""

    path: str
    operator: str
    value: Any


@dataclass(frozen=True, slots=True)
class Not:
    condition: Condition


@dataclass(frozen=True, slots=True)
class Both:
    """All of these ("AND") or any of these ("OR")."""

    operator: str
    conditions: tuple[Condition, ...]


Condition = Comparison | Not | Both


@dataclass(frozen=True, slots=True)
class Order:
    path: str
    descending: bool = False
    nulls_last: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed statement. paths is empty for COUNT()."""

    paths: tuple[str, ...]
    object: str
    where: Condition | None = None
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int = 0


_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^'\\]|\\.)*')
    | (?P<instant>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))
    | (?P<date>\d{4}-\d\d-\d\d(?![\dT]))
    | (?P<number>[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w:-]))
    | (?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)
    | (?P<sign><=|>=|!=|<>|=|<|>|\(|\)|,)
    )""",
    re.VERBOSE,
)
_ESCAPES = {"'": "'", "\\": "\\", '"': '"', "n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_ESCAPES |= {letter.upper(): char for letter, char in list(_ESCAPES.items())}
_COMPARISONS = ("=", "!=", "<>", "<", "<=", ">", ">=")


def malformed(message: str) -> ApiError:
    return ApiError("MALFORMED_QUERY", message)


def parse(statement: str) -> Query:
    """The statement as a Query. Raises ApiError MALFORMED_QUERY."""
    if len(statement) > 100_000:
        raise malformed("SOQL statements cannot be longer than 100000 characters.")
    return _Parser(_tokens(statement)).query()


def _tokens(statement: str) -> list[tuple[str, str]]:
    tokens, place, end = [], 0, len(statement.rstrip())
    while place < end:
        match = _TOKEN.match(statement, place)
        if match is None:
            rest = statement[place:].strip()
            raise malformed(f"unexpected token: '{rest[:30]}'")
        tokens.append((str(match.lastgroup), match.group(str(match.lastgroup))))
        place = match.end()
    return tokens


class _Parser:
    """Recursive descent over the tokens."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._place = 0

    def query(self) -> Query:
        self._word("SELECT")
        paths = self._selected()
        self._word("FROM")
        name = self._name()
        where = self._condition() if self._took("WHERE") else None
        order = self._orders() if self._took("ORDER") else ()
        limit = self._number() if self._took("LIMIT") else None
        offset = self._number() if self._took("OFFSET") else 0
        if self._place < len(self._tokens):
            raise malformed(f"unexpected token: '{self._peek()[1]}'")
        if offset > 2000:
            raise ApiError("NUMBER_OUTSIDE_VALID_RANGE", "Maximum SOQL offset allowed is 2000")
        return Query(paths, name, where, order, limit, offset)

    def _selected(self) -> tuple[str, ...]:
        if self._upper() == "COUNT" and self._peek(1)[1] == "(":
            self._place += 2
            self._sign(")")
            return ()
        paths = [self._name()]
        while self._took(","):
            paths.append(self._name())
        lowered = [path.lower() for path in paths]
        for path in paths:
            if lowered.count(path.lower()) > 1:
                raise ApiError("INVALID_FIELD", f"duplicate field selected: {path}")
        return tuple(paths)

    def _condition(self) -> Condition:
        conditions = [self._single()]
        operator = self._upper()
        if operator not in ("AND", "OR"):
            return conditions[0]
        while self._took(operator):
            conditions.append(self._single())
        if self._upper() in ("AND", "OR"):
            raise malformed(f"unexpected token: {self._upper()} (AND and OR need parentheses when mixed)")
        return Both(operator, tuple(conditions))

    def _single(self) -> Condition:
        if self._took("NOT"):
            return Not(self._single())
        if self._took("("):
            condition = self._condition()
            self._sign(")")
            return condition
        path = self._name()
        return Comparison(path, *self._operation())

    def _operation(self) -> tuple[str, Any]:
        kind, token = self._next()
        word = token.upper()
        if kind == "sign" and token in _COMPARISONS:
            return token.replace("<>", "!="), self._literal()
        if word == "LIKE":
            return "LIKE", self._like()
        if word == "NOT":
            self._word("IN")
            return "NOT IN", self._list()
        if word == "IN":
            return "IN", self._list()
        raise malformed(f"unexpected token: '{token}'")

    def _list(self) -> tuple[Literal, ...]:
        self._sign("(")
        values = [self._literal()]
        while self._took(","):
            values.append(self._literal())
        self._sign(")")
        return tuple(values)

    def _like(self) -> str:
        kind, token = self._next()
        if kind != "text":
            raise ApiError("INVALID_QUERY_FILTER_OPERATOR", "invalid operator: LIKE takes a quoted text")
        return token[1:-1]  # read by `like_pattern`, which tells a wildcard from an escaped one

    def _literal(self) -> Literal:
        kind, token = self._next()
        match kind:
            case "text":
                return unescape(token[1:-1])
            case "number":
                return Decimal(token)
            case "date":
                return _day(token)
            case "instant":
                return _instant(token)
        word = token.upper()
        if word in ("TRUE", "FALSE"):
            return word == "TRUE"
        if word == "NULL":
            return None
        raise malformed(f"unexpected token: '{token}'")

    def _orders(self) -> tuple[Order, ...]:
        self._word("BY")
        orders = [self._order()]
        while self._took(","):
            orders.append(self._order())
        return tuple(orders)

    def _order(self) -> Order:
        path = self._name()
        descending = self._took("DESC") or (self._took("ASC") and False)
        nulls_last = descending
        if self._took("NULLS"):
            nulls_last = self._took("LAST")
            if not nulls_last:
                self._word("FIRST")
        return Order(path, descending, nulls_last)

    def _number(self) -> int:
        kind, token = self._next()
        if kind != "number" or not token.isdecimal():
            raise malformed(f"unexpected token: '{token}'")
        return int(token)

    def _name(self) -> str:
        kind, token = self._next()
        if kind != "name" or token.upper() in ("FROM", "WHERE", "AND", "OR"):
            raise malformed(f"unexpected token: '{token}'")
        return token

    def _peek(self, ahead: int = 0) -> tuple[str, str]:
        place = self._place + ahead
        return self._tokens[place] if place < len(self._tokens) else ("end", "<EOF>")

    def _next(self) -> tuple[str, str]:
        token = self._peek()
        self._place += 1
        return token

    def _upper(self) -> str:
        return self._peek()[1].upper()

    def _took(self, word: str) -> bool:
        """Whether the next token is this word or sign; then it is passed."""
        taken = self._upper() == word and self._peek()[0] in ("name", "sign")
        self._place += taken
        return taken

    def _word(self, word: str) -> None:
        if not self._took(word):
            raise malformed(f"unexpected token: '{self._peek()[1]}' (expecting {word})")

    _sign = _word


def unescape(text: str) -> str:
    r"""The value of quoted text: `\'` `\\` `\"` `\n` `\r` `\t` `\b` `\f` `\uXXXX`; any other backslash is an error."""

    def plain(match: re.Match[str]) -> str:
        escape = match[1]
        if escape in _ESCAPES:
            return _ESCAPES[escape]
        if len(escape) == 5:
            return chr(int(escape[1:], 16))
        raise malformed(f"Illegal escape: \\{escape} in text literal")

    return re.sub(r"\\(u[0-9a-fA-F]{4}|.)", plain, text, flags=re.DOTALL)


def like_pattern(text: str) -> re.Pattern[str]:
    r"""What LIKE 'text' matches: % any text, _ one character, `\%` and `\_` themselves; case does not count."""
    parts = re.findall(r"\\u[0-9a-fA-F]{4}|\\.|[^\\]", text, flags=re.DOTALL)
    wild = {"%": ".*", "_": ".", r"\%": "%", r"\_": "_"}
    return re.compile("".join(wild.get(part) or re.escape(unescape(part)) for part in parts), re.IGNORECASE | re.DOTALL)


def _day(token: str) -> date:
    try:
        return date.fromisoformat(token)
    except ValueError:
        raise malformed(f"Invalid date: {token}") from None


def _instant(token: str) -> datetime:
    try:
        return datetime.fromisoformat(token).astimezone(UTC)
    except ValueError:
        raise malformed(f"Invalid dateTime: {token}") from None
