"""The connection test: who are we in this org, what may we do, and what will be used. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hub.sdk import CheckResult, ConfigurationFailure, Finding, Values
from plugins.crm_salesforce import describing
from plugins.crm_salesforce.client import Row, SalesforceClient
from plugins.crm_salesforce.describing import Described
from plugins.crm_salesforce.facts import FILLED, KEY_FIELD, USED_FIELDS, Facts
from plugins.crm_salesforce.failures import FieldsChanged
from plugins.crm_salesforce.mapping import LONGEST_KEY
from plugins.crm_salesforce.statements import escaped, select

FEATURES: Mapping[str, str] = {
    "Account": "clients are not pulled, projects wait for theirs, and deals find no account",
    "Contact": "contacts are not pulled",
    "Opportunity": "projects are not pulled, and deals are not sent",
}
_LOST = {
    "Website": "clients have no website, and deals find their account by name only",
    "Amount": "projects have no budget, and deals no amount",
    "Description": "deals arrive without their description",
    "Email": "contacts have no e-mail address",
    "Phone": "phone numbers stay empty",
    "MasterRecordId": "merged records look like deleted ones",
}
_WITHOUT = {"Opportunity.CurrencyIsoCode": "their amount"}
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
        *_closed_fields(facts),
        _currency(facts),
        *_deals(facts),
        *_key(described),
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


def _facts(client: SalesforceClient, settings: Values, described: Described) -> Facts:
    reasons = {name: describing.unreadable(name, row) for name, row in described.items()}
    unreadable = {name: f"{reason}: {FEATURES[name]}" for name, reason in reasons.items() if reason}
    open_stage = "" if "Opportunity" in unreadable else _open_stage(client, settings, described)
    return Facts(
        login_url=settings["login_url"],
        instance_url=client.instance_url or "",
        fields={name: describing.readable_fields(name, row) for name, row in described.items()},
        writable={name: describing.writable_fields(name, row) for name, row in described.items()},
        currencies=_active_currencies(client, described),
        currency=settings.get("currency"),
        open_stage=open_stage,
        unreadable=unreadable,
        no_new_deals=describing.no_new_deals(described, open_stage),
        no_changes=describing.no_changes(described),
        no_new_accounts=describing.no_new_accounts(described),
    )


def _active_currencies(client: SalesforceClient, described: Described) -> tuple[str, ...]:
    """The active currencies of a multi-currency org; none in another. Those an opportunity takes, where the list
    itself may not be read.
    """
    taken = describing.currencies(described)
    if taken is None:
        return ()
    try:
        rows = _rows(client, ["IsoCode"], "CurrencyType", ["IsActive = true"])
    except FieldsChanged:
        return taken
    return tuple(sorted(str(row["IsoCode"]) for row in rows))


def _open_stage(client: SalesforceClient, settings: Values, described: Described) -> str:
    """The stage of a new deal: the one that is set, if it is open; else the first open one. "" where there is none.

    A user who may not read the stages themselves may still see their names on the opportunity.
    """
    wanted = str(settings.get("deal_stage") or "")
    try:
        rows = _rows(client, ["ApiName", "SortOrder"], "OpportunityStage", ["IsActive = true", "IsClosed = false"])
    except FieldsChanged:
        return wanted if wanted in describing.stages(described) else ""
    names = [str(row["ApiName"]) for row in sorted(rows, key=lambda row: row["SortOrder"] or 0)]
    if wanted and wanted not in names:
        text = f"“{wanted}” is no open stage of Salesforce. Set deal_stage to one of: {', '.join(names)}."
        raise ConfigurationFailure(text, field="deal_stage")
    return wanted or next(iter(names), "")


def _calls(client: SalesforceClient) -> Finding:
    """What is left of the day's calls; where the user may not ask, as the last answer said."""
    try:
        calls = client.limits().get("DailyApiRequests") or {}
        left, allowed = int(calls.get("Remaining", 0)), int(calls.get("Max", 0))
    except FieldsChanged:
        used, allowed = client.usage or (0, 0)
        left = allowed - used
    if not allowed:
        return Finding(True, "API calls", "Salesforce does not say how many API calls are left")
    text = f"{left:,} of {allowed:,} API calls of a day are left"
    few = left * 100 < allowed * _FEW_CALLS
    return Finding(left > 0, "API calls", text, remedy="Other integrations use most of them." if few else "")


def _objects(described: Described) -> Sequence[Finding]:
    return [finding for name, row in described.items() for finding in _object(name, row)]


def _object(name: str, described: Row | None) -> Sequence[Finding]:
    remedy = "Give the integration user read access to it in a permission set."
    if reason := describing.unreadable(name, described):
        return [Finding(False, name, f"{reason}: {FEATURES[name]}", f"{remedy[:-1]}, or switch the stream off.")]
    seen = describing.readable_fields(name, described)
    lost = [field for field in USED_FIELDS[name] if field in _LOST and field not in seen]
    if not lost:
        return [Finding(True, name, f"{name} can be read")]
    return [Finding(True, f"{name}.{field}", f"{field} cannot be read: {_LOST[field]}", remedy) for field in lost]


def _closed_fields(facts: Facts) -> Sequence[Finding]:
    """Fields that we see but may not fill: deals go without them."""
    remedy = "Give the integration user edit access to it in a permission set."
    closed = [
        f"{name}.{field}"
        for name, fields in FILLED.items()
        for field in fields
        if facts.has(name, field) and not facts.takes(name, field)
    ]
    return [
        Finding(True, each, f"{each} cannot be filled: deals go without {_WITHOUT.get(each, 'it')}", remedy)
        for each in closed
    ]


def _currency(facts: Facts) -> Finding:
    if facts.currencies:
        return Finding(True, "currency", f"Several currencies: {', '.join(facts.currencies)}")
    if facts.currency:
        return Finding(True, "currency", f"One currency, {facts.currency}")
    text = "One currency, which is not set: amounts are taken in the company's own currency"
    return Finding(
        True, "currency", text, remedy="Set the currency of the org in the setting currency.", field="currency"
    )


def _deals(facts: Facts) -> Sequence[Finding]:
    """Whether deals can be sent, in which stage they start, and what of them cannot be done."""
    give = "Give the integration user that right in a permission set, then test again."
    if facts.no_new_deals:
        remedy = give if facts.open_stage else "Add an open stage in Salesforce, or set deal_stage to one."
        field = "" if facts.open_stage else "deal_stage"
        return [Finding(False, "deals", f"Deals are not sent: {facts.no_new_deals}", remedy, field)]
    findings = [Finding(True, "stage", f"Registered deals start in the stage “{facts.open_stage}”")]
    if facts.no_changes:
        findings.append(Finding(False, "deals", f"Changed deals are not sent: {facts.no_changes}", give))
    if facts.no_new_accounts:
        text = f"Deals go to accounts that are there, and to no others: {facts.no_new_accounts}"
        findings.append(Finding(False, "accounts", text, give))
    return findings


def _key(described: Described) -> Sequence[Finding]:
    """Whether a repeated send can create a second record; without the key field records are looked for first."""
    where = ("Account", "Opportunity")
    faults = {name: describing.key_faults(described[name]) for name in where}
    missing = [name for name in where if not describing.has_key_field(described[name])]
    make = f"text, {LONGEST_KEY} characters or more, external id, unique, editable by the integration user"
    instead = "records are looked for before they are created"
    findings = [
        Finding(
            True,
            "key field",
            f"{KEY_FIELD} of {name} {' and '.join(found)}: it is not used, and {instead}",
            remedy=f"Make the field {KEY_FIELD} of {name} as it must be: {make}. Then test again.",
        )
        for name, found in faults.items()
        if found
    ]
    if missing:
        text = f"{KEY_FIELD} is missing on {', '.join(missing)}: {instead}"
        remedy = f"Add the field {KEY_FIELD} to {' and '.join(missing)}: {make}. Then test again."
        findings.append(Finding(True, "key field", text, remedy=remedy))
    there = f"{KEY_FIELD} is there: a repeated send can never create a second record"
    return findings or [Finding(True, "key field", there)]


def _first(client: SalesforceClient, fields: Sequence[str], name: str, conditions: Sequence[str]) -> Row:
    """The first row, or nothing where it may not be read: it is only for the text of the check."""
    try:
        return next(iter(_rows(client, fields, name, conditions)), {})
    except ConfigurationFailure:
        return {}


def _rows(client: SalesforceClient, fields: Sequence[str], name: str, conditions: Sequence[str]) -> list[Row]:
    return [row for page in client.query(select(fields, name, conditions)) for row in page.rows]
