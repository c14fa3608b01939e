"""Frozen values that go out to plugins and come back from them.

A record is what the outside sees of a row: complete, immutable, without a database behind it. Amounts are Decimal in
the currency beside them; days end in `_on`, instants in `_at` and are aware UTC; `revision` grows with each change.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Address:
    street: str = ""
    city: str = ""
    region: str = ""
    postcode: str = ""
    country: str = ""
    """ISO 3166-1 alpha-2."""


@dataclass(frozen=True, slots=True)
class CompanyRecord:
    """A legal entity of the firm. tax_rate: per cent, on a line unless its service or client says otherwise."""

    id: UUID
    revision: int
    name: str
    country: str
    time_zone: str
    currency: str
    tax_rate: Decimal
    payment_days: int


@dataclass(frozen=True, slots=True)
class ClientRecord:
    """Who buys. name: what sales calls it; legal_name: what stands on documents (the name, unless finance set one)."""

    id: UUID
    revision: int
    name: str
    legal_name: str
    currency: str | None
    address: Address
    tax_id: str
    email: str
    phone: str
    website: str
    tax_exempt: bool
    archived: bool


@dataclass(frozen=True, slots=True)
class ContactRecord:
    id: UUID
    revision: int
    client_id: UUID
    first_name: str
    last_name: str
    email: str
    phone: str
    job_title: str


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """Who works. external_id: the person's number in the system their time came from."""

    id: UUID
    revision: int
    name: str
    email: str
    external_id: str
    active: bool


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    """Work for a client. status: planned, active, done, cancelled. budget: in `currency`, without tax."""

    id: UUID
    revision: int
    company_id: UUID
    client_id: UUID
    name: str
    code: str
    status: str
    starts_on: date | None
    ends_on: date | None
    currency: str
    budget: Decimal | None


@dataclass(frozen=True, slots=True)
class TaskRecord:
    id: UUID
    revision: int
    project_id: UUID
    service_id: UUID | None
    name: str
    billable: bool


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """What is sold. kind: hours, expense, fixed_fee, ... unit: a UN/ECE code (HUR).

    tax_rate: in per cent; None takes the company's.
    """

    id: UUID
    revision: int
    name: str
    code: str
    description: str
    kind: str
    unit: str
    tax_rate: Decimal | None
    active: bool


@dataclass(frozen=True, slots=True)
class TimeEntryRecord:
    """A block of work. seconds: an integer, 0.01 h is 36 s. status: open, submitted, approved, rejected, billed."""

    id: UUID
    revision: int
    project_id: UUID
    task_id: UUID
    person_id: UUID
    worked_on: date
    seconds: int
    note: str
    billable: bool
    status: str
    external_id: str


@dataclass(frozen=True, slots=True)
class InvoiceLineRecord:
    """One line: net = quantity x rate, rounded half up to the currency. tax_rate in per cent."""

    id: UUID
    position: int
    service_id: UUID
    description: str
    quantity: Decimal
    unit: str
    rate: Decimal
    net: Decimal
    tax_rate: Decimal


@dataclass(frozen=True, slots=True)
class TaxGroup:
    """Tax of all lines with one rate: tax = base x rate, rounded once (EN 16931, BR-CO-17)."""

    rate: Decimal
    base: Decimal
    tax: Decimal


@dataclass(frozen=True, slots=True)
class InvoiceRecord:
    """An invoice. number and issued_on are empty while it is a draft. status: draft, issued, paid.

    client_name and bill_to are frozen when it is issued. total = net + tax; paid: what payments cover so far.
    """

    id: UUID
    revision: int
    company_id: UUID
    client_id: UUID
    client_name: str
    bill_to: Address
    bill_to_email: str
    project_id: UUID | None
    number: str
    status: str
    dated_on: date
    due_on: date
    currency: str
    lines: tuple[InvoiceLineRecord, ...]
    taxes: tuple[TaxGroup, ...]
    net: Decimal
    tax: Decimal
    total: Decimal
    paid: Decimal
    memo: str
    po_reference: str
    period_from: date | None
    period_to: date | None


@dataclass(frozen=True, slots=True)
class AllocationRecord:
    invoice_id: UUID
    amount: Decimal


@dataclass(frozen=True, slots=True)
class PaymentRecord:
    """Money received. amount may exceed what is allocated to invoices: the rest is the client's credit."""

    id: UUID
    revision: int
    client_id: UUID
    currency: str
    amount: Decimal
    received_on: date
    reference: str
    allocations: tuple[AllocationRecord, ...]


@dataclass(frozen=True, slots=True)
class EventRecord:
    """Something that happened. sequence grows with each event of the hub."""

    sequence: int
    name: str
    kind: str
    record_id: UUID
    revision: int
    happened_at: datetime
    payload: dict[str, object]
