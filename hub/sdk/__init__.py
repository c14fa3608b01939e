"""All that a plugin imports from the hub.

A hook implementation needs `hookimpl`; a connector the contract; a plugin with tables and pages also `hub.sdk.tables`
and `hub.sdk.web`. What is not exported here is private and may change with every release.
"""

from __future__ import annotations

import pluggy

from hub.core.clients.rules import normalised_name
from hub.core.errors import (
    AccessDenied,
    ConfigurationFailure,
    ConnectorError,
    NotFound,
    OutcomeUnknown,
    PermanentFailure,
    QuotaSpent,
    RuleBroken,
    TemporaryFailure,
    WebhookRejected,
)
from hub.core.money import currency_code, exponent, money_text, rounded, rounded_to
from hub.core.records import (
    Address,
    AllocationRecord,
    ClientRecord,
    CompanyRecord,
    ContactRecord,
    InvoiceLineRecord,
    InvoiceRecord,
    PaymentRecord,
    PersonRecord,
    ProjectRecord,
    ServiceRecord,
    TaskRecord,
    TaxGroup,
    TimeEntryRecord,
)
from hub.http import HttpClient, failure_for
from hub.sync.connector import (
    Batch,
    Change,
    CheckResult,
    ConnectionContext,
    Connector,
    Cursor,
    Finding,
    Found,
    Hint,
    Limit,
    Missing,
    Op,
    Outcome,
    Page,
    Ref,
    Refused,
    RemoteIds,
    RemoteRef,
    Sending,
    StatementLine,
    Status,
    Stream,
    Values,
)
from hub.testing.sandbox_spec import SandboxSpec

hookimpl = pluggy.HookimplMarker("hub")

__all__ = [
    "AccessDenied",
    "Address",
    "AllocationRecord",
    "Batch",
    "Change",
    "CheckResult",
    "ClientRecord",
    "CompanyRecord",
    "ConfigurationFailure",
    "ConnectionContext",
    "Connector",
    "ConnectorError",
    "ContactRecord",
    "Cursor",
    "Finding",
    "Found",
    "Hint",
    "HttpClient",
    "InvoiceLineRecord",
    "InvoiceRecord",
    "Limit",
    "Missing",
    "NotFound",
    "Op",
    "Outcome",
    "OutcomeUnknown",
    "Page",
    "PaymentRecord",
    "PermanentFailure",
    "PersonRecord",
    "ProjectRecord",
    "QuotaSpent",
    "Ref",
    "Refused",
    "RemoteIds",
    "RemoteRef",
    "RuleBroken",
    "SandboxSpec",
    "Sending",
    "ServiceRecord",
    "StatementLine",
    "Status",
    "Stream",
    "TaskRecord",
    "TaxGroup",
    "TemporaryFailure",
    "TimeEntryRecord",
    "Values",
    "WebhookRejected",
    "currency_code",
    "exponent",
    "failure_for",
    "hookimpl",
    "money_text",
    "normalised_name",
    "rounded",
    "rounded_to",
]
