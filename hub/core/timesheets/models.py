"""Time entries and the batches they were imported in."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from hub.core.columns import Rate
from hub.core.database import Base, Revised
from hub.core.records import TimeEntryRecord


class TimeStatus(StrEnum):
    OPEN = "open"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    REJECTED = "rejected"
    BILLED = "billed"


class TimeEntry(Revised, Base):
    """A block of work on one day. rate and rate_trace are set when it is priced for a draft."""

    __tablename__ = "time_entry"
    __table_args__ = (
        # 90,000 s: the longest local day has 25 hours.
        CheckConstraint("seconds BETWEEN 1 AND 90000", name="seconds_within_a_day"),
        Index("ix_time_entry_status_project_id", "status", "project_id"),
        Index("ix_time_entry_person_id_worked_on", "person_id", "worked_on"),
    )

    project_id: Mapped[UUID] = mapped_column(ForeignKey("project.id"))
    task_id: Mapped[UUID] = mapped_column(ForeignKey("task.id"))
    person_id: Mapped[UUID] = mapped_column(ForeignKey("person.id"))
    worked_on: Mapped[date]
    seconds: Mapped[int]
    note: Mapped[str] = mapped_column(Text, default="")
    billable: Mapped[bool] = mapped_column(default=True)
    status: Mapped[str] = mapped_column(default=TimeStatus.OPEN)
    external_id: Mapped[str | None] = mapped_column(unique=True)
    import_batch_id: Mapped[UUID | None] = mapped_column(ForeignKey("import_batch.id"), index=True)
    submitted_at: Mapped[datetime | None]
    approved_at: Mapped[datetime | None]
    approved_by: Mapped[str | None]
    rejected_reason: Mapped[str | None]
    rate: Mapped[Decimal | None] = mapped_column(Rate())
    rate_trace: Mapped[dict[str, Any] | None]

    def to_record(self) -> TimeEntryRecord:
        return TimeEntryRecord(
            id=self.id,
            revision=self.revision,
            project_id=self.project_id,
            task_id=self.task_id,
            person_id=self.person_id,
            worked_on=self.worked_on,
            seconds=self.seconds,
            note=self.note,
            billable=self.billable,
            status=str(self.status),
            external_id=self.external_id or "",
        )


class ImportBatch(Revised, Base):
    """One file that was imported. published_at: its rows are complete; undone_at: they were taken out again."""

    __tablename__ = "import_batch"

    kind: Mapped[str]
    file_name: Mapped[str]
    digest: Mapped[str]
    counts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    published_at: Mapped[datetime | None]
    undone_at: Mapped[datetime | None]
