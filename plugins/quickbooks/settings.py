"""What a connection to QuickBooks Online needs to know."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

from marshmallow import Schema, ValidationError, fields, validate

from plugins.quickbooks.company import plain

ADDRESSES = {
    "production": "https://quickbooks.api.intuit.com",
    "sandbox": "https://sandbox-quickbooks.api.intuit.com",
}
DISCOVERY = {
    "production": "https://developer.intuit.com/.well-known/openid_configuration/",
    "sandbox": "https://developer.intuit.com/.well-known/openid_sandbox_configuration/",
}
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class TaxCodesByRate(fields.Field[dict[str, str]]):
    """Tax rate in per cent → name or id of a tax code: an object, or a text such as “20=20.0% S; 0=No VAT”."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **more: Any) -> dict[str, str]:
        if isinstance(value, str):
            pairs = [part.partition("=") for part in value.split(";") if part.strip()]
            value = {rate: code for rate, _, code in pairs}
        if not isinstance(value, Mapping):
            raise ValidationError("Write it as “20=20.0% S; 0=No VAT”: a rate, =, and the code's name or id.")
        return dict(self._pair(str(rate), str(code)) for rate, code in value.items())

    @staticmethod
    def _pair(rate: str, code: str) -> tuple[str, str]:
        try:
            key = plain(Decimal(rate.strip().removesuffix("%")))
        except InvalidOperation as error:
            raise ValidationError(f"“{rate}” is no tax rate. Write a number such as 20 or 5.5.") from error
        if not code.strip():
            raise ValidationError(f"The rate {rate} has no tax code. Write it as “{rate}=name of the code”.")
        return key, code.strip()


def _web_address(text: str) -> None:
    parts = urlsplit(text)
    if text and not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)):
        raise ValidationError("Use an https address; plain http only for this machine (127.0.0.1).")


class QuickBooksSettings(Schema):
    """The settings of one company. Credentials come from the Intuit developer portal."""

    client_id = fields.String(
        required=True,
        validate=validate.Length(min=1),
        metadata={
            "title": "Client ID",
            "help": "Of your app in the Intuit developer portal, under Keys & credentials.",
        },
    )
    client_secret = fields.String(
        required=True,
        validate=validate.Length(min=1),
        metadata={"title": "Client secret", "secret": True, "help": "Stands beside the client ID."},
    )
    realm_id = fields.String(
        required=True,
        validate=validate.Regexp(r"^\d{1,30}$", error="Only digits: QuickBooks shows it under Settings, Account."),
        metadata={"title": "Company ID", "help": "The realm ID: digits, in QuickBooks under Settings, Account."},
    )
    refresh_token = fields.String(
        required=True,
        validate=validate.Length(min=1),
        metadata={
            "title": "Refresh token",
            "secret": True,
            "help": "From the developer portal's OAuth playground. Each use renews it; the hub keeps the new one.",
        },
    )
    environment = fields.String(
        load_default="production",
        validate=validate.OneOf(["sandbox", "production"]),
        metadata={"title": "Environment", "help": "sandbox for a trial company of the developer portal."},
    )
    webhook_verifier_token = fields.String(
        load_default="",
        metadata={
            "title": "Webhook verifier token",
            "secret": True,
            "help": "From the app's webhook page. Without it QuickBooks is asked at intervals.",
        },
    )
    income_account = fields.String(
        load_default="",
        metadata={
            "title": "Income account",
            "help": "Name, number or id of the account that new services are booked to. Empty: the test picks one.",
        },
    )
    tax_mode = fields.String(
        load_default="ours",
        validate=validate.OneOf(["ours", "theirs", "none"]),
        metadata={
            "title": "Tax",
            "help": "ours: the hub's tax is sent and verified. theirs: QuickBooks computes it. none: no line is taxed.",
        },
    )
    tax_codes = TaxCodesByRate(
        load_default=dict,
        metadata={
            "title": "Tax codes",
            "help": "Outside the US, where the test does not pick the right ones: “20=20.0% S; 0=No VAT”.",
        },
    )
    base_url = fields.String(
        load_default="",
        validate=_web_address,
        metadata={"title": "Address", "help": "Only for a proxy or a stand-in: what stands before /v3/company."},
    )
    discovery_url = fields.String(
        load_default="",
        validate=_web_address,
        metadata={"title": "OAuth discovery document", "help": "Only for a proxy or a stand-in."},
    )


def base_url(settings: Mapping[str, Any]) -> str:
    """What stands before /v3/company, without a slash at the end."""
    return str(settings.get("base_url") or ADDRESSES[settings["environment"]]).rstrip("/")


def discovery_url(settings: Mapping[str, Any]) -> str:
    return str(settings.get("discovery_url") or DISCOVERY[settings["environment"]])
