"""Gold: safe for writes, money and both directions."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from itertools import product, zip_longest
from typing import Any
from uuid import UUID

from sqlalchemy import update

from hub.core.frozen import freeze
from hub.core.outbox import Link
from hub.core.records import InvoiceRecord
from hub.sync.cycle import run_connection
from hub.sync.reconcile import reconcile
from hub.testing.conformance.bench import A_LEASE_S, A_WHILE_S, AnyId, Bench, Lab
from hub.testing.conformance.firm import Firm, a_name
from hub.testing.conformance.rules import NotShown, expect, not_checked_yet, rule
from hub.testing.conformance.wire import CUT, LOST, RESET, Sent, Trouble
from hub.testing.kit import an_invoice, an_invoice_line

WRITES = "POST|PUT|PATCH"
INVOICES = 10_000


def _once(bench: Bench, stream: str, record_id: UUID, what: str) -> None:
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


def _ready(bench: Bench, stream: str) -> None:
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
                _once(bench, stream, record_id, trouble.name)


@rule(
    "G02",
    "A worker that dies between the call and the note of it leaves exactly one record over there, and a whole link.",
    needs="push",
    unwaivable=True,
)
def deaths_make_one(lab: Lab) -> None:
    with lab.bench() as bench:
        for stream in bench.sendable:
            _ready(bench, stream)
            calls = list[int]()
            bench.firm.make(stream)
            bench.hub.transactions = 0
            bench.wire.before = lambda sent, calls=calls: calls.append(bench.hub.transactions)
            bench.push()
            bench.wire.before = None
            right_after_a_call = sorted({number + 1 for number in calls})
            for step in range(1, 1 + bench.hub.transactions) if lab.thorough else right_after_a_call:
                record_id = bench.firm.make(stream)
                with bench.hub.dying_at(step):
                    bench.push()
                bench.clock.advance(A_LEASE_S)
                bench.push_until_done()
                _once(bench, stream, record_id, f"dead at step {step}")


@rule("G03", "One record in the hands of two workers at once is made once.", needs="push", unwaivable=True)
def two_workers_make_one(lab: Lab) -> None:
    with lab.bench() as bench:
        for stream in bench.sendable:
            _ready(bench, stream)
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
            _once(bench, stream, record_id, "in the hands of two workers")


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
            _ready(bench, stream)
            bench.firm.make(stream)
            bench.wire.plan(LOST, method=WRITES)
            before = len(bench.wire.writes())
            bench.push()
            bench.wire.clear()
            bench.push_until_done()
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
            _ready(bench, stream)
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
            _once(bench, stream, record_id, "a lost answer, and no keys")

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
            expect(name in _texts(now), f"{stream}: our change is lost")
            kept = {key: value for key, value in theirs.items() if isinstance(value, str) and not _is_instant(value)}
            lost = [key for key, value in kept.items() if now.get(key) not in (value, name)]
            expect(not lost, f"{stream}: what was changed over there meanwhile is reverted: {', '.join(lost)}")
            expect(tries <= 3, f"{stream}: it tries {tries} times")


def _is_instant(value: str) -> bool:
    return len(value) > 18 and value[4:5] == "-" and "T" in value


def _texts(values: Any) -> set[str]:
    if isinstance(values, dict):
        return set().union(*map(_texts, values.values())) if values else set()
    if isinstance(values, list):
        return set().union(*map(_texts, values)) if values else set()
    return {str(values)}


not_checked_yet(
    "G09",
    "Whatever happens in whatever order, the other side ends at our last revision.",
    needs="push",
    unwaivable=True,
)


@rule(
    "G10",
    "A record that needs another one over there waits for it, says so, and goes when that is there.",
    needs="parents",
)
def children_wait(lab: Lab) -> None:
    with lab.bench() as bench:
        pairs = [(child, Firm.PARENTS[child]) for child in bench.sendable if Firm.PARENTS.get(child) in bench.sendable]
        if not pairs:
            raise NotShown("the kit can make no record that needs another one")
        for child, parent in pairs:
            record_id = bench.firm.make(child)
            bench.wire.plan(RESET, method=WRITES)
            bench.push()
            bench.wire.clear()
            expect(not bench.user.effects(child), f"{child}: it is sent before what it needs is there")
            bench.push_until_done()
            _once(bench, child, record_id, "its parent could not be sent at first")
            order = [effect.kind for effect in bench.user.effects(operation="create")]
            first, then = (bench.user.kinds.get(each, each) for each in (parent, child))
            expect(first in order[: order.index(then)], f"{child}: sent before {parent}")


@rule(
    "G11",
    "Of a batch with good and bad records each gets its own verdict, in whatever order the answers come.",
    needs="batch",
)
def batches_get_verdicts(lab: Lab) -> None:
    with lab.bench() as bench:
        streams = [each for each in bench.sendable if bench.stream(each).batch_size > 1 and each != "invoices"]
        if not streams:
            raise NotShown("the kit can make no bad record of a stream with batches")
        for stream in streams:
            _ready(bench, stream)
            bad = a_name()
            bench.user.refuse(stream, bad)
            made = {bench.firm.make(stream, name=name): name for name in (a_name(), bad, a_name())}
            before = len(bench.user.effects(stream))
            bench.push_until_done()
            links = {link.record_id: link for link in bench.links(stream)}
            for record_id, name in made.items():
                link = links[record_id]
                if name == bad:
                    expect(link.parked and not link.remote_id, f"{stream}: the bad record of a batch is not set aside")
                    continue
                expect(link.remote_id, f"{stream}: a good record is lost with the bad one of its batch")
                assert link.remote_id is not None
                there = bench.user.values(stream, link.remote_id)
                expect(name in _texts(there), f"{stream}: a record got the verdict of another one of its batch")
            more = len(bench.user.effects(stream)) - before
            expect(more == 2, f"{stream}: 2 good records of a batch are written {more} times")


not_checked_yet("G12", "A dry run changes nothing, neither there nor here.", unwaivable=True)
not_checked_yet(
    "G13", "Applying a plan does what the plan shows; what changed since is left out as stale.", unwaivable=True
)


@rule(
    "G14",
    "A read that breaks off, or brings less than there is, never makes a record count as deleted.",
    needs="pull",
    unwaivable=True,
)
def incomplete_reads_delete_nothing(lab: Lab) -> None:
    with lab.bench() as bench:
        for stream in lab.subject.pulled:
            ids = set(bench.seed(stream, 12, apart_s=3600))
            bench.pull(stream)
            for trouble, call, full in ((RESET, 1, True), (CUT, 1, True), (RESET, 1, False), (_NOTHING, 0, True)):
                bench.wire.plan(trouble, skip=call)
                bench.pull(stream, full=full)
                bench.wire.clear()
                gone = [link.remote_id for link in bench.links(stream) if link.tombstoned and link.remote_id in ids]
                expect(not gone, f"{stream}: {trouble.name}, and {len(gone)} records count as deleted")
                bench.clock.advance(A_WHILE_S)
            bench.pull(stream, full=True)
            gone = [link.remote_id for link in bench.links(stream) if link.tombstoned and link.remote_id in ids]
            expect(not gone, f"{stream}: after reads that broke off {len(gone)} records count as deleted")


_NOTHING = Trouble("an empty answer", body={})


not_checked_yet(
    "G15", "Voiding, archiving and deleting do what is declared; a closed period is never got around.", needs="push"
)


@rule(
    "G16",
    "Money is exact: no float on its way out, and every document comes to the same sum on both sides, to the last "
    "minor unit.",
    needs="money",
    unwaivable=True,
)
def money_is_exact(lab: Lab) -> None:
    with lab.bench() as bench:
        streams = [stream for stream in bench.sendable if stream == "invoices"]
        if not streams:
            raise NotShown("the kit can make no document with money of these streams")
        dice = random.Random(16)  # noqa: S311
        for seconds in (
            (36,),
            (1_200, 1_200, 1_200),
            (89_964, 36, 5_436),
            tuple(dice.randrange(36, 9_000) for _ in range(7)),
        ):
            bench.firm.make("invoices", seconds=seconds)
        bench.push_until_done()
        compared = reconcile(bench.hub, bench.connection, kinds=["invoices"])
        differ = [(row.number, row.ours, row.theirs) for row in compared.rows if row.verdict != "matched"]
        expect(compared.rows and not differ, f"on both sides differ: {differ}")
        connector, parents = bench.connector, AnyId.of(bench)
        record = bench.record("invoices", next(link.record_id for link in bench.links("invoices") if link.record_id))
        shapes = [_an_invoice(dice, record) for _ in range(INVOICES if lab.thorough else 300)]
        for invoice in shapes:
            body = connector.body("invoices", invoice, parents)
            amounts = _amounts(freeze(body))
            expect(amounts is not None, f"a float in an invoice on its way out: {_floats(body)}")
            assert amounts is not None
            expect(invoice.total in amounts, f"the total {invoice.total} of an invoice goes out as another number")
        for link in bench.links("invoices"):
            if link.record_id and link.remote_id:
                ours = bench.record("invoices", link.record_id).total
                theirs = bench.user.total("invoices", link.remote_id)
                expect(ours == theirs, f"{link.label} comes to {ours} here and {theirs} there")


def _an_invoice(dice: random.Random, like: InvoiceRecord) -> InvoiceRecord:
    lines = tuple(
        replace(
            an_invoice_line(
                quantity=Decimal(dice.randrange(1, 99_999)) / 100,
                rate=Decimal(dice.randrange(1, 9_999_999)) / dice.choice((1, 100, 10_000)),
                tax_rate=Decimal(dice.choice(("0", "5", "7.7", "19", "20"))),
            ),
            service_id=like.lines[0].service_id,
        )
        for _ in range(dice.randrange(1, 4))
    )
    made = an_invoice(lines=lines, number=f"INV-{dice.randrange(10**6):06}")
    return replace(made, client_id=like.client_id, company_id=like.company_id, project_id=like.project_id)


def _floats(value: Any) -> list[float]:
    if isinstance(value, float):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [found for item in value for found in _floats(item)] if isinstance(value, (list, tuple)) else []


def _amounts(value: Any) -> set[Decimal] | None:
    """Every number of a body, also those written as text; None where one is a float."""
    found: set[Decimal] = set()
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, float):
            return None
        if isinstance(item, dict):
            todo += item.values()
        elif isinstance(item, (list, tuple)):
            todo += item
        elif isinstance(item, (int, Decimal, str)) and not isinstance(item, bool):
            text = str(item)
            if text.lstrip("-").replace(".", "", 1).isdecimal():
                found.add(Decimal(text))
    return found


not_checked_yet("G17", "A document's number that is taken over there goes to a person.", needs="money")
not_checked_yet("G18", "Null, missing and empty stay apart; an unknown choice or too long a text is refused, not cut.")
not_checked_yet(
    "G19", "Where both sides changed a field the declared one wins, and both values are kept.", needs="two_way"
)


@rule(
    "G20",
    "Echoes end: two rounds after the last edit nothing is written; and an edit made right after ours gets through.",
    needs="two_way",
    unwaivable=True,
)
def echoes_end(lab: Lab) -> None:
    with lab.bench() as bench:
        streams = [each for each in bench.sendable if bench.stream(each).pulls and bench.firm.can_change(each)]
        if not streams:
            raise NotShown("the kit can change no record of a stream that runs both ways")
        for stream in streams:
            theirs = bench.seed(stream, 2)
            ours = bench.firm.make(stream)
            bench.run()
            bench.push_until_done()
            bench.firm.change(stream, ours)
            bench.user.change(stream, theirs[0])
            for _ in range(2):
                bench.clock.advance(A_WHILE_S)
                bench.run()
            before, revisions = len(bench.user.effects()), _revisions(bench, stream)
            for _ in range(2):
                bench.clock.advance(A_WHILE_S)
                bench.run()
                bench.pull(stream, full=True)
            more = bench.user.effects()[before:]
            expect(not more, f"{stream}: two rounds after the last edit it still writes: {more[:2]}")
            expect(
                _revisions(bench, stream) == revisions,
                f"{stream}: two rounds after the last edit the hub still changes",
            )
            _edit_right_after_ours(bench, stream, ours)


def _edit_right_after_ours(bench: Bench, stream: str, ours: UUID) -> None:
    link = next(link for link in bench.links(stream) if link.record_id == ours)
    assert link.remote_id is not None
    bench.firm.change(stream, ours)
    bench.push()
    bench.user.change(stream, link.remote_id)
    revision = _revisions(bench, stream)[ours]
    for _ in range(2):
        bench.run()
        bench.clock.advance(A_WHILE_S)
    expect(_revisions(bench, stream)[ours] > revision, f"{stream}: an edit made right after ours is taken for our echo")


def _revisions(bench: Bench, stream: str) -> dict[UUID, int]:
    ids = [link.record_id for link in bench.links(stream) if link.record_id]
    with bench.hub.read() as session:
        return {record.id: record.revision for record in bench.hub.kinds[stream].load(session, ids)}


not_checked_yet(
    "G21",
    "Messages that are forged, repeated, late, lost or a thousand at once leave the right records.",
    needs="webhook",
)
not_checked_yet(
    "G22",
    "Reconciliation finds everything that is missing, too much, changed or double, and nothing else.",
    needs="money",
)
not_checked_yet("G23", "Reading the past overwrites nothing newer, and delays nothing that is new.", needs="pull")
not_checked_yet("G24", "What was set aside can be sent again without a second effect.", needs="push")
not_checked_yet("G25", "Taken away, its token and subscriptions are withdrawn; connected again, nothing is made twice.")


@rule(
    "G26",
    "Two connections of it share nothing: no record, no cursor, no budget, no token.",
    unwaivable=True,
)
def connections_share_nothing(lab: Lab) -> None:
    with lab.bench() as bench, bench.second_remote() as other:
        sides = [(bench.user, bench.connection), (other.user, bench.connect("second", other.settings))]
        for stream in lab.subject.pulled:
            wanted = [{user.add(stream, a_name()) for _ in range(6)} for user, _ in sides]
            reads = [bench.connector_of(connection).pull(stream, None) for _, connection in sides]
            found, labels = [set[str](), set[str]()], [set[str](), set[str]()]
            for pages in zip_longest(*reads):  # turn by turn, a page each
                for side, page in enumerate(pages):
                    found[side] |= {change.remote_id for change in page.changes} if page else set()
                    labels[side] |= {change.label for change in page.changes} if page else set()
            expect(found == wanted and not labels[0] & labels[1], f"{stream}: one connection reads the other's account")
        for stream in bench.sendable:
            bench.firm.make(stream)
        for _ in range(3):
            bench.clock.advance(A_WHILE_S)
            for _, connection in sides:
                run_connection(bench.hub, connection)
        for stream, (user, connection) in product(bench.sendable, sides):
            created = {effect.id for effect in user.effects(stream, "create")}
            known = {link.remote_id for link in bench.links(stream, connection) if link.remote_id}
            expect(created, f"{stream}: a connection sent nothing to its own account")
            expect(created <= known, f"{stream}: a connection wrote into the other's account")
        for wire, strangers in ((bench.wire, other.secrets), (other.wire, bench.secrets)):
            told = " ".join(f"{sent.headers} {sent.query} {sent.body!r}" for sent in wire.sent)
            own = bench.secrets if wire is bench.wire else other.secrets
            crossed = [secret for secret in strangers if secret in told and secret not in own]
            expect(not crossed, "the credentials of one connection went to the other's account")


not_checked_yet("G27", "A production connection takes no sandbox account, nor the other way round.")
not_checked_yet("G28", "A person's data can be erased from payloads, logs and what was set aside.")
not_checked_yet("G29", "Whatever a user can mend is shown with a button that mends it, and goes by itself.")
