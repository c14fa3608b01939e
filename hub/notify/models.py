"""What people have been told by mail."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from hub.core import clock
from hub.core.database import Base, Identified


class Alert(Identified, Base):
    """Something to be mended about a connection that was told by mail. It goes when that is mended."""

    __tablename__ = "alert"
    __table_args__ = (UniqueConstraint("connection", "trouble"),)

    connection: Mapped[str]
    trouble: Mapped[str]
    told_at: Mapped[datetime] = mapped_column(default=clock.now)
