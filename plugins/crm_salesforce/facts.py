"""What the mapping must know about an org: found out by a check, kept with the connection as small JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from hub.sdk import Values

KEY_FIELD = "Hub_Id__c"
"""The external id field an admin may add: text, unique, external id."""

ALWAYS_THERE = frozenset({"Id", "IsDeleted", "SystemModstamp"})
"""System fields of every object we use."""

USED_FIELDS: Mapping[str, tuple[str, ...]] = {
    "Account": (
        "Id", "Name", "IsDeleted", "MasterRecordId", "SystemModstamp", "Website", "Phone", "AccountNumber",
        "BillingStreet", "BillingCity", "BillingState", "BillingPostalCode", "BillingCountry", "BillingCountryCode",
        "CurrencyIsoCode", KEY_FIELD,
    ),
    "Contact": (
        "Id", "IsDeleted", "MasterRecordId", "SystemModstamp", "AccountId", "FirstName", "LastName", "Email", "Phone",
        "Title", KEY_FIELD,
    ),
    "Opportunity": (
        "Id", "Name", "IsDeleted", "SystemModstamp", "AccountId", "CloseDate", "Amount", "StageName", "IsWon",
        "IsClosed", "Description", "LeadSource", "CurrencyIsoCode", KEY_FIELD,
    ),
}  # fmt: skip
"""Fields the mapping reads or writes, where the org has them and we may see them."""

FILLED: Mapping[str, tuple[str, ...]] = {
    "Account": ("Website", "BillingCity", "BillingPostalCode"),
    "Opportunity": ("Amount", "Description", "LeadSource", "CurrencyIsoCode"),
}
"""What a deal fills where it may, besides what it must."""


@dataclass(frozen=True, slots=True)
class Facts:
    """One org as the connector sees it.

    login_url: the setting with which this was found out; instance_url is good only as long as it is the same. fields:
    per object those of USED_FIELDS that are there; writable: those of them that we may fill and change. currencies:
    the active ones of a multi-currency org, else none. currency: of a single-currency org, if the settings say it.
    open_stage: where a registered deal starts. unreadable: per object why it cannot be read; no_new_deals, no_changes,
    no_new_accounts: why nothing of the kind can be written; empty when it can.
    """

    login_url: str = ""
    instance_url: str = ""
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    writable: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    currencies: tuple[str, ...] = ()
    currency: str | None = None
    open_stage: str = ""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    no_new_deals: str = ""
    no_changes: str = ""
    no_new_accounts: str = ""

    @classmethod
    def of(cls, values: Values) -> Facts:
        """Facts as they were kept. Keys of another release are left out."""
        known: dict[str, Any] = {name: values[name] for name in cls.__slots__ if name in values}
        for per_object in ("fields", "writable"):
            known[per_object] = {name: tuple(fields) for name, fields in known.get(per_object, {}).items()}
        known["currencies"] = tuple(known.get("currencies", ()))
        return cls(**known)

    def values(self) -> Values:
        return {
            **asdict(self),
            "fields": {name: list(fields) for name, fields in self.fields.items()},
            "writable": {name: list(fields) for name, fields in self.writable.items()},
            "currencies": list(self.currencies),
        }

    def has(self, name: str, field_name: str) -> bool:
        return field_name in self.fields.get(name, ())

    def takes(self, name: str, field_name: str) -> bool:
        """Whether we may write the field, too. Where no check has looked yet, what we see counts as open."""
        return field_name in self.writable.get(name, self.fields.get(name, ()))
