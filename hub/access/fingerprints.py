"""Fingerprints of random secrets: good for recognising one, useless for making one."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence


def digest(token: str) -> str:
    """SHA-256 in hex. Enough for a token of 256 random bits, which nobody can guess from it."""
    return hashlib.sha256(token.encode()).hexdigest()


class Fingerprints:
    """Keyed SHA-256 with the hub's ring of secret keys: the first makes new ones, all of them recognise."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [hashlib.sha256(b"fingerprints:" + key.encode()).digest() for key in keys]

    def make(self, purpose: str, text: str) -> str:
        """The fingerprint of a text, in hex; another purpose gives another one."""
        return _keyed(self._keys[0], purpose, text)

    def matches(self, purpose: str, text: str, fingerprint: str) -> bool:
        """Whether it is that text's, compared in constant time."""
        return any(hmac.compare_digest(_keyed(key, purpose, text), fingerprint) for key in self._keys)


def _keyed(key: bytes, purpose: str, text: str) -> str:
    return hmac.new(key, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()
