"""Silver: runs without anybody watching: waits, goes on, and says the truth."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime
from typing import Any

from hub.core.errors import ConnectorError
from hub.sync.connector import Status
from hub.sync.models import RunStatus
from hub.testing.conformance.bench import A_WHILE_S, Bench, Lab
from hub.testing.conformance.firm import a_name
from hub.testing.conformance.rules import Broken, DoesNotHappen, NotShown, expect, not_checked_yet, rule
from hub.testing.conformance.silver_reading import HOUR, arrive
from hub.testing.conformance.wire import TROUBLES, Trouble, too_many

_OAUTH = "oauth"
not_checked_yet(
    "S12",
    "However many workers need a new token at once, it is fetched once, and never lost silently.",
    needs=_OAUTH,
    unwaivable=True,
)
not_checked_yet(
    "S13", "A token that another worker has renewed is no failure; one that was withdrawn is said once.", needs=_OAUTH
)
not_checked_yet(
    "S14", "A token server that is busy or down is asked again, and nobody is asked to sign in.", needs=_OAUTH
)
not_checked_yet("S15", "Signing in anew keeps links, cursors and mappings; another account is refused.", needs=_OAUTH)


@rule(
    "S16",
    "It waits as long as it is asked to, in seconds or until a date; what is refused for good is sent once.",
    lacks="jitter, and a cap on attempts",
)
def pauses_are_kept(lab: Lab) -> None:
    with lab.bench() as bench:
        _ = bench.connection
        for stream in lab.subject.pulled:
            bench.seed(stream, 1)
            _waits(bench, "GET|POST", lambda stream=stream: bench.pull(stream), f"reading {stream}")
        for stream in bench.sendable:
            bench.firm.make(stream)
            bench.push_until_done()
            record_id = bench.firm.make(stream)
            _waits(bench, "POST|PUT|PATCH", bench.push, f"sending {stream}", (stream, record_id))
            _sent_once(bench, stream)


def _waits(bench: Bench, method: str, work: Any, what: str, of: tuple[str, Any] | None = None) -> None:
    for form in _forms(bench):
        bench.wire.plan(too_many(form), method=method)
        work()
        if not bench.wire.clear():
            return  # a parent went first, or nothing was left to do
        told = [failure for failure in bench.spy.raised if isinstance(failure, ConnectorError)]
        expect(told, f"{what}: status 429 with Retry-After {form} is not said")
        waits = max(getattr(failure, "retry_after_s", None) or 0 for failure in told)
        expect(waits >= 80, f"{what}: asked by Retry-After {form} to wait 90 s, it says {waits:.0f} s")
        bench.spy.raised.clear()
        before = len(bench.wire.sent)
        bench.clock.advance(60)
        work()
        calls = [sent for sent in bench.wire.sent[before:] if not sent.reads]
        expect(not calls or method.startswith("GET"), f"{what}: asked to wait 90 s, it calls again after 60 s")
        bench.clock.advance(A_WHILE_S)
        bench.spy.raised.clear()


def _forms(bench: Bench) -> tuple[str, str]:
    return "90", format_datetime(bench.clock.now() + timedelta(seconds=90), usegmt=True)


_NOT_ACCEPTABLE = Trouble("status 422", status=422, body={"error": "not acceptable"})


def _sent_once(bench: Bench, stream: str) -> None:
    """What is refused with a status of 4xx is not sent again by itself."""
    bench.push_until_done()
    bench.firm.make(stream)
    answer = bench.subject.answers.get("refused")
    refused = answer(bench.clock.now()) if answer else _NOT_ACCEPTABLE
    bench.wire.plan(refused, method="POST|PUT|PATCH", times=100)
    before = len(bench.wire.writes())
    for _ in range(3):
        bench.push()
        bench.clock.advance(A_WHILE_S)
    bench.wire.clear()
    sent = len(bench.wire.writes()) - before
    expect(sent <= 1, f"sending {stream}: what is refused with status {refused.status} is sent {sent} times")
    expect(any(link.parked for link in bench.links()), f"sending {stream}: a refusal is shown to nobody")


not_checked_yet(
    "S17",
    "All workers together keep to the declared limits, in every stretch of time and kind of call.",
    unwaivable=True,
)


@rule("S18", "When the day's calls are used up, the run is put off until they are there again, and then goes on.")
def quota_puts_off(lab: Lab) -> None:
    answer = lab.subject.answers.get("quota spent")
    if answer is None and "quota spent" in lab.subject.answers:
        raise DoesNotHappen("this vendor does not count the calls of a day")
    if answer is None:
        raise NotShown("the author does not say what the vendor answers when the day's calls are used up")
    with lab.bench() as bench:
        _ = bench.connection
        for stream in lab.subject.pulled:
            ids = set(bench.seed(stream, 12, apart_s=HOUR))
            bench.wire.plan(answer(bench.clock.now()), skip=1, times=1000)
            run = bench.pull(stream)
            bench.wire.clear()
            _put_off(bench, run, f"reading {stream}")
            bench.pull(stream)
            arrive(bench, stream, ids, "after the calls were used up")
        for stream in bench.sendable:
            bench.firm.make(stream)
            bench.wire.plan(answer(bench.clock.now()), method="POST|PUT|PATCH", times=1000)
            run = bench.push()
            bench.wire.clear()
            _put_off(bench, run, f"sending {stream}")
            bench.push_until_done()
            expect(not any(link.is_owed for link in bench.links(stream)), f"{stream}: it does not go on afterwards")


def _put_off(bench: Bench, run: Any, what: str) -> None:
    expect(run.status == RunStatus.DEFERRED, f"{what}: when the calls are used up the run ends {run.status}")
    resumes_at = bench.runs()[-1].resumes_at
    if resumes_at is None or resumes_at <= bench.clock.now():
        raise Broken(f"{what}: the run does not say when it goes on")
    bench.clock.set(resumes_at + timedelta(seconds=60))


@rule(
    "S20",
    "Two runs at once do the work once: a stream is read by one of them, and a record is sent by one of them.",
    unwaivable=True,
    lacks="an owner whose lease has run out, in a process of its own",
)
def two_runs_do_it_once(lab: Lab) -> None:
    with lab.bench() as bench:
        _ = bench.connection
        ids = {stream: set(bench.seed(stream, 7, apart_s=HOUR)) for stream in lab.subject.pulled}
        made = {stream: bench.firm.make(stream) for stream in bench.sendable}
        state = {"inside": False, "before": len(bench.wire.sent)}

        def second(request: Any) -> None:
            """While this call is open there is one more to send, if it sends, and another worker starts."""
            if state["inside"] or len(bench.wire.sent) > state["before"] + 12:
                return
            state["inside"] = True
            for stream in () if request.reads else bench.sendable:
                bench.firm.make(stream)
            bench.another_worker(sends=not request.reads)
            state["inside"] = False

        bench.wire.before = second
        bench.run()
        bench.wire.before = None
        bench.push_until_done()
        for stream, wanted in ids.items():
            arrive(bench, stream, wanted, "two runs at once")
            told = [item.remote_id for item in bench.items(kind=stream, direction="pull", outcome="created")]
            expect(len(told) == len(set(told)), f"{stream}: two runs at once take a record in twice")
        for stream in made:
            created = [effect.id for effect in bench.user.effects(stream, "create")]
            links = [link for link in bench.links(stream) if link.remote_id in created]
            expect(
                len(created) == len(links), f"{stream}: two runs at once create {len(created)}, {len(links)} are known"
            )


@rule(
    "S21",
    "A run says the truth: what was read is what became of it, and with anything refused or unread it is no success.",
    unwaivable=True,
)
def runs_say_the_truth(lab: Lab) -> None:
    with lab.bench() as bench:
        _ = bench.connection
        for stream in lab.subject.pulled:
            bench.seed(stream, 7, apart_s=HOUR)
            for trouble in lab.sample(TROUBLES, few=2):
                bench.wire.plan(trouble, skip=1)
                run = bench.pull(stream, full=True)
                bench.wire.clear()
                expect(not run.ok, f"{stream}: {trouble.name} on the second page, and the run is called a success")
                bench.clock.advance(A_WHILE_S)
            bench.pull(stream)
        for stream in bench.sendable:
            if not _can_refuse(bench, stream):
                continue
            run = bench.run()
            expect(not run.ok, f"{stream}: a record was refused, and the run is called a success")
            refused = bench.items(kind=stream, direction="push", outcome=str(Status.REJECTED))
            expect(refused, f"{stream}: a record was refused, and no run counts it")
        for each in bench.runs():
            parts = each.created + each.updated + each.unchanged + each.deleted
            parts += each.rejected + each.deferred + each.conflicts
            expect(each.records_read == parts, f"a run read {each.records_read} records and accounts for {parts}")


def _can_refuse(bench: Bench, stream: str) -> bool:
    """Make a record that the other side refuses, if it can."""
    if stream == "invoices":
        return False  # their numbers are the hub's to give
    name = a_name()
    bench.user.refuse(stream, name)
    bench.firm.make(stream, name=name)
    return True


@rule(
    "S22",
    "One bad record stops no other; it is set aside under its own id, with the reason.",
    lacks="the payload of what is refused",
)
def one_bad_record_stops_nothing(lab: Lab) -> None:
    with lab.bench() as bench:
        _ = bench.connection
        for stream in lab.subject.pulled:
            ids = bench.seed(stream, 12, apart_s=HOUR)
            bench.user.spoil(stream, ids[3])
            for _ in range(2):
                bench.pull(stream)
                bench.clock.advance(A_WHILE_S)
            arrive(bench, stream, set(ids) - {ids[3]}, "one of them cannot be read")
            told = bench.items(kind=stream, remote_id=ids[3], outcome=str(Status.REJECTED))
            expect(told, f"{stream}: no run says that {ids[3]} could not be read")
            expect(told[0].reason, f"{stream}: nobody is told why {ids[3]} could not be read")
        for stream in bench.sendable:
            others = [bench.firm.make(stream) for _ in range(2)]
            if not _can_refuse(bench, stream):
                continue
            others.append(bench.firm.make(stream))
            bench.push_until_done()
            links = {link.record_id: link for link in bench.links(stream)}
            for record_id in others:
                link = links[record_id]
                expect(link.remote_id and not link.is_owed, f"{stream}: a record is refused, and another one stays")
            parked = [link.parked for link in links.values() if link.parked]
            expect(parked, f"{stream}: what is refused is not set aside with a reason")


not_checked_yet(
    "S23", "100,000 records are read within 200 MB, and a run that is cancelled ends within 10 s.", needs="pull"
)
not_checked_yet(
    "S24", "A field that is gone or of another type stops its stream with a repair; a new one does not.", needs="pull"
)
not_checked_yet("S25", "Settings of every earlier major release are taken over.")
not_checked_yet("S26", "Its tests reach 90 % of it.")
