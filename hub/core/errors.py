"""The error tree of the hub, by what the caller should do.

    HubError
    ├── NotFound                 no such record                      → 404
    ├── RuleBroken               a business rule says no             → 409 (a state), 422 (a value)
    ├── AccessDenied             who asks may not                    → 403
    ├── SetupError               the hub itself is set up wrongly    → one sentence and exit code 1
    ├── WebhookRejected          signature or shape is wrong         → 401, nothing stored
    ├── ConnectorError           another system; raised in plugins or hub.http, caught only in hub.sync
    │   ├── TemporaryFailure     busy or unreachable (retry_after_s) → wait, try again, park when spent
    │   │   └── Busy             it works, but not for us now        → the same; no sign of trouble over there
    │   ├── OutcomeUnknown       sent, but no answer came            → look it up before anything is sent again
    │   ├── QuotaSpent           the limit of a period (resets_at)   → defer, with the time it resumes
    │   ├── PermanentFailure     it refused this record              → park the link for a person
    │   └── ConfigurationFailure credentials or settings are wrong   → hold the connection, say what to mend
    └── PluginFault              a plugin broke the contract         → isolate, logged with traceback

The text of an error is for people: what, which record, what to do; never a secret, never a whole payload.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from datetime import datetime


class HubError(Exception):
    """Something the hub can explain went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or inspect.cleandoc(type(self).__doc__ or "").partition("\n")[0])


class NotFound(HubError):
    """There is no such record."""


class RuleBroken(HubError):
    """A business rule says no.

    code: a stable name for programs. fields: what is wrong with which field; with fields the caller sent a wrong
    value (422), without them the record is in the wrong state (409). retry_after_s: when it would be possible again.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str = "rule-broken",
        fields: Mapping[str, str] | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.fields = dict(fields or {})
        self.retry_after_s = retry_after_s


class AccessDenied(HubError):
    """You may not do this."""


class SetupError(HubError):
    """The hub is not set up to do this."""


class WebhookRejected(HubError):
    """The message is not signed by the system it claims to come from."""


class ConnectorError(HubError):
    """Another system did not do what was asked."""


class TemporaryFailure(ConnectorError):
    """The other system is busy or unreachable; the same call may work later."""

    def __init__(self, message: str | None = None, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Busy(TemporaryFailure):
    """The other system works, but does not take this call now: too many calls, or a record that is locked."""


class OutcomeUnknown(ConnectorError):
    """The request was sent, but no answer came; it may have been carried out."""


class QuotaSpent(ConnectorError):
    """The other system's limit for a period is used up."""

    def __init__(self, message: str | None = None, *, resets_at: datetime | None = None) -> None:
        super().__init__(message)
        self.resets_at = resets_at


class PermanentFailure(ConnectorError):
    """The other system refuses this record as it is."""

    def __init__(self, message: str | None = None, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class ConfigurationFailure(ConnectorError):
    """The connection's credentials or settings are wrong.

    field: the setting to mend. reauthorise: the other system must be connected again.
    """

    def __init__(self, message: str | None = None, *, field: str | None = None, reauthorise: bool = False) -> None:
        super().__init__(message)
        self.field = field
        self.reauthorise = reauthorise


class PluginFault(HubError):
    """A plugin failed in a way it should not."""
