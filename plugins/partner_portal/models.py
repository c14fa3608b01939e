"""The tables of the partner programme, and the record that leaves them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from hub.sdk.tables import Amount, Base, Identified, Revised, now
from plugins.partner_portal.conflicts import Customer, Registration, customer_of
from plugins.partner_portal.rules import PROTECTION_DAYS, State


@dataclass(frozen=True, slots=True)
class DealRecord:
    """An approved deal as other systems see it.

    amount: in `currency`, without tax. products: codes of product families. protected_until: the last day, in the
    programme's time zone.
    """

    id: UUID
    revision: int
    number: str
    title: str
    customer_name: str
    customer_website: str
    customer_country: str
    customer_city: str
    customer_postcode: str
    contact_name: str
    contact_email: str
    contact_phone: str
    products: tuple[str, ...]
    amount: Decimal | None
    currency: str
    target_close_on: date | None
    business_problem: str
    partner_name: str
    protected_until: date | None
    state: str


class Partner(Revised, Base):
    """A firm that registers deals with us."""

    __tablename__ = "partner_partner"

    name: Mapped[str] = mapped_column(unique=True)
    active: Mapped[bool] = mapped_column(default=True)


class Membership(Identified, Base):
    """A user of the hub who works for a partner. A user belongs to one partner at most."""

    __tablename__ = "partner_user"

    user_id: Mapped[UUID] = mapped_column(unique=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partner_partner.id"), index=True)

    partner: Mapped[Partner] = relationship()


class ProductFamily(Revised, Base):
    """What can be registered: deals and claims are per customer and product family."""

    __tablename__ = "partner_product_family"

    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    active: Mapped[bool] = mapped_column(default=True)


class Programme(Revised, Base):
    """One row: the programme's rules, the next number of a deal and the next place in line. Locked to take one.

    time_zone: where its days begin and end. protection_days: calendar days from the day of approval.
    """

    __tablename__ = "partner_programme"
    __table_args__ = (
        CheckConstraint("only_row = 1", name="one_row"),
        CheckConstraint("protection_days BETWEEN 1 AND 730", name="protection_within_two_years"),
    )

    only_row: Mapped[int] = mapped_column(unique=True, default=1)
    time_zone: Mapped[str] = mapped_column(default="UTC")
    protection_days: Mapped[int] = mapped_column(default=PROTECTION_DAYS)
    next_number: Mapped[int] = mapped_column(default=1)
    next_place: Mapped[int] = mapped_column(default=1)

    def today(self) -> date:
        """The day it is for the programme."""
        return now().astimezone(ZoneInfo(self.time_zone)).date()

    def take_number(self) -> str:
        """The number of a new deal: D-00001."""
        number = f"D-{self.next_number:05d}"
        self.next_number += 1
        return number

    def take_place(self) -> int:
        """The place in line of a deal that is submitted: first come, first served."""
        place = self.next_place
        self.next_place += 1
        return place


class Deal(Revised, Base):
    """A deal registration: what the partner says, where it stands, and who the customer is in comparable form.

    place: its place in line, given at its first complete submission and kept for good. approved_on, protected_until:
    the first and the last day of protection. The match columns are written at submission.
    """

    __tablename__ = "partner_deal_registration"
    __table_args__ = (
        UniqueConstraint("partner_id", "external_id"),
        Index("ix_partner_deal_registration_country_state", "customer_country", "state"),
    )

    number: Mapped[str] = mapped_column(unique=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partner_partner.id"), index=True)
    created_by: Mapped[str]
    state: Mapped[str] = mapped_column(default=State.DRAFT.value)

    external_id: Mapped[str | None]
    title: Mapped[str] = mapped_column(default="")
    customer_name: Mapped[str] = mapped_column(default="")
    customer_website: Mapped[str] = mapped_column(default="")
    no_website_reason: Mapped[str] = mapped_column(default="")
    customer_country: Mapped[str] = mapped_column(default="")
    customer_region: Mapped[str] = mapped_column(default="")
    customer_city: Mapped[str] = mapped_column(default="")
    customer_postcode: Mapped[str] = mapped_column(default="")
    customer_street: Mapped[str] = mapped_column(default="")
    customer_tax_id: Mapped[str] = mapped_column(default="")
    customer_duns: Mapped[str] = mapped_column(default="")
    contact_name: Mapped[str] = mapped_column(default="")
    contact_email: Mapped[str] = mapped_column(default="")
    contact_phone: Mapped[str] = mapped_column(default="")
    contact_role: Mapped[str] = mapped_column(default="")
    consent_to_contact: Mapped[bool | None]
    business_problem: Mapped[str] = mapped_column(Text, default="")
    products: Mapped[list[Any]] = mapped_column(default=list)
    deal_type: Mapped[str] = mapped_column(default="new")
    amount: Mapped[Decimal | None] = mapped_column(Amount())
    currency: Mapped[str] = mapped_column(default="")
    recurrence: Mapped[str] = mapped_column(default="one_off")
    target_close_on: Mapped[date | None]
    stage: Mapped[str] = mapped_column(default="qualified")
    involvement: Mapped[str] = mapped_column(default="visibility_only")
    help_needed: Mapped[list[Any]] = mapped_column(default=list)

    submitted_at: Mapped[datetime | None]
    submitted_by: Mapped[str | None]
    place: Mapped[int | None] = mapped_column(unique=True)
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None]
    rejection_reason: Mapped[str | None]
    rejection_text: Mapped[str] = mapped_column(Text, default="")
    approved_on: Mapped[date | None]
    protected_until: Mapped[date | None]
    closed_at: Mapped[datetime | None]
    loss_reason: Mapped[str | None]
    project_id: Mapped[UUID | None]
    """The project that came out of it."""

    match_name: Mapped[str] = mapped_column(default="")
    match_tax_id: Mapped[str] = mapped_column(default="", index=True)
    match_domain: Mapped[str] = mapped_column(default="")
    match_duns: Mapped[str] = mapped_column(default="")
    match_postcode: Mapped[str] = mapped_column(default="")
    match_city: Mapped[str] = mapped_column(default="")
    match_contact_domain: Mapped[str] = mapped_column(default="")

    partner: Mapped[Partner] = relationship()
    claims: Mapped[list[Claim]] = relationship(back_populates="deal", cascade="all, delete-orphan")

    @property
    def label(self) -> str:
        """What a person calls it."""
        return f"Deal {self.number}"

    def customer(self) -> Customer:
        """Who the customer is, in the forms that are compared, as kept at submission."""
        return _customer(self)

    def customer_as_typed(self) -> Customer:
        """Who the customer is by what the fields say now."""
        return customer_of(
            name=self.customer_name,
            country=self.customer_country,
            website=self.customer_website,
            tax_id=self.customer_tax_id,
            duns=self.customer_duns,
            postcode=self.customer_postcode,
            city=self.customer_city,
            contact_email=self.contact_email,
        )

    def registration(self) -> Registration:
        """The deal as far as conflicts go."""
        return registration_of(self)

    def to_record(self) -> DealRecord:
        return DealRecord(
            id=self.id,
            revision=self.revision,
            number=self.number,
            title=self.title,
            customer_name=self.customer_name,
            customer_website=self.customer_website,
            customer_country=self.customer_country,
            customer_city=self.customer_city,
            customer_postcode=self.customer_postcode,
            contact_name=self.contact_name,
            contact_email=self.contact_email,
            contact_phone=self.contact_phone,
            products=tuple(self.products),
            amount=self.amount,
            currency=self.currency,
            target_close_on=self.target_close_on,
            business_problem=self.business_problem,
            partner_name=self.partner.name,
            protected_until=self.protected_until,
            state=self.state,
        )


COMPARED: Final = (
    Deal.id,
    Deal.partner_id,
    Deal.state,
    Deal.place,
    Deal.protected_until,
    Deal.products,
    Deal.customer_country,
    Deal.match_name,
    Deal.match_tax_id,
    Deal.match_domain,
    Deal.match_duns,
    Deal.match_postcode,
    Deal.match_city,
    Deal.match_contact_domain,
)
"""The columns that `registration_of` reads: a check compares a deal with all of a country, so it loads no more."""


def registration_of(row: Any) -> Registration:
    """A deal, or a row of COMPARED, as far as conflicts go."""
    return Registration(
        id=row.id,
        partner_id=row.partner_id,
        state=State(row.state),
        place=row.place,
        protected_until=row.protected_until,
        products=frozenset(row.products),
        customer=_customer(row),
    )


def _customer(row: Any) -> Customer:
    return Customer(
        country=row.customer_country,
        name=row.match_name,
        tax_id=row.match_tax_id,
        domain=row.match_domain,
        duns=row.match_duns,
        postcode=row.match_postcode,
        city=row.match_city,
        contact_domain=row.match_contact_domain,
    )


class Claim(Identified, Base):
    """One partner's right to one customer and product family, while it is protected.

    customer_key: one fact that identifies the customer (`conflicts.keys_of`). A deal claims all of them, so that two
    registrations of one customer collide here whichever facts each of them knows.
    """

    __tablename__ = "partner_claim"
    __table_args__ = (UniqueConstraint("customer_key", "product_family"),)

    customer_key: Mapped[str]
    product_family: Mapped[str]
    deal_id: Mapped[UUID] = mapped_column(ForeignKey("partner_deal_registration.id"), index=True)
    protected_until: Mapped[date]

    deal: Mapped[Deal] = relationship(back_populates="claims")


class DealEvidence(Identified, Base):
    """Why a check took two customers for one. found_by: submit or approve. value_hash: SHA-256 of what they share."""

    __tablename__ = "partner_deal_evidence"

    deal_id: Mapped[UUID] = mapped_column(ForeignKey("partner_deal_registration.id"), index=True)
    other_deal_id: Mapped[UUID]
    found_by: Mapped[str]
    found_at: Mapped[datetime]
    result: Mapped[str]
    match: Mapped[str]
    kind: Mapped[str]
    value_hash: Mapped[str]
    score: Mapped[int]


class Precheck(Identified, Base):
    """A partner asked whether a customer is free. Kept, because it can be used to fish for customers."""

    __tablename__ = "partner_precheck"
    __table_args__ = (Index("ix_partner_precheck_partner_id_asked_at", "partner_id", "asked_at"),)

    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partner_partner.id"))
    actor: Mapped[str]
    asked_at: Mapped[datetime]
    customer_name: Mapped[str]
    customer_domain: Mapped[str]
    answer: Mapped[str]
