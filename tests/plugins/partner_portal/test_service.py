"""From a draft to a protected deal, against a real database."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date, timedelta
from threading import Barrier, BrokenBarrierError, Thread

import pytest
from sqlalchemy import select, update

from hub.core.audit import AuditEntry
from hub.core.outbox import Link, Subscription
from hub.sdk import NotFound, RuleBroken
from plugins.partner_portal import detection, service
from plugins.partner_portal.conflicts import customer_of, keys_of
from plugins.partner_portal.detection import PRECHECKS_PER_HOUR, conflicts_of_deal, precheck, standings
from plugins.partner_portal.models import Claim, Deal, DealEvidence, Partner, Precheck
from plugins.partner_portal.partners import partner_of, set_partner_active
from plugins.partner_portal.rules import Role

DIFFERENT = {"customer_name": "Zulu AG", "customer_website": "zulu.de", "customer_postcode": "80331"}


def test_numbers_count_up(story):
    deals = [story.create(story.north), story.create(story.south, **DIFFERENT)]
    assert [story.look(deal_id, lambda deal: deal.number) for deal_id in deals] == ["D-00001", "D-00002"]


def test_a_draft_may_be_nearly_empty_but_not_wrong(story):
    story.hub.transact(lambda session: service.create_deal(session, session.get(Partner, story.north), {}))
    with pytest.raises(RuleBroken) as refusal:
        story.create(story.north, customer_country="Germany", products=["tractors"])
    assert set(refusal.value.fields) == {"customer_country", "products"}


def test_an_incomplete_deal_is_not_submitted_and_says_what_is_missing(story):
    deal_id = story.create(story.north, amount=None, contact_email="")
    with pytest.raises(RuleBroken, match=r"Deal D-00001 is not complete") as refusal:
        story.act(service.submit_deal, deal_id)
    assert set(refusal.value.fields) == {"amount", "contact_email"}
    assert story.look(deal_id) == "draft"


def test_a_submission_takes_its_place_in_line(story):
    first, second = story.create(story.north), story.create(story.south, **DIFFERENT)
    story.act(service.submit_deal, second)
    story.act(service.submit_deal, first)
    assert [story.look(deal_id, lambda deal: deal.place) for deal_id in (second, first)] == [1, 2]
    assert story.look(first, lambda deal: (deal.match_name, deal.match_domain)) == ("acme", "acme.de")


def test_an_approval_protects_for_ninety_days_and_takes_a_claim_per_fact_and_family(story, today):
    deal_id = story.approved(story.north, products=["erp", "crm"])
    assert story.look(deal_id, lambda deal: (deal.state, deal.approved_on)) == ("approved", today)
    assert story.look(deal_id, lambda deal: deal.protected_until) == today + timedelta(days=90)
    claims = story.look(
        deal_id, lambda deal: sorted((claim.customer_key, claim.product_family) for claim in deal.claims)
    )
    assert claims == [
        ("domain|DE|acme.de", "crm"),
        ("domain|DE|acme.de", "erp"),
        ("name_and_postcode|DE|acme|10115", "crm"),
        ("name_and_postcode|DE|acme|10115", "erp"),
    ]


def test_the_submitter_does_not_decide(story):
    deal_id = story.submitted(story.north)
    with pytest.raises(RuleBroken, match="another person decides"):
        story.act(service.approve_deal, deal_id, actor=f"user:{story.north}")
    assert story.look(deal_id) == "submitted"


def test_a_second_registration_is_accepted_but_not_approved(story):
    story.approved(story.north)
    second = story.submitted(story.south, customer_name="ACME", customer_postcode="99999")  # the same website
    assert story.look(second) == "submitted"
    with pytest.raises(RuleBroken, match=r"D-00001 of Northwind .* is protected until") as refusal:
        story.act(service.approve_deal, second)
    assert (refusal.value.code, refusal.value.fields) == ("conflict-registered", {})
    assert story.look(second) == "submitted"


def test_who_came_first_is_decided_on_first(story):
    first, second = story.submitted(story.north), story.submitted(story.south)
    with pytest.raises(RuleBroken, match=r"D-00001 of Northwind .* came in earlier") as refusal:
        story.act(service.approve_deal, second)
    assert refusal.value.code == "conflict-registered"
    story.act(service.reject_deal, first, reason="not_qualified")
    story.act(service.approve_deal, second)
    assert story.look(second) == "approved"


def test_ones_own_second_registration_is_a_duplicate(story):
    story.approved(story.north)
    second = story.submitted(story.north, title="Once more")
    with pytest.raises(RuleBroken) as refusal:
        story.act(service.approve_deal, second)
    assert refusal.value.code == "duplicate-own"


def test_another_product_of_the_same_customer_can_be_approved(story):
    story.approved(story.north, products=["erp"])
    second = story.approved(story.south, products=["crm"])
    assert story.look(second) == "approved"


def test_nothing_is_approved_that_no_claim_could_hold(story):
    deal_id = story.submitted(story.north)
    empty = dict.fromkeys(
        ("match_name", "match_domain", "match_tax_id", "match_duns", "match_postcode", "match_city"), ""
    )
    story.hub.transact(lambda session: session.execute(update(Deal).where(Deal.id == deal_id).values(**empty)) and None)
    with pytest.raises(RuleBroken, match="nothing in it tells its customer"):
        story.act(service.approve_deal, deal_id)
    assert story.look(deal_id, lambda deal: (deal.state, deal.claims)) == ("submitted", [])


def test_the_database_itself_refuses_a_second_claim(story, today):
    """The check sees nothing here, as when two approvals run at once: only the claim of the other one stands."""
    blind = story.submitted(story.north, **DIFFERENT)
    second = story.submitted(story.south)
    key = story.look(second, lambda deal: keys_of(deal.customer())[0])
    claim = Claim(customer_key=f"{key.kind}|{key.value}", product_family="erp", deal_id=blind, protected_until=today)
    story.hub.transact(lambda session: session.add(claim))
    with pytest.raises(RuleBroken, match="approved just now") as refusal:
        story.act(service.approve_deal, second)
    assert refusal.value.code == "conflict-registered"
    assert story.look(second, lambda deal: (deal.state, deal.claims)) == ("submitted", [])


def test_of_two_approvals_at_once_one_is_refused(story):
    """Alternating who starts: whatever the order, one deal is approved and the other approver reads why not."""
    deals = [story.submitted(story.north), story.submitted(story.south)]
    # As if neither had come first, so that only the claims can decide.
    story.hub.transact(lambda session: session.execute(update(Deal).values(place=None)))
    outcomes, barrier = [], Barrier(2)

    def approve(deal_id):
        barrier.wait()
        try:
            story.act(service.approve_deal, deal_id)
            outcomes.append("approved")
        except RuleBroken as refusal:
            outcomes.append(refusal.code)

    threads = [Thread(target=approve, args=(deal_id,)) for deal_id in deals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["approved", "conflict-registered"]
    assert sorted(story.look(deal_id) for deal_id in deals) == ["approved", "submitted"]


def test_protection_that_has_run_out_makes_way(story, today):
    first = story.approved(story.north)
    yesterday = today - timedelta(days=1)

    def lapse(session):
        session.get(Deal, first).protected_until = yesterday
        session.execute(update(Claim).values(protected_until=yesterday))

    story.hub.transact(lapse)
    assert story.look(story.approved(story.south)) == "approved"
    assert story.look(first, lambda deal: deal.claims) == []


def test_a_lost_deal_frees_the_customer_and_a_won_one_does_not(story):
    lost = story.approved(story.north)
    story.act(service.close_lost, lost, role=Role.PARTNER, reason="price")
    won = story.approved(story.south)
    story.act(service.close_won, won, role=Role.PARTNER)
    third = story.submitted(story.north)
    with pytest.raises(RuleBroken, match="D-00002 of Southsea"):
        story.act(service.approve_deal, third)


def test_a_project_that_came_out_of_a_deal_closes_it_as_won_once(story):
    deal_id, project_id = story.approved(story.north), story.north
    for _ in range(2):
        story.hub.transact(lambda session: service.note_project(session, deal_id, project_id))
    assert story.look(deal_id, lambda deal: (deal.state, deal.project_id)) == ("won", project_id)
    revision = story.look(deal_id, lambda deal: deal.revision)
    story.hub.transact(lambda session: service.note_project(session, deal_id, project_id))
    assert story.look(deal_id, lambda deal: deal.revision) == revision


def test_a_withdrawn_deal_holds_nothing(story):
    first = story.submitted(story.north)
    story.act(service.withdraw_deal, first)
    assert story.look(story.approved(story.south)) == "approved"


def test_only_drafts_are_deleted(story):
    draft, submitted = story.create(story.north), story.submitted(story.north)
    story.act(service.delete_draft, draft)
    with pytest.raises(RuleBroken) as refusal:
        story.act(service.delete_draft, submitted)
    assert refusal.value.code == "invalid-transition"
    with story.hub.read() as session:
        assert session.scalars(select(Deal.number)).all() == ["D-00002"]


def test_an_approved_deal_keeps_its_customer(story):
    deal_id = story.approved(story.north)
    story.act(service.change_deal, deal_id, values={"contact_phone": "+49 30 901820"})
    with pytest.raises(RuleBroken) as refusal:
        story.act(service.change_deal, deal_id, values={"customer_country": "AT", "contact_name": "Al Bo"})
    assert set(refusal.value.fields) == {"customer_country"}
    assert story.look(deal_id, lambda deal: (deal.contact_name, deal.contact_phone)) == ("Jo Doe", "+49 30 901820")


def test_an_external_id_is_the_partners_own_and_unique_there(story):
    story.create(story.north, external_id="X-1")
    story.create(story.south, external_id="X-1")
    with pytest.raises(RuleBroken) as refusal:
        story.create(story.north, external_id="X-1")
    assert set(refusal.value.fields) == {"external_id"}


def test_codes_are_kept_in_capitals_and_texts_without_edges(story):
    deal_id = story.create(story.north, customer_country="de", currency="eur", title="  ERP roll-out ")
    seen = story.look(deal_id, lambda deal: (deal.customer_country, deal.currency, deal.title))
    assert seen == ("DE", "EUR", "ERP roll-out")


def test_what_a_check_found_is_kept_hashed(story):
    first = story.approved(story.north)
    second = story.submitted(story.south)
    with story.hub.read() as session:
        rows = session.scalars(select(DealEvidence).where(DealEvidence.deal_id == second)).all()
        assert {row.kind for row in rows} == {"domain", "name_and_postcode", "similar_name", "contact_domain"}
        assert {(row.other_deal_id, row.result, row.found_by) for row in rows} == {
            (first, "conflict.registered", "submit")
        }
        assert all(len(row.value_hash) == 64 and "acme" not in row.value_hash for row in rows)


def test_a_partner_learns_that_a_customer_is_protected_but_not_by_whom(story, today):
    story.approved(story.north)
    second = story.submitted(story.south)
    with story.hub.read() as session:
        shown = standings(conflicts_of_deal(session, session.get(Deal, second), today=today))
    assert [(item.code, item.until, item.own) for item in shown] == [
        ("conflict.registered", today + timedelta(days=90), None)
    ]


def test_a_partner_reaches_only_its_own_deals(story):
    deal_id = story.create(story.north)
    with story.hub.read() as session:
        north, south = session.get(Partner, story.north), session.get(Partner, story.south)
        assert service.own_deal(session, north, deal_id).id == deal_id
        with pytest.raises(NotFound, match="You have no deal"):
            service.own_deal(session, south, deal_id)


def test_an_approver_sees_no_drafts(story):
    draft, submitted = story.create(story.north), story.submitted(story.south, **DIFFERENT)
    with story.hub.read() as session:
        assert service.reviewed_deal(session, submitted).id == submitted
        with pytest.raises(NotFound):
            service.reviewed_deal(session, draft)


def test_a_partner_that_is_not_active_registers_nothing(story):
    story.hub.transact(lambda session: set_partner_active(session, session.get(Partner, story.north), active=False))
    with pytest.raises(RuleBroken, match="Northwind cannot register deals"):
        story.create(story.north)


def test_a_user_of_no_partner_has_none(story):
    with story.hub.read() as session:
        assert partner_of(session, story.north) is None


ASKED = customer_of(name="ACME", country="DE", website="www.acme.de")


@pytest.mark.parametrize(
    ("registered", "products", "answer"),
    [
        ({}, ["erp"], "taken"),
        ({}, ["crm"], "clear"),  # the same customer, another product
        ({"customer_website": "acme.com"}, ["erp"], "possible"),  # the name alone
        (DIFFERENT | {"contact_email": "jo@zulu.de"}, ["erp"], "clear"),
    ],
)
def test_a_precheck_answers_in_one_word(story, today, registered, products, answer):
    story.submitted(story.north, **registered)

    def ask(session):
        return precheck(session, session.get(Partner, story.south), ASKED, products, today=today).answer

    assert story.hub.transact(ask, actor="user:south") == answer
    with story.hub.read() as session:
        logged = session.scalars(select(Precheck)).one()
        assert (logged.partner_id, logged.actor, logged.answer) == (story.south, "user:south", answer)


def test_a_precheck_names_ones_own_deal(story, today):
    deal_id = story.submitted(story.north)
    with story.hub.read() as session:
        found = precheck(session, session.get(Partner, story.north), ASKED, ["erp"], today=today)
    assert (found.answer, [deal.id for deal in found.own]) == ("clear", [deal_id])


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({"contact_name": "", "contact_email": " "}, ["contact_email", "contact_name"]),
        ({"target_close_on": None}, ["target_close_on"]),
        ({"target_close_on": date(2020, 1, 1)}, ["target_close_on"]),
        ({"stage": "prospect"}, ["stage"]),
    ],
)
def test_what_a_submission_needed_cannot_be_emptied_after_the_approval(story, values, fields):
    deal_id = story.approved(story.north)
    with pytest.raises(RuleBroken) as refusal:
        story.act(service.change_deal, deal_id, values=values)
    assert (refusal.value.code, sorted(refusal.value.fields)) == ("validation", fields)
    story.act(service.change_deal, deal_id, values={"contact_phone": "", "external_id": None})  # these never were


def test_an_approved_deal_whose_day_has_passed_is_still_open_to_other_changes(story, today):
    deal_id = story.approved(story.north)
    passed = today - timedelta(days=1)
    story.hub.transact(lambda session: setattr(session.get(Deal, deal_id), "target_close_on", passed))
    story.act(service.change_deal, deal_id, values={"target_close_on": passed, "contact_name": "Al Bo"})
    assert story.look(deal_id, lambda deal: deal.contact_name) == "Al Bo"


@pytest.mark.parametrize(
    ("close", "state"),
    [
        (lambda story, id: story.act(service.close_won, id, role=Role.PARTNER), "won"),
        (lambda story, id: story.act(service.close_lost, id, role=Role.PARTNER, reason="price"), "lost"),
    ],
)
def test_the_project_of_a_deal_that_its_partner_closed_first_is_noted_on_it(story, close, state):
    deal_id = story.approved(story.north)
    close(story, deal_id)
    for project_id in (story.north, story.south):  # the second one came out of it too, and is not the deal's
        story.hub.transact(lambda session, id=project_id: service.note_project(session, deal_id, id))
    assert story.look(deal_id, lambda deal: (deal.state, deal.project_id)) == (state, story.north)


def test_of_parallel_prechecks_none_slips_through(story, today, monkeypatch):
    """The last one that is left is asked for twice at once; the first holds still as long as the second may pass it."""
    found, both = detection._found, Barrier(2)

    def hold_still(*args, **keywords):
        with suppress(BrokenBarrierError):
            both.wait(0.4)
        return found(*args, **keywords)

    monkeypatch.setattr(detection, "PRECHECKS_PER_HOUR", 1)
    monkeypatch.setattr(detection, "_found", hold_still)

    def ask(_):
        def work(session):
            return precheck(session, session.get(Partner, story.north), ASKED, ["erp"], today=today).answer

        try:
            return story.hub.transact(work)
        except RuleBroken as refusal:
            return refusal.code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(ask, range(2))) == ["clear", "quota-exceeded"]


def test_prechecks_are_rationed_per_partner(story, today):
    def ask(partner_id):
        def work(session):
            return precheck(session, session.get(Partner, partner_id), ASKED, ["erp"], today=today).answer

        return story.hub.transact(work)

    def fish(session):
        for _ in range(PRECHECKS_PER_HOUR):
            precheck(session, session.get(Partner, story.north), ASKED, ["erp"], today=today)

    story.hub.transact(fish)
    with pytest.raises(RuleBroken) as refusal:
        ask(story.north)
    assert refusal.value.code == "quota-exceeded"
    assert 1800 < refusal.value.retry_after_s <= 3600  # the oldest of them is an hour old then
    assert ask(story.south) == "clear"


def subscribe(hub):
    subscription = Subscription(connection_id=hub.north, kind="deals", position=1, pushes=True, pulls=False)
    hub.hub.transact(lambda session: session.add(subscription))


def owed(story):
    with story.hub.read() as session:
        return session.execute(select(Link.record_id, Link.wanted)).all()


def test_a_deal_is_owed_to_the_crm_once_it_is_approved(story):
    subscribe(story)
    submitted = story.submitted(story.north, **DIFFERENT)
    assert owed(story) == []
    story.act(service.approve_deal, submitted)
    assert owed(story) == [(submitted, 1)]
    story.act(service.change_deal, submitted, values={"stage": "committed"})
    story.act(service.close_won, submitted, role=Role.SYSTEM)
    assert owed(story) == [(submitted, 3)]


def test_every_step_is_in_the_audit(story):
    deal_id = story.approved(story.north)
    with story.hub.read() as session:
        steps = session.execute(
            select(AuditEntry.actor, AuditEntry.changes).where(AuditEntry.record_id == deal_id).order_by(AuditEntry.id)
        ).all()
    states = [(actor, changes["state"]) for actor, changes in steps if "state" in changes]
    assert states == [
        (f"user:{story.north}", [None, "draft"]),
        (f"user:{story.north}", ["draft", "submitted"]),
        ("user:approver", ["submitted", "approved"]),
    ]


def test_the_record_carries_what_a_crm_needs(story, today):
    deal_id = story.approved(story.north)
    with story.hub.read() as session:
        record = service.load_deals(session, [deal_id])[0]
    assert (record.number, record.partner_name, record.state) == ("D-00001", "Northwind", "approved")
    assert (str(record.amount), record.currency, record.products) == ("25000.0000", "EUR", ("erp",))
    assert record.protected_until == today + timedelta(days=90)
