"""The programme: its rules, the partners, who works for them, and the product families they can register."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from uuid import UUID
from zoneinfo import available_timezones

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.sdk import NotFound, RuleBroken
from plugins.partner_portal.models import Membership, Partner, ProductFamily, Programme

MOST_PROTECTION_DAYS: Final = 730


def programme(session: Session) -> Programme:
    """The programme as it stands, for reading. Its row came with the tables."""
    return session.scalars(select(Programme)).one()


def locked_programme(session: Session) -> Programme:
    """The programme's row, locked until the transaction ends. Taken before any deal, so nobody waits crosswise."""
    return session.scalars(select(Programme).with_for_update().execution_options(populate_existing=True)).one()


def set_programme(session: Session, *, time_zone: str | None = None, protection_days: int | None = None) -> Programme:
    """Change the programme's rules; deals that are protected keep their day. Raises RuleBroken."""
    row = locked_programme(session)
    if time_zone is not None:
        if time_zone not in available_timezones():
            raise RuleBroken(
                f"“{time_zone}” is not a time zone. Use an IANA name such as Europe/Berlin.",
                fields={"time_zone": "Use an IANA name such as Europe/Berlin."},
            )
        row.time_zone = time_zone
    if protection_days is not None:
        if not 1 <= protection_days <= MOST_PROTECTION_DAYS:
            raise RuleBroken(
                f"Protection of {protection_days} days cannot be. Use 1 to {MOST_PROTECTION_DAYS}.",
                fields={"protection_days": f"Use 1 to {MOST_PROTECTION_DAYS}."},
            )
        row.protection_days = protection_days
    return row


def add_partner(session: Session, name: str) -> Partner:
    """A new partner. Raises RuleBroken for a name that is empty or taken."""
    name = name.strip()
    if not 2 <= len(name) <= 200:
        raise RuleBroken("A partner needs a name of 2 to 200 characters.", fields={"name": "Use 2 to 200 characters."})
    if find_partner(session, name) is not None:
        raise RuleBroken(f"There is a partner called {name} already.", fields={"name": "This name is taken."})
    partner = Partner(name=name)
    session.add(partner)
    session.flush()
    return partner


def find_partner(session: Session, name: str) -> Partner | None:
    """The partner of exactly this name."""
    return session.scalar(select(Partner).where(Partner.name == name))


def get_partner(session: Session, name: str) -> Partner:
    """The partner of exactly this name. Raises NotFound."""
    partner = find_partner(session, name)
    if partner is None:
        raise NotFound(f"There is no partner called {name}. Add it with `hub partner add`.")
    return partner


def partners(session: Session) -> Sequence[Partner]:
    """All partners by name."""
    return session.scalars(select(Partner).order_by(Partner.name)).all()


def set_partner_active(session: Session, partner: Partner, *, active: bool) -> None:
    """Whether a partner may register deals; what it has registered stays."""
    partner.active = active


def join_partner(session: Session, partner: Partner, user_id: UUID) -> Membership:
    """Make a user of the hub one of the partner's people; again is no change. Raises RuleBroken."""
    membership = session.scalar(select(Membership).where(Membership.user_id == user_id))
    if membership is None:
        membership = Membership(user_id=user_id, partner_id=partner.id)
        session.add(membership)
        session.flush()
    if membership.partner_id != partner.id:
        raise RuleBroken(f"This user works for another partner, {membership.partner.name}.", code="member-elsewhere")
    return membership


def partner_of(session: Session, user_id: UUID) -> Partner | None:
    """The partner a user works for; None for the firm's own people."""
    query = select(Partner).join(Membership, Membership.partner_id == Partner.id).where(Membership.user_id == user_id)
    return session.scalar(query)


def set_family(session: Session, code: str, name: str, *, active: bool = True) -> ProductFamily:
    """Create the product family of this code or change it. Raises RuleBroken."""
    code = code.strip().lower()
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,39}", code):
        raise RuleBroken(
            f"“{code}” is not a code. Use up to 40 small letters, digits, - and _.",
            fields={"code": "Use up to 40 small letters, digits, - and _."},
        )
    family = session.scalar(select(ProductFamily).where(ProductFamily.code == code))
    if family is None:
        family = ProductFamily(code=code, name="")
        session.add(family)
    family.name, family.active = name.strip() or code, active
    session.flush()
    return family


def families(session: Session) -> Sequence[ProductFamily]:
    """The product families that can be registered, by name."""
    return session.scalars(select(ProductFamily).where(ProductFamily.active).order_by(ProductFamily.name)).all()
