"""When two clients are probably one: normalised names and domains."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

LEGAL_FORMS: Final = frozenset(
    [
        "ag",
        "ab",
        "as",
        "asa",
        "aps",
        "bv",
        "bvba",
        "co",
        "corp",
        "corporation",
        "company",
        "eg",
        "eurl",
        "gbr",
        "gmbh",
        "inc",
        "incorporated",
        "kg",
        "kk",
        "limited",
        "llc",
        "llp",
        "lp",
        "ltd",
        "ltda",
        "nv",
        "ohg",
        "oy",
        "oyj",
        "plc",
        "pte",
        "pty",
        "sa",
        "sas",
        "sarl",
        "sl",
        "spa",
        "srl",
        "ug",
    ]
)

FREE_MAIL: Final = frozenset(
    [
        "gmail.com",
        "googlemail.com",
        "outlook.com",
        "hotmail.com",
        "live.com",
        "yahoo.com",
        "icloud.com",
        "aol.com",
        "gmx.de",
        "gmx.net",
        "web.de",
        "proton.me",
        "protonmail.com",
        "mail.com",
        "zoho.com",
        "t-online.de",
    ]
)

_KANA_MARKS: Final = "\u3099\u309a"
"""The voicing marks of kana make other letters, as accents do not: ハブ and ハフ are two names."""


def normalised_name(name: str) -> str:
    """Case-folded, without accents, punctuation and legal forms: “Müller & Co. GmbH” and “muller” are one.

    A name that is nothing but legal forms is kept as it is.
    """
    folded = unicodedata.normalize("NFKD", name).casefold()
    plain = "".join(letter for letter in folded if letter in _KANA_MARKS or not unicodedata.combining(letter))
    plain = unicodedata.normalize("NFC", plain)
    words = re.sub(r"[^\w\s]", " ", plain.replace(".", "")).split()
    return " ".join(word for word in words if word not in LEGAL_FORMS) or " ".join(words)


def normalised_domain(website: str, email: str = "") -> str:
    """The host of a website without www, or else of an e-mail address; none for free mail."""
    host = re.sub(r"^[a-z]+://", "", website.strip().lower()).split("/")[0].split(":")[0]
    host = host.removeprefix("www.") or email.strip().lower().rpartition("@")[2]
    return "" if host in FREE_MAIL or "." not in host else host


def normalised_tax_id(tax_id: str) -> str:
    """Letters and digits only, in capitals."""
    return re.sub(r"[^0-9A-Za-z]", "", tax_id).upper()
