"""A form that adds something carries a key of its own, so that sent twice it has one effect.

The keys and what came of them are kept where the API keeps its Idempotency-Keys.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Final

from flask import request
from sqlalchemy.orm import Session

from hub.core.errors import RuleBroken
from hub.web.api.idempotency import Answer, answered_once
from hub.web.current import transact
from hub.web.problems import KINDS, Refused

FIELD: Final = "_once"
_LONGEST_WAIT_S: Final = 10.0
_BETWEEN_LOOKS_S: Final = 0.05


def new_form_key() -> str:
    """What the hidden field of one showing of a form holds."""
    return secrets.token_urlsafe(18)


def sent_once(work: Callable[[Session], str]) -> str:
    """Do what a form asks for and return what is said of it; sent again, what was said the first time.

    While the first one is under way, the second waits for it. Raises RuleBroken for the same form with other values.
    """
    key = request.form.get(FIELD, "")
    if not key:
        return transact(work)

    def answer(session: Session) -> Answer:
        sentence = work(session)
        return Answer(303, sentence, sentence, {})

    until = time.monotonic() + _LONGEST_WAIT_S
    while True:
        try:
            return answered_once(key, answer).body or ""
        except Refused as refusal:
            if refusal.kind == KINDS["idempotency-mismatch"]:
                raise RuleBroken(
                    "This form was sent before with other values, which are entered. Send it again to enter these too.",
                    fields={"": "was sent before"},
                ) from None
            if refusal.kind != KINDS["idempotency-in-progress"] or time.monotonic() > until:
                raise
            time.sleep(_BETWEEN_LOOKS_S)
