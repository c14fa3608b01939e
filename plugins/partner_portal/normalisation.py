"""Who a customer is, however it is written: the forms of domain, name, place and tax id that are compared.

Source: partner_portal 1.4. Everything here works without a network.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final
from urllib.parse import urlsplit

import idna
import tldextract
from rapidfuzz import fuzz
from stdnum import get_cc_module
from stdnum.eu import vat
from stdnum.exceptions import ValidationError

# The bundled list: no request leaves the machine. With the private section, or all sites hosted under one shared
# host would be one customer.
_extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True)

_FREE_MAIL = """
126.com 163.com aim.com aol.com arcor.de bluewin.ch bt.com btinternet.com comcast.net cox.net docomo.ne.jp
fastmail.com free.fr freenet.de gmail.com gmx.at gmx.ch gmx.com gmx.de gmx.net googlemail.com hey.com
hotmail.co.uk hotmail.com hotmail.de hotmail.fr hotmail.it hushmail.com icloud.com inbox.lv kpnmail.nl
laposte.net libero.it live.co.uk live.com live.nl mac.com mail.com mail.ru mailbox.org me.com msn.com naver.com
o2.pl online.de orange.fr outlook.com outlook.de outlook.fr pm.me posteo.de proton.me protonmail.com qq.com
rediffmail.com rocketmail.com sbcglobal.net seznam.cz sfr.fr sina.com sky.com t-online.de telenet.be tiscali.it
tuta.com tutanota.com verizon.net virgilio.it wanadoo.fr web.de wp.pl yahoo.ca yahoo.co.in yahoo.co.jp
yahoo.co.uk yahoo.com yahoo.com.br yahoo.de yahoo.es yahoo.fr yahoo.it yandex.com yandex.ru ymail.com ziggo.nl
zoho.com
"""
FREE_MAIL_DOMAINS: Final = frozenset(_FREE_MAIL.split())

_SHARED_SITES = """
about.me amazonaws.com blogger.com blogspot.com business.site carrd.co etsy.com facebook.com github.com
github.io gitlab.io godaddysites.com google.com herokuapp.com instagram.com jimdo.com jimdofree.com linkedin.com
linktr.ee medium.com netlify.app notion.site pages.dev shopify.com squarespace.com strikingly.com tiktok.com
tumblr.com twitter.com vercel.app webflow.io webnode.com weebly.com wix.com wixsite.com wordpress.com x.com
xing.com youtube.com
"""
SHARED_SITE_DOMAINS: Final = frozenset(_SHARED_SITES.split())

_LEGAL_FORMS = """
ab, ag, as, a s, aps, bv, co, company, co kg, corp, corporation, doo, ek, ev, gbr, gmbh, gmbh co kg, inc, incorporated,
kft, kg, kgaa, kk, limited, limited liability company, llc, llp, lp, ltd, mbh, nv, ohg, oy, oyj, plc, private limited,
pte, pte ltd, pty, pty ltd, pvt, pvt ltd, sa, sarl, sas, se, sl, spa, sp z oo, sp zoo, srl, sro, ug,
ug haftungsbeschrankt
"""
LEGAL_FORMS: Final = tuple(tuple(form.split()) for form in _LEGAL_FORMS.split(","))
"""As they read after folding; a name loses them only at its end."""

# Countries whose company number python-stdnum keeps under another name than "vat".
_TAX_SCHEMES: Final = {"CH": "uid", "US": "tin"}


def host_of(website: str) -> str:
    """The host of a website in lower case and punycode; empty when there is none.

    website: a bare host ("acme.com", with or without port and path) or an address with its scheme.
    """
    text = website.strip()
    try:
        host = urlsplit(text if "://" in text else f"//{text}").hostname or ""
        return idna.encode(host.rstrip("."), uts46=True).decode() if host else ""
    except ValueError:  # also idna's own error
        return ""


def registrable_domain(website: str) -> str:
    """What somebody registered: "www.acme.co.uk/shop" → "acme.co.uk"; empty for a bare suffix, an IP or nonsense.

    A suffix that is not on the list counts as one label, as the list's own rule says (acme.example).
    """
    host = host_of(website)
    found = _extract(host)
    if found.suffix:
        return f"{found.domain}.{found.suffix}" if found.domain else ""
    labels = [] if found.ipv4 or ":" in host else host.split(".")
    return ".".join(labels[-2:]) if len(labels) > 1 else ""


def customer_domain(website: str) -> str:
    """The registrable domain, if it says who the customer is; empty for free mail and shared site builders."""
    domain = registrable_domain(website)
    return "" if domain in FREE_MAIL_DOMAINS or domain in SHARED_SITE_DOMAINS else domain


def mail_domain(email: str) -> str:
    """The customer's domain out of an e-mail address; empty for free mail."""
    return customer_domain(email.rpartition("@")[2])


def folded(text: str) -> str:
    """Lower case without accents and punctuation: "Müller & Söhne" → "muller sohne", "J. P. O'Neill" → "jp oneill"."""
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    joined = re.sub(r"['’]|(?<=\b\w)\.\s*(?=\w\b)", "", plain)
    return " ".join(re.sub(r"[\W_]+", " ", joined).split())


def normalised_name(name: str) -> str:
    """A company's name without its legal form: "ACME Bank, Inc." → "acme bank".

    A name that is nothing but legal forms stays whole. Never identity by itself: two firms can share a name.
    """
    words = folded(name).split()
    left = words
    while (shorter := _without_legal_form(left)) != left:
        left = shorter
    return " ".join(left or words)


def _without_legal_form(words: list[str]) -> list[str]:
    lengths = [len(form) for form in LEGAL_FORMS if tuple(words[-len(form) :]) == form]
    return words[: -max(lengths)] if lengths else words


def normalised_postcode(postcode: str) -> str:
    """Letters and digits only, in capitals: "sw1a 1aa" → "SW1A1AA"."""
    return "".join(letter for letter in unicodedata.normalize("NFKC", postcode).upper() if letter.isalnum())


def normalised_tax_id(tax_id: str, country: str) -> str:
    """The tax id with its country in front, if its check digits hold; else empty.

    tax_id: as written, with or without the country's prefix. country: ISO 3166-1 alpha-2, where the customer is.
    Empty too where no check is known for the country, because an unchecked text could be anything.
    """
    text = re.sub(r"[^0-9A-Z]", "", tax_id.upper())
    if not text:
        return ""
    european = _validated(vat, text) or _validated(vat, f"{country}{text}")
    if european:
        return european
    scheme = tax_scheme(country)
    plain = _validated(scheme, _without_register(text)) if scheme else ""
    return f"{country}:{plain}" if plain else ""


def tax_scheme(country: str) -> Any:
    """How tax ids of a country are checked (a python-stdnum module); None where that is not known."""
    return get_cc_module(country, _TAX_SCHEMES.get(country, "vat"))


def _without_register(text: str) -> str:
    # Switzerland writes the register behind the number, in one of three languages.
    return re.sub(r"(MWST|TVA|IVA)$", "", text) if text.startswith("CHE") else text


def _validated(scheme: Any, text: str) -> str:
    try:
        return str(scheme.validate(text))
    except ValidationError:
        return ""


def name_similarity(name: str, other: str) -> int:
    """0 to 100, by the sorted words of two normalised names. It may only suggest a match."""
    return round(fuzz.token_sort_ratio(name, other))
