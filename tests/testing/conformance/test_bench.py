"""The bench itself: its clock, its wire, its deaths."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
import requests
from sqlalchemy import select

from hub.core import clock
from hub.core.clock import database_now
from hub.testing.conformance.bench import Lab
from hub.testing.conformance.bench_hub import DatabaseFull
from hub.testing.conformance.clock import host_zone
from hub.testing.conformance.guard import guarded
from hub.testing.conformance.wire import CUT, HTML, LOST, RESET, Wire, too_many
from hub.testing.reference import connector
from hub.testing.reference.conformance import subject
from hub.testing.reference.sandbox import TOKEN
from hub.testing.sandbox import SandboxServer

LETTER = {"items": [{"ref": "1", "id": None, "version": None, "values": {"name": "Advice"}}]}


@pytest.fixture
def bench(tmp_path, sqlite_template):
    with Lab(subject(), tmp_path, template=sqlite_template).bench() as bench:
        yield bench


def post(bench):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return requests.post(f"{bench.server.url}/services", json=LETTER, headers=headers, timeout=5)


def test_hub_database_and_fake_remote_go_by_one_clock(bench):
    bench.clock.set(datetime(2031, 5, 1, 12, 0, tzinfo=UTC))

    with bench.hub.read() as session:
        in_the_database = session.execute(select(database_now())).scalar_one()
    for now in (clock.now(), in_the_database, bench.sandbox.now()):
        assert abs(now - datetime(2031, 5, 1, 12, 0, tzinfo=UTC)) < timedelta(minutes=1)


def test_the_connectors_own_modules_go_by_the_clock_and_still_know_an_instant(bench):
    bench.clock.advance(3600)

    assert connector.datetime.now(UTC) - datetime.now(UTC) > timedelta(minutes=59)
    assert isinstance(datetime.now(UTC), connector.datetime)


def test_the_clock_is_the_real_one_again_after_the_bench(tmp_path, sqlite_template):
    with Lab(subject(), tmp_path, template=sqlite_template).bench() as bench:
        bench.clock.advance(1e6)

    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)
    assert connector.datetime is datetime


def test_a_host_stands_in_another_zone_for_a_block():
    before = time.tzname
    with host_zone("Asia/Kolkata"):
        assert datetime(2026, 1, 1).astimezone().utcoffset() == timedelta(hours=5, minutes=30)

    assert time.tzname == before


@pytest.mark.parametrize(
    ("trouble", "effects"),
    [(RESET, 0), (LOST, 1), (CUT, 1)],
)
def test_a_call_in_trouble_has_an_effect_or_none_and_no_answer(bench, trouble, effects):
    bench.wire.plan(trouble, method="POST")

    with pytest.raises(requests.RequestException):
        post(bench)

    assert len(bench.user.effects("services", "create")) == effects


@pytest.mark.parametrize(("trouble", "status"), [(HTML, 200), (too_many("7"), 429)])
def test_somebody_else_answers_and_nothing_is_done(bench, trouble, status):
    bench.wire.plan(trouble)

    answer = post(bench)

    assert (answer.status_code, bench.user.effects()) == (status, [])
    assert answer.headers.get("Retry-After", "7") == "7"


def test_trouble_comes_when_it_is_planned_and_is_over_then(bench):
    bench.wire.plan(HTML, skip=1, method="POST|PUT")

    kinds = [post(bench).headers["Content-Type"].partition(";")[0] for _ in range(3)]

    assert kinds == ["application/json", "text/html", "application/json"]
    assert [sent.applied for sent in bench.wire.sent] == [True, False, True]
    assert bench.wire.clear()


def test_where_tokens_are_fetched_no_trouble_happens_and_nothing_counts_as_a_write(bench):
    wire = Wire(bench.sandbox, bench.clock, sign_in="/services")
    wire.plan(RESET, times=2)
    with SandboxServer(wire, "127.0.0.1", 0) as server:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = requests.post(f"{server.url}/services", json=LETTER, headers=headers, timeout=5)
        with pytest.raises(requests.RequestException):
            requests.get(f"{server.url}/me", headers=headers, timeout=5)

    assert answer.status_code == 200
    assert wire.writes() == []


def test_a_hub_that_dies_does_nothing_more_until_it_is_started_again(bench):
    done = []
    with bench.hub.dying_at(2):
        for number in (1, 2, 3):
            bench.hub.transact(lambda session, number=number: done.append(number))
    assert done == [1]

    bench.hub.transact(lambda session: done.append("again"))

    assert done == [1, "again"]


def test_a_database_that_fails_fails_once(bench):
    with bench.hub.failing_at(1), pytest.raises(DatabaseFull):
        bench.hub.transact(lambda session: None)

    bench.hub.transact(lambda session: None)


def test_the_guard_lets_nobody_be_called_but_whom_it_knows(bench):
    with guarded(hosts={"127.0.0.1"}) as guard:
        post(bench)
        with pytest.raises(requests.RequestException):
            requests.get("https://elsewhere.example", timeout=5)

    assert guard.refused == {"elsewhere.example"}


def test_a_fixed_share_of_cases_is_tried_in_a_quick_run(tmp_path):
    quick, thorough = (Lab(subject(), tmp_path, thorough=each) for each in (False, True))

    assert list(quick.sample(range(1, 11), few=4)) == [1, 4, 7, 10]
    assert list(thorough.sample(range(1, 11), few=4)) == list(range(1, 11))
