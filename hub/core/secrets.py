"""Secrets at rest: encrypted with a ring of keys, of which the first encrypts and all decrypt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from hub.core.errors import SetupError


class Cipher:
    """Encrypts JSON objects. Source: Fernet specification; MultiFernet for rotation."""

    def __init__(self, keys: Sequence[str]) -> None:
        try:
            self._ring = MultiFernet([Fernet(key) for key in keys])
        except ValueError:
            raise SetupError(
                "HUB_SECRET_KEY is not a Fernet key (32 bytes, url-safe base64). Restore the one this data was "
                "encrypted with."
            ) from None

    def encrypt(self, value: dict[str, Any]) -> str:
        return self._ring.encrypt(json.dumps(value, separators=(",", ":")).encode()).decode()

    def decrypt(self, text: str | None) -> dict[str, Any]:
        """The object, or {} for nothing. Raises SetupError when no key of the ring fits."""
        if not text:
            return {}
        try:
            value: dict[str, Any] = json.loads(self._ring.decrypt(text.encode()))
        except InvalidToken:
            raise SetupError(
                "The stored credentials were encrypted with another key. Restore HUB_SECRET_KEY, or the file "
                "secret.key of the data directory."
            ) from None
        return value

    def rotated(self, text: str) -> str:
        """The same secret under the first key."""
        return self._ring.rotate(text.encode()).decode()
