"""Invoices and their lines."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from hub.core.columns import Amount, Rate
from hub.core.database import Base, Identified, Revised
from hub.core.invoicing.rules import taxes_of
from hub.core.records import Address, InvoiceLineRecord, InvoiceRecord


class InvoiceStatus(StrEnum):
    DRAFT = "draft"
    ISSUED = "issued"
    PAID = "paid"


class Invoice(Revised, Base):
    """An invoice. A draft has no number; an issued one is never edited or deleted.

    client_name, legal address and e-mail are frozen when it is issued. imported: it was issued elsewhere before the
    hub knew it, and is owed to nobody. paid: what payments cover so far, kept by the payments service.
    """

    __tablename__ = "invoice"
    __table_args__ = (
        UniqueConstraint("company_id", "number"),
        CheckConstraint("(status = 'draft') = (number IS NULL)", name="draft_has_no_number"),
        CheckConstraint("total = net + tax", name="total_is_net_plus_tax"),
        Index("ix_invoice_status_dated_on", "status", "dated_on"),
    )

    company_id: Mapped[UUID] = mapped_column(ForeignKey("company.id"))
    client_id: Mapped[UUID] = mapped_column(ForeignKey("client.id"), index=True)
    project_id: Mapped[UUID | None] = mapped_column(ForeignKey("project.id"), index=True)
    number: Mapped[str | None]
    status: Mapped[str] = mapped_column(default=InvoiceStatus.DRAFT)
    dated_on: Mapped[date]
    due_on: Mapped[date]
    period_from: Mapped[date | None]
    period_to: Mapped[date | None]
    currency: Mapped[str]
    client_name: Mapped[str]
    street: Mapped[str] = mapped_column(default="")
    city: Mapped[str] = mapped_column(default="")
    region: Mapped[str] = mapped_column(default="")
    postcode: Mapped[str] = mapped_column(default="")
    country: Mapped[str] = mapped_column(default="")
    bill_to_email: Mapped[str] = mapped_column(default="")
    net: Mapped[Decimal] = mapped_column(Amount())
    tax: Mapped[Decimal] = mapped_column(Amount())
    total: Mapped[Decimal] = mapped_column(Amount())
    paid: Mapped[Decimal] = mapped_column(Amount(), default=Decimal(0))
    memo: Mapped[str] = mapped_column(Text, default="")
    po_reference: Mapped[str] = mapped_column(default="")
    imported: Mapped[bool] = mapped_column(default=False)
    issued_at: Mapped[datetime | None]

    lines: Mapped[list[InvoiceLine]] = relationship(
        order_by="InvoiceLine.position", cascade="all, delete-orphan", lazy="selectin"
    )

    def to_record(self) -> InvoiceRecord:
        lines = tuple(line.to_record() for line in self.lines)
        return InvoiceRecord(
            id=self.id,
            revision=self.revision,
            company_id=self.company_id,
            client_id=self.client_id,
            client_name=self.client_name,
            bill_to=Address(self.street, self.city, self.region, self.postcode, self.country),
            bill_to_email=self.bill_to_email,
            project_id=self.project_id,
            number=self.number or "",
            status=str(self.status),
            dated_on=self.dated_on,
            due_on=self.due_on,
            currency=self.currency,
            lines=lines,
            taxes=taxes_of(lines, self.currency),
            net=self.net,
            tax=self.tax,
            total=self.total,
            paid=self.paid,
            memo=self.memo,
            po_reference=self.po_reference,
            period_from=self.period_from,
            period_to=self.period_to,
        )


class InvoiceLine(Identified, Base):
    """One line: net = quantity x rate, rounded to the currency."""

    __tablename__ = "invoice_line"
    __table_args__ = (UniqueConstraint("invoice_id", "position"),)

    invoice_id: Mapped[UUID] = mapped_column(ForeignKey("invoice.id", ondelete="CASCADE"))
    position: Mapped[int]
    service_id: Mapped[UUID] = mapped_column(ForeignKey("service.id"))
    description: Mapped[str] = mapped_column(Text)
    quantity: Mapped[Decimal] = mapped_column(Rate())
    unit: Mapped[str]
    rate: Mapped[Decimal] = mapped_column(Rate())
    net: Mapped[Decimal] = mapped_column(Amount())
    tax_rate: Mapped[Decimal] = mapped_column(Rate())

    def to_record(self) -> InvoiceLineRecord:
        return InvoiceLineRecord(
            id=self.id,
            position=self.position,
            service_id=self.service_id,
            description=self.description,
            quantity=self.quantity,
            unit=self.unit,
            rate=self.rate,
            net=self.net,
            tax_rate=self.tax_rate,
        )


class LineEntry(Identified, Base):
    """Which time is on which line, and how much of it. An entry is on one line at most until it can be credited."""

    __tablename__ = "invoice_line_entry"
    __table_args__ = (UniqueConstraint("time_entry_id"), Index("ix_invoice_line_entry_line_id", "line_id"))

    line_id: Mapped[UUID] = mapped_column(ForeignKey("invoice_line.id", ondelete="CASCADE"))
    time_entry_id: Mapped[UUID] = mapped_column(ForeignKey("time_entry.id"))
    hours: Mapped[Decimal] = mapped_column(Rate())
