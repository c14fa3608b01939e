"""Gold: reading the past."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from uuid import UUID

from hub.sync.backfill import begin_backfill, work_backfill
from hub.sync.connector import Page
from hub.sync.runs import RunSummary
from hub.testing.conformance.bench import A_WHILE_S, Bench, Lab
from hub.testing.conformance.rules import expect, rule

_LONG_AGO = timedelta(days=400)


@rule(
    "G23",
    "Reading the past overwrites nothing newer, and delays nothing that is new.",
    needs="pull",
    lacks="its share of the calls, which is the hub's and not the connector's",
)
def the_past_overwrites_nothing(lab: Lab) -> None:
    with lab.bench() as bench:
        for stream in lab.subject.pulled:
            ids = bench.seed(stream, 6, apart_s=3600)
            bench.pull(stream)
            ids += bench.seed(stream, 3)
            edited: list[str] = []
            bench.spy.before_page = partial(_edit_meanwhile, bench, stream, ids, edited)
            run = _read_the_past(bench, stream)
            bench.spy.before_page = None
            expect(run.status == "success", f"{stream}: reading the past ends as {run.status}: {run.headline}")
            missing = set(ids) - {link.remote_id for link in bench.links(stream)}
            expect(not missing, f"{stream}: of {len(ids)} records the past leaves {len(missing)} out")
            expect(edited, f"{stream}: the past shows none of {len(ids)} records")
            revisions = _revisions(bench, stream)
            bench.clock.advance(A_WHILE_S)
            bench.pull(stream, full=True)
            older = [
                record_id
                for record_id, revision in _revisions(bench, stream).items()
                if revision != revisions[record_id]
            ]
            expect(
                not older, f"{stream}: the past took {len(older)} of {len(edited)} newer records back to what they were"
            )


def _edit_meanwhile(bench: Bench, stream: str, ids: Sequence[str], edited: list[str], page: Page) -> None:
    """A page of the past is on its way to the hub: meanwhile what it shows is changed, and read as news."""
    shown = [change.remote_id for change in page.changes if change.remote_id in ids and change.remote_id not in edited]
    if not shown:
        return
    hook, bench.spy.before_page = bench.spy.before_page, None
    bench.user.change(stream, shown[0])
    edited.append(shown[0])
    before = _revision(bench, stream, shown[0])
    bench.clock.advance(A_WHILE_S)
    bench.pull(stream)
    news = _revision(bench, stream, shown[0])
    expect(news > before, f"{stream}: while the past is read a change is not")
    bench.spy.before_page = hook


def _read_the_past(bench: Bench, stream: str) -> RunSummary:
    from_on = (bench.clock.now() - _LONG_AGO).date()
    begin = partial(begin_backfill, connection_id=bench.connection, kind=stream, from_on=from_on, actor="system")
    bench.hub.transact(lambda session: begin(session) and None)
    run = work_backfill(bench.hub, bench.connection, stream, seconds=60)
    assert run is not None
    return run


def _revision(bench: Bench, stream: str, remote_id: str) -> int:
    """Of our record of theirs; 0 while there is none."""
    ids = [link.record_id for link in bench.links(stream) if link.remote_id == remote_id and link.record_id]
    return bench.record(stream, ids[0]).revision if ids else 0


def _revisions(bench: Bench, stream: str) -> dict[UUID, int]:
    ids = [link.record_id for link in bench.links(stream) if link.record_id]
    with bench.hub.read() as session:
        return {record.id: record.revision for record in bench.hub.kinds[stream].load(session, ids)}
