"""Keeping secrets out of logs, traces and messages, also where they were encoded on their way."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus, urlsplit, urlunsplit

MASK = "•••"

_SHORTEST = 4  # what is shorter would blank out innocent text
_TELLING_PARAMETERS = (
    "access_token|refresh_token|id_token|token|code|client_secret|secret|password|assertion|api_key|apikey|key"
    "|signature|sig"
)
_PARAMETER = re.compile(rf"(?i)([?&;](?:{_TELLING_PARAMETERS})=)[^&#;]*")


class Redactor:
    """Replaces secrets in text: raw, url-encoded, inside JSON strings, and in base64 at any offset."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        longest_first = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, text: str) -> str:
        """The text without the secrets."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def url(self, url: str) -> str:
        """The address without the secrets, without a login in it, and without values of telling parameters."""
        parts = urlsplit(url)
        bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
        return self.text(_PARAMETER.sub(rf"\1{MASK}", bare))


def _forms(secret: str) -> set[str]:
    if len(secret) < _SHORTEST:
        return set()
    raw = secret.encode()
    forms = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), secret.replace("\n", "\\n")}
    for offset in range(3):
        forms |= _base64_forms(raw, offset)
    forms |= {quote(form, safe="") for form in forms}
    return {form for form in forms if len(form) >= _SHORTEST}


def _base64_forms(raw: bytes, offset: int) -> set[str]:
    """How base64 text shows these bytes after `offset` (0 to 2) others, left and right neighbours cut away.

    A character of base64 is 6 bits: 1 foreign byte reaches into the 2nd character, 2 into the 3rd.
    """
    start = (0, 2, 3)[offset]
    end = (offset + len(raw)) * 8 // 6
    encoded = base64.b64encode(bytes(offset) + raw).decode()[start:end]
    return {encoded, encoded.replace("+", "-").replace("/", "_")}
