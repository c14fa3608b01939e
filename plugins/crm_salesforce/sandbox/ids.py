"""Record ids: 15 case-sensitive characters, or 18 with three check characters. Source: contract, section 13."""

from __future__ import annotations

import re
import string

_CHECK = string.ascii_uppercase + "012345"
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID = re.compile(r"[a-zA-Z0-9]{15}(?:[a-zA-Z0-9]{3})?")


def long_id(short: str) -> str:
    """The 18 form of a 15 id: per block of five, the capitals are the bits of one check character."""
    blocks = (short[start : start + 5] for start in (0, 5, 10))
    return short + "".join(_CHECK[sum(1 << i for i, char in enumerate(block) if char.isupper())] for block in blocks)


def as_long_id(text: object) -> str | None:
    """The 18 form of either form, or None for what is no id. A case-folded 18 form is repaired by its check."""
    if not isinstance(text, str) or not _ID.fullmatch(text):
        return None
    if len(text) == 15:
        return long_id(text)
    return long_id(_repaired(text)) if text[15:].upper() == text[15:] else None


def _repaired(text: str) -> str:
    bits = [_CHECK.find(char) for char in text[15:]]
    return "".join(
        char.upper() if bits[place // 5] >> (place % 5) & 1 else char.lower() for place, char in enumerate(text[:15])
    )


def new_id(prefix: str, number: int) -> str:
    """The id of the number-th row of an object; `prefix` are its three first characters."""
    digits = ""
    while number:
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return long_id(f"{prefix}Hb{digits.rjust(10, '0')}")
