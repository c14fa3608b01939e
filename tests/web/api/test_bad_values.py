"""What cannot be is refused by its field, with the value."""

from __future__ import annotations

import pytest

NOBODY = "0198f000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/projects", {"client_id": NOBODY, "name": "Website"}, "client_id"),
        ("/contacts", {"client_id": NOBODY, "last_name": "Lovelace"}, "client_id"),
        ("/tasks", {"project_id": NOBODY, "name": "Design"}, "project_id"),
        ("/tasks", {"project_id": "project", "name": "Design", "service_id": NOBODY}, "service_id"),
        ("/rate-cards", {"rate": "90", "currency": "GBP", "project_id": NOBODY}, "project_id"),
        ("/rate-cards", {"rate": "90", "currency": "GBP", "person_id": NOBODY}, "person_id"),
        ("/time-entries", {"task_id": NOBODY, "worked_on": "2026-11-02", "seconds": 60}, "task_id"),
    ],
)
def test_a_record_that_is_not_there_is_a_wrong_value_of_its_field(api, billable, path, body, field):
    status, problem = api.post(path, {name: billable.get(str(value), value) for name, value in body.items()})

    assert (status, [error["pointer"] for error in problem["errors"]]) == (422, [f"/{field}"])
    assert NOBODY in problem["errors"][0]["message"]


def test_an_invoice_that_is_not_there_is_named_by_its_place(api, billable):
    payment = {"client_id": billable["client"], "currency": "GBP", "amount": "5.00", "received_on": "2026-12-01"}
    status, problem = api.post("/payments", {**payment, "allocations": [{"invoice_id": NOBODY, "amount": "5.00"}]})

    assert (status, problem["errors"][0]["pointer"]) == (422, "/allocations/0/invoice_id")


def test_an_address_that_is_not_there_stays_one(api, users):
    assert api.patch(f"/projects/{NOBODY}", {"name": "Website"})[0] == 404


@pytest.mark.parametrize(
    ("path", "field"),
    [("people", "name"), ("clients", "name"), ("projects", "name"), ("services", "name"), ("contacts", "last_name")],
)
def test_a_name_of_spaces_is_none(api, billable, path, field):
    made = {
        "services": lambda: api.post("/services", {"name": "Advice"})[1]["id"],
        "contacts": lambda: api.post("/contacts", {"client_id": billable["client"], "last_name": "L"})[1]["id"],
        "people": lambda: billable["person"],
        "clients": lambda: billable["client"],
        "projects": lambda: billable["project"],
    }[path]()

    status, problem = api.patch(f"/{path}/{made}", {field: "   "})

    assert (status, [error["pointer"] for error in problem["errors"]]) == (422, [f"/{field}"])


def test_a_task_of_spaces_is_none(api, billable):
    assert api.post("/tasks", {"project_id": billable["project"], "name": "  "})[0] == 422
