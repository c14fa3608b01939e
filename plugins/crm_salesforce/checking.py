"""The connection test: who are we in this org, what may we do, and what will be used. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hub.sdk import CheckResult, ConfigurationFailure, Finding, Values
from plugins.crm_salesforce.client import Row, SalesforceClient
from plugins.crm_salesforce.facts import ALWAYS_THERE, KEY_FIELD, USED_FIELDS, Facts
from plugins.crm_salesforce.mapping import LEAD_SOURCE
from plugins.crm_salesforce.statements import escaped, select

FEATURES: Mapping[str, str] = {
    "Account": "clients are not pulled, and deals find no account",
    "Contact": "contacts are not pulled",
    "Opportunity": "projects are not pulled, and deals are not sent",
}
_NEEDED = {
    "Account": ("Name", "SystemModstamp"),
    "Contact": ("LastName", "AccountId", "SystemModstamp"),
    "Opportunity": ("Name", "AccountId", "CloseDate", "StageName", "IsWon", "SystemModstamp"),
}
_LOST = {
    "Website": "clients have no website, and deals find their account by name only",
    "Amount": "projects have no budget, and deals no amount",
    "Description": "deals arrive without their description",
    "Email": "contacts have no e-mail address",
    "Phone": "phone numbers stay empty",
    "MasterRecordId": "merged records look like deleted ones",
}
_FEW_CALLS = 10
"""Per cent of the day's calls below which a check warns."""


def check(client: SalesforceClient, settings: Values) -> CheckResult:
    """Look at the org. Raises ConfigurationFailure naming the setting at fault."""
    _refuse_unknown_version(client, settings)
    organization_id, user_id = _identity(client)
    described = {name: client.describe(name) for name in USED_FIELDS}
    facts = _facts(client, settings, described)
    organization = _first(client, ["Id", "Name", "IsSandbox"], "Organization", [])
    user = _first(client, ["Username"], "User", [escaped("Id = {}", user_id)])
    name = str(organization.get("Name") or organization_id)
    who = str(user.get("Username") or user_id)
    text = f"{name} ({organization_id}), as {who}, API version {settings['api_version']}"
    findings = [
        Finding(True, "organization", text),
        _calls(client),
        *_objects(described),
        _currency(facts),
        _stage(facts, settings),
        _key(facts),
    ]
    return CheckResult(
        account_id=organization_id,
        account_name=name,
        environment="sandbox" if organization.get("IsSandbox") else "production",
        findings=tuple(findings),
        facts=facts.values(),
    )


def discover(client: SalesforceClient, settings: Values) -> Facts:
    """The facts alone, for a connection that was never tested."""
    return _facts(client, settings, {name: client.describe(name) for name in USED_FIELDS})


def _refuse_unknown_version(client: SalesforceClient, settings: Values) -> None:
    known = sorted(client.versions(), key=float)
    wanted = settings["api_version"]
    if not known or not float(known[0]) <= float(wanted) <= float(known[-1]):
        newest = known[-1] if known else "none"
        text = f"Salesforce has no API version {wanted} here; its newest is {newest}. Change the setting api_version."
        raise ConfigurationFailure(text, field="api_version")


def _identity(client: SalesforceClient) -> tuple[str, str]:
    """Ids of the org and of our user, the last two parts of the identity address."""
    address = client.identity_url or str(client.resources().get("identity", ""))
    parts = address.rstrip("/").split("/")
    if len(parts) < 2 or not parts[-2].startswith("00D"):
        text = "The address does not answer like Salesforce: it does not say who is signed in. Check login_url."
        raise ConfigurationFailure(text, field="login_url")
    return parts[-2], parts[-1]


def _facts(client: SalesforceClient, settings: Values, described: Mapping[str, Row | None]) -> Facts:
    seen = {name: _usable_fields(row) for name, row in described.items()}
    fields = {name: tuple(each for each in used if each in seen[name]) for name, used in USED_FIELDS.items()}
    multi_currency = "CurrencyIsoCode" in fields["Opportunity"]
    return Facts(
        login_url=settings["login_url"],
        instance_url=client.instance_url or "",
        fields=fields,
        currencies=_active_currencies(client) if multi_currency else (),
        currency=settings.get("currency"),
        open_stage=_open_stage(client, settings) if fields["Opportunity"] else "",
    )


def _field_names(described: Row | None) -> frozenset[str]:
    return frozenset(str(field["name"]) for field in (described or {}).get("fields", ()))


def _usable_fields(described: Row | None) -> frozenset[str]:
    """The fields we may see; without the lead source where it does not take our value."""
    if described is None:
        return frozenset()
    closed = {
        str(field["name"])
        for field in described.get("fields", ())
        if field["name"] == "LeadSource"
        and field.get("restrictedPicklist")
        and LEAD_SOURCE not in _active_values(field)
    }
    return (_field_names(described) | ALWAYS_THERE) - closed


def _active_values(field: Row) -> set[str]:
    return {str(each["value"]) for each in field.get("picklistValues") or () if each.get("active", True)}


def _active_currencies(client: SalesforceClient) -> tuple[str, ...]:
    rows = _rows(client, ["IsoCode"], "CurrencyType", ["IsActive = true"])
    return tuple(sorted(str(row["IsoCode"]) for row in rows))


def _open_stage(client: SalesforceClient, settings: Values) -> str:
    """The stage of a new deal: the one that is set, if it is open; else the first open one. "" where there is none."""
    rows = _rows(client, ["ApiName", "SortOrder"], "OpportunityStage", ["IsActive = true", "IsClosed = false"])
    names = [str(row["ApiName"]) for row in sorted(rows, key=lambda row: row["SortOrder"] or 0)]
    wanted = settings.get("deal_stage")
    if wanted and wanted not in names:
        text = f"“{wanted}” is no open stage of Salesforce. Set deal_stage to one of: {', '.join(names)}."
        raise ConfigurationFailure(text, field="deal_stage")
    return wanted or next(iter(names), "")


def _calls(client: SalesforceClient) -> Finding:
    calls = client.limits().get("DailyApiRequests") or {}
    left, allowed = int(calls.get("Remaining", 0)), int(calls.get("Max", 0))
    text = f"{left:,} of {allowed:,} API calls of a day are left"
    few = left * 100 < allowed * _FEW_CALLS
    return Finding(left > 0, "API calls", text, remedy="Other integrations use most of them." if few else "")


def _objects(described: Mapping[str, Row | None]) -> Sequence[Finding]:
    return [finding for name, row in described.items() for finding in _object(name, row)]


def _object(name: str, described: Row | None) -> Sequence[Finding]:
    remedy = "Give the integration user read access to it in a permission set."
    if described is None:
        return [Finding(False, name, f"{name} cannot be read: {FEATURES[name]}", remedy)]
    seen = _field_names(described)
    needed = [field for field in _NEEDED[name] if field not in seen]
    if needed:
        return [Finding(False, name, f"{name} has no {', '.join(needed)}: {FEATURES[name]}", remedy)]
    lost = [field for field in USED_FIELDS[name] if field in _LOST and field not in seen]
    if not lost:
        return [Finding(True, name, f"{name} can be read")]
    return [Finding(True, f"{name}.{field}", f"{field} cannot be read: {_LOST[field]}", remedy) for field in lost]


def _currency(facts: Facts) -> Finding:
    if facts.currencies:
        return Finding(True, "currency", f"Several currencies: {', '.join(facts.currencies)}")
    if facts.currency:
        return Finding(True, "currency", f"One currency, {facts.currency}")
    text = "One currency, which is not set: amounts are taken in the company's own currency"
    return Finding(
        True, "currency", text, remedy="Set the currency of the org in the setting currency.", field="currency"
    )


def _stage(facts: Facts, settings: Values) -> Finding:
    if facts.open_stage:
        return Finding(True, "stage", f"Registered deals start in the stage “{facts.open_stage}”")
    return Finding(False, "stage", "There is no open stage: deals are not sent", "Add one in Salesforce.", "deal_stage")


def _key(facts: Facts) -> Finding:
    without = [name for name in ("Account", "Opportunity") if not facts.has(name, KEY_FIELD)]
    if not without:
        return Finding(True, "key field", f"{KEY_FIELD} is there: a repeated send can never create a second record")
    return Finding(
        True,
        "key field",
        f"{KEY_FIELD} is missing on {', '.join(without)}: records are looked for before they are created",
        remedy=f"Add a text field {KEY_FIELD} (80, external id, unique) where deals and accounts are shared.",
    )


def _first(client: SalesforceClient, fields: Sequence[str], name: str, conditions: Sequence[str]) -> Row:
    """The first row, or nothing where it may not be read: it is only for the text of the check."""
    try:
        return next(iter(_rows(client, fields, name, conditions)), {})
    except ConfigurationFailure:
        return {}


def _rows(client: SalesforceClient, fields: Sequence[str], name: str, conditions: Sequence[str]) -> list[Row]:
    return [row for page in client.query(select(fields, name, conditions)) for row in page.rows]
