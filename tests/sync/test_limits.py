"""Call budgets: what is allowed holds for all processes together, whatever becomes of them or of the queue server."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from contextlib import closing

import pytest
import redis

from hub.core.errors import TemporaryFailure
from hub.services.queue_server import ensure_queue_server, running_pid, stop_queue_server
from hub.sync import limits
from hub.sync.connector import Limit
from hub.sync.limits import Limiter

WINDOW_S = 0.5
FIVE = Limit("calls", calls=5, per_s=WINDOW_S)
TWO_AT_ONCE = Limit("open", in_flight=2)


@pytest.fixture
def server(queue_server):
    with closing(redis.from_url(queue_server)) as client:
        yield client


@pytest.fixture
def own_server(tmp_path):
    """A queue server that the test may do anything to."""
    with closing(redis.from_url(ensure_queue_server(tmp_path))) as client:
        client.data_dir = tmp_path
        yield client
    stop_queue_server(tmp_path)


def use_up(limiter, limit=FIVE):
    for _ in range(limit.calls):
        limiter.release(limiter.acquire((limit.name,)), (limit.name,))


def wait_at_least(limiter, *classes):
    """How long the limiter says that a call would have to wait; 0 when it may go at once."""
    try:
        limiter.release(limiter.acquire(classes, timeout_s=0), classes)
    except TemporaryFailure as failure:
        return failure.retry_after_s
    return 0


# Many processes ------------------------------------------------------------------------------------------------------


def _make_calls(url, count, seed):
    """Make calls that take a while; returns (begun, taken in by the other side, ended) for each."""
    random.seed(seed)
    made = []
    with closing(redis.from_url(url)) as server:
        limiter = Limiter(server, "vendor:1", [FIVE, TWO_AT_ONCE], workers=4)
        for _ in range(count):
            with limiter.slot():
                begun = time.time()
                time.sleep(random.uniform(0, 0.03))
                taken_in = time.time()
                time.sleep(random.uniform(0, 0.03))
                made.append((begun, taken_in, time.time()))
    return made


def test_four_processes_together_keep_to_the_limit_in_every_window(queue_server):
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        made = [
            call for calls in pool.starmap(_make_calls, [(queue_server, 10, n) for n in range(4)]) for call in calls
        ]
    assert len(made) == 40
    taken_in = sorted(call[1] for call in made)
    # Any 6 calls in a row reach over at least one whole window: so no window holds more than 5.
    shortest = min(later - earlier for earlier, later in zip(taken_in, taken_in[FIVE.calls :], strict=False))
    assert shortest >= WINDOW_S
    at_once = [sum(begun <= moment < ended for begun, _, ended in made) for moment, _, _ in made]
    assert max(at_once) <= TWO_AT_ONCE.in_flight


# One process ---------------------------------------------------------------------------------------------------------


def test_the_next_call_waits_until_the_first_has_left_the_window(server):
    limiter = Limiter(server, "vendor:1", [FIVE], workers=2)
    use_up(limiter)
    assert 0 < wait_at_least(limiter, "calls") <= WINDOW_S
    limiter.acquire(("calls",), timeout_s=WINDOW_S * 2)  # which it does


def test_accounts_have_budgets_of_their_own(server):
    use_up(Limiter(server, "vendor:1", [FIVE], workers=2))
    assert wait_at_least(Limiter(server, "vendor:2", [FIVE], workers=2), "calls") == 0


def test_a_call_takes_a_place_in_all_its_classes_or_in_none(server):
    one_batch = Limit("batches", calls=1, per_s=60)
    limiter = Limiter(server, "vendor:1", [Limit("calls", calls=2, per_s=60), one_batch], workers=2)
    limiter.acquire(("calls", "batches"))  # 1 of 2 calls, 1 of 1 batches
    for _ in range(5):
        assert wait_at_least(limiter, "calls", "batches") > 0  # refused, and costs no call
    limiter.acquire(("calls",), timeout_s=0)  # so the 2nd call is still there


def test_a_call_that_names_no_class_counts_in_all(server):
    limiter = Limiter(server, "vendor:1", [FIVE, Limit("batches", calls=1, per_s=60)], workers=2)
    limiter.acquire()
    assert wait_at_least(limiter, "batches") > 0


def test_a_class_that_nobody_declared_is_an_error(server):
    with pytest.raises(ValueError, match="no limit class bulk; the connector declares: calls"):
        Limiter(server, "vendor:1", [FIVE], workers=2).acquire(("bulk",))


def test_a_connector_without_limits_is_not_held_up(server):
    with Limiter(server, "vendor:1", [], workers=2).slot():
        pass


def test_a_place_in_flight_is_given_back_when_the_call_ends_however_it_ends(server):
    limiter = Limiter(server, "vendor:1", [TWO_AT_ONCE], workers=2)
    with limiter.slot(), pytest.raises(OSError, match="lost"), limiter.slot():
        assert wait_at_least(limiter) > 0
        raise OSError("lost")
    assert wait_at_least(limiter) == 0


def test_a_place_in_flight_of_a_process_that_died_runs_out(server, monkeypatch):
    monkeypatch.setattr(limits, "LONGEST_CALL_S", 0.2)
    limiter = Limiter(server, "vendor:1", [TWO_AT_ONCE], workers=2)
    limiter.acquire()
    limiter.acquire()  # neither is ever released
    limiter.acquire(timeout_s=10)


def test_an_unfinished_call_counts_until_its_end_is_certain(server):
    limiter = Limiter(server, "vendor:1", [Limit("calls", calls=1, per_s=0.1)], workers=2)
    member = limiter.acquire()
    time.sleep(0.2)  # two windows later it may only now be taken in over there
    assert wait_at_least(limiter) > 0
    limiter.release(member)
    limiter.acquire(timeout_s=10)


def test_silence_that_was_asked_for_is_kept_by_every_worker(server, queue_server):
    limiter = Limiter(server, "vendor:1", [FIVE, Limit("batches", calls=5, per_s=1)], workers=2)
    limiter.penalise(("calls",), 30)
    with closing(redis.from_url(queue_server)) as another:
        other = Limiter(another, "vendor:1", [FIVE, Limit("batches", calls=5, per_s=1)], workers=2)
        assert 29 < wait_at_least(other, "calls") <= 30
        assert wait_at_least(other, "batches") == 0


# Without the queue server --------------------------------------------------------------------------------------------


def test_a_new_installation_does_not_wait(server):
    assert wait_at_least(Limiter(server, "vendor:1", [FIVE], workers=2), "calls") == 0


def test_when_the_server_has_forgotten_a_window_is_waited_out_by_all(server, queue_server):
    minute = Limit("calls", calls=5, per_s=60)
    limiter = Limiter(server, "vendor:1", [minute, Limit("batches", calls=5, per_s=30)], workers=2)
    limiter.release(limiter.acquire())
    server.flushall()
    assert 55 < wait_at_least(limiter, "calls") <= 60
    assert 25 < wait_at_least(limiter, "batches") <= 30  # each class its own window
    with closing(redis.from_url(queue_server)) as another:
        assert 55 < wait_at_least(Limiter(another, "vendor:1", [minute], workers=2), "calls") <= 60


def test_what_a_process_knows_outlives_its_limiters(server):
    minute = Limit("calls", calls=5, per_s=60)
    Limiter(server, "vendor:1", [minute], workers=2).acquire()
    server.flushall()
    assert wait_at_least(Limiter(server, "vendor:1", [minute], workers=2), "calls") > 55


def test_while_the_server_is_gone_a_window_is_waited_out_and_then_the_share_is_kept(own_server):
    limiter = Limiter(own_server, "vendor:1", [Limit("calls", calls=5, per_s=1.0)], workers=2)
    stop_queue_server(own_server.data_dir)
    assert wait_at_least(limiter, "calls") > 0
    for _ in range(2):  # 5 calls over 2 workers: 2 each
        limiter.release(limiter.acquire(timeout_s=10))
    assert wait_at_least(limiter, "calls") > 0


def test_when_the_server_is_back_a_window_is_waited_out(own_server):
    minute = Limit("calls", calls=5, per_s=60)
    limiter = Limiter(own_server, "vendor:1", [minute, Limit("batches", calls=1, per_s=30)], workers=2)
    stop_queue_server(own_server.data_dir)
    assert wait_at_least(limiter) > 0
    ensure_queue_server(own_server.data_dir)
    assert 55 < wait_at_least(limiter, "calls") <= 60  # the others' calls meanwhile are known to nobody
    assert 25 < wait_at_least(limiter, "batches") <= 30


def test_a_server_that_hangs_is_as_good_as_gone(own_server, monkeypatch):
    monkeypatch.setattr(limits, "_SERVER_ANSWERS_S", 0.1)
    limiter = Limiter(own_server, "vendor:1", [TWO_AT_ONCE], workers=2)
    pid = running_pid(own_server.data_dir)
    os.kill(pid, signal.SIGSTOP)
    try:
        with limiter.slot():
            assert wait_at_least(limiter) > 0  # 2 at once over 2 workers: 1 each
    finally:
        os.kill(pid, signal.SIGCONT)


def test_without_any_server_each_worker_keeps_to_its_share():
    limiter = Limiter(None, "vendor:1", [Limit("calls", calls=7, per_s=60)], workers=3)
    for _ in range(2):  # 7 // 3
        limiter.release(limiter.acquire(timeout_s=0))
    assert 59 < wait_at_least(limiter, "calls") <= 60


def test_more_workers_than_calls_take_turns_over_a_longer_window():
    limiter = Limiter(None, "vendor:1", [Limit("calls", calls=2, per_s=60)], workers=6)
    limiter.release(limiter.acquire(timeout_s=0))
    assert 179 < wait_at_least(limiter, "calls") <= 180  # 1 call of each of 6 workers in 180 s is 2 in 60 s
