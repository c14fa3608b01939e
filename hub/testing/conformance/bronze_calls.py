"""Bronze: what it does on the wire, and what it says of what goes wrong there."""

from __future__ import annotations

from itertools import product
from typing import Any

from hub.core.errors import ConnectorError
from hub.redaction import _forms as forms_of
from hub.sync.connector import Batch, Status
from hub.testing.conformance.bench import A_WHILE_S, Bench, Lab
from hub.testing.conformance.guard import guarded
from hub.testing.conformance.rules import Broken, NotShown, expect, failure_of, named, rule
from hub.testing.conformance.wire import (
    CUT,
    FORBIDDEN,
    HTML,
    LOST,
    TROUBLES,
    Trouble,
)


@rule(
    "B11",
    "A full read brings every record once, with an id, a label and values that a hub can take.",
    needs="pull",
    lacks="whether every field is filled at least once",
)
def full_read(lab: Lab) -> None:
    with lab.bench() as bench:
        for stream in lab.subject.pulled:
            ids = bench.seed(stream, 7)
            changes = [change for page in bench.connector.pull(stream, None) for change in page.changes]
            found = [change.remote_id for change in changes]
            expect(all(isinstance(each, str) and each for each in found), f"{stream}: a record without an id")
            expect(len(found) == len(set(found)), f"{stream}: a record comes twice in one read of nothing that changes")
            expect(set(ids) <= set(found), f"{stream}: missing are {sorted(set(ids) - set(found))}")
            for change in changes:
                expect(change.kind == stream, f"{stream}: a change of {change.kind}")
                expect(change.label, f"{stream}: {change.remote_id} has no label")
                at = change.modified_at
                expect(at is None or at.tzinfo is not None, f"{stream}: {change.remote_id} has an instant without zone")
            run = bench.pull(stream)
            expect(run.ok, f"{stream}: the run ends {run.status}: {run.headline}")
            expect(set(ids) <= bench.arrived(stream), f"{stream}: not all of it arrives in the hub")


@rule("B12", "A second full read shows what the first showed.", needs="pull")
def second_read(lab: Lab) -> None:
    with lab.bench() as bench:
        for stream in lab.subject.pulled:
            bench.seed(stream, 7)
            connector = bench.connector
            first, second = (
                {change.remote_id: change.values for page in connector.pull(stream, None) for change in page.changes}
                for _ in range(2)
            )
            gone = sorted(set(first) - set(second))
            expect(not gone, f"{stream}: the second read lacks {gone}")
            differ = sorted(each for each in first if first[each] != second[each])
            expect(not differ, f"{stream}: the second read shows {differ} differently, though nothing changed")


@rule(
    "B13",
    "Whatever goes wrong on the way is said as a failure that the hub knows, never taken for “there is no more”, and "
    "never for done.",
    unwaivable=True,
    lacks="slow answers and bad certificates",
)
def faults_are_told(lab: Lab) -> None:
    with lab.bench() as bench:
        for stream in lab.subject.pulled:
            ids = set(bench.seed(stream, 7))
            for trouble, call in product(TROUBLES, (0, 1)):
                _read_with(bench, stream, trouble, call, ids)
        made = {stream: bench.firm.make(stream) for stream in bench.sendable}
        bench.push_until_done()
        for stream, trouble in product(made, TROUBLES):
            _send_with(bench, bench.batch(stream, made[stream]), trouble)


def _read_with(bench: Bench, stream: str, trouble: Trouble, call: int, ids: set[str]) -> None:
    what, connector = f"reading {stream}, {trouble.name}", bench.connector
    bench.wire.plan(trouble, skip=call)
    try:
        found = {change.remote_id for page in connector.pull(stream, None) for change in page.changes}
    except ConnectorError:
        return
    except Exception as failure:
        raise Broken(f"{what}: it raises {named(failure)}") from failure
    finally:
        bench.wire.clear()
    expect(ids <= found, f"{what}: it is taken for “there is no more”")


def _send_with(bench: Bench, batch: Batch, trouble: Trouble) -> None:
    stream, what = batch.stream, f"sending {batch.stream}, {trouble.name}"
    before, connector = len(bench.user.effects(stream)), bench.connector
    bench.wire.plan(trouble, method="POST|PUT|PATCH")
    try:
        outcomes = connector.push(batch)
    except ConnectorError:
        return
    except Exception as failure:
        raise Broken(f"{what}: it raises {named(failure)}") from failure
    finally:
        bench.wire.clear()
    written = {effect.id for effect in bench.user.effects(stream)[before:]}
    told = {outcome.remote_id for outcome in outcomes if outcome.status in (Status.CREATED, Status.UPDATED)}
    expect(told <= written, f"{what}: it is taken for done")


def _wake(bench: Bench) -> None:
    """Time passes, and whoever looked at what was wrong says go on."""
    bench.clock.advance(A_WHILE_S)
    bench.sign_in()


@rule(
    "B14",
    "No secret stands in a log, a message, a run, a link or any other row of the database: plain, url-encoded or in "
    "base64.",
    unwaivable=True,
    lacks="job arguments, the queue server and exports",
)
def secrets_stay_secret(lab: Lab) -> None:
    with lab.bench() as bench:
        secrets = bench.secrets
        if any(len(secret) < 8 for secret in secrets):
            raise NotShown("the sandbox's secrets are shorter than 8 characters, so they would be found anywhere")
        forms = {form: secret for secret in secrets for form in forms_of(secret)}
        told = [str(failure_of(lambda: bench.connect("wrong", {**bench.settings, **lab.subject.wrong_credentials})))]
        for stream in lab.subject.pulled:
            bench.seed(stream, 2)
        for stream in bench.sendable:
            bench.firm.make(stream)
        _ = bench.connection
        for trouble in (None, FORBIDDEN, CUT, HTML, LOST):
            if trouble is not None:
                bench.wire.plan(trouble, skip=1)
            bench.run()
            bench.wire.clear()
            _wake(bench)
        told += [f"{failure} {failure!r} {failure.__context__!r}" for failure in bench.spy.raised]
        _not_in(forms, "a message", "\n".join(told))
        _not_in(forms, "the log", "\n".join(map(_with_trace, bench.log)))
        folder = bench.hub.settings.data_dir
        for path in sorted(folder.glob("hub.sqlite3*")):
            _not_in(forms, "the database", path.read_bytes().decode("latin-1"))
        for sent in bench.wire.sent:
            _not_in(forms, "an address that was called", f"{sent.path} {sent.query}")


def _with_trace(entry: Any) -> str:
    return f"{entry} {getattr(entry.get('exc_info'), 'args', '')}"


def _not_in(forms: dict[str, str], where: str, text: str) -> None:
    for form in forms:
        expect(form not in text, f"a secret stands in {where}")


@rule(
    "B15",
    "It calls only the hosts in its settings and those it declares, and always by the hub's own HTTP, which checks "
    "certificates and has time-outs.",
    unwaivable=True,
)
def calls_only_its_hosts(lab: Lab) -> None:
    with lab.bench() as bench, guarded(hosts={"127.0.0.1", "localhost", *lab.subject.hosts}) as guard:
        for stream in lab.subject.pulled:
            bench.seed(stream, 2)
        for stream in bench.sendable:
            bench.firm.make(stream)
        _ = bench.connection
        bench.run()
        expect(not guard.refused, f"it calls {', '.join(sorted(guard.refused))}")
        past = len(bench.wire.sent) - guard.by_hub
        expect(past <= 0, f"{past} of its {len(bench.wire.sent)} calls go past the hub's HTTP")
