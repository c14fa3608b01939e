"""Who may do what here, and for which partner."""

from __future__ import annotations

from typing import Final

from sqlalchemy.orm import Session

from hub.sdk import AccessDenied
from hub.sdk.web import Permission, current_user
from plugins.partner_portal.models import Partner
from plugins.partner_portal.partners import partner_of

REGISTER: Final = "partner.deals"
REVIEW: Final = "partner.review"

PERMISSIONS: Final = (
    Permission(REGISTER, "Register deals and follow one's own", ("partner",)),
    Permission(REVIEW, "Decide on partners' deals", ("admin", "manager")),
)


def my_partner(session: Session) -> Partner:
    """The partner of whoever asks. Raises AccessDenied for a user of none."""
    partner = partner_of(session, current_user().id)
    if partner is None:
        raise AccessDenied("Your user belongs to no partner yet. Ask the firm to add it with `hub partner user`.")
    return partner
