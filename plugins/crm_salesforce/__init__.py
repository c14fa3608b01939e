"""Salesforce: accounts, contacts and won opportunities come in, registered deals go out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hub.sdk import SandboxSpec, hookimpl
from plugins.crm_salesforce.connector import Salesforce

if TYPE_CHECKING:
    from plugins.crm_salesforce.sandbox import SalesforceSandbox

__all__ = ["Salesforce"]

SANDBOX_OPTIONS = (
    "country",
    "currency",
    "currencies",
    "hub_id_field",
    "seed",
    "organization",
    "client_id",
    "client_secret",
    "username",
    "certificate",
    "daily_calls",
    "session_s",
    "page_size",
    "duplicate_rule",
    "missing",
    "closed",
    "save_s",
    "bad_field_refuses",
    "trims_text",
)


@hookimpl
def connectors() -> Sequence[type]:
    return [Salesforce]


@hookimpl
def sandboxes() -> Sequence[SandboxSpec]:
    return [SandboxSpec("salesforce", "Salesforce REST API", _create_sandbox, SANDBOX_OPTIONS)]


def _create_sandbox(*, state_file: Path | None = None, **options: Any) -> SalesforceSandbox:
    from plugins.crm_salesforce.sandbox import SalesforceSandbox

    return SalesforceSandbox(state_file=state_file, **options)
