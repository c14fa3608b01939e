"""Rate cards: what an hour costs the client."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from hub.core.columns import Rate
from hub.core.database import Base, Revised


class RateScope(Base):
    """What rates can be for, once for each that has any; locked while one of its rates is added or changed."""

    __tablename__ = "rate_scope"

    key: Mapped[str] = mapped_column(primary_key=True)


class RateCard(Revised, Base):
    """One rate from a day on (and to a day, both included), for whatever its columns name; empty ones match all."""

    __tablename__ = "rate_card"
    __table_args__ = (
        CheckConstraint("valid_to IS NULL OR valid_to >= valid_from", name="valid_to_after_from"),
        Index("ix_rate_card_currency", "currency"),
    )

    company_id: Mapped[UUID | None] = mapped_column(ForeignKey("company.id"))
    client_id: Mapped[UUID | None] = mapped_column(ForeignKey("client.id"))
    project_id: Mapped[UUID | None] = mapped_column(ForeignKey("project.id"))
    task_id: Mapped[UUID | None] = mapped_column(ForeignKey("task.id"))
    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"))
    currency: Mapped[str]
    rate: Mapped[Decimal] = mapped_column(Rate())
    valid_from: Mapped[date] = mapped_column(default=date.min)
    valid_to: Mapped[date | None]
