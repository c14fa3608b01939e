"""Country names as people write them in a CRM, and their ISO 3166-1 alpha-2 codes."""

from __future__ import annotations

from functools import cache

_LANGUAGES = ("en", "de", "fr", "es", "it", "nl", "pt", "sv", "da", "nb", "fi", "pl")
_ALSO = {
    "usa": "US", "u.s.": "US", "u.s.a.": "US", "united states of america": "US", "america": "US",
    "uk": "GB", "u.k.": "GB", "great britain": "GB", "england": "GB", "scotland": "GB", "wales": "GB",
    "northern ireland": "GB", "holland": "NL", "the netherlands": "NL", "republic of ireland": "IE",
    "czech republic": "CZ", "korea": "KR", "south korea": "KR", "hong kong": "HK", "macedonia": "MK", "turkey": "TR",
    "uae": "AE", "russian federation": "RU", "viet nam": "VN", "ivory coast": "CI",
}  # fmt: skip


def country_code(text: str) -> str | None:
    """The code of a country named by code or by name, in any of a dozen languages; None when nobody knows it."""
    wanted = " ".join(text.split()).casefold()
    if not wanted:
        return ""
    return _codes().get(wanted)


def country_name(code: str) -> str:
    """The English name of a code; the code itself when nobody knows it."""
    from babel import Locale

    return str(Locale("en").territories.get(code.upper(), code))


@cache
def _codes() -> dict[str, str]:
    from babel import Locale

    codes: dict[str, str] = {}
    for language in reversed(_LANGUAGES):  # English has the last word
        territories = Locale(language).territories
        codes |= {str(name).casefold(): code for code, name in territories.items() if len(code) == 2}
    codes |= {code.casefold(): code for code in codes.values()}
    return {name: code for name, code in (codes | _ALSO).items() if code not in ("EU", "UN", "EZ", "QO", "ZZ")}
