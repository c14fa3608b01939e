"""Companies and their number series."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from hub.core.columns import Rate
from hub.core.database import Base, Identified, Revised
from hub.core.records import CompanyRecord


class Company(Revised, Base):
    """A legal entity of the firm."""

    __tablename__ = "company"

    name: Mapped[str] = mapped_column(unique=True)
    country: Mapped[str]
    time_zone: Mapped[str]
    currency: Mapped[str]
    tax_rate: Mapped[Decimal] = mapped_column(Rate(), default=Decimal(0))
    payment_days: Mapped[int] = mapped_column(default=30)

    def to_record(self) -> CompanyRecord:
        return CompanyRecord(
            id=self.id,
            revision=self.revision,
            name=self.name,
            country=self.country,
            time_zone=self.time_zone,
            currency=self.currency,
            tax_rate=self.tax_rate,
            payment_days=self.payment_days,
        )


class NumberSeries(Identified, Base):
    """The next number of one kind of document of one company: gapless, because it is taken in the same transaction."""

    __tablename__ = "number_series"
    __table_args__ = (
        UniqueConstraint("company_id", "kind"),
        UniqueConstraint("kind", "prefix"),
        CheckConstraint("next_number >= 1", name="next_number_positive"),
    )

    company_id: Mapped[UUID] = mapped_column(ForeignKey("company.id"))
    kind: Mapped[str]
    prefix: Mapped[str]
    width: Mapped[int] = mapped_column(default=5)
    next_number: Mapped[int] = mapped_column(default=1)

    def take(self) -> str:
        """The next number as it stands on the document, and step on. The caller holds the row's lock."""
        number = f"{self.prefix}{self.next_number:0{self.width}d}"
        self.next_number += 1
        return number
