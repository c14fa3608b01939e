"""The partner API: `/api/v1/partner/...`. A view is load, call, dump; everything is decided in `service`.

A partner's user or key reaches its own partner's deals and nothing else: what belongs to others does not exist (404).
Creates and actions demand an Idempotency-Key, changes and actions an If-Match with the deal's revision.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from hub.sdk.web import answer, answer_page, api_blueprint
from plugins.partner_portal import service
from plugins.partner_portal.access import REGISTER, REVIEW, my_partner
from plugins.partner_portal.conflicts import customer_of
from plugins.partner_portal.detection import precheck
from plugins.partner_portal.models import Deal, ProductFamily
from plugins.partner_portal.partners import programme
from plugins.partner_portal.presentation import own_view, review_view
from plugins.partner_portal.rules import Role, State
from plugins.partner_portal.schemas import (
    DealInput,
    DealOutput,
    DealQuery,
    FamilyOutput,
    LossInput,
    PrecheckInput,
    PrecheckOutput,
    RejectInput,
    ReviewOutput,
)

deals = api_blueprint(
    "deal-registrations",
    "Deals that partners register.",
    prefix="/partner/deal-registrations",
    strict=True,
)
reviews = api_blueprint("deal-reviews", "Deciding on partners' deals.", prefix="/partner/review", strict=True)
products = api_blueprint(
    "product-families", "What partners can register deals for.", prefix="/partner/product-families", strict=True
)


# For partners ---------------------------------------------------------------------------------------------------------


@deals.get("", permission=REGISTER, query=DealQuery, output=DealOutput, paged=True)
def list_deals(query: dict[str, Any]) -> Response:
    """Your deals, newest first. Filters: state, external_id, updated_after."""
    return answer_page(
        lambda session: _filtered(select(Deal).where(Deal.partner_id == my_partner(session).id), query),
        view=own_view,
        newest_first=True,
    )


@deals.post("", permission=REGISTER, body=DealInput, output=DealOutput, status=201)
def create_deal(body: dict[str, Any]) -> Response:
    """Start a draft. It may be nearly empty, but what it says must have a sensible form."""
    return answer(lambda session: service.create_deal(session, my_partner(session), body), view=own_view)


@deals.get("/<uuid:deal_id>", permission=REGISTER, output=DealOutput)
def get_deal(deal_id: UUID) -> Response:
    """One of your deals, with what you may do next and what stands in its way."""
    return answer(lambda session: _own(session, deal_id), view=own_view)


@deals.patch("/<uuid:deal_id>", permission=REGISTER, body=DealInput, output=DealOutput)
def change_deal(deal_id: UUID, body: dict[str, Any]) -> Response:
    """Change what is given (merge patch). `editable_fields` says what is open in the present state."""
    return answer(
        lambda session: service.change_deal(session, _own(session, deal_id), body),
        of=lambda session: _own(session, deal_id),
        view=own_view,
    )


@deals.delete("/<uuid:deal_id>", permission=REGISTER, status=204)
def delete_deal(deal_id: UUID) -> Response:
    """Throw a draft away; anything else is withdrawn instead."""
    return answer(
        lambda session: service.delete_draft(session, _own(session, deal_id)),
        of=lambda session: _own(session, deal_id),
    )


@deals.post("/<uuid:deal_id>/submit", permission=REGISTER, output=DealOutput)
def submit_deal(deal_id: UUID) -> Response:
    """Hand a draft in: from now on it has its place in line. 422 names everything that is missing or wrong."""
    return answer(
        lambda session: service.submit_deal(session, _own(session, deal_id)),
        of=lambda session: _own(session, deal_id),
        view=own_view,
    )


@deals.post("/<uuid:deal_id>/withdraw", permission=REGISTER, output=DealOutput)
def withdraw_deal(deal_id: UUID) -> Response:
    """Take a submitted deal back."""
    return answer(
        lambda session: service.withdraw_deal(session, _own(session, deal_id)),
        of=lambda session: _own(session, deal_id),
        view=own_view,
    )


@deals.post("/<uuid:deal_id>/close-won", permission=REGISTER, output=DealOutput)
def close_deal_won(deal_id: UUID) -> Response:
    """The customer signed."""
    return answer(
        lambda session: service.close_won(session, _own(session, deal_id), role=Role.PARTNER),
        of=lambda session: _own(session, deal_id),
        view=own_view,
    )


@deals.post("/<uuid:deal_id>/close-lost", permission=REGISTER, body=LossInput, output=DealOutput)
def close_deal_lost(deal_id: UUID, body: dict[str, Any]) -> Response:
    """The customer went elsewhere; the customer is free for others."""
    return answer(
        lambda session: service.close_lost(session, _own(session, deal_id), role=Role.PARTNER, reason=body["reason"]),
        of=lambda session: _own(session, deal_id),
        view=own_view,
    )


@deals.post("/precheck", permission=REGISTER, body=PrecheckInput, output=PrecheckOutput)
def precheck_customer(body: dict[str, Any]) -> Response:
    """Is this customer free? clear, possible or taken; logged, and limited to 60 an hour."""
    return answer(lambda session: _prechecked(session, body))


@products.get("", permission=REGISTER, output=FamilyOutput, paged=True)
def list_product_families() -> Response:
    """The product families that deals can name."""
    return answer_page(select(ProductFamily).where(ProductFamily.active), view=_family)


# For approvers --------------------------------------------------------------------------------------------------------


@reviews.get("", permission=REVIEW, query=DealQuery, output=ReviewOutput, paged=True)
def list_deal_reviews(query: dict[str, Any]) -> Response:
    """Every partner's deals that were submitted once. Filters: state, external_id, updated_after."""
    submitted = select(Deal).where(Deal.state != State.DRAFT.value)
    return answer_page(lambda session: _filtered(submitted, query), view=review_view, newest_first=True)


@reviews.get("/<uuid:deal_id>", permission=REVIEW, output=ReviewOutput)
def get_deal_review(deal_id: UUID) -> Response:
    """One deal with what stands in its way: who, why, and for which products."""
    return answer(lambda session: service.reviewed_deal(session, deal_id), view=review_view)


@reviews.post("/<uuid:deal_id>/approve", permission=REVIEW, output=ReviewOutput)
def approve_deal(deal_id: UUID) -> Response:
    """Protect the deal. 409 conflict-registered or duplicate-own while another stands in its way."""
    return answer(
        lambda session: service.approve_deal(session, service.reviewed_deal(session, deal_id, lock=True)),
        of=lambda session: service.reviewed_deal(session, deal_id),
        view=review_view,
    )


@reviews.post("/<uuid:deal_id>/reject", permission=REVIEW, body=RejectInput, output=ReviewOutput)
def reject_deal(deal_id: UUID, body: dict[str, Any]) -> Response:
    """Turn the deal down, with a reason that the partner reads."""
    return answer(
        lambda session: service.reject_deal(session, service.reviewed_deal(session, deal_id, lock=True), **body),
        of=lambda session: service.reviewed_deal(session, deal_id),
        view=review_view,
    )


def _own(session: Session, deal_id: UUID) -> Deal:
    return service.own_deal(session, my_partner(session), deal_id)


def _filtered(query: Select[Any], wanted: dict[str, Any]) -> Select[Any]:
    if "state" in wanted:
        query = query.where(Deal.state == wanted["state"])
    if "external_id" in wanted:
        query = query.where(Deal.external_id == wanted["external_id"])
    if "updated_after" in wanted:
        query = query.where(Deal.updated_at > wanted["updated_after"])
    return query


def _prechecked(session: Session, body: dict[str, Any]) -> dict[str, Any]:
    customer = customer_of(
        name=body["customer_name"],
        country=body["customer_country"].upper(),
        website=body["customer_website"],
        tax_id=body["customer_tax_id"],
        duns=body["customer_duns"],
        postcode=body["customer_postcode"],
        city=body["customer_city"],
    )
    today = programme(session).today()
    found = precheck(session, my_partner(session), customer, body["products"], today=today)
    return {"answer": found.answer, "own_deal_ids": [deal.id for deal in found.own]}


def _family(session: Session, family: ProductFamily) -> dict[str, Any]:
    return {"code": family.code, "name": family.name}
