"""Places in the queue server belong to whoever took them, and to nobody who comes late."""

from __future__ import annotations

from contextlib import closing

import pytest
import redis

from hub.jobs.places import place


@pytest.fixture
def server(queue_server):
    with closing(redis.from_url(queue_server)) as client:
        yield client


def test_a_place_is_taken_by_one_at_a_time_and_given_back(server):
    with place(server, "p", 5) as first, place(server, "p", 5) as second:
        assert (first, second) == (True, False)
    assert not server.exists("p")
    with place(server, "p", 5) as again:
        assert again


def test_who_was_suspended_too_long_leaves_the_place_to_the_one_who_took_it_meanwhile(server):
    with place(server, "p", 60):
        server.delete("p")  # it ran out while its worker was suspended
        with place(server, "p", 60) as other:
            assert other
            owner = server.get("p")
            with place(server, "p", 60) as third:
                assert not third
            assert server.get("p") == owner
        server.set("p", "a fourth one")
    assert server.get("p") == b"a fourth one"


def test_a_place_is_kept_for_as_long_as_the_work_takes(server):
    with place(server, "p", 0.3):
        server.pexpire("p", 30_000)
        while server.pttl("p") > 1_000:
            pass  # the beat sets it to its own length again
        assert server.pttl("p") > 0


def test_a_place_that_ran_out_and_nobody_took_is_kept(server):
    with place(server, "p", 0.3):
        server.delete("p")
        while not server.exists("p"):
            pass  # the beat takes it up again
        with place(server, "p", 5) as other:
            assert not other
