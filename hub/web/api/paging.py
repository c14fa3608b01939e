"""Paging by cursors: opaque, signed, and good only for the list, the filters and the caller they were made for."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from flask import request
from marshmallow import fields
from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

from hub.web.api.fields import whole
from hub.web.current import current_user_or_none, fingerprints
from hub.web.problems import Refused

DEFAULT_LIMIT: Final = 25
MOST: Final = 100
_PURPOSE = "cursor"
_MAC_LENGTH: Final = 32

PAGING_FIELDS: Final[dict[str, fields.Field[Any]]] = {
    "limit": fields.Integer(load_default=DEFAULT_LIMIT, validate=whole(1, MOST).validate, metadata={"example": 25}),
    "cursor": fields.String(metadata={"description": "`next_cursor` of the page before; opaque."}),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """Which page was asked for. after: the key of the last row of the page before."""

    limit: int
    after: Any = None


def asked_for(query: dict[str, Any]) -> Asked:
    """Take limit and cursor out of a loaded query. Raises Refused (400) for a cursor that is not for this list."""
    cursor = query.pop("cursor", None)
    return Asked(query.pop("limit"), None if cursor is None else _open(cursor))


def one_page(
    session: Session, statement: Select[Any], key: InstrumentedAttribute[Any], asked: Asked, *, newest_first: bool
) -> tuple[list[Any], str | None]:
    """The rows of one page, and the cursor of the next if there is one."""
    if asked.after is not None:
        after = UUID(asked.after) if isinstance(asked.after, str) else asked.after
        statement = statement.where(key < after if newest_first else key > after)
    statement = statement.order_by(key.desc() if newest_first else key).limit(asked.limit + 1)
    rows = list(session.scalars(statement))
    if len(rows) <= asked.limit:
        return rows, None
    last = getattr(rows[asked.limit - 1], key.key)
    return rows[: asked.limit], _seal(last if isinstance(last, int) else str(last))


def links(next_cursor: str | None) -> str:
    """The Link header: rel next and first (RFC 8288)."""
    plain = [(name, value) for name, value in request.args.items(multi=True) if name != "cursor"]
    found = [f'<{_address(plain)}>; rel="first"']
    if next_cursor is not None:
        found.insert(0, f'<{_address([*plain, ("cursor", next_cursor)])}>; rel="next"')
    return ", ".join(found)


def _address(arguments: list[tuple[str, str]]) -> str:
    return f"{request.path}?{urlencode(arguments)}" if arguments else request.path


def _seal(after: Any) -> str:
    body = base64.urlsafe_b64encode(json.dumps([after, _whose()]).encode()).decode().rstrip("=")
    return f"{body}.{fingerprints().make(_PURPOSE, body)[:_MAC_LENGTH]}"


def _open(cursor: str) -> Any:
    body, _, mac = cursor.partition(".")
    good = fingerprints().make(_PURPOSE, body)[:_MAC_LENGTH] == mac
    try:
        after, whose = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))) if good else (None, "")
    except (binascii.Error, ValueError):
        after, whose = None, ""
    if whose != _whose():
        raise Refused("malformed", "This cursor is not one of this list with these filters. Start without a cursor.")
    return after


def _whose() -> str:
    """What a cursor is good for: list, filters and caller."""
    filters = sorted((name, value) for name, value in request.args.items(multi=True) if name not in ("cursor", "limit"))
    user = current_user_or_none()
    whole_of_it = json.dumps([request.path, filters, str(user.id) if user else ""])
    return hashlib.sha256(whole_of_it.encode()).hexdigest()[:16]
