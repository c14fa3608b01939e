"""Payments and what they pay."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from hub.core.columns import Amount
from hub.core.database import Base, Identified, Revised
from hub.core.records import AllocationRecord, PaymentRecord


class Payment(Revised, Base):
    """Money received from a client. What is allocated to no invoice is the client's credit."""

    __tablename__ = "payment"
    __table_args__ = (CheckConstraint("amount >= 0", name="amount_not_negative"),)

    client_id: Mapped[UUID] = mapped_column(ForeignKey("client.id"), index=True)
    currency: Mapped[str]
    amount: Mapped[Decimal] = mapped_column(Amount())
    received_on: Mapped[date]
    reference: Mapped[str] = mapped_column(default="")

    allocations: Mapped[list[PaymentAllocation]] = relationship(
        order_by="PaymentAllocation.id", cascade="all, delete-orphan", lazy="selectin"
    )

    def to_record(self) -> PaymentRecord:
        return PaymentRecord(
            id=self.id,
            revision=self.revision,
            client_id=self.client_id,
            currency=self.currency,
            amount=self.amount,
            received_on=self.received_on,
            reference=self.reference,
            allocations=tuple(AllocationRecord(item.invoice_id, item.amount) for item in self.allocations),
        )


class PaymentAllocation(Identified, Base):
    """How much of a payment pays which invoice."""

    __tablename__ = "payment_allocation"
    __table_args__ = (
        UniqueConstraint("payment_id", "invoice_id"),
        CheckConstraint("amount > 0", name="amount_positive"),
    )

    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payment.id", ondelete="CASCADE"))
    invoice_id: Mapped[UUID] = mapped_column(ForeignKey("invoice.id"), index=True)
    amount: Mapped[Decimal] = mapped_column(Amount())
