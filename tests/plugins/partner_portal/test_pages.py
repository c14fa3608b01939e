"""The pages, without JavaScript: every form posts, every answer is a whole page."""

import re
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from hub.sdk import RuleBroken
from hub.sdk.tables import Link
from plugins.partner_portal import service
from plugins.partner_portal.models import Deal
from plugins.partner_portal.pages import _amount, pages
from plugins.partner_portal.rules import Role, State, allowed_actions

CUSTOMER = {
    "customer_name": "Acme GmbH",
    "customer_website": "acme.de",
    "customer_country": "DE",
    "customer_postcode": "10115",
    "contact_name": "Jo Doe",
    "contact_email": "jo@acme.de",
    "consent": "true",
}
WHAT = {
    "title": "ERP roll-out",
    "products": ["erp"],
    "business_problem": "Three ledgers that never agree.",
    "deal_type": "new",
    "amount": "25,000.00",
    "currency": "EUR",
}


@pytest.fixture
def what(today):
    return {**WHAT, "target_close_on": str(today)}


def test_a_deal_is_registered_in_two_steps(story, browser, what):
    north = browser("Northwind")
    assert "Who is the customer?" in north.get("/partner/deals/new").text
    kept = north.post("/partner/deals/new?step=1", action="next", **CUSTOMER)
    assert (kept.status_code, kept.headers["Location"].endswith("step=2&answer=clear")) == (303, True)
    second = north.get(kept.headers["Location"])
    assert "Nobody else holds this customer for these products." in second.text
    done = north.post(kept.headers["Location"], action="submit", **what)
    assert done.status_code == 303
    page = north.get(done.headers["Location"])
    assert "Your deal is submitted." in page.text
    assert "Decision due in" in page.text
    assert story.look(deal_of(done), lambda deal: (deal.state, str(deal.amount))) == ("submitted", "25000.0000")


def test_a_wrong_value_is_shown_beside_its_field_and_what_was_typed_stays(browser):
    refused = browser("Northwind").post(
        "/partner/deals/new?step=1", action="next", **CUSTOMER | {"customer_website": "http://acme.de"}
    )
    assert refused.status_code == 422
    assert 'id="customer_website-error"' in refused.text
    assert 'value="http://acme.de"' in refused.text
    assert 'value="Acme GmbH"' in refused.text


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("25000", "25000"),
        ("25000.5", "25000.5"),
        ("25000,50", "25000.50"),
        ("12,5", "12.5"),
        ("25,000.00", "25000.00"),
        ("1,250,000", "1250000"),
        ("25.000,00", "25000.00"),
        ("25 000,00", "25000.00"),
        ("1500.125", "1500.125"),
        ("", None),
    ],
)
def test_an_amount_is_read_as_it_was_meant(typed, meant):
    assert _amount(typed) == (None if meant is None else Decimal(meant))


@pytest.mark.parametrize("typed", ["25.000", "1,25,000", "25,0000", "25.000.00", "1e5", "-5", "NaN", "25,000,00"])
def test_an_amount_that_may_mean_two_things_is_refused(typed):
    with pytest.raises(RuleBroken, match="is not an amount"):
        _amount(typed)


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [("amount", "a lot", "“a lot” is not an amount."), ("target_close_on", "soon", "“soon” is not a day.")],
)
def test_what_cannot_be_read_is_named(browser, what, field, value, sentence):
    north = browser("Northwind")
    kept = north.post("/partner/deals/new?step=1", action="next", **CUSTOMER)
    refused = north.post(kept.headers["Location"], action="save", **what | {field: value})
    assert (refused.status_code, sentence in refused.text) == (422, True)


def test_a_draft_is_kept_though_it_cannot_be_submitted(story, browser, what):
    north = browser("Northwind")
    kept = north.post("/partner/deals/new?step=1", action="next", **CUSTOMER | {"customer_postcode": ""})
    refused = north.post(kept.headers["Location"], action="submit", **what)
    assert refused.status_code == 422
    assert "Give the customer&#39;s postcode." in refused.text
    assert "Who is the customer?" in refused.text, "the step where something is missing"
    assert story.look(deal_of(kept), lambda deal: (deal.state, deal.title)) == ("draft", "ERP roll-out")


def test_the_second_step_warns_of_others_and_names_ones_own(story, browser):
    story.submitted(story.south)
    mine = story.submitted(story.north)
    kept = browser("Northwind").post("/partner/deals/new?step=1", action="next", **CUSTOMER)
    assert kept.headers["Location"].endswith("answer=possible")
    page = browser("Northwind").get(kept.headers["Location"]).text
    assert f"/partner/deals/{mine}" in page
    assert "Southsea" not in page


def test_the_list_shows_clock_and_next_step_and_its_tabs_count(story, browser):
    story.create(story.north, title="Only a draft")
    story.approved(story.north, title="Protected one")
    story.create(story.south, title="Not mine")
    north = browser("Northwind")
    page = north.get("/partner/deals").text
    assert "Only a draft" in page
    assert "Protection ends" in page
    assert "Not mine" not in page
    drafts = north.get("/partner/deals?show=draft").text
    assert ("Only a draft" in drafts, "Protected one" in drafts) == (True, False)


BUTTONS = {"submit": "edit", "delete": "delete", "withdraw": "withdraw", "close_won": "won", "close_lost": "lost"}


@pytest.mark.parametrize("state", list(State))
def test_a_deal_has_exactly_the_buttons_that_the_table_allows(story, browser, state):
    deal_id = story.submitted(story.north)
    story.hub.transact(lambda session: setattr(session.get(Deal, deal_id), "state", state.value))
    page = browser("Northwind").get(f"/partner/deals/{deal_id}").text
    shown = set(re.findall(rf"/partner/deals/{deal_id}/(\w+)", page))
    assert shown == {BUTTONS[action.value] for action in allowed_actions(state, Role.PARTNER)}


@pytest.mark.parametrize(
    ("state", "path", "fields", "to"),
    [
        ("submitted", "withdraw", {}, "withdrawn"),
        ("approved", "won", {}, "won"),
        ("approved", "lost", {"reason": "price"}, "lost"),
    ],
)
def test_a_deal_is_closed_after_a_question(story, browser, state, path, fields, to):
    deal_id = getattr(story, state)(story.north)
    north = browser("Northwind")
    assert "D-00001" in north.get(f"/partner/deals/{deal_id}/{path}").text
    assert story.look(deal_id) == state, "looking changes nothing"
    assert north.post(f"/partner/deals/{deal_id}/{path}", **fields).status_code == 303
    assert story.look(deal_id) == to


def test_a_loss_without_a_reason_asks_again(story, browser):
    deal_id = story.approved(story.north)
    refused = browser("Northwind").post(f"/partner/deals/{deal_id}/lost", reason="")
    assert (refused.status_code, story.look(deal_id)) == (422, "approved")


def test_a_draft_is_deleted_after_a_question(story, browser):
    deal_id = story.create(story.north)
    north = browser("Northwind")
    assert "Delete this draft?" in north.get(f"/partner/deals/{deal_id}/delete").text
    assert north.post(f"/partner/deals/{deal_id}/delete").status_code == 303
    assert north.get(f"/partner/deals/{deal_id}").status_code == 404


def test_the_queue_shows_who_came_first_on_top(story, browser):
    story.submitted(story.north, title="First one")
    story.submitted(story.south, title="Second one")
    page = browser(role="manager").get("/partner/review").text
    assert page.index("First one") < page.index("Second one")
    assert "Northwind" in page
    assert "Decision due in" in page


def test_a_deal_is_approved_by_two_clicks(story, browser):
    deal_id = story.submitted(story.north)
    firm = browser(role="manager")
    assert "Nobody else holds this customer" in firm.get(f"/partner/review/{deal_id}").text
    assert firm.post(f"/partner/review/{deal_id}/decide", action="approve").status_code == 303
    assert story.look(deal_id) == "approved"


def test_what_stands_against_a_deal_is_shown_beside_it(story, browser):
    story.approved(story.north)
    second = story.submitted(story.south, customer_name="ACME")
    firm = browser(role="manager")
    page = firm.get(f"/partner/review/{second}").text
    assert "stands against approval" in page
    assert "the same web domain" in page
    assert "Side by side" in page
    assert re.search(r'value="approve"[^>]* disabled', page)
    refused = firm.post(f"/partner/review/{second}/decide", action="approve")
    assert (refused.status_code, "D-00001 of Northwind" in refused.text) == (422, True)
    assert story.look(second) == "submitted"


@pytest.mark.parametrize(
    ("fields", "status", "state"),
    [
        ({"reason": "duplicate", "text": "See D-00001."}, 303, "rejected"),
        ({"reason": "other", "text": ""}, 422, "submitted"),
        ({"reason": "", "text": "No."}, 422, "submitted"),
    ],
)
def test_a_rejection_needs_its_reason(story, browser, fields, status, state):
    deal_id = story.submitted(story.north)
    answer = browser(role="admin").post(f"/partner/review/{deal_id}/decide", action="reject", **fields)
    assert (answer.status_code, story.look(deal_id)) == (status, state)


def test_a_rejected_deal_tells_its_partner_why(story, browser):
    deal_id = story.submitted(story.north)
    story.act(service.reject_deal, deal_id, reason="duplicate", text="Talk to us.")
    page = browser("Northwind").get(f"/partner/deals/{deal_id}").text
    assert "Another registration covers this customer and product. Talk to us." in page


def test_the_way_of_a_deal_is_on_its_page(story, browser):
    deal_id, project_id = story.approved(story.north), uuid4()
    link = Link(connection_id=uuid4(), kind="deals", record_id=deal_id, remote_id="006A1", wanted=1)
    story.hub.transact(lambda session: session.add(link))
    story.hub.transact(lambda session: service.note_project(session, deal_id, project_id))
    firms = browser(role="manager").get(f"/partner/review/{deal_id}").text
    assert ("006A1" in firms, f"/projects/{project_id}" in firms) == (True, True)
    partners = browser("Northwind").get(f"/partner/deals/{deal_id}").text
    assert ("006A1" in partners, str(project_id) in partners, "set up" in partners) == (False, False, True)


def own_pages(app):
    return sorted(
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith(f"{pages.name}.") and "<" in rule.rule
        for method in rule.methods - {"HEAD", "OPTIONS"}
    )


def test_another_partners_pages_do_not_exist(app, story, browser):
    deal_id = story.approved(story.north)
    south = browser("Southsea")
    before = story.look(deal_id, lambda deal: deal.revision)
    seen = {}
    for method, rule in own_pages(app):
        address = rule.replace("<uuid:deal_id>", str(deal_id))
        send = south.get if method == "GET" else south.post
        seen[method, rule] = send(address).status_code
    assert seen, "the routes were found"
    for (_, rule), status in seen.items():
        assert status == (403 if rule.startswith("/partner/review") else 404), rule
    assert story.look(deal_id, lambda deal: deal.revision) == before


def deal_of(response):
    return UUID(re.search(r"/partner/deals/([0-9a-f-]{36})", response.headers["Location"])[1])
