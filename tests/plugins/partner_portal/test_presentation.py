"""What each side sees of a deal."""

from datetime import timedelta

import pytest

from plugins.partner_portal import service
from plugins.partner_portal.detection import own_deals_with
from plugins.partner_portal.models import Deal, Partner
from plugins.partner_portal.presentation import own_view, review_view
from plugins.partner_portal.rules import FIELDS
from plugins.partner_portal.schemas import DealOutput, ReviewOutput


def seen(story, deal_id, view=own_view):
    with story.hub.read() as session:
        return view(session, session.get(Deal, deal_id))


def test_a_partner_reads_all_it_said_and_what_it_may_do(story):
    shown = seen(story, story.create(story.north))
    assert shown.keys() >= FIELDS
    assert shown["allowed_actions"] == ["submit", "delete"]
    assert set(shown["editable_fields"]) == FIELDS
    assert shown["next_step"] == "Complete the deal and submit it: your place in line starts then."


@pytest.mark.parametrize(("view", "output"), [(own_view, DealOutput), (review_view, ReviewOutput)])
def test_a_view_says_exactly_what_its_schema_describes(story, view, output):
    story.approved(story.north)
    shown = seen(story, story.submitted(story.south), view)
    assert set(shown) == set(output().fields)
    assert set(shown["conflicts"][0]) == set(output().fields["conflicts"].inner.schema.fields)
    assert output().dump(shown)["state"] == "submitted"


def test_a_partner_reads_nothing_of_the_other_one(story, today):
    first = story.approved(story.north)
    shown = seen(story, story.submitted(story.south))
    assert shown["conflicts"] == [
        {"code": "conflict.registered", "until": today + timedelta(days=90), "own_deal_id": None}
    ]
    everything = str(shown)
    assert "Northwind" not in everything
    assert "D-00001" not in everything
    assert str(first) not in everything


def test_a_partner_is_led_to_its_own_earlier_deal(story, today):
    first = story.approved(story.north)
    shown = seen(story, story.submitted(story.north))
    assert shown["conflicts"] == [{"code": "duplicate.own", "until": today + timedelta(days=90), "own_deal_id": first}]


def test_an_approver_reads_who_and_why(story, today):
    first = story.approved(story.north)
    shown = seen(story, story.submitted(story.south, products=["erp", "crm"]), review_view)
    assert shown["allowed_actions"] == ["approve", "reject"]
    assert shown["conflicts"] == [
        {
            "code": "conflict.registered",
            "blocks": True,
            "deal_id": first,
            "number": "D-00001",
            "partner_name": "Northwind",
            "state": "approved",
            "protected_until": today + timedelta(days=90),
            "products": ["erp"],
            "evidence": ["domain", "name_and_postcode", "similar_name", "contact_domain"],
        }
    ]


def test_a_decided_deal_has_no_conflicts(story):
    first, second = story.submitted(story.north), story.submitted(story.south)
    story.act(service.approve_deal, first)
    story.act(service.reject_deal, second, reason="duplicate", text="Talk to us about the next one.")
    shown = seen(story, second)
    assert (shown["state"], shown["conflicts"], shown["allowed_actions"]) == ("rejected", [], [])
    assert shown["next_step"].endswith("Talk to us about the next one.")


def test_a_partner_finds_its_own_deals_with_a_customer_whatever_became_of_them(story):
    lost = story.submitted(story.north)
    story.act(service.withdraw_deal, lost)
    story.submitted(story.south)
    draft = story.create(story.north, customer_name="ACME", products=[])
    with story.hub.read() as session:
        deal = session.get(Deal, draft)
        found = own_deals_with(session, session.get(Partner, story.north), deal.customer_as_typed(), but=deal)
    assert [each.id for each in found] == [lost]
