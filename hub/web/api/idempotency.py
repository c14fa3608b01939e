"""A repeated request has one effect: its key's row is taken before the work, and keeps the answer in the work's own
transaction.

The work locks the row and looks whether the lease is still its own, so that of two requests with one key one works,
whatever happens in between. A request that is refused leaves no row: corrected, or later, it may come again.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from flask import request
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from hub.access.fingerprints import digest
from hub.access.models import IdempotencyRecord
from hub.core import clock
from hub.core.database import uuid7
from hub.core.outbox import upsert
from hub.web.csrf import FIELD as CSRF_FIELD
from hub.web.current import current_user_or_none, fingerprints, transact
from hub.web.problems import Refused

KEPT_FOR: Final = timedelta(hours=48)
LEASE: Final = timedelta(seconds=60)
LONG_LEASE: Final = timedelta(minutes=15)
"""For work that asks other systems."""
_PURPOSE = "request"
_KEY = re.compile(r'"([\x20\x21\x23-\x7e]{1,255})"|([\x21\x23-\x7e]{1,255})')


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with. to_keep: the body to store, without what is shown only once."""

    status: int
    body: str | None
    to_keep: str | None
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Claim:
    """A key's row, and the lease under which this request works on it."""

    scope: str
    lease: str


def given_key() -> str | None:
    """The Idempotency-Key, quoted or bare; None without one. Raises Refused (400) for one that cannot be read."""
    header = request.headers.get("Idempotency-Key")
    if header is None:
        return None
    found = _KEY.fullmatch(header.strip())
    if found is None:
        raise Refused("malformed", "The Idempotency-Key must be 1 to 255 visible characters, best in double quotes.")
    return found[1] or found[2]


def answered_once(key: str, work: Callable[[Session], Answer]) -> Answer:
    """Do the work and keep its answer in one transaction, or return the answer it got the first time."""
    claimed = _claim(key, LEASE)
    if isinstance(claimed, Answer):
        return claimed

    def with_the_row(session: Session) -> Answer:
        row = _own_row(session, claimed)
        answer = work(session)
        _keep(row, answer)
        return answer

    return _or_let_go(claimed, lambda: transact(with_the_row))


def answered_once_after(key: str, work: Callable[[], Answer]) -> Answer:
    """The same for work that has transactions of its own and asks other systems: the answer is kept when it is done."""
    claimed = _claim(key, LONG_LEASE)
    if isinstance(claimed, Answer):
        return claimed
    answer = _or_let_go(claimed, work)
    transact(lambda session: _keep(_own_row(session, claimed), answer))
    return answer


def forget_old_answers(session: Session, *, most: int = 50) -> None:
    """Take out some of the rows that are older than the time we keep them; each new key does, so they never pile up."""
    old = select(IdempotencyRecord.id).where(IdempotencyRecord.created_at < clock.now() - KEPT_FOR)
    some = old.order_by(IdempotencyRecord.created_at).limit(most).with_for_update(skip_locked=True)
    session.execute(delete(IdempotencyRecord).where(IdempotencyRecord.id.in_(session.scalars(some).all())))


def _claim(key: str, lease_for: timedelta) -> Claim | Answer:
    """Take the key's row, or find the answer. Raises Refused: 409 while it runs, 422 for another request."""
    user = current_user_or_none()
    scope = digest(json.dumps([user.actor if user else "", request.method, request.path, key]))
    fingerprint = fingerprints().make(_PURPOSE, _canonical_request())
    lease = secrets.token_hex(16)

    def work(session: Session) -> Claim | Answer:
        now = clock.now()
        new = upsert(session, IdempotencyRecord).values(
            id=uuid7(),
            scope=scope,
            fingerprint=fingerprint,
            lease=lease,
            lease_until=now + lease_for,
            created_at=now,
        )
        session.execute(new.on_conflict_do_nothing(index_elements=["scope"]))
        row = session.scalars(select(IdempotencyRecord).where(IdempotencyRecord.scope == scope).with_for_update()).one()
        if not fingerprints().matches(_PURPOSE, _canonical_request(), row.fingerprint):
            raise Refused("idempotency-mismatch", "This Idempotency-Key was used for another request. Take a new one.")
        if row.status is not None:
            return Answer(row.status, row.body, row.body, {**(row.headers or {}), "Idempotency-Replayed": "true"})
        if row.lease != lease and row.lease_until > now:
            raise Refused(
                "idempotency-in-progress", "The first request with this key is still running.", retry_after_s=1
            )
        row.lease, row.lease_until = lease, now + lease_for
        forget_old_answers(session)
        return Claim(scope, lease)

    return transact(work)


def _own_row(session: Session, claim: Claim) -> IdempotencyRecord:
    """The row, locked. Raises Refused when another request took it over because this one was slow."""
    query = select(IdempotencyRecord).where(IdempotencyRecord.scope == claim.scope).with_for_update()
    row = session.scalar(query)
    if row is None or row.lease != claim.lease or row.status is not None:
        raise Refused("idempotency-in-progress", "Another request with this key has taken over.", retry_after_s=1)
    return row


def _keep(row: IdempotencyRecord, answer: Answer) -> None:
    row.status, row.body, row.headers = answer.status, answer.to_keep, dict(answer.headers)


def _or_let_go(claim: Claim, work: Callable[[], Answer]) -> Answer:
    try:
        return work()
    except Exception:
        mine = (IdempotencyRecord.scope == claim.scope) & (IdempotencyRecord.lease == claim.lease)
        transact(
            lambda session: session.execute(
                delete(IdempotencyRecord).where(mine, IdempotencyRecord.status.is_(None))
            ).close()
        )
        raise


def _canonical_request() -> str:
    """Method, address and body, the same for every spelling of one JSON value; of a page's form, what was entered."""
    if request.form:
        entered = [pair for pair in request.form.items(multi=True) if pair[0] != CSRF_FIELD]
        return "\n".join((request.method, request.full_path, json.dumps(entered)))
    raw = request.get_data(cache=True)
    try:
        body = json.dumps(json.loads(raw), sort_keys=True) if raw else ""
    except ValueError:
        body = hashlib.sha256(raw).hexdigest()
    return "\n".join((request.method, request.full_path, body))
