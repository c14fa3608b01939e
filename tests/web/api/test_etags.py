"""A record is changed only in the state that the caller has seen, where it says which."""

from __future__ import annotations

import pytest


@pytest.fixture
def path(billable):
    return f"/clients/{billable['client']}"


def test_the_etag_is_the_revision(api, path):
    _, client = api.get(path)
    assert api.last.headers["ETag"] == f'"{client["revision"]}"'


def test_what_is_known_is_not_sent_again(api, path):
    api.get(path)
    assert api.get(path, If_None_Match=api.last.headers["ETag"]) == (304, None)
    assert api.get(path, If_None_Match='"999"')[0] == 200


@pytest.mark.parametrize(
    ("match", "status"),
    [
        ('"1"', 200),
        ('"7", "1"', 200),
        ('"2"', 412),
        ('W/"1"', 412),  # a weak tag names no state
        ("*", 412),  # nor does this
        ("rubbish", 400),
        (None, 200),  # honoured, not demanded
    ],
)
def test_if_match_decides_whether_a_change_happens(api, path, match, status):
    headers = {} if match is None else {"If_Match": match}
    assert api.patch(path, {"phone": "+44 1"}, **headers)[0] == status
    assert api.get(path)[1]["phone"] == ("+44 1" if status == 200 else "")


def test_a_refusal_says_the_present_state(api, path):
    _, problem = api.patch(path, {"phone": "1"}, If_Match='"9"')
    assert problem["code"] == "precondition-failed"
    assert '"1"' in problem["detail"]


def test_of_two_who_saw_the_same_state_one_changes_it(api, path):
    api.get(path)
    seen = api.last.headers["ETag"]
    assert api.patch(path, {"phone": "1"}, If_Match=seen)[0] == 200
    assert api.patch(path, {"phone": "2"}, If_Match=seen)[0] == 412


def test_actions_and_deletes_honour_it_too(api, billable):
    draft = api.post("/invoices", {})[1]["data"][0]
    path = f"/invoices/{draft['id']}"
    assert api.post(f"{path}/issue", {}, If_Match='"99"')[0] == 412
    assert api.delete(path, If_Match='"99"')[0] == 412
    assert api.post(f"{path}/issue", {}, If_Match=f'"{draft["revision"]}"')[0] == 200


def test_the_answer_to_a_change_carries_the_new_etag(api, path):
    _, client = api.patch(path, {"phone": "1"})
    assert client["revision"] == 2
    assert api.last.headers["ETag"] == '"2"'
