"""Whose opportunity it is: the account of a deal's customer, found or created."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hub.sdk import ConfigurationFailure, Outcome, Sending, Status, Values
from plugins.crm_salesforce.client import Row, SalesforceClient
from plugins.crm_salesforce.countries import country_code
from plugins.crm_salesforce.facts import KEY_FIELD, Facts
from plugins.crm_salesforce.mapping import domain, key_sent
from plugins.crm_salesforce.results import error_of, outcome_of, rights, stopped
from plugins.crm_salesforce.statements import any_of, escaped, in_pieces, select


@dataclass(frozen=True, slots=True)
class Wanted:
    """The account that one sending is for. key: ours, which an account created for it carries."""

    ref: str
    key: str
    values: Values

    @property
    def name(self) -> str:
        return " ".join(str(self.values["Name"]).split()).casefold()

    @property
    def domain(self) -> str:
        return domain(self.values.get("Website", ""))

    @property
    def customer(self) -> tuple[str, str, str]:
        """What tells one new customer from another."""
        return self.name, self.domain, _country(self.values)


@dataclass(frozen=True, slots=True)
class Resolved:
    """Account ids by ref, and for the other refs why there is none."""

    ids: Mapping[str, str]
    outcomes: Mapping[str, Outcome]


def resolve_accounts(client: SalesforceClient, facts: Facts, sendings: Sequence[Sending]) -> Resolved:
    """Find the account of each sending by our key, its exact name, or its web domain; create those not found."""
    wanted = [_wanted(sending) for sending in sendings]
    known = _candidates(client, facts, wanted) if wanted else []
    ids: dict[str, str] = {}
    outcomes: dict[str, Outcome] = {}
    missing: list[Wanted] = []
    for each in wanted:
        matches = _matches(each, known)
        if len(matches) == 1:
            ids[each.ref] = matches[0]["Id"]
        elif matches:
            outcomes[each.ref] = _ambiguous(each, matches)
        else:
            missing.append(each)
    created, refused = _create(client, facts, missing)
    return Resolved(ids | created, outcomes | refused)


def _wanted(sending: Sending) -> Wanted:
    key = key_sent(sending.body)
    return Wanted(sending.ref, f"{key[0]}:{key[1]}" if key else "", dict(sending.body["Account"]))


def _candidates(client: SalesforceClient, facts: Facts, wanted: Sequence[Wanted]) -> list[Row]:
    fields = ["Id", "Name"]
    fields += [
        name for name in ("Website", "BillingCountry", "BillingCountryCode", KEY_FIELD) if facts.has("Account", name)
    ]
    conditions = [
        escaped("Name IN {}", names) for names in in_pieces(sorted({str(each.values["Name"]) for each in wanted}))
    ]
    if facts.has("Account", KEY_FIELD):
        keys = sorted({each.key for each in wanted if each.key})
        conditions += [escaped(f"{KEY_FIELD} IN {{}}", piece) for piece in in_pieces(keys)]
    if facts.has("Account", "Website"):
        domains = sorted({each.domain for each in wanted if each.domain})
        for piece in in_pieces(domains, longest=4_000):
            conditions.append(any_of(escaped("Website LIKE '%{:like}%'", each) for each in piece))
    found: dict[str, Row] = {}
    for condition in conditions:
        for page in client.query(select(fields, "Account", [condition])):
            found |= {row["Id"]: row for row in page.rows}
    return list(found.values())


def _matches(wanted: Wanted, known: Sequence[Row]) -> list[Row]:
    """The accounts that may be meant: by the surest sign there is, several only when nothing tells them apart."""
    by_key = [row for row in known if wanted.key and row.get(KEY_FIELD) == wanted.key]
    by_domain = [row for row in known if wanted.domain and domain(row.get("Website") or "") == wanted.domain]
    by_name = [row for row in known if " ".join(row["Name"].split()).casefold() == wanted.name]
    by_name = [row for row in by_name if not _is_another(wanted, row)]
    if by_key or not by_name:
        return by_key or by_domain
    same_country = [row for row in by_name if _country(row) and _country(row) == _country(wanted.values)]
    for sign in (by_domain, same_country):
        both = [row for row in by_name if row in sign]
        if len(by_name) > 1 and len(both) == 1:
            return both
    return by_name


def _is_another(wanted: Wanted, row: Row) -> bool:
    """Whether an account of the same name is certainly another customer's: its web domain or its country differs."""
    pairs = ((wanted.domain, domain(row.get("Website") or "")), (_country(wanted.values), _country(row)))
    return any(ours and theirs and ours != theirs for ours, theirs in pairs)


def _country(values: Mapping[str, object]) -> str:
    """The code of the country, which orgs write as a code or as a name; empty when it is not known."""
    return str(values.get("BillingCountryCode") or "") or country_code(str(values.get("BillingCountry") or "")) or ""


def _ambiguous(wanted: Wanted, matches: Sequence[Row]) -> Outcome:
    listed = ", ".join(row["Id"] for row in matches)
    return Outcome(
        wanted.ref,
        Status.REJECTED,
        reason=f"Salesforce has {len(matches)} accounts that may be “{wanted.values['Name']}”: {listed}.",
        field="customer_name",
        remedy="Merge them in Salesforce, or give the deal the website of the one that is meant.",
    )


def _not_there(wanted: Wanted, reason: str) -> Outcome:
    return Outcome(
        wanted.ref,
        Status.REJECTED,
        reason=f"Salesforce has no account “{wanted.values['Name']}”, and {reason}.",
        field="customer_name",
        remedy="Create the account in Salesforce, or give the integration user that right and test the connection.",
    )


def _create(
    client: SalesforceClient, facts: Facts, missing: Sequence[Wanted]
) -> tuple[dict[str, str], dict[str, Outcome]]:
    """One new account for each new customer; its deals share it."""
    firsts = list({each.customer: each for each in reversed(missing)}.values())
    if not firsts:
        return {}, {}
    if facts.no_new_accounts:
        return {}, {each.ref: _not_there(each, facts.no_new_accounts) for each in missing}
    rows = [{"attributes": {"type": "Account"}, **each.values} for each in firsts]
    keyed = facts.has("Account", KEY_FIELD) and all(each.key for each in firsts)
    try:
        if keyed:
            rows = [{**row, KEY_FIELD: each.key} for row, each in zip(rows, firsts, strict=True)]
            results = client.upsert_rows("Account", KEY_FIELD, rows)
        else:
            results = client.create_rows(rows)
    except ConfigurationFailure as failure:  # deals of accounts that are there already go on
        return {}, {each.ref: stopped(each.ref, str(failure)) for each in missing}
    of = {each.customer: result for each, result in zip(firsts, results, strict=True)}
    ids = {customer: str(result["id"]) for customer, result in of.items() if result.get("success")}
    taken = [each for each in firsts if keyed and error_of(of[each.customer])[0] == "DUPLICATE_VALUE"]
    there = {row[KEY_FIELD]: row["Id"] for row in _candidates(client, facts, taken) if row.get(KEY_FIELD)}
    ids |= {each.customer: there[each.key] for each in taken if each.key in there}
    may_create = rights(client, "Account", "createable")
    refused = {
        each.ref: outcome_of(each.ref, of[each.customer], created=True, what="the account", may_at_all=may_create)
        for each in missing
        if each.customer not in ids
    }
    return {each.ref: ids[each.customer] for each in missing if each.customer in ids}, refused
