from __future__ import annotations

import pytest
from marshmallow import ValidationError

from plugins.quickbooks.settings import QuickBooksSettings, base_url, discovery_url

GIVEN = {"client_id": "id", "client_secret": "secret", "realm_id": "123", "refresh_token": "token"}


def test_the_addresses_come_from_the_environment():
    loaded = QuickBooksSettings().load({**GIVEN, "environment": "sandbox"})
    assert base_url(loaded) == "https://sandbox-quickbooks.api.intuit.com"
    assert "openid_sandbox_configuration" in discovery_url(loaded)
    assert base_url(QuickBooksSettings().load(GIVEN)) == "https://quickbooks.api.intuit.com"


def test_an_address_of_a_stand_in_is_taken():
    loaded = QuickBooksSettings().load(
        {**GIVEN, "base_url": "http://127.0.0.1:9/", "discovery_url": "http://127.0.0.1:9/d"}
    )
    assert (base_url(loaded), discovery_url(loaded)) == ("http://127.0.0.1:9", "http://127.0.0.1:9/d")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("client_id", ""),
        ("client_secret", ""),
        ("realm_id", "abc"),
        ("refresh_token", ""),
        ("environment", "moon"),
        ("tax_mode", "mine"),
        ("base_url", "http://books.example"),
        ("discovery_url", "ftp://books.example"),
        ("tax_codes", "twenty=S"),
        ("tax_codes", {"20": ""}),
        ("tax_codes", 20),
        ("colour", "blue"),
    ],
)
def test_a_wrong_setting_is_named(setting, value):
    with pytest.raises(ValidationError) as refused:
        QuickBooksSettings().load({**GIVEN, setting: value})
    assert list(refused.value.normalized_messages()) == [setting]


@pytest.mark.parametrize("given", ["20=20.0% S; 0 = No VAT", {"20.0": "20.0% S", "0%": "No VAT"}])
def test_tax_codes_are_an_object_or_a_text(given):
    assert QuickBooksSettings().load({**GIVEN, "tax_codes": given})["tax_codes"] == {"20": "20.0% S", "0": "No VAT"}


def test_every_setting_has_a_title_and_a_help_and_secrets_are_marked():
    fields = QuickBooksSettings().fields
    assert all(field.metadata.get("title") and field.metadata.get("help") for field in fields.values())
    secret = {name for name, field in fields.items() if field.metadata.get("secret")}
    assert secret == {"client_secret", "refresh_token", "webhook_verifier_token"}
