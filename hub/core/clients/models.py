"""Clients and contacts."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from hub.core.database import Base, Revised
from hub.core.records import Address, ClientRecord, ContactRecord


class Client(Revised, Base):
    """Who buys. name is what sales calls it; legal_name, where set, is what finance puts on documents.

    match_name and match_domain are normalised copies that first matching and the warning about duplicates compare.
    """

    __tablename__ = "client"

    name: Mapped[str] = mapped_column(index=True)
    legal_name: Mapped[str] = mapped_column(default="")
    currency: Mapped[str | None]
    street: Mapped[str] = mapped_column(default="")
    city: Mapped[str] = mapped_column(default="")
    region: Mapped[str] = mapped_column(default="")
    postcode: Mapped[str] = mapped_column(default="")
    country: Mapped[str] = mapped_column(default="")
    tax_id: Mapped[str] = mapped_column(default="", index=True)
    email: Mapped[str] = mapped_column(default="")
    phone: Mapped[str] = mapped_column(default="")
    website: Mapped[str] = mapped_column(default="")
    tax_exempt: Mapped[bool] = mapped_column(default=False)
    match_name: Mapped[str] = mapped_column(default="", index=True)
    match_domain: Mapped[str] = mapped_column(default="", index=True)
    archived_at: Mapped[datetime | None]

    def to_record(self) -> ClientRecord:
        return ClientRecord(
            id=self.id,
            revision=self.revision,
            name=self.name,
            legal_name=self.legal_name or self.name,
            currency=self.currency,
            address=Address(self.street, self.city, self.region, self.postcode, self.country),
            tax_id=self.tax_id,
            email=self.email,
            phone=self.phone,
            website=self.website,
            tax_exempt=self.tax_exempt,
            archived=self.archived_at is not None,
        )


class Contact(Revised, Base):
    """Someone to talk to at a client."""

    __tablename__ = "contact"

    client_id: Mapped[UUID] = mapped_column(ForeignKey("client.id"), index=True)
    first_name: Mapped[str] = mapped_column(default="")
    last_name: Mapped[str]
    email: Mapped[str] = mapped_column(default="", index=True)
    phone: Mapped[str] = mapped_column(default="")
    job_title: Mapped[str] = mapped_column(default="")

    def to_record(self) -> ContactRecord:
        return ContactRecord(
            id=self.id,
            revision=self.revision,
            client_id=self.client_id,
            first_name=self.first_name,
            last_name=self.last_name,
            email=self.email,
            phone=self.phone,
            job_title=self.job_title,
        )
