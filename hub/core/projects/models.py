"""Projects and their tasks."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from hub.core.columns import Amount
from hub.core.database import Base, Revised
from hub.core.records import ProjectRecord, TaskRecord


class ProjectStatus(StrEnum):
    PLANNED = "planned"
    ACTIVE = "active"
    DONE = "done"
    CANCELLED = "cancelled"


class Project(Revised, Base):
    """Work for a client. budget: in `currency`, without tax."""

    __tablename__ = "project"

    company_id: Mapped[UUID] = mapped_column(ForeignKey("company.id"))
    client_id: Mapped[UUID] = mapped_column(ForeignKey("client.id"), index=True)
    name: Mapped[str] = mapped_column(index=True)
    code: Mapped[str] = mapped_column(default="")
    status: Mapped[str] = mapped_column(default=ProjectStatus.ACTIVE)
    starts_on: Mapped[date | None]
    ends_on: Mapped[date | None]
    currency: Mapped[str]
    budget: Mapped[Decimal | None] = mapped_column(Amount())

    def to_record(self) -> ProjectRecord:
        return ProjectRecord(
            id=self.id,
            revision=self.revision,
            company_id=self.company_id,
            client_id=self.client_id,
            name=self.name,
            code=self.code,
            status=str(self.status),
            starts_on=self.starts_on,
            ends_on=self.ends_on,
            currency=self.currency,
            budget=self.budget,
        )


class Task(Revised, Base):
    """A piece of a project that time is booked on. service_id: what its hours are sold as."""

    __tablename__ = "task"
    __table_args__ = (UniqueConstraint("project_id", "name"),)

    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id"))
    service_id: Mapped[UUID | None] = mapped_column(ForeignKey("service.id"))
    name: Mapped[str]
    billable: Mapped[bool] = mapped_column(default=True)

    def to_record(self) -> TaskRecord:
        return TaskRecord(
            id=self.id,
            revision=self.revision,
            project_id=self.project_id,
            service_id=self.service_id,
            name=self.name,
            billable=self.billable,
        )
