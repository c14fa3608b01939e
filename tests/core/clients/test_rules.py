"""When two clients are probably one."""

from __future__ import annotations

import pytest

from hub.core.clients.rules import normalised_domain, normalised_name, normalised_tax_id


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Müller & Co. GmbH", "muller"),
        ("ACME, Inc.", "acme"),
        ("Acme Ltd", "acme"),
        ("Société Générale S.A.", "societe generale"),
        ("Straße 12 AG", "strasse 12"),
        ("Smith-Jones  LLP", "smith jones"),
        ("The Company", "the"),
        ("Co. KG", "co kg"),  # nothing but legal forms is kept
        ("", ""),
        ("ハブ", "ハブ"),  # not ハフ
    ],
)
def test_names_are_compared_without_accents_punctuation_and_legal_forms(name, plain):
    assert normalised_name(name) == plain


@pytest.mark.parametrize(
    ("website", "email", "domain"),
    [
        ("https://www.Acme.co.uk/about?x=1", "", "acme.co.uk"),
        ("acme.com", "", "acme.com"),
        ("http://acme.com:8080", "", "acme.com"),
        ("", "jo@acme.com", "acme.com"),
        ("", "jo@gmail.com", ""),  # says nothing of the firm
        ("", "", ""),
        ("n/a", "", ""),
    ],
)
def test_the_domain_is_that_of_the_website_else_of_the_e_mail_address(website, email, domain):
    assert normalised_domain(website, email) == domain


@pytest.mark.parametrize(("tax_id", "plain"), [("GB 123-4567.89", "GB123456789"), ("de811", "DE811"), ("", "")])
def test_tax_ids_are_compared_by_letters_and_digits(tax_id, plain):
    assert normalised_tax_id(tax_id) == plain
