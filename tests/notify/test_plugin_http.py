from __future__ import annotations

import pytest
import requests
import responses

from hub.core.errors import PermanentFailure, TemporaryFailure
from hub.notify.plugin_http import PluginHttp

ROOM = "https://chat.example/room"


@pytest.mark.parametrize(
    ("status", "raised"),
    [
        (400, PermanentFailure),
        (404, PermanentFailure),
        (302, PermanentFailure),  # a redirect is not followed, so nothing was done
        (408, TemporaryFailure),
        (429, TemporaryFailure),
        (500, TemporaryFailure),
        (503, TemporaryFailure),
    ],
)
@responses.activate
def test_a_refusal_is_an_error_that_says_whether_to_try_again(status, raised):
    responses.post(ROOM, status=status)

    with pytest.raises(raised, match=rf"chat.example .*\({status}"):
        PluginHttp().post(ROOM, json={})


@responses.activate
def test_a_good_answer_is_returned():
    responses.post(ROOM, status=201, json={"id": 7})

    assert PluginHttp().post(ROOM, json={}).json() == {"id": 7}


@responses.activate
def test_how_long_to_wait_is_taken_over():
    responses.post(ROOM, status=429, headers={"Retry-After": "30"})

    with pytest.raises(TemporaryFailure) as caught:
        PluginHttp().post(ROOM, json={})

    assert caught.value.retry_after_s == 30


@responses.activate
def test_a_lost_answer_is_tried_again_because_hooks_bear_being_told_twice():
    responses.post(ROOM, body=requests.exceptions.ReadTimeout())

    with pytest.raises(TemporaryFailure):
        PluginHttp().post(ROOM, json={})
