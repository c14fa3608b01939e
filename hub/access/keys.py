"""API keys: shown once, kept as a keyed hash, checked without a slow hash because they are random.

psah_live_ + 8 characters that name the key + 32 random ones + 6 of a checksum, all base62. The checksum lets scanners
tell a key from a look-alike; the underscores are in no part of it, so that a double click selects the whole.
"""

from __future__ import annotations

import secrets
import string
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from hub.access.fingerprints import Fingerprints
from hub.access.models import ApiKey, User
from hub.access.permissions import permissions_of
from hub.core import clock
from hub.core.database import circumstances
from hub.core.errors import NotFound, RuleBroken

PREFIX: Final = "psah_live_"
_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID, _SECRET, _CHECKSUM = 8, 32, 6
_PURPOSE = "api key"
_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made. secret: the whole key, to be shown once."""

    key: ApiKey
    secret: str


def create_key(
    session: Session,
    fingerprints: Fingerprints,
    *,
    owner: User,
    name: str,
    scopes: Sequence[str] | None = None,
    expires_on: date | None = None,
) -> NewKey:
    """A new key in the owner's place. scopes: some of what the owner's role holds; None: all. Raises RuleBroken."""
    if not name.strip():
        raise RuleBroken("A key needs a name: which program uses it.", fields={"name": "must not be empty"})
    if expires_on is not None and expires_on <= clock.now().date():
        raise RuleBroken("The key would be expired already.", fields={"expires_on": "must lie in the future"})
    held = permissions_of(owner.role, circumstances(session).hooks)
    unknown = sorted(set(scopes or ()) - held)
    if unknown:
        raise RuleBroken(
            f"{owner.name} does not hold {', '.join(unknown)}.", fields={"scopes": "exceed the owner's role"}
        )
    key_id, secret = _random(_ID), _random(_SECRET)
    key = ApiKey(
        owner=owner,
        owner_id=owner.id,
        name=name.strip(),
        key_id=key_id,
        secret_hash=fingerprints.make(_PURPOSE, secret),
        scopes=None if scopes is None else sorted(set(scopes)),
        expires_on=expires_on,
    )
    session.add(key)
    session.flush()
    body = f"{PREFIX}{key_id}{secret}"
    return NewKey(key, body + checksum(body))


def key_of(session: Session, fingerprints: Fingerprints, text: str) -> ApiKey | None:
    """The key a program showed, if it is one, not revoked, not expired, and its owner active."""
    if not looks_like_a_key(text):
        return None
    body = text.removeprefix(PREFIX)
    found = session.scalar(select(ApiKey).where(ApiKey.key_id == body[:_ID]))
    good = fingerprints.matches(_PURPOSE, body[_ID:-_CHECKSUM], found.secret_hash if found else "")
    if found is None or not good or found.revoked_at is not None or not found.owner.active:
        return None
    return None if is_expired(found) else found


def looks_like_a_key(text: str) -> bool:
    """Whether a text has the form and the checksum of a key; no database is needed for it."""
    body = text.removeprefix(PREFIX)
    right_form = text.startswith(PREFIX) and len(body) == _ID + _SECRET + _CHECKSUM and set(body) <= set(_ALPHABET)
    return right_form and checksum(text[:-_CHECKSUM]) == text[-_CHECKSUM:]


def checksum(text: str) -> str:
    """CRC32 in six base62 digits."""
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(_CHECKSUM):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits


def is_expired(key: ApiKey) -> bool:
    """A key is good on its last day, in UTC."""
    return key.expires_on is not None and key.expires_on < datetime.now(UTC).date()


def is_to_be_noted(key: ApiKey) -> bool:
    """Whether its last use was noted so long ago that it is worth a write."""
    return key.last_used_at is None or key.last_used_at < clock.now() - _NOTED_EVERY


def note_use(session: Session, key_id: UUID) -> None:
    """Remember that a key is in use; no change of the key itself."""
    session.execute(
        update(ApiKey)
        .where(ApiKey.id == key_id)
        .values(last_used_at=clock.now(), updated_at=ApiKey.updated_at)
        .execution_options(synchronize_session=False)
    )


def revoke_key(session: Session, key_id: UUID) -> ApiKey:
    """A key that nobody can use any more; it stays in the list. Raises NotFound."""
    key = get_key(session, key_id)
    key.revoked_at = key.revoked_at or clock.now()
    session.flush()
    return key


def get_key(session: Session, key_id: UUID) -> ApiKey:
    key = session.get(ApiKey, key_id)
    if key is None:
        raise NotFound(f"There is no API key with id {key_id}.")
    return key


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
