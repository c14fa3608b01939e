"""What an admin enters to connect a Salesforce org, and the conditions of its streams."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates, validates_schema

DEFAULT_VERSION = "66.0"
OLDEST_VERSION = 46
"""From 46.0 on an upsert answers whether it created the record."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class SalesforceSettings(Schema):
    """One of two credentials: a client secret, or a user name with the private key of the app's certificate."""

    login_url = fields.String(
        load_default="https://login.salesforce.com",
        metadata={
            "title": "Login address",
            "help": "The org's My Domain, https://NAME.my.salesforce.com. With a private key also "
            "https://login.salesforce.com, or https://test.salesforce.com for a sandbox org.",
            "order": 1,
        },
    )
    client_id = fields.String(
        required=True,
        validate=validate.Length(min=1),
        metadata={
            "title": "Consumer key",
            "help": "Of the connected app, under “Manage Consumer Details”.",
            "order": 2,
        },
    )
    client_secret = fields.String(
        load_default=None,
        allow_none=True,
        metadata={
            "title": "Consumer secret",
            "help": "For the client credentials flow: the app needs a “run as” user, the login address is My Domain.",
            "order": 3,
            "secret": True,
        },
    )
    username = fields.String(
        load_default=None,
        allow_none=True,
        metadata={
            "title": "User name",
            "help": "For the JWT bearer flow: the integration user, for whom the app is pre-authorised.",
            "order": 4,
        },
    )
    private_key = fields.String(
        load_default=None,
        allow_none=True,
        metadata={
            "title": "Private key",
            "help": "For the JWT bearer flow: the key of the certificate that was uploaded to the app, in PEM form.",
            "order": 5,
            "secret": True,
            "multiline": True,
        },
    )
    api_version = fields.String(
        load_default=DEFAULT_VERSION,
        metadata={"title": "API version", "help": f"{OLDEST_VERSION}.0 or later, for example 66.0.", "order": 6},
    )
    currency = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Regexp(r"^[A-Z]{3}$", error="Use a three-letter ISO 4217 code such as EUR."),
        metadata={
            "title": "Currency of the org",
            "help": "What amounts are in where the org has a single currency. A multi-currency org says it by itself.",
            "order": 7,
        },
    )
    deal_stage = fields.String(
        load_default=None,
        allow_none=True,
        metadata={
            "title": "Stage of a registered deal",
            "help": "The stage a new opportunity starts in. Empty: the first active stage that is open.",
            "order": 8,
        },
    )
    daily_calls_share = fields.Integer(
        load_default=80,
        validate=validate.Range(min=1, max=100),
        metadata={
            "title": "Share of the day's API calls",
            "help": "Pulls pause when the org has used so many per cent; the rest is left to other integrations.",
            "order": 9,
        },
    )

    @validates("login_url")
    def _check_login_url(self, value: str, **_: Any) -> None:
        parts = urlsplit(value)
        host = parts.hostname or ""
        if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
            raise ValidationError("Use an address that starts with https://.")
        if host.endswith(".lightning.force.com"):
            name = host.partition(".")[0]
            raise ValidationError(f"This is the address of the pages. Use https://{name}.my.salesforce.com.")

    @validates("api_version")
    def _check_api_version(self, value: str, **_: Any) -> None:
        match = re.fullmatch(r"v?(\d{2,3})\.0", value)
        if match is None or int(match[1]) < OLDEST_VERSION:
            raise ValidationError(f"Use a version from {OLDEST_VERSION}.0 on, such as {DEFAULT_VERSION}.")

    @validates("private_key")
    def _check_private_key(self, value: str | None, **_: Any) -> None:
        if value and not _is_private_key(pem(value)):
            raise ValidationError("This is not an unencrypted private key in PEM form (“-----BEGIN PRIVATE KEY-----”).")

    @validates_schema
    def _check_credentials(self, data: dict[str, Any], **_: Any) -> None:
        if data.get("client_secret"):
            return
        missing = [name for name in ("username", "private_key") if not data.get(name)]
        if len(missing) == 2:
            text = "Give the consumer secret, or a user name with a private key."
            raise ValidationError({"client_secret": [text]})
        if missing:
            raise ValidationError({missing[0]: ["The private key flow needs a user name and a private key."]})

    @post_load
    def _tidy(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        tidied = {name: value.strip() if isinstance(value, str) else value for name, value in data.items()}
        tidied["login_url"] = str(tidied["login_url"]).rstrip("/")
        tidied["api_version"] = str(tidied["api_version"]).removeprefix("v")
        if tidied.get("private_key"):
            tidied["private_key"] = pem(str(tidied["private_key"]))
        return tidied


def pem(text: str) -> str:
    r"""A key as it stands in a file, also when it was given on one line with \n for its line breaks."""
    return text.strip().replace("\\n", "\n") + "\n"


def _is_private_key(text: str) -> bool:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _texts(title: str, help: str) -> fields.List[str]:
    return fields.List(fields.String(), load_default=list, metadata={"title": title, "help": help})


class ClientConditions(Schema):
    """Which accounts become clients."""

    types = _texts("Types", "Only accounts of these types, for example Customer. Empty: all.")
    owners = _texts("Owners", "Only accounts owned by users with these user names. Empty: all.")


class ProjectConditions(Schema):
    """Which won opportunities become projects."""

    record_types = _texts("Record types", "Only opportunities of these record types, by developer name. Empty: all.")
    stages = _texts("Stages", "Only opportunities won in these stages. Empty: every stage that is won.")
    owners = _texts("Owners", "Only opportunities owned by users with these user names. Empty: all.")
