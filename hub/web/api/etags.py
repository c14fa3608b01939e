"""ETags from revisions, and what If-Match and If-None-Match say about them (RFC 9110)."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from flask import request

from hub.web.problems import Refused

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e]*)"')


def tag_of(value: Any, representation: Any) -> str:
    """The strong ETag of a record: its revision; of what has none, a hash of how it is shown."""
    revision = value.get("revision") if isinstance(value, dict) else getattr(value, "revision", None)
    if revision is not None:
        return f'"{revision}"'
    text = json.dumps(representation, sort_keys=True, default=str)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:20]}"'


def expects_a_state() -> bool:
    """Whether the caller says which state it has seen. Raises Refused for a header that says nothing."""
    given = request.headers.get("If-Match")
    if given is not None and given.strip() != "*" and not _TAG.search(given):
        raise Refused("malformed", f"If-Match “{given[:40]}” is no ETag. Send the one you read, with its quotes.")
    return given is not None


def check_match(tag: str) -> None:
    """Raises Refused (412) unless If-Match names this state. A weak tag or * never does: they name none."""
    given = request.headers.get("If-Match", "")
    strong = {f'"{value}"' for weak, value in _TAG.findall(given) if not weak}
    if tag not in strong:
        raise Refused("precondition-failed", f"The record has changed: it is {tag} now. Read it again and decide anew.")


def demand_match() -> None:
    """Raises Refused (428): this API changes nothing that the caller has not seen."""
    raise Refused("precondition-required", "Send the ETag of the state you have seen as If-Match.")


def is_known(tag: str) -> bool:
    """Whether the caller has this state already, so that 304 is answer enough."""
    given = request.headers.get("If-None-Match", "")
    return given.strip() == "*" or tag in {f'"{value}"' for _, value in _TAG.findall(given)}
