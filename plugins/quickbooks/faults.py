"""What the vendor's refusals mean. Decided by HTTP status and code, never by the text of a message.

Codes: vendor's pages "Error codes" and "Fix common QuickBooks Online Accounting API errors".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import requests

from hub.sdk import (
    Busy,
    ConfigurationFailure,
    ConnectorError,
    OutcomeUnknown,
    PermanentFailure,
    TemporaryFailure,
    failure_for,
)

THROTTLE_PAUSE_S = 60
"""Vendor's page "API call limits and throttles": wait a minute."""
TOKEN_CODES = {100, 3200}
ACCESS_CODES = {120, 3100}
THROTTLED, SUBSCRIPTION_ENDED, SERVER_ERROR = 3001, 6190, 10000
STALE, DUPLICATE_NUMBER, DUPLICATE_NAME, BUSINESS = 5010, 6140, 6240, 6000


@dataclass(frozen=True, slots=True)
class Fault:
    """The first error of an answer. code: 0 when it had none."""

    code: int
    message: str = ""
    detail: str = ""
    element: str = ""

    @property
    def text(self) -> str:
        return self.detail or self.message or f"code {self.code}"


def fault_in(answer: Any) -> Fault | None:
    """The fault of an answer, in the service's spelling or in the gateway's lower case; a 200 can carry one too."""
    if not isinstance(answer, Mapping):
        return None
    body = answer.get("Fault", answer.get("fault"))
    if not isinstance(body, Mapping):
        return None
    errors = body.get("Error") or body.get("error") or [{}]
    first = {str(name).lower(): value for name, value in errors[0].items()}
    digits = str(first.get("code") or "0").strip()
    return Fault(
        int(digits) if digits.isdigit() else 0,
        str(first.get("message") or ""),
        str(first.get("detail") or ""),
        str(first.get("element") or ""),
    )


def json_of(response: requests.Response) -> Any:
    """The answer's JSON with exact decimals; None for HTML, XML or nothing, which gateways answer at times."""
    try:
        return json.loads(response.content, parse_float=Decimal)
    except ValueError:
        return None


def is_token_refused(response: requests.Response, answer: Any) -> bool:
    """Is a new token worth a try? Not where the login itself may not in: that is for a person."""
    fault = fault_in(answer)
    if fault is not None and fault.code in ACCESS_CODES:
        return False
    return response.status_code == 401 or (fault is not None and fault.code in TOKEN_CODES)


def failure_of(response: requests.Response, answer: Any, *, write: bool) -> ConnectorError | None:
    """The failure that a whole call's answer means, or None when it succeeded."""
    fault = fault_in(answer)
    code = fault.code if fault else 0
    generic = failure_for(response, write=write)
    if response.status_code == 429 or code == THROTTLED:
        asked = generic.retry_after_s if isinstance(generic, TemporaryFailure) else None
        return Busy("QuickBooks asks for a pause: too many calls.", retry_after_s=asked or THROTTLE_PAUSE_S)
    if response.status_code == 403 or code in ACCESS_CODES:
        return ConfigurationFailure(
            "QuickBooks does not let this login into the company. Check the company ID (realm_id) and the environment, "
            "and that the user who connected is still an administrator there.",
            field="realm_id",
            reauthorise=True,
        )
    if code == SUBSCRIPTION_ENDED:
        return ConfigurationFailure("The QuickBooks subscription of this company has ended. Renew it there.")
    if generic is not None:
        return generic
    if code == SERVER_ERROR or (response.ok and answer is None):
        text = "QuickBooks answered something that is no result."
        return OutcomeUnknown(text) if write else TemporaryFailure(text)
    if fault is not None:
        return PermanentFailure(f"QuickBooks refused the call: {fault.text}")
    if response.ok:
        return None
    return ConfigurationFailure(
        f"There is no QuickBooks at this address (it answers {response.status_code}). Check base_url.", field="base_url"
    )


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one record was refused, for a person."""

    reason: str
    field: str = ""
    remedy: str = ""


_FIELDS = {
    "DocNumber": "number",
    "DisplayName": "name",
    "Name": "name",
    "CompanyName": "legal_name",
    "PrivateNote": "po_reference",
    "CustomerMemo": "memo",
    "value": "memo",
    "Description": "description",
    "BillEmail": "bill_to_email",
    "PrimaryEmailAddr": "email",
    "TxnDate": "dated_on",
    "CurrencyRef": "currency",
}
_MEANINGS = {
    610: ("The client or a service is inactive or gone in QuickBooks.", "", "Make it active again there, then retry."),
    2500: ("Something it refers to is unknown in QuickBooks.", "", "Unlink the client or service, then retry."),
    2020: ("QuickBooks misses a value", "", "Fill it in, then retry."),
    2050: ("A text is too long for QuickBooks", "", "Shorten it, then retry."),
    2210: ("The e-mail address is malformed.", "bill_to_email", "Mend it on the client, then retry."),
    6000: ("QuickBooks refuses it", "", "Mend what it names, then retry."),
    6070: ("A line's amount is not quantity x rate", "lines", "Report this: the hub rounded differently."),
    6140: ("The number is taken in QuickBooks.", "number", "Look at both documents, then link or renumber one."),
    6210: (
        "The books are closed for its date.",
        "dated_on",
        "Ask the bookkeeper to open the period, then retry. The hub does not move dates.",
    ),
    6240: ("The name is taken in QuickBooks.", "name", "Rename one of the two, or link them, then retry."),
    6540: ("It is part of a bank deposit.", "", "Take it out of the deposit there, then retry."),
}


def refusal_of(fault: Fault) -> Refusal:
    """The sentence, the field of ours and the remedy for a fault of one record."""
    meaning, field, remedy = _MEANINGS.get(fault.code, ("QuickBooks refuses it", "", "Mend it, then retry."))
    element = fault.element.rpartition(".")[2]
    reason = meaning if meaning.endswith(".") else f"{meaning}: {fault.text}"
    return Refusal(f"{reason} (code {fault.code})", field or _FIELDS.get(element, ""), remedy)
