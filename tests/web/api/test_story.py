"""From a client to a paid invoice, by the API alone."""

from __future__ import annotations


def created(answer):
    status, body = answer
    assert status == 201, body
    return body


def test_the_way_from_a_client_to_a_paid_invoice(api, users, hub):
    client = created(api.post("/clients", {"name": "Acme GmbH", "currency": "GBP", "address": {"country": "DE"}}))
    assert api.last.headers["Location"] == f"/api/v1/clients/{client['id']}"
    assert client["address"] == {"street": "", "city": "", "region": "", "postcode": "", "country": "DE"}
    project = created(api.post("/projects", {"client_id": client["id"], "name": "Roll-out"}))
    assert project["currency"] == "GBP"
    task = created(api.post("/tasks", {"project_id": project["id"], "name": "Build"}))
    person = created(api.post("/people", {"name": "Grace"}))
    created(api.post("/rate-cards", {"rate": "80.00", "currency": "GBP"}))
    entry = {"task_id": task["id"], "person_id": person["id"], "worked_on": "2026-11-02", "seconds": 5400}
    entry_id = created(api.post("/time-entries", entry))["id"]

    assert api.post(f"/time-entries/{entry_id}/submit")[1]["status"] == "submitted"
    assert api.post(f"/time-entries/{entry_id}/approve")[1]["status"] == "approved"

    draft = created(api.post("/invoices", {"by": ["project", "month"]}))["data"][0]
    assert (draft["status"], draft["number"], draft["dated_on"]) == ("draft", None, "2026-11-30")
    # 1.5 h x 80.00 = 120.00
    assert [(line["quantity"], line["rate"], line["net"]) for line in draft["lines"]] == [("1.5", "80", "120.00")]

    status, issued = api.post(f"/invoices/{draft['id']}/issue")
    assert (status, issued["number"], issued["total"]) == (200, "INV-00001", "120.00")

    payment = {
        "client_id": client["id"],
        "currency": "GBP",
        "amount": "120.00",
        "received_on": "2026-12-01",
        "allocations": [{"invoice_id": draft["id"], "amount": "120.00"}],
    }
    assert created(api.post("/payments", payment))["allocations"][0]["amount"] == "120.00"
    assert api.get(f"/invoices/{draft['id']}")[1]["status"] == "paid"
    actors = {entry["actor"] for entry in api.get("/audit?record_kind=invoice")[1]["data"]}
    assert len(actors) == 1
    assert actors.pop().startswith("key:")


def test_a_rate_is_replaced_from_a_day_on_and_ended(api, users):
    old = created(api.post("/rate-cards", {"rate": "80.00", "currency": "GBP"}))

    status, new = api.post(f"/rate-cards/{old['id']}/replace", {"rate": "85", "valid_from": "2026-07-01"})
    assert (status, new["rate"], new["valid_from"], new["valid_to"]) == (200, "85", "2026-07-01", None)
    assert api.get(f"/rate-cards/{old['id']}")[1]["valid_to"] == "2026-06-30"
    status, problem = api.patch(f"/rate-cards/{old['id']}", {"valid_to": None})
    assert status == 422
    assert f"A rate of 85 GBP from 2026-07-01 is for the same work ({new['id']})" in problem["detail"]
    assert api.patch(f"/rate-cards/{new['id']}", {"valid_to": "2026-12-31"})[1]["valid_to"] == "2026-12-31"


def test_a_draft_can_be_thrown_away_but_not_once_it_is_issued(api, billable):
    draft = created(api.post("/invoices", {}))["data"][0]
    assert api.delete(f"/invoices/{draft['id']}") == (204, None)
    assert api.get(f"/invoices/{draft['id']}")[0] == 404

    draft = created(api.post("/invoices", {}))["data"][0]
    api.post(f"/invoices/{draft['id']}/issue")
    status, problem = api.delete(f"/invoices/{draft['id']}")
    assert (status, problem["code"]) == (409, "rule-broken")
    assert "INV-00001" in problem["detail"]


def test_nothing_to_bill_is_said_and_not_an_empty_success(api, users):
    assert api.post("/invoices", {})[1]["code"] == "nothing-to-bill"


def test_many_clients_are_created_with_a_verdict_for_each(api):
    rows = [{"name": "Acme"}, {"name": ""}, {"name": "Bolt", "colour": "red"}, {"name": "Coil", "currency": "XXY"}]

    status, body = api.post("/clients/bulk", {"data": rows})

    assert (status, body["created"], body["rejected"]) == (200, 1, 3)
    assert [(row["row"], row["outcome"]) for row in body["data"]] == [
        (0, "created"),
        (1, "rejected"),
        (2, "rejected"),
        (3, "rejected"),
    ]
    assert [row["errors"][0]["pointer"] for row in body["data"][1:]] == ["/name", "/colour", "/currency"]
    assert [client["name"] for client in api.get("/clients")[1]["data"]] == ["Acme"]
