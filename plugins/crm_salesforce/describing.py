"""What an org's describe says of the objects we use: which fields we may read and write, and what is lost without."""

from __future__ import annotations

from collections.abc import Mapping

from plugins.crm_salesforce.client import Row
from plugins.crm_salesforce.facts import ALWAYS_THERE, KEY_FIELD, USED_FIELDS
from plugins.crm_salesforce.mapping import LEAD_SOURCE, LONGEST_KEY

Described = Mapping[str, Row | None]
"""Per object what the vendor says of it, None where we may not see it."""

NEEDED: Mapping[str, tuple[str, ...]] = {
    "Account": ("Name", "SystemModstamp"),
    "Contact": ("LastName", "AccountId", "SystemModstamp"),
    "Opportunity": ("Name", "AccountId", "CloseDate", "StageName", "IsWon", "SystemModstamp"),
}
_WRITTEN = ("Name", "StageName", "CloseDate", "AccountId")
"""What every opportunity of ours says."""


def readable_fields(name: str, described: Row | None) -> tuple[str, ...]:
    """Those of USED_FIELDS that we may see: the key field only where it can be trusted, a lead source only where it
    takes our value.
    """
    if described is None:
        return ()
    fields = _fields(described)
    seen = set(fields) | ALWAYS_THERE
    if key_faults(described):
        seen.discard(KEY_FIELD)
    source = fields.get("LeadSource", {})
    if source.get("restrictedPicklist") and LEAD_SOURCE not in active_values(source):
        seen.discard("LeadSource")
    return tuple(each for each in USED_FIELDS[name] if each in seen)


def writable_fields(name: str, described: Row | None) -> tuple[str, ...]:
    """Those of the readable fields that we may fill and change."""
    fields = _fields(described or {})
    open_ones = {each for each, field in fields.items() if field.get("createable") and field.get("updateable")}
    return tuple(each for each in readable_fields(name, described) if each in open_ones)


def key_faults(described: Row | None) -> tuple[str, ...]:
    """Why the key field cannot be trusted with "no record twice"; nothing where it can, or is not there at all."""
    field = _fields(described or {}).get(KEY_FIELD)
    if field is None:
        return ()
    faults = {
        "is no text field": field.get("type") != "string",
        "is no external id": not field.get("externalId"),
        "is not unique": not field.get("unique"),
        "cannot be filled by the integration user": not field.get("createable"),
        "cannot be changed by the integration user": not field.get("updateable"),
        f"holds {field.get('length')} characters where {LONGEST_KEY} are needed": int(field.get("length") or 0)
        < LONGEST_KEY,
    }
    return tuple(text for text, wrong in faults.items() if wrong)


def has_key_field(described: Row | None) -> bool:
    return KEY_FIELD in _fields(described or {})


def unreadable(name: str, described: Row | None) -> str:
    """Why an object cannot be read at all; empty when it can."""
    if described is None or not described.get("queryable", True):
        return f"{name} cannot be read"
    missing = [each for each in NEEDED[name] if each not in _fields(described)]
    return f"{name} has no {', '.join(missing)}" if missing else ""


def no_new_deals(described: Described, open_stage: str) -> str:
    """Why no deal can be sent; empty when deals can."""
    for name in ("Account", "Opportunity"):
        if reason := unreadable(name, described[name]):
            return reason
    opportunity = described["Opportunity"] or {}
    if not opportunity.get("createable", True):
        return "the integration user may not create opportunities"
    closed = [each for each in _WRITTEN if not _fields(opportunity)[each].get("createable")]
    if closed:
        return f"the integration user may not fill {', '.join(closed)} of an opportunity"
    return "" if open_stage else "there is no open stage for them"


def no_changes(described: Described) -> str:
    """Why an opportunity that is there cannot be changed; empty when it can."""
    updateable = (described["Opportunity"] or {}).get("updateable", True)
    return "" if updateable else "the integration user may not edit opportunities"


def no_new_accounts(described: Described) -> str:
    """Why the account of a new customer cannot be created; empty when it can."""
    account = described["Account"] or {}
    name = _fields(account).get("Name", {})
    if account.get("createable", True) and name.get("createable", True):
        return ""
    return "the integration user may not create accounts"


def active_values(field: Row) -> set[str]:
    return {str(each["value"]) for each in field.get("picklistValues") or () if each.get("active", True)}


def stages(described: Described) -> set[str]:
    """The stages an opportunity may be set to, whether they are open or not."""
    return active_values(_fields(described["Opportunity"] or {}).get("StageName", {}))


def currencies(described: Described) -> tuple[str, ...] | None:
    """The currencies an opportunity takes in a multi-currency org; None in another."""
    field = _fields(described["Opportunity"] or {}).get("CurrencyIsoCode")
    return None if field is None else tuple(sorted(active_values(field)))


def _fields(described: Row) -> dict[str, Row]:
    return {str(field["name"]): field for field in described.get("fields", ())}
