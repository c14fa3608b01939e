"""The kinds of problems the API answers with (RFC 9457), each documented under its own address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from hub.core.errors import (
    AccessDenied,
    ConfigurationFailure,
    ConnectorError,
    HubError,
    NotFound,
    PluginFault,
    QuotaSpent,
    RuleBroken,
    SetupError,
    TemporaryFailure,
    WebhookRejected,
)

TYPES: Final = "/api/v1/problems/"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem. title: the same for every occurrence. text: what it means and what to do."""

    code: str
    status: int
    title: str
    text: str


KINDS: Final = {
    kind.code: kind
    for kind in (
        Kind(
            "malformed", 400, "Malformed request", "The request cannot be read: JSON, a header or a cursor is broken."
        ),
        Kind("idempotency-key-missing", 400, "Idempotency-Key missing", "This request must carry an Idempotency-Key."),
        Kind("not-signed-in", 401, "Not signed in", "Send a good API key as Authorization: Bearer."),
        Kind("scope-missing", 403, "Not allowed", "The key or user does not hold the permission that is needed."),
        Kind("not-found", 404, "Not found", "There is no such record, or it is not yours to see."),
        Kind("method-not-allowed", 405, "Method not allowed", "The address exists, but not for this method."),
        Kind("rule-broken", 409, "A rule says no", "The record is in a state in which this cannot be done."),
        Kind("invalid-transition", 409, "Not possible in this state", "Read the record to see what may be done now."),
        Kind("conflict", 409, "Conflict", "Another record has this value already, or changed at the same moment."),
        Kind(
            "idempotency-in-progress", 409, "Still running", "A request with this key is running; wait and repeat it."
        ),
        Kind("precondition-failed", 412, "Changed meanwhile", "The record is not as If-Match says; read it again."),
        Kind("payload-too-large", 413, "Too large", "Send less at a time."),
        Kind("unsupported-media-type", 415, "Unsupported media type", "Send application/json."),
        Kind("validation", 422, "Not valid", "Some values are wrong; `errors` names each of them."),
        Kind("idempotency-mismatch", 422, "Key used before", "This key belongs to another request; take a new one."),
        Kind("precondition-required", 428, "If-Match needed", "Send the ETag that you read as If-Match."),
        Kind("quota-exceeded", 429, "Too many requests", "Wait as long as Retry-After says."),
        Kind("internal", 500, "Something went wrong", "It is in the log under the request id."),
        Kind("upstream-refused", 502, "The other system refused", "The connected system did not do what was asked."),
        Kind("upstream-unavailable", 503, "Not available now", "Something the hub needs cannot be reached; try later."),
    )
}

_BY_STATUS: Final = {kind.status: kind for kind in reversed(KINDS.values())}


@dataclass(frozen=True, slots=True)
class Problem:
    """One occurrence. code: finer than the kind where a rule or a plugin has its own."""

    kind: Kind
    detail: str
    code: str = ""
    errors: tuple[dict[str, str], ...] = ()
    retry_after_s: int | None = None

    def body(self, *, instance: str, request_id: str) -> dict[str, Any]:
        """The members of application/problem+json."""
        found: dict[str, Any] = {
            "type": TYPES + self.kind.code,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "instance": instance,
            "code": self.code or self.kind.code,
            "request_id": request_id,
        }
        return {**found, "errors": list(self.errors)} if self.errors else found


class Refused(HubError):
    """A request that is refused for its own form: a header, a cursor, a body that is no JSON."""

    def __init__(self, code: str, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.kind = KINDS[code]
        self.retry_after_s = retry_after_s


def problem_of_status(status: int, detail: str) -> Problem:
    """A problem that has no more to say than its status."""
    kind = _BY_STATUS.get(status) or Kind("malformed" if status < 500 else "internal", status, "Refused", detail)
    return Problem(kind, detail)


def problem_of(failure: HubError) -> Problem:
    """What an error of the hub means to whoever asked."""
    if isinstance(failure, Refused):
        return Problem(failure.kind, str(failure), retry_after_s=failure.retry_after_s)
    if isinstance(failure, RuleBroken):
        return _of_rule(failure)
    if isinstance(failure, ConfigurationFailure):
        pointer = f"/settings/{failure.field}" if failure.field else "/settings"
        return Problem(KINDS["validation"], str(failure), errors=(_error(pointer, str(failure)),))
    retry_after_s = getattr(failure, "retry_after_s", None)
    code = next(code for kind, code in _CODES if isinstance(failure, kind))
    return Problem(KINDS[code], str(failure), retry_after_s=None if retry_after_s is None else int(retry_after_s))


def refused_reference(failure: NotFound, values: Mapping[str, Any]) -> RuleBroken | None:
    """When a field of the body named the record that is not there, that is a wrong value and no wrong address."""
    field = _naming(str(failure), values)
    return RuleBroken(str(failure), fields={field: str(failure)}) if field else None


def _naming(message: str, values: Mapping[str, Any]) -> str:
    for name, value in values.items():
        if name.endswith("_id") and isinstance(value, UUID) and str(value) in message:
            return name
        for index, part in enumerate(value if isinstance(value, list) else ()):
            inner = _naming(message, part) if isinstance(part, Mapping) else ""
            if inner:
                return f"{name}.{index}.{inner}"
    return ""


def _of_rule(failure: RuleBroken) -> Problem:
    own_code = "" if failure.code == "rule-broken" else failure.code
    if failure.fields:
        errors = tuple(_error(f"/{name.replace('.', '/')}", text) for name, text in failure.fields.items())
        return Problem(KINDS["validation"], str(failure), own_code, errors)
    kind = KINDS.get(failure.code, KINDS["rule-broken"])
    return Problem(kind, str(failure), own_code, retry_after_s=failure.retry_after_s)


def _error(pointer: str, message: str) -> dict[str, str]:
    return {"pointer": pointer, "code": "invalid", "message": message}


_CODES: Final[tuple[tuple[type[HubError], str], ...]] = (
    (NotFound, "not-found"),
    (AccessDenied, "scope-missing"),
    (WebhookRejected, "not-signed-in"),
    (TemporaryFailure, "upstream-unavailable"),
    (QuotaSpent, "upstream-unavailable"),
    (ConnectorError, "upstream-refused"),
    (PluginFault, "upstream-unavailable"),
    (SetupError, "upstream-unavailable"),
    (HubError, "internal"),
)
