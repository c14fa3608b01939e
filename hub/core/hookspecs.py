"""Every hook of the hub: the table of contents of what a plugin can do.

A hook has one of five kinds, named in its docstring, which fixes what happens to answers and failures:

tell      Something happened. Called in a worker after the change is committed, in the order of the record's
          revisions, possibly more than once: make what you do repeatable. Raise TemporaryFailure to be called again
          later; any other failure parks the notice for this record and this plugin. The answer is ignored.
check     May this be done? Called inside the transaction: no calls to other systems. Return the reasons against it,
          one short sentence each, or nothing. A plugin that fails is a reason too: checks fail closed.
first     The first answer that is not None wins, in the effective order. A plugin that fails is passed over.
collect   Contributions, called when the hub is put together. Return a list. A plugin that fails contributes nothing
          and is shown with its reason.
pipeline  Each plugin may change the value and returns it (or None for no change). A plugin that fails is passed over.

Arguments a plugin does not need it leaves out of its signature. Past participles tell, imperatives ask.
"""

# pluggy reads the signatures only: the functions have a docstring and no body.
# mypy: disable-error-code="empty-body"

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pluggy

if TYPE_CHECKING:
    from hub.core.records import (
        ClientRecord,
        InvoiceLineRecord,
        InvoiceRecord,
        PaymentRecord,
        ProjectRecord,
        TimeEntryRecord,
    )

hookspec = pluggy.HookspecMarker("hub")

# Tell -----------------------------------------------------------------------------------------------------------------


@hookspec
def client_changed(client: ClientRecord, context: Any) -> None:
    """A client was created or changed. Kind: tell; since 1.0."""


@hookspec
def project_changed(project: ProjectRecord, context: Any) -> None:
    """A project was created or changed. Kind: tell; since 1.0."""


@hookspec
def time_approved(entry: TimeEntryRecord, context: Any) -> None:
    """A time entry was approved. Kind: tell; since 1.0."""


@hookspec
def invoice_issued(invoice: InvoiceRecord, context: Any) -> None:
    """An invoice was numbered and frozen. Kind: tell; since 1.0."""


@hookspec
def invoice_paid(invoice: InvoiceRecord, context: Any) -> None:
    """Payments cover an invoice in full. Kind: tell; since 1.0."""


@hookspec
def payment_received(payment: PaymentRecord, context: Any) -> None:
    """A payment was entered here or came back from accounting. Kind: tell; since 1.0."""


@hookspec
def lineage_recorded(origin_kind: str, origin_id: UUID, kind: str, record_id: UUID, context: Any) -> None:
    """A record came out of another one: a project out of a deal. Kind: tell; since 1.0."""


# Check ----------------------------------------------------------------------------------------------------------------


@hookspec
def check_invoice(invoice: InvoiceRecord) -> Sequence[str]:
    """May this draft be issued? Return what stands against it. Kind: check; since 1.0."""


# First ----------------------------------------------------------------------------------------------------------------


@hookspec
def rate_for(project_id: UUID, task_id: UUID, person_id: UUID, worked_on: date, currency: str) -> Decimal | None:
    """The hourly rate of a piece of work, ahead of the rate cards. Kind: first; since 1.0."""


# Pipeline -------------------------------------------------------------------------------------------------------------


@hookspec
def shape_invoice_lines(lines: list[InvoiceLineRecord], currency: str) -> list[InvoiceLineRecord]:
    """The lines of a draft, before it is saved: describe, order or group them. Kind: pipeline; since 1.0."""


# Collect --------------------------------------------------------------------------------------------------------------


@hookspec
def connectors() -> Sequence[type]:
    """Connector classes (hub.sdk.Connector), each for one kind of system. Kind: collect; since 1.0."""


@hookspec
def record_kinds() -> Sequence[Any]:
    """Record kinds (hub.sdk.RecordKind) that connections can subscribe to. Kind: collect; since 1.0."""


@hookspec
def migrations() -> Sequence[str]:
    """Folders with this plugin's Alembic revisions, as "package:folder"; its tables have its own branch.
    Kind: collect; since 1.0."""


@hookspec
def permissions() -> Sequence[Any]:
    """Permissions this plugin adds (hub.sdk.Permission), and the roles that hold them. Kind: collect; since 1.0."""


@hookspec
def api_blueprints() -> Sequence[Any]:
    """Flask blueprints for /api/v1 (hub.sdk.web.api_blueprint). Every route names a permission or is marked public.
    Kind: collect; since 1.0."""


@hookspec
def page_blueprints() -> Sequence[Any]:
    """Flask blueprints with pages (hub.sdk.web.page_blueprint). Kind: collect; since 1.0."""


@hookspec
def navigation() -> Sequence[Any]:
    """Entries of the main menu (hub.sdk.web.NavigationEntry). Kind: collect; since 1.0."""


@hookspec
def home_panels(user: Any) -> Sequence[Any]:
    """What this plugin shows on a user's home page (hub.sdk.web.Panel). Kind: collect, per request; since 1.0."""


@hookspec
def commands() -> Sequence[Any]:
    """Click commands for the `hub` command line. Kind: collect; since 1.0."""


@hookspec
def schedules() -> Sequence[Any]:
    """Things to do at fixed intervals in a worker (hub.sdk.Schedule). Kind: collect; since 1.0."""


@hookspec
def import_layouts() -> Sequence[Any]:
    """Layouts of other systems' exports (hub.sdk.ImportLayout). Kind: collect; since 1.0."""


@hookspec
def sandboxes() -> Sequence[Any]:
    """Stand-ins of vendors' APIs for trying a connector out (hub.sdk.SandboxSpec). Kind: collect; since 1.0."""
