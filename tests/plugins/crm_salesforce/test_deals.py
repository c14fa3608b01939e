from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from hub.sdk import Batch, Op, OutcomeUnknown, Sending, Status
from tests.plugins.crm_salesforce.conftest import Caller
from tests.plugins.crm_salesforce.connecting import Deal, connect, push, sendings


def row(org, id):
    return org("GET", f"/sobjects/Opportunity/{id}").json()


def opportunities(org):
    return org.query("SELECT Id, Name FROM Opportunity ORDER BY Name").json()["records"]


@pytest.mark.parametrize("hub_id_field", [True, False])
def test_a_deal_becomes_an_open_opportunity_of_a_new_account(stand_in, hub_id_field):
    server = stand_in(seed="empty", hub_id_field=hub_id_field)
    org, connector = Caller(server), connect(server)
    deal = Deal()
    outcome = push(connector, deal)["1"]
    assert outcome.status == Status.CREATED
    created = row(org, outcome.remote_id)
    assert (created["Name"], created["StageName"], created["CloseDate"]) == (
        "Network refresh",
        "Prospecting",
        "2027-03-31",
    )
    assert Decimal(str(created["Amount"])) == deal.amount
    assert created.get("Hub_Id__c") == (f"deals:{deal.id}" if hub_id_field else None)
    account = org("GET", f"/sobjects/Account/{created['AccountId']}").json()
    assert (account["Name"], account["BillingCountry"]) == ("Newcomer Ltd", "United Kingdom")


@pytest.mark.parametrize(
    ("deal", "account"),
    [
        (Deal(customer_name="fjord LOGISTICS", customer_website="", customer_country="US"), "Fjord Logistics"),
        (Deal(customer_name="Fjord", customer_website="http://fjordlogistics.example/about"), "Fjord Logistics"),
        (Deal(customer_name="O'Brien & \\Sons", customer_website=""), "O'Brien & \\Sons"),
    ],
)
def test_the_account_is_found_by_name_or_website(stand_in, deal, account):
    server = stand_in()
    org = Caller(server)
    org.user("create_account", Name="O'Brien & \\Sons")
    outcome = push(connect(server), deal)["1"]
    found = org.query("SELECT Account.Name FROM Opportunity WHERE Id = '" + outcome.remote_id + "'").json()
    assert found["records"][0]["Account"]["Name"] == account
    assert server.sandbox.effects("create", "Account", actor="api") == []


def test_two_accounts_that_may_be_meant_go_to_a_person_and_the_others_are_sent(stand_in):
    server = stand_in(seed={"Account": [{"Name": "Twin"}, {"Name": "Twin"}]})
    outcomes = push(connect(server), Deal(customer_name="Twin"), Deal(title="Other"))
    assert (outcomes["1"].status, outcomes["1"].field) == (Status.REJECTED, "customer_name")
    assert outcomes["2"].status == Status.CREATED


def test_of_two_accounts_with_one_name_the_website_decides(stand_in):
    twins = [{"Name": "Twin", "Website": "twin.example"}, {"Name": "Twin", "Website": "other.example"}]
    server = stand_in(seed={"Account": twins})
    outcome = push(connect(server), Deal(customer_name="Twin", customer_website="https://other.example"))["1"]
    account_id = row(Caller(server), outcome.remote_id)["AccountId"]
    assert Caller(server)("GET", f"/sobjects/Account/{account_id}").json()["Website"] == "other.example"


@pytest.mark.parametrize(
    "theirs",
    [
        {"Website": "acme.example", "BillingCountry": "Germany"},
        {"Website": "acme.example"},
        {"BillingCountry": "Germany"},
    ],
)
def test_an_account_of_the_same_name_elsewhere_is_another_customer(stand_in, theirs):
    server = stand_in(seed={"Account": [{"Name": "Acme", **theirs}]})  # the deal's customer is in the United Kingdom
    push(connect(server), Deal(customer_name="Acme", customer_website="https://acme-uk.example"))
    assert len(server.sandbox.effects("create", "Account", actor="api")) == 1


def test_the_website_finds_the_account_though_another_has_the_name(stand_in):
    accounts = [{"Name": "Acme", "Website": "acme.example"}, {"Name": "Acme (UK)", "Website": "acme-uk.example"}]
    server = stand_in(seed={"Account": accounts})
    outcome = push(connect(server), Deal(customer_name="Acme", customer_website="https://acme-uk.example"))["1"]
    account_id = row(Caller(server), outcome.remote_id)["AccountId"]
    assert Caller(server)("GET", f"/sobjects/Account/{account_id}").json()["Name"] == "Acme (UK)"


def test_two_new_customers_of_one_name_get_an_account_each(stand_in):
    server = stand_in(seed="empty")
    push(connect(server), Deal(customer_website="https://a.example"), Deal(customer_website="https://b.example"))
    assert len(server.sandbox.effects("create", "Account")) == 2


def test_two_deals_of_one_new_customer_share_its_account(stand_in):
    server = stand_in(seed="empty")
    push(connect(server), Deal(title="One"), Deal(title="Two"))
    assert len(server.sandbox.effects("create", "Account")) == 1
    assert len(server.sandbox.effects("create", "Opportunity")) == 2


def test_a_whole_batch_takes_five_calls(stand_in):
    server = stand_in(seed="empty")
    connector = connect(server)
    used = server.sandbox.calls_used()
    push(connector, *(Deal(title=f"Deal {n}", customer_website="") for n in range(50)))
    # opportunities by key, accounts by name and by key; then accounts, and opportunities
    assert server.sandbox.calls_used() - used == 5
    assert len(server.sandbox.effects("create", "Opportunity")) == 50


@pytest.mark.parametrize("lost", ["*/Account/Hub_Id__c", "*/Opportunity/Hub_Id__c"])
def test_after_a_lost_answer_the_same_batch_creates_nothing_twice(stand_in, lost):
    server = stand_in(seed="empty")
    connector = connect(server)
    batch = Batch("batch-1", "deals", sendings(connector, Deal()))
    server.sandbox.add_fault(method="PATCH", path=lost, close=True, apply=True)
    with pytest.raises(OutcomeUnknown):
        connector.push(batch)
    (outcome,) = connector.push(batch)
    assert outcome.remote_id is not None
    assert len(server.sandbox.effects("create", "Opportunity")) == 1
    assert len(server.sandbox.effects("create", "Account")) == 1


def test_a_repeated_batch_leaves_alone_what_sales_did_meanwhile(stand_in):
    server = stand_in(seed="empty")
    org, connector = Caller(server), connect(server)
    batch = Batch("batch-1", "deals", sendings(connector, Deal()))
    server.sandbox.add_fault(method="PATCH", path="*/Opportunity/Hub_Id__c", close=True, apply=True)
    with pytest.raises(OutcomeUnknown):
        connector.push(batch)
    org.user("win_opportunity", id=opportunities(org)[0]["Id"])
    (outcome,) = connector.push(batch)
    assert outcome.status == Status.CREATED
    assert row(org, outcome.remote_id)["StageName"] == "Closed Won"


def test_without_the_key_field_a_lost_answer_is_looked_up(stand_in):
    server = stand_in(seed="empty", hub_id_field=False)
    connector = connect(server)
    sent = sendings(connector, Deal())
    server.sandbox.add_fault(method="POST", path="*/composite/sobjects", skip=1, close=True, apply=True)
    with pytest.raises(OutcomeUnknown):
        connector.push(Batch("batch-1", "deals", sent))
    (found,) = connector.find("deals", sent)
    assert found.ours
    assert found.remote_id == opportunities(Caller(server))[0]["Id"]


def test_without_the_key_field_ours_is_found_under_another_name_and_by_what_is_left_of_its_description(stand_in):
    server = stand_in(seed="empty", hub_id_field=False)
    org, connector, deal = Caller(server), connect(server), Deal()
    id = push(connector, deal)["1"].remote_id
    org.user("edit", id=id, fields={"Name": "Renamed", "Description": f"Hub: deals:{deal.id}. They want it by May."})
    (found,) = connector.find("deals", sendings(connector, deal))
    assert (found.remote_id, found.ours) == (id, True)


def test_without_the_key_field_and_its_key_a_likely_one_is_shown_to_a_person(stand_in):
    server = stand_in(seed="empty", hub_id_field=False)
    org, connector, deal = Caller(server), connect(server), Deal()
    id = push(connector, deal)["1"].remote_id
    org.user("edit", id=id, fields={"Description": "All new."})
    (found,) = connector.find("deals", sendings(connector, deal))
    assert (found.remote_id, found.ours) == (id, False)


def test_only_an_org_with_the_key_field_lets_a_lost_call_be_repeated(stand_in):
    def keyed(server):
        return next(stream.keyed for stream in connect(server).streams if stream.kind == "deals")

    assert keyed(stand_in(seed="empty")) is True
    assert keyed(stand_in(seed="empty", hub_id_field=False)) is False
    assert keyed(stand_in(seed="empty", missing=("Account.Hub_Id__c",))) is False


def test_find_knows_ours_and_shows_what_looks_alike(stand_in):
    server = stand_in()
    org, connector = Caller(server), connect(server)
    ours, other = Deal(title="Ours"), Deal(title="Claims migration", customer_name="Granite Mutual")
    id = push(connector, ours)["1"].remote_id
    new = Deal(title="Nobody knows this one")
    found = connector.find("deals", sendings(connector, ours, other, new))
    assert [(each.ref, each.ours) for each in found] == [("1", True), ("2", False)]
    assert (found[0].remote_id, found[1].label) == (id, "Claims migration")
    org.user("lose_opportunity", id=found[1].remote_id)
    assert connector.find("deals", sendings(connector, other)) == []


def test_an_update_leaves_the_stage_and_the_account_to_sales(stand_in):
    server = stand_in(seed="empty")
    org, connector = Caller(server), connect(server)
    deal = Deal()
    id = push(connector, deal)["1"].remote_id
    org.user("edit", id=id, fields={"StageName": "Negotiation"})
    body = connector.body("deals", replace(deal, title="New title", customer_name="Else"), {})
    (outcome,) = connector.push(Batch("b", "deals", (Sending("1", "k", Op.UPDATE, body, remote_id=id),)))
    assert outcome.status == Status.UPDATED
    assert (row(org, id)["Name"], row(org, id)["StageName"]) == ("New title", "Negotiation")
    same = Sending("1", "k", Op.UPDATE, {"StageName": "Prospecting", "Account": body["Account"]}, remote_id=id)
    assert [outcome.status for outcome in connector.push(Batch("c", "deals", (same,)))] == [Status.UNCHANGED]


def test_a_deleted_opportunity_refuses_an_update_with_a_remedy(stand_in):
    server = stand_in(seed="empty")
    org, connector = Caller(server), connect(server)
    id = push(connector, Deal())["1"].remote_id
    org.user("delete", id=id)
    (outcome,) = connector.push(Batch("b", "deals", (Sending("1", "k", Op.UPDATE, {"Name": "x"}, remote_id=id),)))
    assert outcome.status == Status.REJECTED
    assert "recycle bin" in outcome.remedy


def test_a_duplicate_rule_names_what_it_found(stand_in):
    server = stand_in(seed={"Account": [{"Name": "Newcomer, Ltd."}]}, duplicate_rule="alert")
    existing = Caller(server).query("SELECT Id FROM Account").json()["records"][0]["Id"]
    outcome = push(connect(server), Deal(customer_name="Newcomer Ltd"))["1"]
    assert (outcome.status, outcome.field) == (Status.REJECTED, "customer_name")
    assert existing in outcome.reason
    assert server.sandbox.effects() == []


def test_a_locked_row_goes_again_soon(stand_in):
    server = stand_in(seed={"Account": [{"Name": "Newcomer Ltd"}]})
    org, connector = Caller(server), connect(server)
    org.user("lock_row", id=org.query("SELECT Id FROM Account").json()["records"][0]["Id"])
    outcome = push(connector, Deal())["1"]
    assert (outcome.status, outcome.until) == (Status.DEFERRED, None)  # after a pause that the engine spreads


def test_one_bad_record_stops_only_itself_even_when_it_fails_the_whole_call(stand_in):
    server = stand_in(seed="empty")
    connector = connect(server)
    sent = list(sendings(connector, *(Deal(title=f"Deal {n}") for n in range(5))))
    sent[3] = replace(sent[3], body={**sent[3].body, "CloseDate": "2026-02-30"})
    outcomes = {outcome.ref: outcome for outcome in connector.push(Batch("b", "deals", tuple(sent)))}
    assert [outcomes[str(n)].status for n in range(1, 6)] == ["created"] * 3 + ["rejected"] + ["created"]
    assert len(server.sandbox.effects("create", "Opportunity")) == 4


def test_a_value_the_org_refuses_names_the_deals_field(stand_in):
    server = stand_in(seed="empty")
    connector = connect(server)
    (sent,) = sendings(connector, Deal())
    (outcome,) = connector.push(Batch("b", "deals", (replace(sent, body={**sent.body, "Name": "x" * 121}),)))
    assert (outcome.status, outcome.field) == (Status.REJECTED, "title")


def test_a_won_deal_comes_back_as_a_project_with_its_lineage(stand_in):
    for options in ({}, {"hub_id_field": False}):
        server = stand_in(seed="empty", **options)
        org, connector = Caller(server), connect(server)
        deal = Deal()
        id = push(connector, deal)["1"].remote_id
        org.user("win_opportunity", id=id)
        (change,) = [change for page in connector.pull("projects", None) for change in page.changes]
        assert (change.remote_id, change.our_id, change.lineage) == (id, None, (("deals", deal.id),))
        assert change.values["budget"] == "12500.50"


def test_a_deal_in_a_currency_of_its_own(stand_in):
    server = stand_in(seed="empty", currencies=("USD", "EUR"))
    outcome = push(connect(server), Deal(currency="EUR"))["1"]
    assert row(Caller(server), outcome.remote_id)["CurrencyIsoCode"] == "EUR"


def test_what_the_org_is_not_open_for_waits_and_the_connection_goes_on(stand_in):
    server = stand_in(seed="empty")
    sent = connect(server)
    id = push(sent, Deal())["1"].remote_id
    server.sandbox.options["closed"] = ("Opportunity",)
    del server.sandbox.schema
    connector = connect(server)
    used = server.sandbox.calls()
    assert list(connector.find("deals", sendings(connector, Deal()))) == []
    new = push(connector, Deal())["1"]
    (changed,) = connector.push(Batch("b", "deals", (Sending("1", "k", Op.UPDATE, {"Name": "x"}, remote_id=id),)))
    assert [(outcome.status, outcome.stops) for outcome in (new, changed)] == [(Status.DEFERRED, False)] * 2
    assert "may not create opportunities" in new.reason
    assert server.sandbox.calls() == used


def test_where_accounts_may_not_be_created_deals_of_known_ones_are_sent(stand_in):
    server = stand_in(seed={"Account": [{"Name": "Known Ltd"}]}, closed=("Account:create",))
    outcomes = push(connect(server), Deal(customer_name="Known Ltd", customer_website=""), Deal())
    assert outcomes["1"].status == Status.CREATED
    assert (outcomes["2"].status, outcomes["2"].field) == (Status.REJECTED, "customer_name")
    assert "Create the account in Salesforce" in outcomes["2"].remedy


@pytest.mark.parametrize("refuses", ["call", "row"])
def test_an_ill_typed_value_parks_its_deal_whether_it_refuses_the_call_or_the_row(stand_in, refuses):
    server = stand_in(seed="empty", bad_field_refuses=refuses)
    connector = connect(server)
    first, second = sendings(connector, Deal(title="One"), Deal(title="Two"))
    bad = replace(second, body={**second.body, "CloseDate": "2026-02-30"})
    outcomes = connector.push(Batch("b", "deals", (first, bad)))
    assert {outcome.ref: (outcome.status, outcome.stops) for outcome in outcomes} == {
        "1": (Status.CREATED, False),
        "2": (Status.REJECTED, False),
    }


@pytest.mark.parametrize("refuses", ["call", "row"])
def test_a_field_that_went_away_stops_the_connection_whether_it_refuses_the_call_or_the_row(stand_in, refuses):
    server = stand_in(seed="empty", bad_field_refuses=refuses)
    connector = connect(server)
    server.sandbox.options["missing"] = ("Opportunity.LeadSource",)
    del server.sandbox.schema
    assert push(connector, Deal())["1"].stops


@pytest.mark.parametrize("trims", [True, False])
def test_outer_blanks_are_never_sent(stand_in, trims):
    server = stand_in(seed="empty", trims_text=trims)
    outcome = push(connect(server), Deal(title=" Network refresh "))["1"]
    assert row(Caller(server), outcome.remote_id)["Name"] == "Network refresh"
