"""Silver: nothing that is there is missed, and nothing is read for ever."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

from hub.sync.connector import Status
from hub.sync.models import RunStatus
from hub.testing.conformance.bench import A_LEASE_S, A_WHILE_S, Bench, Lab
from hub.testing.conformance.clock import host_zone
from hub.testing.conformance.rules import NotShown, expect, rule
from hub.testing.conformance.wire import BROKEN

HOUR = 3600.0
ZONES = ("UTC", "America/Los_Angeles", "Asia/Kolkata", "Pacific/Auckland")
FEW_ZONES = (("Asia/Kolkata", "UTC"), ("UTC", "America/Los_Angeles"), ("America/Los_Angeles", "Pacific/Auckland"))
CLOCK_CHANGES = (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), datetime(2026, 11, 1, 9, 0, tzinfo=UTC))
"""Europe goes forward, the west of America back."""


def arrive(bench: Bench, stream: str, ids: set[str], what: str) -> None:
    missing = sorted(ids - bench.arrived(stream))
    expect(not missing, f"{stream}: {what}: {len(missing)} of {len(ids)} records never arrive ({missing[:3]})")


def _over_pages(bench: Bench, stream: str) -> None:
    if bench.spy.largest_page > 11:
        raise NotShown(f"12 {stream} come on one page: make the fake remote's pages smaller")


@rule(
    "S01", "What was read is not read again for ever: a second run brings nothing new.", needs="pull", unwaivable=True
)
def second_run_brings_nothing(lab: Lab) -> None:
    with lab.bench() as bench:
        for stream in lab.subject.pulled:
            ids = set(bench.seed(stream, 7, apart_s=HOUR))
            bench.pull(stream)
            arrive(bench, stream, ids, "in a first run")
            cursor = bench.cursor(stream)
            again = bench.pull(stream)
            changed = {name: again.counts[name] for name in ("created", "updated", "deleted", "conflicts", "rejected")}
            expect(not any(changed.values()), f"{stream}: a second run of nothing new says {changed}")
            read, size = again.counts["read"], len(ids)
            expect(read < size, f"{stream}: a second run reads all {size} records again, so the cursor says nothing")
            third = bench.pull(stream)
            expect(third.counts["read"] <= read, f"{stream}: each run reads more than the one before")
            expect(cursor is not None, f"{stream}: no cursor is kept")


@rule(
    "S02",
    "Records with the very same instant arrive, wherever a page or a run ends among them.",
    needs="pull",
    unwaivable=True,
)
def ties_arrive(lab: Lab) -> None:
    with lab.bench() as bench:
        for stream in lab.subject.pulled:
            at = (bench.clock.now() - timedelta(seconds=bench.stream(stream).lookback_s / 4)).replace(microsecond=0)
            ids = bench.seed(stream, 12)
            for remote_id in ids:
                bench.user.stamp(stream, remote_id, at)
            bench.pull(stream)
            _over_pages(bench, stream)
            arrive(bench, stream, set(ids), "12 of one instant, over several pages")
            late = bench.seed(stream, 1)
            bench.user.stamp(stream, late[0], at)
            bench.pull(stream)
            arrive(bench, stream, set(late), "one more of that instant, after the run")


@rule(
    "S03", "A record that becomes visible late, stamped before the cursor, arrives within the lookback.", needs="pull"
)
def late_commits_arrive(lab: Lab) -> None:
    with lab.bench() as bench:
        for stream in lab.subject.pulled:
            lookback_s = bench.stream(stream).lookback_s
            bench.seed(stream, 3)
            bench.pull(stream)
            late = bench.seed(stream, 1)
            bench.user.stamp(stream, late[0], bench.clock.now() - timedelta(seconds=lookback_s * 0.8))
            bench.pull(stream)
            arrive(bench, stream, set(late), f"stamped {lookback_s * 0.8:.0f} s ago, lookback {lookback_s} s")


@rule(
    "S04",
    "A record that is changed while pages are read, and so moves to a later page, arrives; so do all others.",
    needs="pull",
)
def changes_while_paging_arrive(lab: Lab) -> None:
    with lab.bench() as bench:
        for stream in lab.subject.pulled:
            ids = bench.seed(stream, 12, apart_s=HOUR)
            _ = bench.connection
            before = len(bench.wire.sent)

            def move(request: Any, stream: str = stream, ids: list[str] = ids, before: int = before) -> None:
                if len(bench.wire.sent) == before + 2:  # the first page is out, the second is asked for
                    bench.user.change(stream, ids[0])
                    bench.user.change(stream, ids[8])

            bench.wire.before = move
            bench.pull(stream)
            bench.wire.before = None
            _over_pages(bench, stream)
            seen = {
                remote_id: bench.link_of(stream, remote_id).seen
                for remote_id in (ids[0], ids[8])
                if remote_id in bench.arrived(stream)
            }
            bench.pull(stream)
            arrive(bench, stream, set(ids), "two are changed while pages are read")
            bench.pull(stream, full=True)
            for remote_id, shown in seen.items():
                now = bench.link_of(stream, remote_id).seen
                later = bench.items(remote_id=remote_id, outcome=str(Status.UPDATED))
                expect(now == shown or later, f"{stream}: what {remote_id} was changed to is never read")


@rule(
    "S05",
    "A cursor, or a record, of an absurd future stops nothing: no crash, and what comes afterwards arrives.",
    needs="pull",
)
def future_stops_nothing(lab: Lab) -> None:
    with lab.bench() as bench:
        for stream in lab.subject.pulled:
            ids = bench.seed(stream, 3, apart_s=HOUR)
            bench.user.stamp(stream, ids[0], bench.clock.now() + timedelta(days=365 * 70))
            bench.pull(stream)
            arrive(bench, stream, set(ids), "one of them stamped in 70 years")
            bench.clock.advance(A_WHILE_S)
            after = bench.seed(stream, 1)
            bench.pull(stream)
            arrive(bench, stream, set(after), "after one that is stamped in 70 years")
            absurd = _in_the_future(bench.cursor(stream))
            bench.set_cursor(stream, absurd)
            run = bench.pull(stream)
            expect(
                run.status == RunStatus.SUCCESS,
                f"{stream}: a cursor of the future ends it {run.status}: {run.headline}",
            )
            expect(run.counts["created"] == 0, f"{stream}: a cursor of the future brings records")


def _in_the_future(cursor: Any) -> Any:
    """The cursor with every instant in it far ahead."""
    if isinstance(cursor, dict):
        return {name: _in_the_future(value) for name, value in cursor.items()}
    if isinstance(cursor, list):
        return [_in_the_future(value) for value in cursor]
    if isinstance(cursor, str) and len(cursor) >= 10:
        try:
            at = datetime.fromisoformat(cursor)
        except ValueError:
            return cursor
        return at.replace(year=2999, day=min(at.day, 28)).isoformat()
    return cursor


@rule(
    "S06",
    "A record that does not say when it was changed is delivered, or refused with a reason; never dropped.",
    needs="pull",
)
def unstamped_records_are_not_dropped(lab: Lab) -> None:
    with lab.bench() as bench:
        for stream in lab.subject.pulled:
            ids = bench.seed(stream, 4, apart_s=HOUR)
            bench.user.stamp(stream, ids[1], None)
            bench.pull(stream)
            refused = {item.remote_id for item in bench.items(outcome=str(Status.REJECTED))}
            missing = set(ids) - bench.arrived(stream) - refused
            expect(not missing, f"{stream}: a record without an instant is dropped without a word")


@rule(
    "S07",
    "The same records arrive in whatever time zone the host and the account over there are, also while clocks are put "
    "forward or back.",
    needs="pull",
    unwaivable=True,
    lacks="cursors of whole days",
)
def zones_make_no_difference(lab: Lab) -> None:
    pairs = list(product(ZONES, ZONES if lab.subject.zones else (None,)))
    for number, (here, there) in enumerate(pairs if lab.thorough or len(pairs) == len(ZONES) else FEW_ZONES):
        edge = CLOCK_CHANGES[number % 2]
        with host_zone(here), lab.bench(**({"zone": there} if there else {})) as bench:
            for stream in lab.subject.pulled:
                _over_a_clock_change(bench, stream, edge, f"host in {here}, account in {there or 'its own zone'}")


def _over_a_clock_change(bench: Bench, stream: str, edge: datetime, what: str) -> None:
    for minutes in (-50, 10, 70):
        bench.clock.set(edge + timedelta(minutes=minutes))
        ids = set(bench.seed(stream, 2))
        bench.pull(stream)
        arrive(bench, stream, ids, f"{what}, {edge + timedelta(minutes=minutes):%d %B %H:%M} UTC")


@rule(
    "S08", "Instants that are cut or rounded below the second make it neither skip nor read in circles.", needs="pull"
)
def fractions_make_no_difference(lab: Lab) -> None:
    with lab.bench() as bench:
        for stream in lab.subject.pulled:
            lookback_s = bench.stream(stream).lookback_s
            base = (bench.clock.now() - timedelta(seconds=lookback_s / 2)).replace(microsecond=0)
            ids = bench.seed(stream, 12)
            for position, remote_id in enumerate(ids):
                bench.user.stamp(stream, remote_id, base + timedelta(microseconds=999_380 + position * 100))
            calls = len(bench.wire.sent)
            with _no_circles(bench, calls + 60):
                bench.pull(stream)
            arrive(bench, stream, set(ids), "all within two milliseconds")
            late = bench.seed(stream, 1)
            bench.user.stamp(stream, late[0], base + timedelta(microseconds=1_000_490))
            bench.pull(stream)
            arrive(bench, stream, set(late), "one more, 10 microseconds before the last")


@contextmanager
def _no_circles(bench: Bench, most: int) -> Iterator[None]:
    """Ends a read that goes on for ever."""

    def look(request: Any) -> None:
        if len(bench.wire.sent) == most:
            bench.wire.plan(BROKEN, times=1000)

    bench.wire.before = look
    yield
    bench.wire.before = None
    bench.wire.clear()
    expect(len(bench.wire.sent) < most, "it reads in circles")


@rule(
    "S09",
    "Killed at any step and started again, it has read everything, and no more than a page of it twice.",
    needs="pull",
    unwaivable=True,
)
def kills_lose_nothing(lab: Lab) -> None:
    for stream in lab.subject.pulled:
        with lab.bench() as bench:
            steps = range(1, 1 + _steps_of_a_read(bench, stream))
        for step in lab.sample(steps, few=3):
            with lab.bench() as bench:
                ids = set(bench.seed(stream, 12, apart_s=HOUR))
                _ = bench.connection
                with bench.hub.dying_at(step):
                    bench.pull(stream)
                bench.clock.advance(A_LEASE_S)
                bench.pull(stream)
                arrive(bench, stream, ids, f"killed at step {step}")
                told = len(bench.items(kind=stream, direction="pull")) - len(ids)
                size = max(bench.spy.largest_page, 1)
                expect(told <= size, f"{stream}: killed at step {step}, it reads {told} twice; a page is {size}")


def _steps_of_a_read(bench: Bench, stream: str) -> int:
    """How many transactions a first read takes."""
    bench.seed(stream, 12, apart_s=HOUR)
    _ = bench.connection
    bench.hub.transactions = 0
    bench.pull(stream)
    return bench.hub.transactions


@rule("S10", "When the hub cannot save what was read, the cursor does not move.", needs="pull", unwaivable=True)
def unsaved_pages_move_no_cursor(lab: Lab) -> None:
    for stream in lab.subject.pulled:
        with lab.bench() as bench:
            steps = range(2, 1 + _steps_of_a_read(bench, stream))
        for step in lab.sample(steps, few=3):
            with lab.bench() as bench:
                ids = set(bench.seed(stream, 12, apart_s=HOUR))
                _ = bench.connection
                with bench.hub.failing_at(step):
                    bench.pull(stream)
                bench.clock.advance(A_LEASE_S)
                bench.pull(stream)
                arrive(bench, stream, ids, f"the database failed at step {step}")


@rule("S11", "Cursors that earlier releases stored are read, or brought up to date.", needs="pull")
def old_cursors_are_read(lab: Lab) -> None:
    with lab.bench() as bench:
        for stream in lab.subject.pulled:
            ids = set(bench.seed(stream, 3, apart_s=HOUR))
            bench.pull(stream)
            cursor = bench.cursor(stream)
            expect(isinstance(cursor, dict) and "v" in cursor, f"{stream}: its cursor has no version “v”")
            expect(json.loads(json.dumps(cursor)) == cursor, f"{stream}: its cursor is not JSON")
            for old in lab.subject.earlier_cursors.get(stream, ()):
                bench.set_cursor(stream, old)
                more = set(bench.seed(stream, 1))
                run = bench.pull(stream)
                expect(run.status == RunStatus.SUCCESS, f"{stream}: with the cursor {old} it ends: {run.headline}")
                arrive(bench, stream, ids | more, f"with the cursor {old}")
