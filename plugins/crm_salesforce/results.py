"""What one row's result in a collection means: an Outcome (contract, sections 3 and 10)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hub.sdk import Outcome, PermanentFailure, Status
from plugins.crm_salesforce.client import Row
from plugins.crm_salesforce.failures import LOCK_PAUSE_S

_OUR_FIELDS = {
    "Name": "title",
    "CloseDate": "target_close_on",
    "Amount": "amount",
    "CurrencyIsoCode": "currency",
    "Description": "business_problem",
    "Website": "customer_website",
    "BillingCity": "customer_city",
    "BillingPostalCode": "customer_postcode",
    "BillingCountry": "customer_country",
    "BillingCountryCode": "customer_country",
}
_REMEDIES = {
    "REQUIRED_FIELD_MISSING": "Give the field a default in Salesforce, or make it optional for the integration user.",
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": "Mend the deal as the org's validation rule asks, then send it again.",
    "INVALID_CROSS_REFERENCE_KEY": "Test the connection again: something it refers to is gone.",
    "ENTITY_IS_DELETED": "Restore it from the recycle bin in Salesforce, or unlink it here.",
    "INSUFFICIENT_ACCESS_OR_READONLY": "Give the integration user the right to create and edit it.",
    "DUPLICATE_EXTERNAL_ID": "Leave the key on one of the records in Salesforce only.",
}


def outcome_of(ref: str, result: Row, *, created: bool, what: str = "it") -> Outcome:
    """The outcome of one row. created: what was meant, where the answer does not say."""
    if result.get("success"):
        status = Status.CREATED if result.get("created", created) else Status.UPDATED
        return Outcome(ref, status, remote_id=result["id"])
    error: dict[str, Any] = next(iter(result.get("errors") or ()), {})
    code = str(error.get("statusCode") or error.get("errorCode") or "")
    message = str(error.get("message") or "no reason given")[:300].rstrip(".")
    if code == "UNABLE_TO_LOCK_ROW":
        until = datetime.now(UTC) + timedelta(seconds=LOCK_PAUSE_S)
        return Outcome(ref, Status.DEFERRED, reason=f"Somebody else saves {what} at this moment.", until=until)
    if code == "DUPLICATES_DETECTED":
        return _duplicate(ref, error, what)
    fields = error.get("fields") or ()
    theirs = str(fields[0]) if fields else ""
    field = "customer_name" if what == "the account" and theirs == "Name" else _OUR_FIELDS.get(theirs, "")
    return Outcome(
        ref,
        Status.REJECTED,
        reason=f"Salesforce refuses {what}: {message}.",
        field=field,
        remedy=_REMEDIES.get(code, ""),
    )


def rejected(ref: str, failure: PermanentFailure) -> Outcome:
    """The outcome of a row because of which its whole call was refused."""
    return Outcome(ref, Status.REJECTED, reason=str(failure), field=_OUR_FIELDS.get(failure.field or "", ""))


def _duplicate(ref: str, error: dict[str, Any], what: str) -> Outcome:
    """Somebody has it already: that is the point of registering a deal, so a person decides."""
    result = error.get("duplicateResult") or {}
    records = [match for found in result.get("matchResults") or () for match in found.get("matchRecords") or ()]
    ids = [str(match["record"]["Id"]) for match in records if (match.get("record") or {}).get("Id")]
    listed = f": {', '.join(ids)}" if ids else ""
    return Outcome(
        ref,
        Status.REJECTED,
        reason=f"A duplicate rule of Salesforce found {what} there already{listed}.",
        field="customer_name",
        remedy="Use that record's name or website in the deal, or let the integration user save duplicates.",
    )
