"""What is sold."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy.orm import Mapped, mapped_column

from hub.core.columns import Rate
from hub.core.database import Base, Revised
from hub.core.records import ServiceRecord


class Service(Revised, Base):
    """What is sold: hours of a kind, an expense, a fixed fee. tax_rate: per cent; None takes the company's."""

    __tablename__ = "service"

    name: Mapped[str] = mapped_column(unique=True)
    code: Mapped[str] = mapped_column(default="")
    description: Mapped[str] = mapped_column(default="")
    kind: Mapped[str] = mapped_column(default="hours")
    unit: Mapped[str] = mapped_column(default="HUR")
    tax_rate: Mapped[Decimal | None] = mapped_column(Rate())
    active: Mapped[bool] = mapped_column(default=True)

    def to_record(self) -> ServiceRecord:
        return ServiceRecord(
            id=self.id,
            revision=self.revision,
            name=self.name,
            code=self.code,
            description=self.description,
            kind=self.kind,
            unit=self.unit,
            tax_rate=self.tax_rate,
            active=self.active,
        )
