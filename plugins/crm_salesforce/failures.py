"""What the vendor's errors mean for the hub: the typed failure of an answer (contract, sections 2 and 3).

Decided by errorCode, never by the text: texts are translated and change.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from requests import Response

from hub.sdk import (
    Busy,
    ConfigurationFailure,
    ConnectorError,
    OutcomeUnknown,
    PermanentFailure,
    QuotaSpent,
    TemporaryFailure,
    failure_for,
)

QUOTA_PAUSE = timedelta(hours=1)
"""The allocation is a rolling 24 hours without a time of reset: look again after so long."""
LOCK_PAUSE_S = 5.0

UNSURE = ("SERVER_UNAVAILABLE", "UNKNOWN_EXCEPTION")
"""Whether a write was carried out is not known."""
NOT_FOR_US = (
    "INSUFFICIENT_ACCESS_OR_READONLY",
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
    "INSUFFICIENT_ACCESS",
)
NO_SUCH_FIELD = ("INVALID_FIELD", "INVALID_FIELD_FOR_INSERT_UPDATE", "INVALID_TYPE")
"""A field or an object is not there, or not for us: it befalls every record alike."""
_NOT_THERE = (*NO_SUCH_FIELD, "NOT_FOUND", "INVALID_QUERY_FILTER_OPERATOR", "MALFORMED_QUERY")
_SWITCHED_OFF = ("API_DISABLED_FOR_ORG", "API_CURRENTLY_DISABLED")


class FieldsChanged(ConfigurationFailure):
    """An object or a field is not there, or not for us: the org is not as the last check found it."""


def errors_of(response: Response) -> list[dict[str, Any]]:
    """The error objects of an answer; none when its body is HTML, empty, or of another shape."""
    try:
        body = response.json()
    except ValueError:
        return []
    listed = body if isinstance(body, list) else [body]
    return [each for each in listed if isinstance(each, dict)]


def code_of(response: Response) -> str:
    return next((str(each["errorCode"]) for each in errors_of(response) if "errorCode" in each), "")


def is_expired_session(response: Response) -> bool:
    return response.status_code == 401 and code_of(response) == "INVALID_SESSION_ID"


def failure_of(response: Response, *, write: bool) -> ConnectorError:
    """The failure that an answer of 300 and above stands for. write: whether the call changes something."""
    errors = errors_of(response)
    code, text = code_of(response), _text(errors, response)
    if code in UNSURE:
        if write:
            return OutcomeUnknown(f"Salesforce answered “{text}”; it may have saved the record all the same.")
        return TemporaryFailure(f"Salesforce is not available: {text}.")
    if code == "REQUEST_LIMIT_EXCEEDED":
        return quota_spent("Salesforce allows no more API calls today")
    if code in ("UNABLE_TO_LOCK_ROW", "INVALID_QUERY_LOCATOR"):
        return Busy(f"Salesforce asks to try again: {text}.", retry_after_s=LOCK_PAUSE_S)
    generic = failure_for(response, write=write)
    if generic is not None:
        return generic
    if response.status_code == 420:  # no route to the org at this moment
        unreached = f"Salesforce did not reach the org: {text}"
        return OutcomeUnknown(f"{unreached}; it may have.") if write else TemporaryFailure(f"{unreached}.")
    if response.status_code == 410:
        return ConfigurationFailure(
            f"Salesforce has retired this API version: {text}. Set api_version to a newer one.", field="api_version"
        )
    if response.status_code == 401:
        return ConfigurationFailure(
            f"Salesforce refuses the session: {text}. Check the connected app and its user.", reauthorise=True
        )
    if code in _SWITCHED_OFF:
        return ConfigurationFailure(f"The API is switched off in this org: {text}. Its edition must include it.")
    if code in NOT_FOR_US:
        what, right = ("do this", "that right") if write else ("read this", "read access")
        return FieldsChanged(
            f"The integration user may not {what}: {text}. Give it {right}, then test the connection again."
        )
    if code in _NOT_THERE or (response.status_code == 404 and code != "ENTITY_IS_DELETED"):
        asked = "was sent" if write else "was asked for"
        return FieldsChanged(
            f"Salesforce does not know what {asked}: {text}. Test the connection again: fields or rights changed."
        )
    return PermanentFailure(f"Salesforce refuses this: {text}.", field=_field(errors))


def quota_spent(what: str) -> QuotaSpent:
    resets_at = datetime.now(UTC) + QUOTA_PAUSE
    return QuotaSpent(f"{what}; looked at again at {resets_at:%H:%M} UTC.", resets_at=resets_at)


def token_failure(response: Response, *, login_url: str) -> ConnectorError:
    """Why the token endpoint gave no token, naming the setting to mend."""
    generic = failure_for(response, write=False)
    if generic is not None:
        return generic
    answer = next((each for each in errors_of(response) if "error" in each), None)
    if answer is None:
        return ConfigurationFailure(
            f"{login_url} does not answer like Salesforce (HTTP {response.status_code}). Check the setting login_url.",
            field="login_url",
        )
    error, text = str(answer["error"]), str(answer.get("error_description", ""))
    field, remedy = _token_remedy(error, text.lower())
    return ConfigurationFailure(
        f"Salesforce gives no access: {text or error}. {remedy}", field=field, reauthorise=field is None
    )


def _token_remedy(error: str, text: str) -> tuple[str | None, str]:
    """The setting at fault and what to do. invalid_grant has one code for many faults: there only the text tells."""
    if error in ("invalid_client_id", "invalid_client"):
        field = "client_id" if error == "invalid_client_id" else "client_secret"
        return field, f"Check the setting {field} against the connected app."
    if "domain" in text:
        return "login_url", "Set login_url to the org's My Domain, https://NAME.my.salesforce.com."
    if "audience" in text:
        return "login_url", "Use https://test.salesforce.com as login_url for a sandbox org."
    if "no client credentials user" in text:
        return "client_id", "Choose a “run as” user in the client credentials flow of the connected app."
    if "approved" in text or "user" in text:
        return "username", "Check the setting username, and pre-authorise the app for this user."
    if "assertion" in text:
        return "private_key", "Check that private_key belongs to the certificate of the connected app."
    return None, "Check the connected app in Salesforce, and connect again."


def _text(errors: list[dict[str, Any]], response: Response) -> str:
    for error in errors:
        if error.get("message"):
            return str(error["message"])[:300].rstrip(".")
    return f"HTTP {response.status_code}"


def _field(errors: list[dict[str, Any]]) -> str | None:
    return next((str(name) for error in errors for name in error.get("fields") or ()), None)
