"""Lists are read by cursors that are good for nothing else."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from hub.core.clients.service import create_client


@pytest.fixture
def seven(hub):
    def work(session):
        for number in range(7):
            create_client(session, name=f"Client {number}", country="DE" if number % 2 else "FR")
            session.flush()

    hub.transact(work)


def test_every_record_is_on_exactly_one_page(api, seven):
    names, cursor = [], ""
    for _ in range(4):
        _, page = api.get(f"/clients?limit=2{cursor}")
        names += [client["name"] for client in page["data"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert names == [f"Client {number}" for number in range(7)]
    assert page["next_cursor"] is None


def test_the_link_header_leads_on_and_back_to_the_first(api, seven):
    api.get("/clients?limit=3")
    links = dict(reversed(part.strip().split("; ")) for part in api.last.headers["Link"].split(","))
    assert links['rel="first"'] == "</api/v1/clients?limit=3>"
    following = links['rel="next"'].strip("<>").removeprefix("/api/v1")
    assert [client["name"] for client in api.get(following)[1]["data"]] == ["Client 3", "Client 4", "Client 5"]


def test_the_newest_invoices_come_first_and_pages_go_back_in_time(api, billable, hub):
    first = api.post("/invoices", {})[1]["data"][0]["id"]
    entry = {"task_id": billable["task"], "person_id": billable["person"], "worked_on": "2026-11-03", "seconds": 60}
    entry_id = api.post("/time-entries", entry)[1]["id"]
    api.post(f"/time-entries/{entry_id}/submit")
    api.post(f"/time-entries/{entry_id}/approve")
    second = api.post("/invoices", {})[1]["data"][0]["id"]

    page = api.get("/invoices?limit=1")[1]

    assert [invoice["id"] for invoice in page["data"]] == [second]
    assert [one["id"] for one in api.get(f"/invoices?limit=1&cursor={page['next_cursor']}")[1]["data"]] == [first]


@pytest.mark.parametrize("limit", ["0", "101", "-1", "ten", "1.5", "99999999999999999999"])
def test_a_limit_out_of_bounds_is_refused_by_its_name(api, limit):
    status, problem = api.get(f"/clients?limit={limit}")
    assert status == 422
    assert problem["errors"][0]["parameter"] == "limit"


@pytest.mark.parametrize("cursor", ["x", "", "WyJhIl0.0000", "%F0%9F%92%A9", "eyJhIjoxfQ"])
def test_a_cursor_that_we_did_not_make_is_refused(api, cursor):
    status, problem = api.get(f"/clients?cursor={cursor}")
    assert (status, problem["code"]) == (400, "malformed")


def test_a_cursor_of_another_list_of_other_filters_or_of_another_caller_is_refused(api, api_as, seven):
    cursor = api.get("/clients?limit=2")[1]["next_cursor"]
    assert api.get(f"/contacts?cursor={cursor}")[0] == 400
    assert api.get(f"/clients?archived=true&cursor={cursor}")[0] == 400
    assert api_as("finance").get(f"/clients?cursor={cursor}")[0] == 400
    assert api.get(f"/clients?limit=5&cursor={cursor}")[0] == 200  # another length is no other list


def test_filters_narrow_a_list_and_unknown_ones_are_refused(api, seven):
    assert [one["name"] for one in api.get("/clients?name=Client 3")[1]["data"]] == ["Client 3"]
    assert api.get("/clients?updated_after=2999-01-01T00:00:00Z")[1]["data"] == []
    status, problem = api.get("/clients?colour=red")
    assert (status, problem["errors"][0]["parameter"], problem["errors"][0]["code"]) == (422, "colour", "unknown-field")


@pytest.mark.parametrize("path", ["/clients", "/invoices", "/time-entries", "/projects", "/keys", "/audit"])
def test_a_longer_page_takes_no_more_queries(api, hub, seven, billable, path):
    def queries(limit):
        seen = []
        listen = lambda *arguments: seen.append(arguments[2])  # noqa: E731
        event.listen(hub.database.engine, "before_cursor_execute", listen)
        api.get(f"{path}?limit={limit}")
        event.remove(hub.database.engine, "before_cursor_execute", listen)
        return len(seen)

    queries(1)
    assert queries(100) <= queries(1)
