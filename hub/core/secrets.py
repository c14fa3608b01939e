"""Secrets at rest: encrypted with a ring of keys, of which the first encrypts and all decrypt.

The ring is read anew before it encrypts and when no key fits, so that every process follows when the keys change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from hub.core.errors import SetupError


class Cipher:
    """Encrypts JSON objects. Source: Fernet specification; MultiFernet for rotation."""

    def __init__(self, keys: Callable[[], Sequence[str]]) -> None:
        """keys: reads the Fernet keys as they are now, the one that encrypts first."""
        self._read = keys
        self._renew()

    @property
    def key_ids(self) -> list[str]:
        """What the keys are called where they may be seen, in their order."""
        return [key_id(key) for key in self._keys]

    def encrypt(self, value: dict[str, Any]) -> str:
        self._renew()
        return self._ring.encrypt(json.dumps(value, separators=(",", ":")).encode()).decode()

    def decrypt(self, text: str | None) -> dict[str, Any]:
        """The object, or {} for nothing. Raises SetupError when no key of the ring fits."""
        if not text:
            return {}
        try:
            opened = self._ring.decrypt(text.encode())
        except InvalidToken:
            self._renew()
            opened = self._opened(text)
        value: dict[str, Any] = json.loads(opened)
        return value

    def key_id_of(self, text: str) -> str:
        """Which key a secret is encrypted with. Raises SetupError when it is none of the ring."""
        for key in self._keys:
            try:
                Fernet(key).decrypt(text.encode())
            except InvalidToken:
                continue
            return key_id(key)
        self._opened(text)
        raise AssertionError("unreachable")

    def rotated(self, text: str) -> str:
        """The same secret under the first key."""
        return self._ring.rotate(text.encode()).decode()

    def _opened(self, text: str) -> bytes:
        try:
            return self._ring.decrypt(text.encode())
        except InvalidToken:
            raise SetupError(
                "The stored credentials were encrypted with another key. Restore HUB_SECRET_KEY, or the file "
                "secret.key of the data directory."
            ) from None

    def _renew(self) -> None:
        self._keys = list(self._read())
        try:
            self._ring = MultiFernet([Fernet(key) for key in self._keys])
        except ValueError:
            raise SetupError(
                "HUB_SECRET_KEY is not a Fernet key (32 bytes, url-safe base64). Restore the one this data was "
                "encrypted with."
            ) from None


def key_id(key: str) -> str:
    """A name for a key that tells nothing of it."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]
