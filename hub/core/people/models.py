"""People who work."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from hub.core.database import Base, Revised
from hub.core.records import PersonRecord


class Person(Revised, Base):
    """Who works. external_id: the person's number where their time comes from."""

    __tablename__ = "person"

    name: Mapped[str] = mapped_column(index=True)
    email: Mapped[str] = mapped_column(default="")
    external_id: Mapped[str | None] = mapped_column(unique=True)
    active: Mapped[bool] = mapped_column(default=True)

    def to_record(self) -> PersonRecord:
        return PersonRecord(
            id=self.id,
            revision=self.revision,
            name=self.name,
            email=self.email,
            external_id=self.external_id or "",
            active=self.active,
        )
