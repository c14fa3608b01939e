"""Which customers are one, and what another registration means for ours: the two tables, case by case."""

from datetime import date
from itertools import product
from uuid import UUID

import pytest

from plugins.partner_portal.conflicts import (
    BLOCKING,
    MATCH_CLASSES,
    EvidenceKind,
    Holder,
    MatchClass,
    Registration,
    Result,
    classified,
    conflicts_of,
    customer_of,
    evidence_between,
    holder_of,
    keys_of,
    match_class,
)
from plugins.partner_portal.rules import State

TODAY = date(2026, 11, 24)
OURS, THEIRS = UUID(int=1), UUID(int=2)

ACME = {"name": "Acme GmbH", "country": "DE"}

EVIDENCE = [
    # ours, other, what is found
    ({"tax_id": "DE136695976", "name": "A1"}, {"tax_id": "136 695 976", "name": "B2"}, "tax_id", "certain"),
    (
        {"tax_id": "DE136695976", "name": "A1"},
        {"tax_id": "DE136695976", "name": "B2", "country": "FR"},
        "tax_id",
        "certain",
    ),
    ({"website": "acme.de", "name": "A1"}, {"website": "https://www.ACME.de/x", "name": "B2"}, "domain", "strong"),
    ({"duns": "12-345-6789", "name": "A1"}, {"duns": "123456789", "name": "B2"}, "duns", "strong"),
    ({"postcode": "10115"}, {"name": "ACME", "postcode": "10 115"}, "name_and_postcode", "strong"),
    ({"city": "Köln"}, {"name": "acme", "city": "KOLN"}, "name_and_city", "strong"),
    ({"name": "First National Bank of Texas"}, {"name": "First National Bank of Utah"}, "similar_name", "possible"),
    ({}, {"name": "ACME AG"}, "similar_name", "possible"),  # equal names alone only suggest
    ({"website": "acme.de"}, {"name": "Zulu", "contact_email": "jo@acme.de"}, "contact_domain", "possible"),
    ({"contact_email": "jo@acme.de"}, {"name": "Zulu", "website": "acme.de"}, "contact_domain", "possible"),
]


@pytest.mark.parametrize(("ours", "other", "kind", "match"), EVIDENCE)
def test_what_makes_two_customers_one(ours, other, kind, match):
    found = evidence_between(customer_of(**ACME | ours), customer_of(**ACME | other))
    assert found[0].kind == kind
    assert match_class(found) == match


def test_every_kind_of_evidence_is_among_the_cases():
    assert {kind for _, _, kind, _ in EVIDENCE} == set(EvidenceKind) == set(MATCH_CLASSES)


@pytest.mark.parametrize(
    ("ours", "other"),
    [
        ({"website": "acme.de"}, {"website": "acme.de", "country": "AT"}),
        ({"postcode": "10115"}, {"postcode": "10115", "country": "AT"}),
        ({"duns": "123456789"}, {"duns": "123456789", "country": "AT"}),
        ({"website": "gmail.com", "name": "A1"}, {"website": "gmail.com", "name": "B2"}),
        ({"contact_email": "a@gmx.de", "name": "A1"}, {"website": "gmx.de", "name": "B2"}),
        ({"tax_id": "DE136695978", "name": "A1"}, {"tax_id": "DE136695978", "name": "B2"}),  # wrong check digit
        ({"postcode": "10115", "name": "Acme Industries"}, {"postcode": "10115", "name": "Acme Industrial"}),  # 87
        ({"name": "A1"}, {"name": "B2"}),
    ],
)
def test_what_does_not(ours, other):
    found = evidence_between(customer_of(**ACME | ours), customer_of(**ACME | other))
    assert found == ()
    assert match_class(found) is None


def test_the_surest_evidence_decides_the_class():
    ours = customer_of(**ACME, website="acme.de", tax_id="DE136695976")
    assert [item.match for item in evidence_between(ours, ours)] == ["certain", "strong", "possible"]
    assert match_class(evidence_between(ours, ours)) is MatchClass.CERTAIN


def test_a_customer_of_name_and_country_alone_has_no_key():
    assert keys_of(customer_of(**ACME)) == ()


def test_a_shared_key_is_the_same_as_a_certain_or_strong_match():
    for ours, other, _, match in EVIDENCE:
        mine, yours = customer_of(**ACME | ours), customer_of(**ACME | other)
        assert bool(set(keys_of(mine)) & set(keys_of(yours))) == (match != "possible")


CODES = {
    Holder.OTHER_APPROVED: "conflict.registered",
    Holder.OTHER_PENDING_EARLIER: "conflict.pending_earlier",
    Holder.DIRECT_OPPORTUNITY: "conflict.direct_sales",
    Holder.CUSTOMER_CONTRACT: "conflict.existing_customer",
    Holder.OWN_EARLIER: "duplicate.own",
}


@pytest.mark.parametrize(
    ("match", "holder", "overlap", "deal_type"),
    list(product(MatchClass, Holder, [True, False], ["new", "expansion", "renewal"])),
)
def test_what_a_match_means(match, holder, overlap, deal_type):
    if match is MatchClass.POSSIBLE:
        expected = "review.possible_match"
    elif not overlap:
        expected = "info.same_customer_other_product"
    elif holder is Holder.CUSTOMER_CONTRACT and deal_type != "new":
        expected = None  # the customer extends or renews what it has
    else:
        expected = CODES[holder]
    assert classified(match, holder, overlap=overlap, deal_type=deal_type) == expected


def test_only_an_overlap_with_a_sure_match_blocks():
    assert {
        "conflict.registered",
        "conflict.pending_earlier",
        "conflict.direct_sales",
        "conflict.existing_customer",
        "duplicate.own",
    } == BLOCKING


def registration(number, *, partner=THEIRS, state=State.APPROVED, place=1, until=TODAY, products=("erp",)):
    customer = customer_of(**ACME, website="acme.de")
    return Registration(UUID(int=number), partner, state, place, until, frozenset(products), customer)


MINE = registration(10, partner=OURS, state=State.SUBMITTED, place=5, until=None)

HOLDERS = [
    # partner, state, place, protected until, what it is to a registration of ours in place 5
    (THEIRS, "approved", 1, date(2026, 11, 24), Holder.OTHER_APPROVED),  # its last day
    (THEIRS, "approved", 1, date(2026, 11, 23), None),  # run out yesterday
    (THEIRS, "approved", 9, date(2027, 1, 1), Holder.OTHER_APPROVED),  # came later, but is decided
    (THEIRS, "won", 1, date(2027, 1, 1), Holder.OTHER_APPROVED),
    (THEIRS, "won", 1, date(2026, 11, 23), None),
    (THEIRS, "submitted", 4, None, Holder.OTHER_PENDING_EARLIER),
    (THEIRS, "submitted", 6, None, None),  # behind us
    (THEIRS, "draft", None, None, None),  # drafts hold nothing
    (THEIRS, "rejected", 1, None, None),
    (THEIRS, "withdrawn", 1, None, None),
    (THEIRS, "lost", 1, date(2027, 1, 1), None),
    (OURS, "approved", 1, date(2027, 1, 1), Holder.OWN_EARLIER),
    (OURS, "submitted", 4, None, Holder.OWN_EARLIER),
    (OURS, "submitted", 6, None, None),
    (OURS, "draft", None, None, None),
]


@pytest.mark.parametrize(("partner", "state", "place", "until", "holder"), HOLDERS)
def test_what_another_registration_holds(partner, state, place, until, holder):
    other = registration(11, partner=partner, state=State(state), place=place, until=until)
    assert holder_of(MINE, other, today=TODAY) is holder


def test_before_its_submission_a_registration_is_behind_all_others():
    ours = registration(10, partner=OURS, state=State.DRAFT, place=None, until=None)
    other = registration(11, state=State.SUBMITTED, place=9, until=None)
    assert holder_of(ours, other, today=TODAY) is Holder.OTHER_PENDING_EARLIER


def test_conflicts_carry_the_result_the_other_and_the_evidence():
    other = registration(11, products=("erp", "crm"))
    conflict = only(conflicts_of(MINE, [other, MINE], deal_type="new", today=TODAY))
    assert (conflict.result, conflict.other, conflict.blocks) == (Result.REGISTERED, other, True)
    assert [item.kind for item in conflict.evidence] == ["domain", "similar_name"]


def test_another_product_of_the_same_customer_is_only_news():
    conflict = only(conflicts_of(MINE, [registration(11, products=("crm",))], deal_type="new", today=TODAY))
    assert (conflict.result, conflict.blocks) == (Result.OTHER_PRODUCT, False)


def only(found):
    assert len(found) == 1
    return found[0]
