"""What a plugin author tests with: records to tell a plugin about, and fixtures that tell it as a worker would.

The fixtures come by themselves (the hub is a pytest plugin): `tell`, `check_plugin`, `plugin_context`. Neither a hub
nor a network is needed; register the other system's answers with the library `responses`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import structlog

from hub.core import hookspecs
from hub.core.database import uuid7
from hub.core.invoicing.rules import line_net, taxes_of, totals_of
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
    TimeEntryRecord,
)
from hub.notify.context import PluginContext
from hub.notify.plugin_http import PluginHttp
from hub.plugin_host import Hooks, Implementation, check_implementations

R = TypeVar("R")


# Records: complete, and with whatever the test says otherwise ---------------------------------------------------------


def a_company(**values: Any) -> CompanyRecord:
    """The firm itself."""
    return _with(
        CompanyRecord(uuid7(), 1, "Northwind Consulting Ltd", "GB", "Europe/London", "GBP", Decimal(20), 30), values
    )


def a_client(**values: Any) -> ClientRecord:
    """Who buys."""
    address = Address("1 Harbour Street", "Bristol", "", "BS1 4ST", "GB")
    record = ClientRecord(
        id=uuid7(),
        revision=1,
        name="Harbour Foods",
        legal_name="Harbour Foods Ltd",
        currency="GBP",
        address=address,
        tax_id="",
        email="accounts@harbour-foods.example",
        phone="",
        website="https://harbour-foods.example",
        tax_exempt=False,
        archived=False,
    )
    return _with(record, values)


def a_contact(**values: Any) -> ContactRecord:
    """Someone who works for a client."""
    record = ContactRecord(uuid7(), 1, uuid7(), "Grace", "Hopper", "grace@harbour-foods.example", "", "Head of IT")
    return _with(record, values)


def a_person(**values: Any) -> PersonRecord:
    """Someone who works for the firm."""
    return _with(PersonRecord(uuid7(), 1, "Ada Lovelace", "ada@northwind.example", "", True), values)


def a_project(**values: Any) -> ProjectRecord:
    """Work for a client."""
    record = ProjectRecord(
        id=uuid7(),
        revision=1,
        company_id=uuid7(),
        client_id=uuid7(),
        name="Website relaunch",
        code="WEB",
        status="active",
        starts_on=date(2026, 1, 5),
        ends_on=None,
        currency="GBP",
        budget=None,
    )
    return _with(record, values)


def a_task(**values: Any) -> TaskRecord:
    """Part of a project."""
    return _with(TaskRecord(uuid7(), 1, uuid7(), None, "Design", True), values)


def a_service(**values: Any) -> ServiceRecord:
    """What is sold."""
    return _with(ServiceRecord(uuid7(), 1, "Consulting hours", "", "", "hours", "HUR", None, True), values)


def a_time_entry(**values: Any) -> TimeEntryRecord:
    """An hour and a half of work."""
    record = TimeEntryRecord(
        id=uuid7(),
        revision=1,
        project_id=uuid7(),
        task_id=uuid7(),
        person_id=uuid7(),
        worked_on=date(2026, 10, 1),
        seconds=5_400,
        note="Workshop",
        billable=True,
        status="approved",
        external_id="",
    )
    return _with(record, values)


def an_invoice_line(**values: Any) -> InvoiceLineRecord:
    """Ten hours at 80.00; net is quantity x rate unless said otherwise."""
    record = InvoiceLineRecord(
        id=uuid7(),
        position=1,
        service_id=uuid7(),
        description="Design",
        quantity=Decimal("10.00"),
        unit="HUR",
        rate=Decimal("80.00"),
        net=Decimal("800.00"),
        tax_rate=Decimal(20),
    )
    changed = _with(record, values)
    return changed if "net" in values else replace(changed, net=line_net(changed.quantity, changed.rate, "GBP"))


def an_invoice(**values: Any) -> InvoiceRecord:
    """An issued invoice; taxes and totals are those of its lines unless said otherwise."""
    lines = tuple(values.pop("lines", None) or (an_invoice_line(),))
    currency = values.get("currency", "GBP")
    record = InvoiceRecord(
        id=uuid7(),
        revision=1,
        company_id=uuid7(),
        client_id=uuid7(),
        client_name="Harbour Foods Ltd",
        bill_to=Address("1 Harbour Street", "Bristol", "", "BS1 4ST", "GB"),
        bill_to_email="accounts@harbour-foods.example",
        project_id=None,
        number="INV-00001",
        status="issued",
        dated_on=date(2026, 10, 31),
        due_on=date(2026, 11, 30),
        currency=currency,
        lines=lines,
        **_totals(lines, currency),
        paid=Decimal(0),
        memo="",
        po_reference="",
        period_from=date(2026, 10, 1),
        period_to=date(2026, 10, 31),
    )
    return _with(record, values)


def a_payment(**values: Any) -> PaymentRecord:
    """Money received for one invoice."""
    amount = values.get("amount", Decimal("960.00"))
    record = PaymentRecord(
        id=uuid7(),
        revision=1,
        client_id=uuid7(),
        currency="GBP",
        amount=amount,
        received_on=date(2026, 11, 15),
        reference="",
        allocations=(AllocationRecord(uuid7(), amount),),
    )
    return _with(record, values)


# Telling a plugin -----------------------------------------------------------------------------------------------------


def a_context(
    *,
    settings: Mapping[str, Any] | None = None,
    external_ids: Mapping[tuple[str, UUID], str] | None = None,
    idempotency_key: str = "event-1",
) -> PluginContext:
    """A context as a worker makes it. external_ids: (kind, our id) → what it is called over there."""
    known = dict(external_ids or {})

    def no_database(work: Callable[..., Any]) -> Any:
        raise AssertionError("This context has no database; test a plugin with tables on a hub of its own.")

    return PluginContext(
        settings=dict(settings or {}),
        http=PluginHttp(),
        external_id=lambda kind, record_id: known.get((kind, record_id)),
        idempotency_key=idempotency_key,
        log=structlog.get_logger("plugin"),
        transact=no_database,
    )


def tell_plugin(
    plugin: Any, hook: str, record: Any = None, *, context: PluginContext | None = None, **more: Any
) -> None:
    """Call a plugin's tell hook as a worker does: in its own try, with only the arguments that it asks for.

    record: for the hook's first argument. more: other arguments by name; settings, external_ids and idempotency_key
    go into the context. What the plugin raises is raised: a HubError as it is, anything else as PluginFault.
    """
    implemented = check_implementations(plugin)
    if hook not in implemented:
        raise AssertionError(f"{plugin.__name__} does not implement {hook}; it implements {', '.join(implemented)}.")
    about = {name: more.pop(name) for name in ("settings", "external_ids", "idempotency_key") if name in more}
    function = getattr(plugin, hook)
    first = next(iter(inspect.signature(getattr(hookspecs, hook)).parameters))
    arguments = {**({first: record} if record is not None else {}), **more, "context": context or a_context(**about)}
    name = getattr(plugin, "__name__", str(plugin))
    implementation = Implementation(name, function, tuple(inspect.signature(function).parameters))
    Hooks({hook: [implementation]}).tell(hook, name, **arguments)


def _with(record: R, values: Mapping[str, Any]) -> R:
    known = {item.name for item in fields(record)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    if unknown:
        raise TypeError(f"{type(record).__name__} has no field {unknown[0]}; it has {', '.join(sorted(known))}.")
    return replace(record, **values)  # type: ignore[type-var]


def _totals(lines: tuple[InvoiceLineRecord, ...], currency: str) -> dict[str, Any]:
    taxes, totals = taxes_of(lines, currency), totals_of(lines, currency)
    return {"taxes": taxes, "net": totals.net, "tax": totals.tax, "total": totals.total}
