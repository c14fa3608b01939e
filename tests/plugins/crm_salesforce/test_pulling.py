from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from hub.sdk import QuotaSpent, RemoteRef, TemporaryFailure
from plugins.crm_salesforce.pulling import LAG, PAGE_ROWS
from plugins.crm_salesforce.sandbox.ids import long_id
from tests.plugins.crm_salesforce.conftest import Caller
from tests.plugins.crm_salesforce.connecting import connect


def names(pages):
    return [change.values.get("name") for page in pages for change in page.changes]


def last_cursor(pages):
    return pages[-1].cursor


def pull(connector, stream="clients", cursor=None):
    return list(connector.pull(stream, cursor))


def accounts(count, **more):
    return [{"Name": f"Account {n:04d}", **more} for n in range(count)]


def test_the_firms_accounts_contacts_and_won_opportunities(stand_in):
    connector = connect(stand_in(country="GB"))
    clients = [change for page in pull(connector) for change in page.changes]
    assert len(clients) == 12
    assert clients[0].values == {
        "name": "Alder & Finch Law",
        "website": "https://www.alderfinch.example",
        "phone": "+1 555 0100",
        "address": {"street": "12 Temple Row", "city": "Leeds", "region": "", "postcode": "LS1 4AP", "country": "GB"},
    }
    contacts = [change for page in pull(connector, "contacts") for change in page.changes]
    assert len(contacts) == 20
    assert contacts[0].values["client_id"] == RemoteRef("clients", clients[0].remote_id)
    projects = [change for page in pull(connector, "projects") for change in page.changes]
    assert [(change.label, change.values["budget"]) for change in projects] == [
        ("Matter intake portal", "48000.00"),
        ("Grid data platform, phase 1", "126500.00"),
        ("Robot fleet dashboard", "73200.00"),
        ("Booking engine rollout", "39950.50"),
        ("Ward handover app", "84000.00"),
    ]
    assert {change.values["currency"] for change in projects} == {"USD"}


def test_a_second_pull_reads_nothing_that_is_older_than_the_lookback(stand_in):
    connector = connect(stand_in())
    cursor = last_cursor(pull(connector))
    again = pull(connector, cursor=cursor)
    assert names(again) == []
    assert last_cursor(again)["until"] >= cursor["until"]


def test_rows_with_one_stamp_over_page_borders_all_arrive(stand_in):
    server = stand_in(seed={"Account": accounts(450)}, page_size=200)
    pages = pull(connect(server))
    assert names(pages) == [f"Account {n:04d}" for n in range(450)]
    assert [len(page.changes) for page in pages] == [200, 200, 50, 0]


@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_an_interrupted_pull_goes_on_inside_a_tie(stand_in, stop_after):
    """Stopped after each slice in turn: the rest follows from that slice's cursor, nothing is lost."""
    connector = connect(stand_in(seed={"Account": accounts(500)}))
    before = []
    for page in connector.pull("clients", None):
        before.append(page)
        if len(before) == stop_after:
            break
    after = pull(connector, cursor=last_cursor(before))
    assert {*names(before), *names(after)} == {f"Account {n:04d}" for n in range(500)}
    assert len(before[0].changes) == PAGE_ROWS


def test_a_row_that_becomes_visible_late_is_read_by_the_next_pull(stand_in):
    """Stamped 10 minutes before the end of the last pull, committed after it: the lookback covers it."""
    server = stand_in(seed="empty")
    org, connector = Caller(server), connect(server)
    cursor = last_cursor(pull(connector))
    org.user("create_account", Name="Late", stamped_s_ago=600)
    assert names(pull(connector, cursor=cursor)) == ["Late"]


def test_a_row_changed_while_pages_are_read_is_not_skipped(stand_in):
    server = stand_in(seed={"Account": accounts(300)}, page_size=200)
    org, connector = Caller(server), connect(server)
    seen, moved = [], ""
    for page in connector.pull("clients", None):
        seen.append(page)
        if not moved:
            moved = page.changes[0].remote_id
            org.user("edit", id=moved, fields={"Name": "Moved"})
    assert len({change.remote_id for page in seen for change in page.changes}) == 300
    assert "Moved" in names(pull(connector, cursor=last_cursor(seen)))


def test_a_cursor_of_the_far_future_reads_nothing_and_stays(stand_in):
    connector = connect(stand_in())
    pages = pull(connector, cursor={"v": 1, "until": "2999-01-01T00:00:00Z"})
    assert [(page.changes, page.cursor) for page in pages] == [((), {"v": 1, "until": "2999-01-01T00:00:00Z"})]


def test_the_cursor_stays_behind_the_servers_clock(stand_in):
    server = stand_in()
    cursor = last_cursor(pull(connect(server)))
    now = server.sandbox.now()
    assert cursor["until"] <= f"{now - LAG:%Y-%m-%dT%H:%M:%SZ}"


def test_a_deleted_and_a_merged_account(stand_in):
    server = stand_in()
    org, connector = Caller(server), connect(server)
    pages = pull(connector)
    ids = {change.label: change.remote_id for page in pages for change in page.changes}
    org.user("delete", id=ids["Kestrel Media"])
    org.user("merge_accounts", master_id=ids["Fjord Logistics"], id=ids["Cobalt Robotics"])
    changes = [change for page in pull(connector, cursor=last_cursor(pages)) for change in page.changes]
    assert {(change.label, change.deleted, change.merged_into) for change in changes} == {
        ("Kestrel Media", True, None),
        ("Cobalt Robotics", True, ids["Fjord Logistics"]),
        ("Fjord Logistics", False, None),
    }


def test_an_opportunity_is_a_project_once_it_is_won(stand_in):
    server = stand_in()
    org, connector = Caller(server), connect(server)
    cursor = last_cursor(pull(connector, "projects"))
    id = org.query("SELECT Id FROM Opportunity WHERE Name = 'Claims migration'").json()["records"][0]["Id"]
    assert names(pull(connector, "projects", cursor)) == []
    org.user("win_opportunity", id=id)
    assert names(pull(connector, "projects", cursor)) == ["Claims migration"]


def test_only_what_was_won_since_the_start_day_and_fits_the_conditions(stand_in):
    server = stand_in()
    start_on = server.sandbox.now().date() - timedelta(days=30)
    assert names(pull(connect(server, start_on={"projects": start_on}), "projects")) == [
        "Robot fleet dashboard",
        "Booking engine rollout",
        "Ward handover app",
    ]
    assert names(pull(connect(server, conditions={"projects": {"record_types": ["Licences"]}}), "projects")) == []
    assert len(names(pull(connect(server, conditions={"projects": {"stages": ["Closed Won"]}}), "projects"))) == 5
    owned = connect(server, conditions={"projects": {"owners": ["sales@example.com"]}})
    assert len(names(pull(owned, "projects"))) == 5


def test_contacts_follow_the_conditions_of_their_account(stand_in):
    connector = connect(stand_in(), conditions={"clients": {"types": ["Other"]}})
    assert names(pull(connector)) == ["Lighthouse Charity"]
    assert [change.label for page in pull(connector, "contacts") for change in page.changes] == ["Marta Nowak"]


def test_private_contacts_do_not_concern_the_hub(stand_in):
    connector = connect(stand_in(seed={"Contact": [{"LastName": "Alone"}]}))
    assert pull(connector, "contacts")[-1].changes == ()


def test_fetch_brings_records_as_they_are_whatever_the_conditions(stand_in):
    server = stand_in()
    org = Caller(server)
    ids = [row["Id"] for row in org.query("SELECT Id FROM Account").json()["records"]]
    org.user("delete", id=ids[0])
    page = connect(server, conditions={"clients": {"types": ["Nothing"]}}).fetch(
        "clients", [*ids, "001Hb0000000zzzAAA"]
    )
    assert page.cursor is None
    assert {change.remote_id for change in page.changes} == set(ids)
    assert [change.deleted for change in page.changes].count(True) == 1


def test_a_row_that_cannot_be_a_client_is_set_aside_and_the_others_arrive(stand_in):
    rows = [{"Name": "Good"}, {"Name": "Odd", "BillingCountry": "Atlantis"}]
    (page, _) = pull(connect(stand_in(seed={"Account": rows})))
    assert names([page]) == ["Good"]
    assert [(refused.label, refused.field) for refused in page.refused] == [("Odd", "address")]


def test_a_row_that_makes_no_sense_stops_no_other(stand_in):
    server = stand_in()
    next(iter(server.sandbox.state["rows"]["Opportunity"].values()))["Amount"] = "a lot"
    (page, _) = pull(connect(server), "projects")
    assert [refused.label for refused in page.refused] == ["Matter intake portal"]
    assert len(page.changes) == 4


def test_amounts_of_a_multi_currency_org_have_their_own_currency(stand_in):
    acme = long_id("001Hb0000000Acm")
    seed = {
        "Account": [{"Id": acme, "Name": "Acme", "CurrencyIsoCode": "EUR"}],
        "Opportunity": [
            {
                "Name": f"In {code}",
                "AccountId": acme,
                "StageName": "Closed Won",
                "CloseDate": "2026-10-01",
                "Amount": "10.00",
                "CurrencyIsoCode": code,
            }
            for code in ("EUR", "USD")
        ],
    }
    connector = connect(stand_in(seed=seed, currencies=("EUR", "USD")))
    (client,) = pull(connector)[0].changes
    assert client.values["currency"] == "EUR"
    projects = pull(connector, "projects")[0].changes
    assert [(change.values["budget"], change.values["currency"]) for change in projects] == [
        ("10.00", "EUR"),
        ("10.00", "USD"),
    ]


def test_fields_that_may_not_be_read_are_not_asked_for(stand_in):
    connector = connect(stand_in(missing=("Account.Website", "Opportunity.Amount")))
    assert "website" not in pull(connector)[0].changes[0].values
    assert "budget" not in pull(connector, "projects")[0].changes[0].values


def test_a_connection_that_was_never_tested_finds_out_by_itself(stand_in):
    connector = connect(stand_in(currencies=("EUR",)), facts={})
    assert {change.values["currency"] for change in pull(connector)[0].changes} == {"EUR"}


def test_a_fault_in_the_middle_is_no_end_of_the_data(stand_in):
    server = stand_in(seed={"Account": accounts(300)}, page_size=200)
    connector = connect(server)
    server.sandbox.add_fault(method="GET", path="*/query/*", status=200, body="<html>maintenance</html>")
    read = []
    with pytest.raises(TemporaryFailure):
        for page in connector.pull("clients", None):
            read.append(page)
    rest = pull(connector, cursor=last_cursor(read))
    assert {*names(read), *names(rest)} == {f"Account {n:04d}" for n in range(300)}


def test_a_session_that_ends_between_pages_is_renewed(stand_in):
    server = stand_in(seed={"Account": accounts(300)}, page_size=200)
    org, connector = Caller(server), connect(server)
    found = []
    for page in connector.pull("clients", None):
        found += names([page])
        org.user("end_sessions")
    assert len(found) == 300


def test_reading_leaves_calls_for_others(stand_in):
    server = stand_in(daily_calls=100)
    connector = connect(server, settings={"daily_calls_share": 50})
    Caller(server).user("use_api_calls", count=60)
    pull(connector)  # the first call finds out
    with pytest.raises(QuotaSpent):
        pull(connector)


@settings(max_examples=15, deadline=None)
@given(edits=some.lists(some.tuples(some.integers(0, 9), some.integers(0, 600)), max_size=12))
def test_whatever_is_edited_between_pulls_the_last_state_arrives(edits):
    """Edits stamped up to 10 minutes back, a pull after every third: each account ends at its last phone number."""
    from plugins.crm_salesforce.sandbox import SalesforceSandbox

    with SalesforceSandbox(seed={"Account": accounts(10)}, page_size=3).serve() as server:
        connector, cursor, seen, expected = connect(server), None, {}, {}
        ids = [change.remote_id for page in connector.pull("clients", None) for change in page.changes]
        for number, (place, stamped_s_ago) in enumerate([*edits, (0, 0)]):
            server.sandbox.edit(ids[place], {"Phone": str(number)}, stamped_s_ago)
            expected[ids[place]] = str(number)
            if number % 3 == 0 or number == len(edits):
                for page in connector.pull("clients", cursor):
                    seen |= {change.remote_id: change.values["phone"] for change in page.changes}
                    cursor = page.cursor
        assert {id: seen[id] for id in expected} == expected


def test_the_start_day_is_a_day_of_the_close_date(stand_in):
    server = stand_in(seed="empty")
    org = Caller(server)
    account = org.user("create_account", Name="Acme")["id"]
    for day in ("2026-06-30", "2026-07-01"):
        org.user("create_opportunity", Name=day, AccountId=account, StageName="Closed Won", CloseDate=day)
    assert names(pull(connect(server, start_on={"projects": date(2026, 7, 1)}), "projects")) == ["2026-07-01"]
