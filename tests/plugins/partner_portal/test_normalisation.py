"""One customer has one form, however it is written."""

import pytest

from plugins.partner_portal.normalisation import (
    FREE_MAIL_DOMAINS,
    SHARED_SITE_DOMAINS,
    customer_domain,
    folded,
    mail_domain,
    name_similarity,
    normalised_name,
    normalised_postcode,
    normalised_tax_id,
    registrable_domain,
)


@pytest.mark.parametrize(
    ("website", "domain"),
    [
        ("acme.com", "acme.com"),
        ("https://WWW.Acme.COM:8443/shop?x=1", "acme.com"),
        ("shop.acme.co.uk", "acme.co.uk"),  # co.uk is a suffix, not a domain
        ("acme.com.", "acme.com"),
        ("  acme.com  ", "acme.com"),
        ("https://user:secret@acme.com/", "acme.com"),
        ("https://www.Bücher.example.de/x", "example.de"),
        ("bücher.de", "xn--bcher-kva.de"),
        ("XN--BCHER-KVA.de", "xn--bcher-kva.de"),
        ("straße.de", "xn--strae-oqa.de"),  # another domain than strasse.de
        ("acme.github.io", "acme.github.io"),  # private section: two sites of a shared host stay two
        ("other.github.io", "other.github.io"),
        ("acme.myshopify.com", "acme.myshopify.com"),
        ("www.acme.example", "acme.example"),  # not on the list: its last label is the suffix
        ("github.io", ""),
        ("co.uk", ""),
        ("10.0.0.1", ""),
        ("[::1]", ""),
        ("localhost", ""),
        ("not a host", ""),
        ("https://", ""),
        ("https://[broken", ""),
        ("", ""),
    ],
)
def test_registrable_domain(website, domain):
    assert registrable_domain(website) == domain


@pytest.mark.parametrize("website", ["gmail.com", "https://facebook.com/acme", "acme.jimdo.com", "sites.google.com/x"])
def test_free_mail_and_shared_sites_name_no_customer(website):
    assert registrable_domain(website) != ""
    assert customer_domain(website) == ""


@pytest.mark.parametrize("domain", sorted(FREE_MAIL_DOMAINS | SHARED_SITE_DOMAINS))
def test_the_deny_list_is_written_as_hosts_are_compared(domain):
    assert registrable_domain(domain) in (domain, ""), "an entry is a registrable domain, or a public suffix"
    assert customer_domain(domain) == ""


@pytest.mark.parametrize(
    ("email", "domain"),
    [("jo@mail.acme.com", "acme.com"), ("jo@GMAIL.com", ""), ("acme.com", "acme.com"), ("", "")],
)
def test_domain_of_a_mail_address(email, domain):
    assert mail_domain(email) == domain


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Müller & Söhne", "muller sohne"),
        ("Ａｃｍｅ", "acme"),  # full-width letters
        ("O'Neill", "oneill"),
        ("São  Paulo-Norte", "sao paulo norte"),
        ("Straße", "strasse"),
        ("a_b", "a b"),
        ("ﬁrma №5", "firma no5"),
    ],
)
def test_folding(text, form):
    assert folded(text) == form


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("ACME Bank, Inc.", "acme bank"),
        ("acme bank", "acme bank"),
        ("Müller GmbH & Co. KG", "muller"),
        ("Müller G.m.b.H.", "muller"),
        ("Novak s. r. o.", "novak"),
        ("Hansen A/S", "hansen"),
        ("J. P. Morgan", "jp morgan"),
        ("Télécom S.A.", "telecom"),
        ("Rossi S.r.l.", "rossi"),
        ("Ferrari S.p.A.", "ferrari"),
        ("Acme Sp. z o.o.", "acme"),
        ("Acme Pty Ltd", "acme"),
        ("Acme (UK) Limited", "acme uk"),  # a country in the name stays: another firm than Acme France
        ("Limited Brands Inc", "limited brands"),  # only at the end
        ("The Ltd", "the"),
        ("Co. Ltd.", "co ltd"),  # nothing but legal forms: kept whole
        ("", ""),
    ],
)
def test_normalised_name(name, form):
    assert normalised_name(name) == form


@pytest.mark.parametrize(
    ("name", "other", "score"),
    [
        ("Bank Acme Inc.", "ACME Bank Ltd", 100),  # same words in another order
        ("Acme Industries", "Acme Industrial", 87),
        ("Acme Traders", "Acme Trading", 75),
        ("First National Bank of Texas", "First National Bank of Utah", 91),  # high, and yet two banks
        ("IBM", "International Business Machines", 12),  # low, and yet one firm
    ],
)
def test_similarity_of_names_only_suggests(name, other, score):
    assert name_similarity(normalised_name(name), normalised_name(other)) == score


@pytest.mark.parametrize(("postcode", "form"), [("sw1a 1aa", "SW1A1AA"), ("D-10115", "D10115"), (" 10 115 ", "10115")])
def test_postcode(postcode, form):
    assert normalised_postcode(postcode) == form


@pytest.mark.parametrize(
    ("tax_id", "country", "form"),
    [
        ("DE 136,695 976", "DE", "DE136695976"),
        ("136695976", "DE", "DE136695976"),
        ("DE136695976", "FR", "DE136695976"),  # a German number is German wherever the customer sits
        ("DE136695978", "DE", ""),  # check digit
        ("12", "DE", ""),
        ("GB 980 7806 84", "GB", "GB:980780684"),
        ("980780684", "GB", "GB:980780684"),
        ("CHE-107.787.577 IVA", "CH", "CH:CHE107787577"),
        ("CHE-107.787.577 MWST", "CH", "CH:CHE107787577"),
        ("12-3456789", "US", "US:123456789"),
        ("whatever 1", "XX", ""),  # no check known: an unchecked text is no key
        ("", "DE", ""),
        ("n/a", "", ""),
    ],
)
def test_tax_id(tax_id, country, form):
    assert normalised_tax_id(tax_id, country) == form
