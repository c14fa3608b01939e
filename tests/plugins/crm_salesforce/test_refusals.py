"""What a row's refusal means: of the one deal, of every deal, or of the moment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hub.sdk import Batch, Op, Sending, Status
from tests.plugins.crm_salesforce.conftest import Caller
from tests.plugins.crm_salesforce.connecting import Deal, connect, push, sendings

NOTHING_FOUND = {"totalSize": 0, "done": True, "records": []}


@pytest.fixture
def server(stand_in):
    return stand_in(seed="empty")


@pytest.fixture
def org(server):
    return Caller(server)


def refusals(server, *deals):
    """Outcomes of these deals, after what the test had the org refuse."""
    return push(connect(server), *(deals or (Deal(),)))


# Every deal would fare the same


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("INVALID_FIELD", []),
        ("INVALID_FIELD_FOR_INSERT_UPDATE", ["Description"]),
        ("INVALID_CROSS_REFERENCE_KEY", ["RecordTypeId"]),
        ("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", ["StageName"]),
        ("REQUIRED_FIELD_MISSING", ["Region__c"]),
    ],
)
def test_what_would_befall_every_deal_stops_the_connection_and_parks_none(server, org, code, fields):
    org.user("refuse_rows", object="Opportunity", code=code, fields=fields)
    outcome = refusals(server)["1"]
    assert (outcome.status, outcome.stops) == (Status.DEFERRED, True)
    assert "test the connection again" in outcome.reason


def test_what_was_saved_beside_it_counts(server, org):
    org.user("refuse_rows", object="Opportunity", code="INVALID_FIELD")
    outcomes = refusals(server, Deal(title="One"), Deal(title="Two"))
    assert sorted(outcome.status for outcome in outcomes.values()) == [Status.CREATED, Status.DEFERRED]
    assert len(server.sandbox.effects("create", "Opportunity")) == 1


@pytest.mark.parametrize(
    ("code", "fields", "field"),
    [
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION", ["StageName"], ""),
        ("REQUIRED_FIELD_MISSING", ["Amount"], "amount"),
        ("STRING_TOO_LONG", ["Name"], "title"),
        ("DUPLICATE_VALUE", [], ""),
    ],
)
def test_what_concerns_one_deal_parks_that_one(server, org, code, fields, field):
    org.user("refuse_rows", object="Opportunity", code=code, fields=fields)
    outcome = refusals(server)["1"]
    assert (outcome.status, outcome.stops, outcome.field) == (Status.REJECTED, False, field)


def test_a_field_that_is_gone_stops_the_connection_in_one_call(server):
    """It refuses the whole call: halving it fifty times would find no deal that is better."""
    connector = connect(server)
    server.sandbox.options["missing"] = ("Opportunity.LeadSource",)
    del server.sandbox.schema
    used = server.sandbox.calls().get("write", 0)
    outcomes = push(connector, *(Deal(title=f"Deal {n}", customer_website="") for n in range(50)))
    assert {(outcome.status, outcome.stops) for outcome in outcomes.values()} == {(Status.DEFERRED, True)}
    assert server.sandbox.calls()["write"] - used == 2  # the account, and the opportunities


@pytest.mark.parametrize(
    ("missing", "status", "stops"), [(True, Status.DEFERRED, True), (False, Status.REJECTED, False)]
)
def test_a_right_that_is_missing_altogether_is_told_from_one_closed_record(server, org, missing, status, stops):
    connector = connect(server)
    org.user("refuse_rows", object="Opportunity", code="INSUFFICIENT_ACCESS_OR_READONLY")
    if missing:
        body = {"name": "Opportunity", "createable": False, "fields": []}
        server.sandbox.add_fault(path="*/Opportunity/describe", status=200, body=body)
    outcome = push(connector, Deal())["1"]
    assert (outcome.status, outcome.stops) == (status, stops)


def test_accounts_that_may_not_be_created_stop_the_connection_and_other_deals_go(server, org):
    org.user("create_account", Name="Known Ltd")
    connector = connect(server)
    server.sandbox.add_fault(
        method="PATCH",
        path="*/Account/Hub_Id__c",
        status=403,
        body=[{"errorCode": "INSUFFICIENT_ACCESS_OR_READONLY", "message": "no access"}],
    )
    outcomes = push(connector, Deal(customer_name="Known Ltd", customer_website=""), Deal())
    assert (outcomes["1"].status, outcomes["2"].stops) == (Status.CREATED, True)


def test_an_edit_that_one_owner_is_in_the_way_of_parks_that_deal_only(server, org):
    connector = connect(server)
    id = push(connector, Deal())["1"].remote_id
    org.user("refuse_rows", object="Opportunity", code="INACTIVE_OWNER_OR_USER", fields=["OwnerId"])
    (outcome,) = connector.push(Batch("b", "deals", (Sending("1", "k", Op.UPDATE, {"Name": "x"}, remote_id=id),)))
    assert (outcome.status, outcome.stops) == (Status.REJECTED, False)
    assert "active" in outcome.remedy


# The moment


@pytest.mark.parametrize("code", ["SERVER_UNAVAILABLE", "UNKNOWN_EXCEPTION"])
@pytest.mark.parametrize("saved", [True, False])
def test_a_row_that_may_have_been_saved_is_looked_up_by_the_same_call(server, org, code, saved):
    connector = connect(server)
    org.user("refuse_rows", object="Opportunity", code=code, saved=saved)
    batch = Batch("batch-1", "deals", sendings(connector, Deal()))
    assert [outcome.status for outcome in connector.push(batch)] == [Status.UNCERTAIN]
    assert [outcome.status for outcome in connector.push(batch)] == [Status.CREATED]
    assert len(server.sandbox.effects("create", "Opportunity")) == 1


@pytest.mark.parametrize("code", ["SERVER_UNAVAILABLE", "UNKNOWN_EXCEPTION", "UNABLE_TO_LOCK_ROW"])
@pytest.mark.parametrize("hub_id_field", [True, False])
def test_an_account_that_could_not_be_saved_now_is_tried_again_and_made_once(stand_in, code, hub_id_field):
    server = stand_in(seed="empty", hub_id_field=hub_id_field)
    Caller(server).user("refuse_rows", object="Account", code=code, saved=code != "UNABLE_TO_LOCK_ROW")
    connector, deal = connect(server), Deal()
    assert push(connector, deal)["1"].status == Status.DEFERRED
    assert push(connector, deal)["1"].status == Status.CREATED
    assert len(server.sandbox.effects("create", "Account")) == 1


def test_a_bystander_of_another_rows_failure_is_not_what_is_said(server):
    connector = connect(server)
    errors = [
        {"statusCode": "ALL_OR_NONE_OPERATION_ROLLED_BACK", "message": "rolled back", "fields": []},
        {"statusCode": "STRING_TOO_LONG", "message": "too large", "fields": ["Name"]},
    ]
    body = [{"success": False, "errors": errors}]
    server.sandbox.add_fault(method="PATCH", path="*/Opportunity/Hub_Id__c", status=200, body=body)
    outcome = push(connector, Deal())["1"]
    assert (outcome.reason, outcome.field) == ("Salesforce refuses it: too large.", "title")


# It is there already


def test_a_deal_whose_key_is_taken_meanwhile_is_the_one_that_has_it(server, org):
    connector, deal = connect(server), Deal()
    id = push(connector, deal)["1"].remote_id
    server.sandbox.add_fault(path="*/query", status=200, body=NOTHING_FOUND)  # it was not there yet
    org.user("refuse_rows", object="Opportunity", code="DUPLICATE_VALUE", fields=["Hub_Id__c"])
    outcome = push(connector, deal)["1"]
    assert (outcome.status, outcome.remote_id) == (Status.CREATED, id)


def test_a_key_on_an_opportunity_that_we_may_not_see_says_what_to_do(server, org):
    org.user("refuse_rows", object="Opportunity", code="DUPLICATE_VALUE", fields=["Hub_Id__c"])
    outcome = refusals(server)["1"]
    assert outcome.status == Status.REJECTED
    assert "share that record with the integration user" in outcome.remedy


def test_an_account_whose_key_is_taken_meanwhile_is_used(server, org):
    connector, deal = connect(server), Deal()
    org.user("create_account", Name="Renamed Ltd", Hub_Id__c=f"deals:{deal.id}")
    server.sandbox.add_fault(path="*/query", skip=1, times=2, status=200, body=NOTHING_FOUND)  # by name, by key
    org.user("refuse_rows", object="Account", code="DUPLICATE_VALUE", fields=["Hub_Id__c"])
    outcome = push(connector, replace(deal, customer_website=""))["1"]
    assert outcome.status == Status.CREATED
    assert server.sandbox.effects("create", "Account", actor="api") == []
