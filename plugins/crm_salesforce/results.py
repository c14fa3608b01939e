"""What one row's result in a collection means: an Outcome (contract, sections 3 and 10)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from hub.sdk import Outcome, PermanentFailure, Status
from plugins.crm_salesforce.client import Row, SalesforceClient
from plugins.crm_salesforce.facts import KEY_FIELD
from plugins.crm_salesforce.failures import NO_SUCH_FIELD, NOT_FOR_US, UNSURE

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
    "INSUFFICIENT_ACCESS_OR_READONLY": "Share this record with the integration user so that it may edit it.",
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": "Share the account with the integration user so that it may "
    "edit it.",
    "INACTIVE_OWNER_OR_USER": "Give the record an owner who is active in Salesforce.",
    "DUPLICATE_EXTERNAL_ID": "Leave the key on one of the records in Salesforce only.",
    "DUPLICATE_VALUE": "Free the value on the record that has it, or share that record with the integration user.",
}
_SETUP_FIELDS = {"StageName", "LeadSource", "RecordTypeId", "OwnerId", KEY_FIELD}
"""What no deal says: their values come from the settings and the org, and are the same for all deals."""
_SENT_FIELDS = {*_OUR_FIELDS, "AccountId"} | _SETUP_FIELDS
_BYSTANDERS = ("PROCESSING_HALTED", "ALL_OR_NONE_OPERATION_ROLLED_BACK")
_MEND = "Mend it in Salesforce, then test the connection again."
_FOR_EVERY_DEAL = {
    **dict.fromkeys(NO_SUCH_FIELD, "Give the integration user that field, then test the connection again."),
    **dict.fromkeys(NOT_FOR_US, "Give the integration user that right, then test the connection again."),
    "REQUIRED_FIELD_MISSING": "Give that field a default in Salesforce, or make it optional, then test the connection "
    "again.",
}


def error_of(result: Row) -> tuple[str, str, list[str], dict[str, Any]]:
    """Code, message, fields and the whole of the error that explains a refused row."""
    errors: list[dict[str, Any]] = [each for each in result.get("errors") or () if isinstance(each, dict)]
    telling = [each for each in errors if _code(each) not in _BYSTANDERS]
    error = next(iter(telling or errors), {})
    message = str(error.get("message") or "no reason given")[:300].rstrip(".")
    return _code(error), message, [str(name) for name in error.get("fields") or ()], error


def _code(error: dict[str, Any]) -> str:
    return str(error.get("statusCode") or error.get("errorCode") or "")


def outcome_of(
    ref: str, result: Row, *, created: bool, what: str = "it", may_at_all: Callable[[], bool] = lambda: True
) -> Outcome:
    """The outcome of one row. created: what was meant, where the answer does not say.

    may_at_all: asked when the vendor says that we may not: whether the object as a whole is open to such a write, so
    that only this record is closed.
    """
    if result.get("success"):
        status = Status.CREATED if result.get("created", created) else Status.UPDATED
        return Outcome(ref, status, remote_id=result["id"])
    code, message, fields, error = error_of(result)
    if code == "UNABLE_TO_LOCK_ROW":
        return Outcome(ref, Status.DEFERRED, reason=f"Somebody else saves {what} at this moment.")
    if code in UNSURE and what == "it":
        reason = f"Salesforce answered “{message}”; it may have saved the record all the same."
        return Outcome(ref, Status.UNCERTAIN, reason=reason)
    if code in (*UNSURE, *_BYSTANDERS):  # an account that was saved all the same is found before the next try
        return Outcome(ref, Status.DEFERRED, reason=f"Salesforce asks to try {what} again: {message}.")
    if code == "DUPLICATES_DETECTED":
        return _duplicate(ref, error, what)
    if _befalls_all(code, fields, created=created) or (code in NOT_FOR_US and not may_at_all()):
        return stopped(ref, f"Salesforce refuses {what}: {message}. {_FOR_EVERY_DEAL.get(code, _MEND)}")
    theirs = fields[0] if fields else ""
    field = "customer_name" if what == "the account" and theirs == "Name" else _OUR_FIELDS.get(theirs, "")
    return Outcome(
        ref,
        Status.REJECTED,
        reason=f"Salesforce refuses {what}: {message}.",
        field=field,
        remedy=_REMEDIES.get(code, ""),
    )


def _befalls_all(code: str, fields: Sequence[str], *, created: bool) -> bool:
    """Whether any other deal would be refused for the same reason, because the org or the settings are at fault.

    The org's own rules may name any field, and a record that is there has a history: such faults concern one deal.
    """
    if code in NO_SUCH_FIELD or not created:
        return code in NO_SUCH_FIELD
    if code == "REQUIRED_FIELD_MISSING":
        return bool(fields) and not set(fields) & (_SENT_FIELDS - _SETUP_FIELDS)
    about_values = code not in ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "DUPLICATE_VALUE", "DUPLICATE_EXTERNAL_ID")
    return about_values and bool(fields) and set(fields) <= _SETUP_FIELDS


def rights(client: SalesforceClient, name: str, right: str) -> Callable[[], bool]:
    """Asks once, and only when it is needed, whether we may write this object at all. right: a key of describe."""

    @cache
    def may_at_all() -> bool:
        described = client.describe(name)
        return described is not None and bool(described.get(right, True))

    return may_at_all


def stopped(ref: str, reason: str) -> Outcome:
    """The outcome of a deal that met a fault of the org or the settings: a person mends it once, for all deals."""
    return Outcome(ref, Status.DEFERRED, reason=reason, stops=True)


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
