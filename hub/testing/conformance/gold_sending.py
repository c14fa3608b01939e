"""Gold: every record is made once and ends as it is here, whatever crashes on the way."""

from __future__ import annotations

import random
from typing import Any
from uuid import UUID

from sqlalchemy import update

from hub.core.outbox import Link
from hub.testing.conformance.bench import A_LEASE_S, A_MOMENT_S, A_WHILE_S, Bench, Lab
from hub.testing.conformance.firm import Firm
from hub.testing.conformance.rules import NotShown, expect, not_checked_yet, rule
from hub.testing.conformance.wire import CUT, LOST, RESET, Sent

WRITES = "POST|PUT|PATCH"


def once(bench: Bench, stream: str, record_id: UUID, what: str) -> None:
    """The record exists once over there, and its link names it."""
    link = next((link for link in bench.links(stream) if link.record_id == record_id), None)
    expect(link is not None and link.remote_id, f"{stream}: {what}: it never arrives")
    assert link is not None
    expect(not link.is_owed and not link.parked, f"{stream}: {what}: it stays owed ({link.parked})")
    created = [effect.id for effect in bench.user.effects(stream, "create")]
    known = {each.remote_id for each in bench.links(stream)}
    extra = [remote_id for remote_id in created if remote_id not in known]
    expect(not extra, f"{stream}: {what}: {', '.join(extra)} was created and nothing here knows of it")
    expect(created.count(str(link.remote_id)) <= 1, f"{stream}: {what}: it was created twice")


def ready(bench: Bench, stream: str) -> None:
    """Let its parents be there, so that the next call that writes is of this stream."""
    bench.firm.make(stream)
    bench.push_until_done()


@rule(
    "G01",
    "A call whose answer is lost, cut off or late leaves exactly one record over there.",
    needs="push",
    unwaivable=True,
)
def lost_answers_make_one(lab: Lab) -> None:
    with lab.bench() as bench:
        _ = bench.connection
        for stream in bench.sendable:
            for trouble in lab.sample((LOST, CUT, RESET), few=1):
                record_id = bench.firm.make(stream)
                bench.wire.plan(trouble, method=WRITES)
                bench.push()
                bench.wire.clear()
                bench.push_until_done()
                once(bench, stream, record_id, trouble.name)


@rule(
    "G02",
    "A worker that dies between the call and the note of it leaves exactly one record over there, and a whole link.",
    needs="push",
    unwaivable=True,
    lacks="death of a whole process",
)
def deaths_make_one(lab: Lab) -> None:
    with lab.bench() as bench:
        for stream in bench.sendable:
            ready(bench, stream)
            calls = list[int]()
            bench.firm.make(stream)
            bench.sign_in()
            bench.hub.transactions = 0
            bench.wire.before = lambda sent, calls=calls: calls.append(bench.hub.transactions)
            bench.push()
            bench.wire.before = None
            right_after_a_call = sorted({number + 1 for number in calls})
            for step in range(1, 1 + bench.hub.transactions) if lab.thorough else right_after_a_call:
                record_id = bench.firm.make(stream)
                bench.sign_in()
                with bench.hub.dying_at(step):
                    bench.push()
                bench.clock.advance(A_LEASE_S)
                bench.push_until_done()
                once(bench, stream, record_id, f"dead at step {step}")


@rule(
    "G03",
    "One record in the hands of two workers at once is made once.",
    needs="push",
    unwaivable=True,
    lacks="processes of their own",
)
def two_workers_make_one(lab: Lab) -> None:
    with lab.bench() as bench:
        for stream in bench.sendable:
            ready(bench, stream)
            record_id = bench.firm.make(stream)
            state = {"nested": False}

            def overtaken(request: Sent, state: dict[str, bool] = state) -> None:
                """While the first worker's call is open its lease runs out, and another one takes over."""
                if request.reads or state["nested"]:
                    return
                state["nested"] = True
                bench.clock.advance(A_LEASE_S)
                bench.another_worker()

            bench.wire.before = overtaken
            bench.push()
            bench.wire.before = None
            bench.push_until_done()
            once(bench, stream, record_id, "in the hands of two workers")


@rule("G04", "Sending everything again after a success creates and changes nothing.", needs="push")
def again_changes_nothing(lab: Lab) -> None:
    with lab.bench() as bench:
        for stream in bench.sendable:
            bench.firm.make(stream)
        bench.push_until_done()
        before = len(bench.user.effects())
        _owe_all(bench)
        bench.push_until_done()
        more = bench.user.effects()[before:]
        expect(not more, f"sent again though nothing changed: {[(e.operation, e.kind, e.id) for e in more][:3]}")


def _owe_all(bench: Bench) -> None:
    owe = update(Link).values(wanted=Link.wanted + 1, due_at=None)
    bench.hub.transact(lambda session: session.execute(owe) and None)


@rule(
    "G05",
    "A repeated call is the same to the letter, key and all; after a definite answer the next one has a new key.",
    needs="keys",
)
def repeats_are_identical(lab: Lab) -> None:
    with lab.bench() as bench:
        for stream in _with(bench, keyed=True):
            ready(bench, stream)
            bench.firm.make(stream)
            bench.wire.plan(LOST, method=WRITES)
            before = len(bench.wire.writes())
            bench.push()
            bench.wire.clear()
            bench.clock.advance(A_MOMENT_S)  # while the vendor remembers its keys
            bench.push()
            first, *more = bench.wire.writes()[before:]
            expect(more, f"{stream}: after a lost answer nothing is repeated, though it says that it has keys")
            repeat = more[0]
            expect(first.body == repeat.body, f"{stream}: a repeat has another body")
            before = len(bench.wire.writes())
            bench.firm.make(stream)
            bench.push_until_done()
            others = [_marks(each) for each in bench.wire.writes()[before:]]
            key = _marks(first) & _marks(repeat)
            expect(key - set().union(*others), f"{stream}: a repeat has another key than the call that it repeats")


def _marks(sent: Sent) -> set[tuple[str, str]]:
    """Where a key can stand: in the address, its parameters or a header."""
    headers = {(name, value) for name, value in sent.headers.items() if name not in ("Content-Length", "Host")}
    return {("path", sent.path), *sent.query.items(), *headers}


def _with(bench: Bench, *, keyed: bool) -> list[str]:
    return [stream for stream in bench.sendable if bench.stream(stream).keyed is keyed]


@rule(
    "G06",
    "Without keys, it looks before it sends anything again; and where it finds two, a person decides and nothing is "
    "created.",
    needs="no_keys",
)
def without_keys_it_looks_first(lab: Lab) -> None:
    with lab.bench() as bench:
        streams = _with(bench, keyed=False)
        if not streams:
            raise NotShown("the kit can make no records of the streams without keys")
        for stream in streams:
            ready(bench, stream)
            record_id = bench.firm.make(stream)
            before = len(bench.wire.sent)
            bench.wire.plan(LOST, method=WRITES)
            bench.push()
            bench.wire.clear()
            first = next(number for number, sent in enumerate(bench.wire.sent[before:]) if not sent.reads)
            tried = before + first + 1
            bench.push_until_done()
            later = bench.wire.sent[tried:]
            expect(later and later[0].reads, f"{stream}: after a lost answer it sends again before it looks")
            once(bench, stream, record_id, "a lost answer, and no keys")

            bench.firm.make(stream)
            bench.wire.plan(LOST, method=WRITES)
            bench.push()
            bench.wire.clear()
            bench.user.copy(stream, bench.user.effects(stream, "create")[-1].id)
            before = len(bench.user.effects(stream))
            bench.push_until_done()
            expect(len(bench.user.effects(stream)) == before, f"{stream}: it finds two, and makes a third")
            parked = [link for link in bench.links(stream) if link.is_owed and link.parked]
            expect(parked, f"{stream}: it finds two, and asks nobody which is right")


not_checked_yet(
    "G07",
    "A link stays with its record through renaming and renumbering, and follows it through a merge.",
    needs="push",
)


@rule(
    "G08",
    "An update made on an old version is refused over there, read again and made on the new one; it reverts nothing.",
    needs="versions",
)
def stale_updates_revert_nothing(lab: Lab) -> None:
    with lab.bench() as bench:
        streams = [each for each in bench.sendable if bench.stream(each).versioned and bench.stream(each).pulls]
        if not streams:
            raise NotShown("the kit can change no record of a stream with versions that is read too")
        for stream in streams:
            record_id = bench.firm.make(stream)
            bench.push_until_done()
            bench.run()
            remote_id = next(link.remote_id for link in bench.links(stream) if link.record_id == record_id)
            assert remote_id is not None
            name = bench.firm.change(stream, record_id)
            theirs: dict[str, Any] = {}

            def meanwhile(request: Sent, theirs: dict[str, Any] = theirs, of: Any = (stream, remote_id)) -> None:
                """Somebody changes it over there while our update is under way."""
                if not request.reads and not theirs:
                    bench.user.change(*of)
                    theirs.update(bench.user.values(*of))

            bench.wire.before = meanwhile
            bench.push()
            bench.wire.before = None
            calls = len(bench.wire.writes())
            for _ in range(4):
                bench.clock.advance(A_WHILE_S)
                bench.run()
            now, tries = bench.user.values(stream, remote_id), len(bench.wire.writes()) - calls
            expect(name in texts(now), f"{stream}: our change is lost")
            kept = {key: value for key, value in theirs.items() if isinstance(value, str) and not _is_instant(value)}
            lost = [key for key, value in kept.items() if now.get(key) not in (value, name)]
            expect(not lost, f"{stream}: what was changed over there meanwhile is reverted: {', '.join(lost)}")
            expect(tries <= 3, f"{stream}: it tries {tries} times")


def _is_instant(value: str) -> bool:
    return len(value) > 18 and value[4:5] == "-" and "T" in value


def texts(values: Any) -> set[str]:
    if isinstance(values, dict):
        return set().union(*map(texts, values.values())) if values else set()
    if isinstance(values, list):
        return set().union(*map(texts, values)) if values else set()
    return {str(values)}


@rule(
    "G09",
    "Whatever happens in whatever order, the other side ends at our last revision.",
    needs="push",
    unwaivable=True,
)
def ends_at_the_last_revision(lab: Lab) -> None:
    courses = range(50) if lab.thorough else range(2)
    with lab.bench() as bench:
        streams = [stream for stream in bench.sendable if bench.firm.can_change(stream)]
        if not streams:
            raise NotShown("the kit can change no record of the streams that are sent")
        for stream in streams:
            for course in courses:
                _random_course(bench, stream, random.Random(course))  # noqa: S311


def _random_course(bench: Bench, stream: str, dice: random.Random) -> None:
    """Edits, pushes, troubles and deaths in any order; then time passes."""
    record_id, told = bench.firm.make(stream), list[str]()
    for _ in range(8):
        step = dice.choice(("edit", "edit", "push", "lost", "reset", "cut", "death", "time"))
        told.append(step)
        if step == "edit":
            bench.firm.change(stream, record_id)
        elif step == "time":
            bench.clock.advance(dice.choice((5, 60, A_WHILE_S)))
        elif step == "death":
            bench.sign_in()
            with bench.hub.dying_at(dice.randrange(3, 10)):
                bench.push()
            bench.clock.advance(A_LEASE_S)
        else:
            if trouble := {"lost": LOST, "reset": RESET, "cut": CUT}.get(step):
                bench.wire.plan(trouble, method=WRITES)
            bench.push()
            bench.wire.clear()
    bench.push_until_done()
    once(bench, stream, record_id, f"after {', '.join(told)}")
    link = next(link for link in bench.links(stream) if link.record_id == record_id)
    name = bench.record(stream, record_id).name
    there = bench.user.values(stream, str(link.remote_id))
    expect(name in texts(there), f"{stream}: after {', '.join(told)} it is not “{name}” over there")


@rule(
    "G10",
    "A record that needs another one over there waits for it, says so, and goes when that is there.",
    needs="parents",
    lacks="circles of records that need each other",
)
def children_wait(lab: Lab) -> None:
    with lab.bench() as bench:
        pairs = [
            (child, Firm.PARENTS[child]) for child in bench.sendable if Firm.PARENTS.get(child) in lab.subject.pushed
        ]
        if not pairs:
            raise NotShown("the kit can make no record that needs another one")
        for child, parent in pairs:
            record_id = bench.firm.make(child)
            bench.wire.plan(RESET, method=WRITES)
            bench.push()
            bench.wire.clear()
            expect(not bench.user.effects(child), f"{child}: it is sent before what it needs is there")
            bench.push_until_done()
            once(bench, child, record_id, "its parent could not be sent at first")
            order = [effect.kind for effect in bench.user.effects(operation="create")]
            first, then = (bench.user.kinds.get(each, each) for each in (parent, child))
            expect(first in order[: order.index(then)], f"{child}: sent before {parent}")
