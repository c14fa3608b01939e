"""Registered deals going out as opportunities, each once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hub.sdk import ConfigurationFailure, Found, Outcome, PermanentFailure, Sending, Status
from plugins.crm_salesforce.accounts import resolve_accounts
from plugins.crm_salesforce.client import Row, SalesforceClient
from plugins.crm_salesforce.facts import KEY_FIELD, Facts
from plugins.crm_salesforce.mapping import LEAD_SOURCE, key_of, key_sent
from plugins.crm_salesforce.results import error_of, outcome_of, rejected, rights, stopped
from plugins.crm_salesforce.statements import escaped, in_pieces, instant_text, select

_CREATE_ONLY = ("Account", "StageName")
"""Sales owns these from the moment the opportunity is there."""
_NEAR_SCORE = 80
_RENAMED_WITHIN = timedelta(days=1)
"""How long after its lost answer an opportunity is found under another name."""
_LOOK_AGAIN = timedelta(minutes=15)
"""A test of the connection may have found meanwhile that more is allowed."""


def push_deals(client: SalesforceClient, facts: Facts, sendings: Sequence[Sending]) -> list[Outcome]:
    """Create or update opportunities; one outcome each. What the org is not open for waits until it is."""
    updates = [sending for sending in sendings if sending.remote_id]
    creates = [sending for sending in sendings if not sending.remote_id]
    closed = _waiting(updates, facts.no_changes) + _waiting(creates, facts.no_new_deals)
    if facts.no_changes:
        updates = []
    if facts.no_new_deals:
        creates = []
    return [*closed, *_update(client, updates), *_create(client, facts, creates)]


def _waiting(sendings: Sequence[Sending], reason: str) -> list[Outcome]:
    """Not the connection's end: what can be read is still read."""
    if not reason:
        return []
    text = f"Salesforce is not open for this: {reason}. Mend it there, then test the connection again."
    until = datetime.now(UTC) + _LOOK_AGAIN
    return [Outcome(sending.ref, Status.DEFERRED, reason=text, until=until) for sending in sendings]


def find_deals(client: SalesforceClient, facts: Facts, sendings: Sequence[Sending]) -> list[Found]:
    """Opportunities that carry our key, and open ones of the same name and account that a person should look at."""
    if facts.no_new_deals:
        return []  # then nothing is created either
    found: list[Found] = []
    rows = _candidates(client, facts, sendings)
    for sending in sendings:
        key = key_sent(sending.body)
        ours = [row for row in rows if row["Id"] == sending.remote_id or (key is not None and key_of(row) == key)]
        near = [row for row in rows if key_of(row) is None and _looks_alike(row, sending)]
        found += [Found(sending.ref, row["Id"], _version(row), row["Name"], ours=True, why="our key") for row in ours]
        if not ours:
            found += [
                Found(
                    sending.ref,
                    row["Id"],
                    _version(row),
                    row["Name"],
                    score=_NEAR_SCORE,
                    why="an open opportunity of the same name and account",
                )
                for row in near
            ]
    return found


def _candidates(client: SalesforceClient, facts: Facts, sendings: Sequence[Sending]) -> list[Row]:
    fields = ["Id", "Name", "IsClosed", "SystemModstamp", "Account.Name"]
    fields += [name for name in (KEY_FIELD, "Description") if facts.has("Opportunity", name)]
    conditions: list[str] = []
    if facts.has("Opportunity", KEY_FIELD):
        keys = sorted({f"{key[0]}:{key[1]}" for sending in sendings if (key := key_sent(sending.body))})
        conditions += [escaped(f"{KEY_FIELD} IN {{}}", piece) for piece in in_pieces(keys)]
    names = sorted({str(sending.body["Name"]) for sending in sendings if "Name" in sending.body})
    conditions += [escaped("Name IN {}", piece) for piece in in_pieces(names)]
    ids = sorted(sending.remote_id for sending in sendings if sending.remote_id)
    conditions += [escaped("Id IN {}", piece) for piece in in_pieces(ids)]
    if not facts.has("Opportunity", KEY_FIELD):
        conditions.append(_lately_sent(facts))
    rows: dict[str, Row] = {}
    for condition in conditions:
        for page in client.query(select(fields, "Opportunity", [condition])):
            rows |= {row["Id"]: row for row in page.rows}
    return list(rows.values())


def _lately_sent(facts: Facts) -> str:
    """What may be ours though it has another name by now: descriptions cannot be searched, so we look through them."""
    lately = f"CreatedDate >= {instant_text(datetime.now(UTC) - _RENAMED_WITHIN)}"
    return (
        f"{lately} AND {escaped('LeadSource = {}', LEAD_SOURCE)}"
        if facts.takes("Opportunity", "LeadSource")
        else lately
    )


def _looks_alike(row: Row, sending: Sending) -> bool:
    account = sending.body.get("Account") or {}
    theirs = (row.get("Account") or {}).get("Name") or ""
    same_name = str(row["Name"]).casefold() == str(sending.body.get("Name", "")).casefold()
    return same_name and not row["IsClosed"] and theirs.casefold() == str(account.get("Name", "")).casefold()


def _version(row: Row) -> str | None:
    return row.get("SystemModstamp")


def _create(client: SalesforceClient, facts: Facts, sendings: Sequence[Sending]) -> list[Outcome]:
    """Create what is not there yet. What an earlier call of ours created is left as it is: sales may have moved on,
    and an upsert would put their opportunity back to its first stage."""
    existing = _existing(client, facts, sendings)
    there = [Outcome(ref, Status.CREATED, remote_id=id) for ref, id in existing.items()]
    missing = [sending for sending in sendings if sending.ref not in existing]
    accounts = resolve_accounts(client, facts, missing)
    ready = [sending for sending in missing if sending.ref in accounts.ids]
    ready.sort(key=lambda sending: accounts.ids[sending.ref])  # children of one account side by side: fewer locks

    def row_of(sending: Sending) -> Row:
        values = {name: value for name, value in sending.body.items() if name != "Account"}
        return _row({**values, "AccountId": accounts.ids[sending.ref]})

    may_create = rights(client, "Opportunity", "createable")

    def read(results: Sequence[Row], sent: Sequence[Sending]) -> list[Outcome]:
        """What another call of ours created in the same moment is looked up: the vendor says only that it is there."""
        pairs = list(zip(sent, results, strict=True))
        taken = [sending for sending, result in pairs if error_of(result)[0] == "DUPLICATE_VALUE"]
        there = _existing(client, facts, taken) if taken else {}
        return [
            Outcome(sending.ref, Status.CREATED, remote_id=there[sending.ref])
            if sending.ref in there
            else outcome_of(sending.ref, result, created=True, may_at_all=may_create)
            for sending, result in pairs
        ]

    def create(rows: Sequence[Row]) -> list[Row]:
        if facts.has("Opportunity", KEY_FIELD):
            return client.upsert_rows("Opportunity", KEY_FIELD, rows)
        return client.create_rows(rows)

    return [*there, *accounts.outcomes.values(), *_send(ready, row_of, create, read)]


def _existing(client: SalesforceClient, facts: Facts, sendings: Sequence[Sending]) -> dict[str, str]:
    """Ids, by ref, of opportunities that carry our key in its field."""
    if not facts.has("Opportunity", KEY_FIELD):
        return {}
    keys = {str(sending.body[KEY_FIELD]): sending.ref for sending in sendings if KEY_FIELD in sending.body}
    return {
        keys[row[KEY_FIELD]]: row["Id"]
        for piece in in_pieces(sorted(keys))
        for page in client.query(select(["Id", KEY_FIELD], "Opportunity", [escaped(f"{KEY_FIELD} IN {{}}", piece)]))
        for row in page.rows
        if row[KEY_FIELD] in keys
    }


def _update(client: SalesforceClient, sendings: Sequence[Sending]) -> list[Outcome]:
    def row_of(sending: Sending) -> Row:
        values = {name: value for name, value in sending.body.items() if name not in _CREATE_ONLY}
        return _row({**values, "id": sending.remote_id})

    may_update = rights(client, "Opportunity", "updateable")

    def read(results: Sequence[Row], sent: Sequence[Sending]) -> list[Outcome]:
        return [
            outcome_of(sending.ref, result, created=False, may_at_all=may_update)
            for sending, result in zip(sent, results, strict=True)
        ]

    changed = [sending for sending in sendings if set(sending.body) - set(_CREATE_ONLY)]
    same = [Outcome(s.ref, Status.UNCHANGED, remote_id=s.remote_id) for s in sendings if s not in changed]
    return [*same, *_send(changed, row_of, client.update_rows, read)]


def _row(values: Row) -> Row:
    """The row as it goes over the wire: the amount, kept as text, is a number there."""
    if values.get("Amount") is not None:
        values = {**values, "Amount": Decimal(values["Amount"])}
    return {"attributes": {"type": "Opportunity"}, **values}


def _send(
    sendings: Sequence[Sending],
    row_of: Callable[[Sending], Row],
    call: Callable[[Sequence[Row]], list[Row]],
    read: Callable[[Sequence[Row], Sequence[Sending]], list[Outcome]],
) -> list[Outcome]:
    """One call; when one record makes the vendor refuse all of them, halves, so that it stops only itself."""
    if not sendings:
        return []
    try:
        results = call([row_of(sending) for sending in sendings])
    except PermanentFailure as failure:
        if len(sendings) == 1:
            return [rejected(sendings[0].ref, failure)]
        middle = len(sendings) // 2
        halves = (sendings[:middle], sendings[middle:])
        return [outcome for half in halves for outcome in _send(half, row_of, call, read)]
    except ConfigurationFailure as failure:  # what was sent before it stays known
        return [stopped(sending.ref, str(failure)) for sending in sendings]
    return read(results, sendings)
