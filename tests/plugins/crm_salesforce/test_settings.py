from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from marshmallow import ValidationError

from plugins.crm_salesforce.settings import SalesforceSettings

KEY = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
SECRET = {"login_url": "https://acme.my.salesforce.com", "client_id": "app", "client_secret": "s3cret"}
SIGNED = {"client_id": "app", "username": "hub@acme.example", "private_key": KEY}


def load(**values):
    return SalesforceSettings().load(values)


def test_a_client_secret_or_a_user_with_a_key_is_enough():
    assert load(**SECRET)["api_version"] == "66.0"
    assert load(**SIGNED)["login_url"] == "https://login.salesforce.com"


def test_values_are_tidied():
    settings = load(**{**SECRET, "login_url": "https://acme.my.salesforce.com/", "api_version": "v65.0"})
    assert (settings["login_url"], settings["api_version"]) == ("https://acme.my.salesforce.com", "65.0")


def test_a_key_on_one_line_is_the_same_key():
    assert load(**{**SIGNED, "private_key": KEY.strip().replace("\n", "\\n")})["private_key"] == KEY


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"client_secret": None}, "client_secret"),
        ({"client_secret": None, "username": "hub@acme.example"}, "private_key"),
        ({"client_secret": None, "private_key": KEY}, "username"),
        ({"client_id": ""}, "client_id"),
        ({"login_url": "http://acme.my.salesforce.com"}, "login_url"),
        ({"login_url": "https://acme.lightning.force.com"}, "login_url"),
        ({"login_url": "acme"}, "login_url"),
        ({"api_version": "30.0"}, "api_version"),
        ({"api_version": "latest"}, "api_version"),
        ({"private_key": "not a key"}, "private_key"),
        ({"currency": "euro"}, "currency"),
        ({"daily_calls_share": 0}, "daily_calls_share"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_a_wrong_setting_is_named(changes, field):
    with pytest.raises(ValidationError) as refusal:
        load(**{**SECRET, **changes})
    assert list(refusal.value.normalized_messages()) == [field]
    assert "s3cret" not in str(refusal.value)


def test_plain_http_is_for_loopback_only():
    assert load(**{**SECRET, "login_url": "http://127.0.0.1:9000"})["login_url"] == "http://127.0.0.1:9000"


def test_every_setting_explains_itself_and_secrets_are_marked_without_a_default():
    settings = SalesforceSettings().fields
    assert all(field.metadata.get("title") and field.metadata.get("help") for field in settings.values())
    secrets = {name for name, field in settings.items() if field.metadata.get("secret")}
    assert secrets == {"client_secret", "private_key"}
    assert all(settings[name].load_default is None for name in secrets)
