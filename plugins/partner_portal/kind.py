"""Deals as a record kind: what connections can subscribe to."""

from __future__ import annotations

from typing import Final

from hub.sdk.tables import RecordKind
from plugins.partner_portal.access import REVIEW
from plugins.partner_portal.models import Deal, DealRecord
from plugins.partner_portal.rules import State
from plugins.partner_portal.service import load_deals

DEALS: Final = RecordKind(
    name="deals",
    title="Deals",
    model=Deal,
    record=DealRecord,
    load=load_deals,
    label=lambda deal: f"{deal.number} {deal.title}",
    owed=Deal.state == State.APPROVED.value,
    dated_by=Deal.approved_on,
    page="/partner/review/{id}",
    page_permission=REVIEW,
    lapsed=lambda deal: deal.state not in (State.APPROVED, State.WON),
)
