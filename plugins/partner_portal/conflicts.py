"""Who else has a right to the customer: which evidence makes two customers the same, and what follows from it.

Pure functions over plain values, by the two tables of partner_portal 1.4.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final
from uuid import UUID

from plugins.partner_portal.normalisation import (
    customer_domain,
    folded,
    mail_domain,
    name_similarity,
    normalised_name,
    normalised_postcode,
    normalised_tax_id,
)
from plugins.partner_portal.rules import State

SIMILAR_NAME_FROM: Final = 90


class MatchClass(StrEnum):
    """How sure it is that two customers are one."""

    CERTAIN = "certain"
    STRONG = "strong"
    POSSIBLE = "possible"


class EvidenceKind(StrEnum):
    TAX_ID = "tax_id"
    DOMAIN = "domain"
    DUNS = "duns"
    NAME_AND_POSTCODE = "name_and_postcode"
    NAME_AND_CITY = "name_and_city"
    SIMILAR_NAME = "similar_name"
    CONTACT_DOMAIN = "contact_domain"


MATCH_CLASSES: Final = {
    EvidenceKind.TAX_ID: MatchClass.CERTAIN,
    EvidenceKind.DOMAIN: MatchClass.STRONG,
    EvidenceKind.DUNS: MatchClass.STRONG,
    EvidenceKind.NAME_AND_POSTCODE: MatchClass.STRONG,
    EvidenceKind.NAME_AND_CITY: MatchClass.STRONG,
    EvidenceKind.SIMILAR_NAME: MatchClass.POSSIBLE,
    EvidenceKind.CONTACT_DOMAIN: MatchClass.POSSIBLE,
}


class Holder(StrEnum):
    """What stands on the other side of a match."""

    OTHER_APPROVED = "other_approved"
    OTHER_PENDING_EARLIER = "other_pending_earlier"
    DIRECT_OPPORTUNITY = "direct_opportunity"
    CUSTOMER_CONTRACT = "customer_contract"
    OWN_EARLIER = "own_earlier"


class Result(StrEnum):
    """What a match means for a registration."""

    REGISTERED = "conflict.registered"
    PENDING_EARLIER = "conflict.pending_earlier"
    DIRECT_SALES = "conflict.direct_sales"
    EXISTING_CUSTOMER = "conflict.existing_customer"
    DUPLICATE_OWN = "duplicate.own"
    OTHER_PRODUCT = "info.same_customer_other_product"
    POSSIBLE_MATCH = "review.possible_match"


RESULTS_OF_OVERLAP: Final = {
    Holder.OTHER_APPROVED: Result.REGISTERED,
    Holder.OTHER_PENDING_EARLIER: Result.PENDING_EARLIER,
    Holder.DIRECT_OPPORTUNITY: Result.DIRECT_SALES,
    Holder.CUSTOMER_CONTRACT: Result.EXISTING_CUSTOMER,
    Holder.OWN_EARLIER: Result.DUPLICATE_OWN,
}

BLOCKING: Final = frozenset(RESULTS_OF_OVERLAP.values())
"""A registration with one of these is accepted, but cannot be approved while the other stands."""


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer in the forms that are compared; what is not known is empty. `customer_of` makes one."""

    country: str = ""
    name: str = ""
    tax_id: str = ""
    domain: str = ""
    duns: str = ""
    postcode: str = ""
    city: str = ""
    contact_domain: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """One fact that identifies a customer. Two customers that share a key are the same, certainly or strongly."""

    kind: EvidenceKind
    value: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why two customers may be one. value: what they share, or the two names. score: 100 for an equal key."""

    kind: EvidenceKind
    value: str
    score: int = 100

    @property
    def match(self) -> MatchClass:
        return MATCH_CLASSES[self.kind]


@dataclass(frozen=True, slots=True)
class Registration:
    """A deal as far as conflicts go. place: its place in line, given with its first complete submission."""

    id: UUID
    partner_id: UUID
    state: State
    place: int | None
    protected_until: date | None
    products: frozenset[str]
    customer: Customer


@dataclass(frozen=True, slots=True)
class Conflict:
    """One result, the registration it comes from, and why the two customers are taken for one."""

    result: Result
    other: Registration
    evidence: tuple[Evidence, ...]

    @property
    def blocks(self) -> bool:
        return self.result in BLOCKING


def customer_of(
    *,
    name: str,
    country: str,
    website: str = "",
    tax_id: str = "",
    duns: str = "",
    postcode: str = "",
    city: str = "",
    contact_email: str = "",
) -> Customer:
    """A customer as it was typed, in the forms that are compared."""
    return Customer(
        country=country,
        name=normalised_name(name),
        tax_id=normalised_tax_id(tax_id, country),
        domain=customer_domain(website),
        duns="".join(filter(str.isdigit, duns)),
        postcode=normalised_postcode(postcode),
        city=folded(city),
        contact_domain=mail_domain(contact_email),
    )


def keys_of(customer: Customer) -> tuple[Key, ...]:
    """The facts that identify a customer. All but the tax id count within one country only.

    They are what a claim is taken on: whoever shares one with a claimed customer cannot claim it too.
    """
    country, name = customer.country, customer.name
    candidates = (
        (EvidenceKind.TAX_ID, (customer.tax_id,)),
        (EvidenceKind.DOMAIN, (country, customer.domain)),
        (EvidenceKind.DUNS, (country, customer.duns)),
        (EvidenceKind.NAME_AND_POSTCODE, (country, name, customer.postcode)),
        (EvidenceKind.NAME_AND_CITY, (country, name, customer.city)),
    )
    return tuple(Key(kind, "|".join(parts)) for kind, parts in candidates if all(parts))


def evidence_between(ours: Customer, other: Customer) -> tuple[Evidence, ...]:
    """Everything that speaks for two customers being one, the surest first."""
    shared = set(keys_of(other))
    found = [Evidence(key.kind, key.value) for key in keys_of(ours) if key in shared]
    if ours.country and ours.country == other.country:
        found += _suggestions(ours, other)
    return tuple(found)


def _suggestions(ours: Customer, other: Customer) -> Iterable[Evidence]:
    score = name_similarity(ours.name, other.name) if ours.name and other.name else 0
    if score >= SIMILAR_NAME_FROM:
        yield Evidence(EvidenceKind.SIMILAR_NAME, f"{ours.name}|{other.name}", score)
    domains = {ours.domain} & {other.contact_domain} | {other.domain} & {ours.contact_domain}
    for domain in sorted(domains - {""}):
        yield Evidence(EvidenceKind.CONTACT_DOMAIN, domain)


def match_class(evidence: Collection[Evidence]) -> MatchClass | None:
    """The surest class among the evidence; None without any."""
    present = {item.match for item in evidence}
    return next((match for match in MatchClass if match in present), None)


def classified(match: MatchClass, holder: Holder, *, overlap: bool, deal_type: str = "new") -> Result | None:
    """What a match with a holder means. overlap: both name a product family.

    None: nothing stands against it (a customer's renewal or expansion of what it has).
    """
    if match is MatchClass.POSSIBLE:
        return Result.POSSIBLE_MATCH
    if not overlap:
        return Result.OTHER_PRODUCT
    if holder is Holder.CUSTOMER_CONTRACT and deal_type != "new":
        return None
    return RESULTS_OF_OVERLAP[holder]


def holder_of(ours: Registration, other: Registration, *, today: date) -> Holder | None:
    """What another registration is to ours; None when it holds nothing (a draft, closed, run out, or behind us)."""
    own = ours.partner_id == other.partner_id
    if other.state in (State.APPROVED, State.WON):
        protected = other.protected_until is not None and other.protected_until >= today
        return (Holder.OWN_EARLIER if own else Holder.OTHER_APPROVED) if protected else None
    ahead = other.place is not None and (ours.place is None or other.place < ours.place)
    if other.state is State.SUBMITTED and ahead:
        return Holder.OWN_EARLIER if own else Holder.OTHER_PENDING_EARLIER
    return None


def conflicts_of(
    ours: Registration, others: Iterable[Registration], *, deal_type: str, today: date
) -> tuple[Conflict, ...]:
    """All that other registrations mean for ours, in the order given."""
    found = []
    for other in others:
        evidence = evidence_between(ours.customer, other.customer) if other.id != ours.id else ()
        match, holder = match_class(evidence), holder_of(ours, other, today=today)
        if match is None or holder is None:
            continue
        result = classified(match, holder, overlap=bool(ours.products & other.products), deal_type=deal_type)
        if result is not None:
            found.append(Conflict(result, other, evidence))
    return tuple(found)
