"""A repeated request has one effect."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from hub.access.models import IdempotencyRecord
from hub.core import clock
from hub.core.clients.models import Client
from hub.web.api import idempotency

ACME = {"name": "Acme"}


def clients(hub):
    with hub.read() as session:
        return session.scalar(select(func.count()).select_from(Client))


@pytest.mark.parametrize("key", ['"a-key"', "a-key", "6f1c"], ids=["quoted", "bare", "another"])
def test_a_repeat_gets_the_first_answer_and_makes_no_second_record(api, hub, key):
    first = api.post("/clients", ACME, Idempotency_Key=key)
    etag, location = api.last.headers["ETag"], api.last.headers["Location"]
    second = api.post("/clients", ACME, Idempotency_Key=key)

    assert first == second
    assert first[0] == 201
    assert api.last.headers["Idempotency-Replayed"] == "true"
    assert (api.last.headers["ETag"], api.last.headers["Location"]) == (etag, location)
    assert clients(hub) == 1


def test_a_quoted_and_a_bare_key_are_the_same(api, hub):
    api.post("/clients", ACME, Idempotency_Key='"k"')
    api.post("/clients", ACME, Idempotency_Key="k")
    assert clients(hub) == 1


def test_without_a_key_each_request_counts(api, hub):
    api.post("/clients", ACME)
    api.post("/clients", ACME)
    assert clients(hub) == 2


def test_the_same_key_with_another_body_is_refused(api, hub):
    api.post("/clients", ACME, Idempotency_Key="k")
    status, problem = api.post("/clients", {"name": "Bolt"}, Idempotency_Key="k")
    assert (status, problem["code"]) == (422, "idempotency-mismatch")
    assert clients(hub) == 1


def test_another_spelling_of_the_same_body_is_the_same_request(api, app, keys):
    api.post("/clients", ACME, Idempotency_Key="k")
    headers = {"Authorization": f"Bearer {keys['admin']}", "Idempotency-Key": "k"}
    spelt = b'{ "name" : "Acme" }'
    response = app.test_client().post("/api/v1/clients", data=spelt, content_type="application/json", headers=headers)
    assert response.status_code == 201
    assert response.headers["Idempotency-Replayed"] == "true"


def test_the_same_key_of_another_caller_or_for_another_address_is_another_key(api_as, hub):
    api_as("admin").post("/clients", ACME, Idempotency_Key="k")
    assert api_as("finance").post("/clients", ACME, Idempotency_Key="k")[0] == 201
    assert api_as("admin").post("/people", {"name": "Grace"}, Idempotency_Key="k")[0] == 201
    assert clients(hub) == 2


def test_twenty_requests_at_once_with_one_key_make_one_record(api_as, hub):
    speakers = [api_as("admin") for _ in range(20)]

    def send(speaker):
        return speaker.post("/clients", ACME, Idempotency_Key="k")[0]

    with ThreadPoolExecutor(20) as threads:
        statuses = list(threads.map(send, speakers))

    assert clients(hub) == 1
    assert set(statuses) <= {201, 409}
    assert 201 in statuses


def test_a_refused_request_leaves_its_key_free_to_be_used_for_the_corrected_one(api, hub):
    assert api.post("/clients", {"name": "Acme", "currency": "XXY"}, Idempotency_Key="k")[0] == 422
    assert api.post("/clients", {"name": "Acme", "currency": "EUR"}, Idempotency_Key="k")[0] == 201


@pytest.mark.parametrize("abandoned", [True, False], ids=["lease over", "lease running"])
def test_a_request_that_was_cut_off_holds_its_key_as_long_as_its_lease(api, hub, abandoned, monkeypatch):
    """The process dies between taking the key and doing the work: the row stands there without an answer."""
    cut_off = RuntimeError("the process was killed")

    def die(session, claim):
        raise cut_off

    with monkeypatch.context() as patched:
        patched.setattr(idempotency, "_own_row", die)
        patched.setattr(idempotency, "_or_let_go", lambda claim, work: work())
        assert api.post("/clients", ACME, Idempotency_Key="k")[0] == 500
    if abandoned:
        hub.transact(lambda session: setattr(_only_row(session), "lease_until", clock.now() - timedelta(seconds=1)))

    status, body = api.post("/clients", ACME, Idempotency_Key="k")

    assert (status, clients(hub)) == ((201, 1) if abandoned else (409, 0))
    if not abandoned:
        assert body["code"] == "idempotency-in-progress"
        assert api.last.headers["Retry-After"] == "1"


def test_the_work_and_its_answer_are_kept_together_or_not_at_all(api, hub, monkeypatch):
    def break_down(row, answer):
        raise RuntimeError("no room for the answer")

    with monkeypatch.context() as patched:
        patched.setattr(idempotency, "_keep", break_down)
        assert api.post("/clients", ACME, Idempotency_Key="k")[0] == 500
    assert clients(hub) == 0
    assert api.post("/clients", ACME, Idempotency_Key="k")[0] == 201


def test_the_secret_of_a_new_key_is_in_the_first_answer_only_and_stored_nowhere(api, hub):
    first = api.post("/keys", {"name": "Export"}, Idempotency_Key="k")[1]
    second = api.post("/keys", {"name": "Export"}, Idempotency_Key="k")[1]
    assert first["secret"].startswith("psah_live_")
    assert second == {**first, "secret": None}
    with hub.read() as session:
        assert first["secret"] not in (_only_row(session).body or "")


def test_a_patch_and_a_delete_can_be_repeated_too(api, billable):
    draft = api.post("/invoices", {})[1]["data"][0]
    for _ in range(2):
        assert api.delete(f"/invoices/{draft['id']}", Idempotency_Key="k") == (204, None)
    path = f"/clients/{billable['client']}"
    etag = api.get(path) and api.last.headers["ETag"]
    answers = [api.patch(path, {"phone": "1"}, Idempotency_Key="p", If_Match=etag) for _ in range(2)]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("key", ["", "two words", "é", "x" * 256])
def test_a_key_that_cannot_be_read_is_refused(api, key):
    assert api.post("/clients", ACME, Idempotency_Key=key)[0] == 400


def test_old_answers_are_forgotten_when_new_ones_come(api, hub):
    api.post("/clients", ACME, Idempotency_Key="old")
    hub.transact(lambda session: setattr(_only_row(session), "created_at", clock.now() - timedelta(hours=49)))
    api.post("/clients", {"name": "Bolt"}, Idempotency_Key="new")
    with hub.read() as session:
        assert "Bolt" in _only_row(session).body


def _only_row(session):
    return session.scalars(select(IdempotencyRecord)).one()
