"""From a draft to a protected deal: what partners and approvers do with registrations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from hub.sdk import NotFound, RuleBroken
from hub.sdk.tables import announce, circumstances, now
from plugins.partner_portal.conflicts import Result, keys_of
from plugins.partner_portal.detection import Found, conflicts_of_deal, store_evidence
from plugins.partner_portal.models import Claim, Deal, DealRecord, Partner
from plugins.partner_portal.partners import families, locked_programme, programme
from plugins.partner_portal.requirements import faults_at_submit, faults_in_draft
from plugins.partner_portal.rules import (
    FIELDS,
    Action,
    Role,
    State,
    next_state,
    protection_ends_on,
    refuse_frozen_fields,
    refuse_unexplained_rejection,
    refuse_unknown_loss_reason,
)

_WITHOUT_TEXT = {"consent_to_contact", "amount", "target_close_on", "external_id"}
_LISTS = {"products", "help_needed"}
_CAPITALS = {"customer_country", "currency"}


def create_deal(session: Session, partner: Partner, values: Mapping[str, Any]) -> Deal:
    """A new draft. values: any of `rules.FIELDS`. Raises RuleBroken naming each field that is wrong."""
    _refuse_inactive(partner)
    series = locked_programme(session)
    deal = Deal(partner_id=partner.id, created_by=circumstances(session).actor, number="")
    _write(session, deal, values)
    deal.number = series.take_number()
    session.add(deal)
    _flush_external_id(session, deal)
    return deal


def change_deal(session: Session, deal: Deal, values: Mapping[str, Any]) -> Deal:
    """Change what is given, as far as the state allows. Raises RuleBroken naming each field that may not be.

    What a submission needs stays needed afterwards: it can be changed, and no longer be emptied.
    """
    refuse_frozen_fields(State(deal.state), frozenset(values), label=deal.label)
    _write(session, deal, values)
    _flush_external_id(session, deal)
    if deal.state == State.APPROVED:
        announce(session, "deals", [deal.id])
    return deal


def delete_draft(session: Session, deal: Deal) -> None:
    """Throw a draft away. Raises RuleBroken for anything else."""
    next_state(State(deal.state), Action.DELETE, Role.PARTNER, label=deal.label)
    session.delete(deal)


def submit_deal(session: Session, deal: Deal) -> Deal:
    """Hand a complete draft in: it takes its place in line, and others with the same customer are looked for.

    What is found stands against an approval, not against the submission: the time stamp is the partner's claim.
    Raises RuleBroken naming everything that is missing or wrong.
    """
    line = locked_programme(session)
    to = next_state(State(deal.state), Action.SUBMIT, Role.PARTNER, label=deal.label)
    _refuse_inactive(deal.partner)
    today = line.today()
    faults = faults_at_submit(_values(deal), families=_family_codes(session), today=today)
    if faults:
        raise RuleBroken(f"{deal.label} is not complete: see the fields named.", code="validation", fields=faults)
    _write_customer(deal)
    store_evidence(session, deal, conflicts_of_deal(session, deal, today=today), found_by=Action.SUBMIT)
    deal.state = str(to)
    deal.submitted_at, deal.submitted_by = now(), circumstances(session).actor
    deal.place = line.take_place()
    return deal


def withdraw_deal(session: Session, deal: Deal) -> Deal:
    """Take a submitted deal back; its place in line is free."""
    deal.state = str(next_state(State(deal.state), Action.WITHDRAW, Role.PARTNER, label=deal.label))
    return deal


def approve_deal(session: Session, deal: Deal) -> Deal:
    """Give the partner its protection: take the claims, and owe the deal to the CRM.

    The claims stand under a unique constraint: of two approvals at once, one is refused by the database itself.
    Raises RuleBroken (conflict-registered, duplicate-own, own-submission, invalid-transition).
    """
    to = next_state(State(deal.state), Action.APPROVE, Role.APPROVER, label=deal.label)
    if deal.submitted_by == circumstances(session).actor:
        raise RuleBroken("You submitted this deal, so another person decides on it.", code="own-submission")
    rules = programme(session)
    found = conflicts_of_deal(session, deal, today=rules.today())
    _refuse_blocked(deal, found)
    store_evidence(session, deal, found, found_by=Action.APPROVE)
    deal.state = str(to)
    deal.approved_on = rules.today()
    deal.protected_until = protection_ends_on(deal.approved_on, days=rules.protection_days)
    _decide(session, deal)
    _take_claims(session, deal, today=deal.approved_on)
    announce(session, "deals", [deal.id])
    return deal


def reject_deal(session: Session, deal: Deal, *, reason: str, text: str = "") -> Deal:
    """Turn a deal down for good. reason: one of `rules.REJECTION_REASONS`; text: for the partner to read."""
    to = next_state(State(deal.state), Action.REJECT, Role.APPROVER, label=deal.label)
    refuse_unexplained_rejection(reason, text)
    deal.state, deal.rejection_reason, deal.rejection_text = str(to), reason, text.strip()
    _decide(session, deal)
    return deal


def close_won(session: Session, deal: Deal, *, role: Role, project_id: UUID | None = None) -> Deal:
    """The customer signed. Its claims stand until their last day. project_id: what came out of it."""
    deal.state = str(next_state(State(deal.state), Action.CLOSE_WON, role, label=deal.label))
    deal.closed_at, deal.project_id = now(), project_id
    announce(session, "deals", [deal.id])
    return deal


def close_lost(session: Session, deal: Deal, *, role: Role, reason: str) -> Deal:
    """The customer went elsewhere; the claims are free. reason: one of `rules.LOSS_REASONS`."""
    to = next_state(State(deal.state), Action.CLOSE_LOST, role, label=deal.label)
    refuse_unknown_loss_reason(reason)
    deal.state, deal.loss_reason, deal.closed_at = str(to), reason, now()
    deal.claims.clear()
    announce(session, "deals", [deal.id])
    return deal


def note_project(session: Session, deal_id: UUID, project_id: UUID) -> None:
    """A project came out of a deal, so it is won, unless somebody has closed it before. The first one stays noted."""
    deal = session.get(Deal, deal_id, with_for_update={"of": Deal})
    if deal is None or deal.project_id is not None:
        return
    if deal.state == State.APPROVED:
        close_won(session, deal, role=Role.SYSTEM, project_id=project_id)
    elif deal.state in (State.WON, State.LOST):
        deal.project_id = project_id


def own_deal(session: Session, partner: Partner, deal_id: UUID, *, lock: bool = False) -> Deal:
    """A partner's own deal. Raises NotFound, for another partner's too."""
    deal = session.get(Deal, deal_id, with_for_update={"of": Deal} if lock else None)
    if deal is None or deal.partner_id != partner.id:
        raise NotFound(f"You have no deal with id {deal_id}.")
    return deal


def reviewed_deal(session: Session, deal_id: UUID, *, lock: bool = False) -> Deal:
    """Any partner's deal that was submitted once; drafts are the partner's own business. Raises NotFound."""
    deal = session.get(Deal, deal_id, with_for_update={"of": Deal} if lock else None)
    if deal is None or deal.state == State.DRAFT:
        raise NotFound(f"There is no submitted deal with id {deal_id}.")
    return deal


def load_deals(session: Session, ids: Sequence[UUID]) -> list[DealRecord]:
    """The records of these deals; ids that are gone are left out."""
    return [deal.to_record() for deal in session.scalars(select(Deal).where(Deal.id.in_(ids)))]


def _write(session: Session, deal: Deal, values: Mapping[str, Any]) -> None:
    cleaned = {name: _cleaned(name, values[name]) for name in FIELDS & values.keys()}
    said, families_known = {**_values(deal), **cleaned}, _family_codes(session)
    if deal.submitted_at is None:
        faults = faults_in_draft(said, families=families_known)
        named = set(cleaned)
    else:  # it was submitted: what is left as it was has been accepted
        faults = faults_at_submit(said, families=families_known, today=programme(session).today())
        named = {name for name, value in cleaned.items() if value != getattr(deal, name)}
    faults = {name: text for name, text in faults.items() if name in named}
    if faults:
        raise RuleBroken(f"{', '.join(sorted(faults))} cannot be saved like this.", code="validation", fields=faults)
    for name, value in cleaned.items():
        setattr(deal, name, value)


def _cleaned(name: str, value: Any) -> Any:
    """A value as its column keeps it: texts stripped, nothing as empty, codes in capitals."""
    if name in _LISTS:
        return list(value or ())
    text = value.strip() if isinstance(value, str) else value
    if name in _WITHOUT_TEXT:
        return None if text == "" else text
    return (text or "").upper() if name in _CAPITALS else text or ""


def _values(deal: Deal) -> dict[str, Any]:
    return {name: getattr(deal, name) for name in FIELDS}


def _family_codes(session: Session) -> set[str]:
    return {family.code for family in families(session)}


def _refuse_inactive(partner: Partner) -> None:
    if not partner.active:
        raise RuleBroken(
            f"{partner.name} cannot register deals at the moment. Talk to your partner manager.",
            code="partner-not-active",
        )


def _flush_external_id(session: Session, deal: Deal) -> None:
    external_id = deal.external_id
    try:
        session.flush()
    except IntegrityError as refusal:
        raise RuleBroken(
            f"Another of your deals has the external id “{external_id}”.",
            code="duplicate-key",
            fields={"external_id": "Another of your deals has this id."},
        ) from refusal


def _write_customer(deal: Deal) -> None:
    """Keep who the customer is in the forms that are compared."""
    customer = deal.customer_as_typed()
    deal.match_name, deal.match_tax_id, deal.match_domain = customer.name, customer.tax_id, customer.domain
    deal.match_duns, deal.match_postcode, deal.match_city = customer.duns, customer.postcode, customer.city
    deal.match_contact_domain = customer.contact_domain


def _refuse_blocked(deal: Deal, found: Sequence[Found]) -> None:
    blocking = next((item for item in found if item.conflict.blocks), None)
    if blocking is None:
        return
    other = blocking.other
    holds = f"is protected until {other.protected_until}" if other.protected_until else "came in earlier"
    code = "duplicate-own" if blocking.conflict.result is Result.DUPLICATE_OWN else "conflict-registered"
    raise RuleBroken(
        f"{deal.label} cannot be approved: {other.label} of {other.partner.name} has the same customer and product "
        f"and {holds}. Decide on that one first, or reject this one as a duplicate.",
        code=code,
    )


def _decide(session: Session, deal: Deal) -> None:
    deal.decided_at, deal.decided_by = now(), circumstances(session).actor


def _take_claims(session: Session, deal: Deal, *, today: date) -> None:
    """One claim per identifying fact and product family; those that have run out make way in the same breath."""
    wanted = sorted(
        {(f"{key.kind}|{key.value}", family) for key in keys_of(deal.customer()) for family in deal.products}
    )
    if not wanted:
        raise RuleBroken(
            f"{deal.label} cannot be approved: nothing in it tells its customer or its product from others. "
            "Ask for the website, the tax id or the postcode.",
        )
    keys = {key for key, _ in wanted}
    session.execute(delete(Claim).where(Claim.customer_key.in_(keys), Claim.protected_until < today))
    deal.claims = [
        Claim(customer_key=key, product_family=family, protected_until=deal.protected_until) for key, family in wanted
    ]
    label = deal.label
    try:
        session.flush()
    except IntegrityError as refusal:
        raise RuleBroken(
            f"{label} cannot be approved: another registration of this customer and product was approved just now.",
            code="conflict-registered",
        ) from refusal
