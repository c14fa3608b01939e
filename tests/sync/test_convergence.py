"""Whatever happens on the way, both sides converge, and nothing happens twice.

Records are edited on both sides, also while calls are open; answers are lost, calls arrive late, workers die at any
step and are suspended for longer than their leases. `make bench-full` tries many more ways through it.
"""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import suppress
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import select, update

from hub.core.clients.models import Client
from hub.core.clients.service import change_client, create_client
from hub.core.database import Base
from hub.core.outbox import Link
from hub.core.payments.models import Payment
from hub.core.payments.service import change_payment, record_payment
from hub.plugin_host import Generation, PluginState
from hub.sync.connections import add_connection
from hub.sync.cycle import pull_slice, push_slice
from hub.sync.models import Attempt, Batch, Connection, Hint, Run, RunStatus, StreamCursor
from tests.sync.crossing_remote import FIELDS, REMOTES, Crossing, plugin

IN_BENCH = hypothesis_settings.get_current_profile_name() == "bench"
WORDS = "Alder Birch Cedar Dogwood Elm Fir Ginkgo Hazel Ivy Juniper Kapok Larch Maple Nutmeg Oak Poplar".split()
"""Names that are unlike each other: matching is tried elsewhere."""
KEPT = {Generation.__tablename__, PluginState.__tablename__}
FAULTS = ["lose", "drop", "late", "down", "crash"]
ROUNDS = 12
"""In so many rounds without faults everything has come to rest."""


class Killed(BaseException):
    """The worker's process is gone."""


class Worker:
    """A process of the hub that does slices of work, and may die at a step: before or after any transaction."""

    def __init__(self, hub) -> None:
        self._hub, self._transact = hub, hub.transact
        self._left: int | None = None
        self._after = False
        hub.transact = self._step

    def work(self, slices, connection_id, *, dies_at=None, after=False):
        """dies_at: the transaction it does not survive; after: that one is still committed."""
        self._left, self._after = dies_at, after
        try:
            with suppress(Killed):
                for each in slices:
                    each(self._hub, connection_id, seconds=5)
        finally:
            self._left = None

    def _step(self, work, **about):
        if self._left is None:
            return self._transact(work, **about)
        self._left -= 1
        if self._left >= 0:
            return self._transact(work, **about)
        if self._left == -1 and self._after:
            self._transact(work, **about)
        if threading.current_thread() is not threading.main_thread():
            raise ConnectionError("the process is gone")
        raise Killed


class BothSides(RuleBasedStateMachine):
    """hubs: processes on one empty database, of which the last two take over from the first two."""

    def __init__(self, hubs) -> None:
        super().__init__()
        self.hub = hubs[0]
        self.workers, self.others = [Worker(hub) for hub in hubs[:2]], [Worker(hub) for hub in hubs[2:]]
        self.remote, self.account = Crossing(), f"crossing-{uuid4()}"
        REMOTES[self.account] = self.remote
        add = add_connection(self.hub, connector="crosses", name=self.account, settings={"account": self.account})
        self.connection = add.id
        self.number = self.named = 0
        self.written: dict[tuple[UUID | str, str], dict[str, str]] = {}
        self.fences: dict[UUID, int] = {}

    # People ---------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.named < len(WORDS))
    @rule()
    def a_client_begins_here(self):
        name = self._next_name()
        self.hub.transact(lambda session: create_client(session, name=name) and None)

    @precondition(lambda self: self.named < len(WORDS))
    @rule()
    def a_client_begins_there(self):
        self.remote.add("clients", {"name": self._next_name()})

    @rule(which=st.integers(0, 9), field=st.sampled_from(FIELDS[1:]))
    def somebody_edits_a_client_here(self, which, field):
        clients = self._clients()
        if clients:
            client, value = clients[which % len(clients)], self._next_value("here")
            self.written.setdefault((client.name, field), {})["here"] = value
            self.hub.transact(lambda session: change_client(session, client.id, **{field: value}) and None)

    @rule(which=st.integers(0, 9), field=st.sampled_from(FIELDS[1:]))
    def somebody_edits_a_client_there(self, which, field):
        ids = sorted(self.remote.of("clients"))
        if ids:
            remote_id, value = ids[which % len(ids)], self._next_value("there")
            name = self.remote.of("clients")[remote_id]["name"]
            self.written.setdefault((name, field), {})["there"] = value
            self.remote.edit("clients", remote_id, **{field: value})

    @rule(which=st.integers(0, 9))
    def a_client_pays(self, which):
        clients = self._clients()
        if clients:
            paid = {"client_id": clients[which % len(clients)].id, "currency": "GBP", "received_on": date(2026, 1, 5)}
            amount = Decimal(self._next_number())
            self.hub.transact(lambda session: record_payment(session, amount=amount, **paid) and None)

    @rule(which=st.integers(0, 9))
    def a_payment_is_corrected(self, which):
        with self.hub.read() as session:
            ids = session.scalars(select(Payment.id).order_by(Payment.id)).all()
        if ids:
            amount = Decimal(self._next_number())
            self.hub.transact(lambda session: change_payment(session, ids[which % len(ids)], amount=amount) and None)

    # What goes wrong ------------------------------------------------------------------------------------------------

    @rule(faults=st.lists(st.sampled_from(["", *FAULTS]), min_size=1, max_size=3))
    def the_next_calls_fail(self, faults):
        self.remote.faults += faults

    @rule(which=st.integers(0, 9), field=st.sampled_from(FIELDS[1:]), here=st.booleans())
    def somebody_edits_while_a_call_is_open(self, which, field, here):
        edit = self.somebody_edits_a_client_here if here else self.somebody_edits_a_client_there
        self.remote.meanwhile.append(lambda: edit(which=which, field=field))

    @rule(which=st.integers(0, 1), pulls=st.booleans())
    def a_worker_is_suspended_in_a_call_and_another_takes_over(self, which, pulls):
        def other():
            self.leases_run_out()
            self.others[which].work([pull_slice if pulls else push_slice], self.connection)

        self.remote.meanwhile.append(other)

    @rule()
    def what_was_on_its_way_arrives(self):
        self.remote.arrive()

    # Time and work --------------------------------------------------------------------------------------------------

    @rule()
    def leases_run_out(self):
        def work(session):
            for table in (Link, Batch, StreamCursor):
                session.execute(update(table).values(lease_until=None))

        self.hub.transact(work)

    @rule(keys_too=st.booleans())
    def time_passes(self, keys_too):
        """What was put off is due, calls have certainly ended; keys_too: and the vendor has forgotten their keys."""
        self.remote.arrive()
        ago = timedelta(hours=2 if keys_too else 0.5)

        def work(session):
            session.execute(update(Link).values(due_at=None))
            session.execute(update(Hint).values(due_at=None))
            session.execute(update(Connection).values(pulled_at=None, tried_again_at=None, left_alone_since=None))
            for batch in session.scalars(select(Batch).where(Batch.answered_at.is_(None))):
                batch.sent_at = batch.sent_at and batch.sent_at - ago
                batch.created_at -= ago
            if keys_too:
                self.remote.answers.clear()

        self.leases_run_out()
        self.hub.transact(work)

    @rule(which=st.integers(0, 1))
    def a_worker_works(self, which):
        self._read_is_due()
        self.workers[which].work([pull_slice, push_slice], self.connection)

    @rule(which=st.integers(0, 1), step=st.integers(0, 25), after=st.booleans())
    def a_worker_dies(self, which, step, after):
        self._read_is_due()
        self.workers[which].work([pull_slice, push_slice], self.connection, dies_at=step, after=after)

    # What always holds ----------------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_there_twice(self):
        for kind in ("clients", "payments"):
            ours = Counter(held["our_id"] for held in self.remote.of(kind).values() if held["our_id"])
            assert [our_id for our_id, number in ours.items() if number > 1] == []

    @invariant()
    def no_fence_goes_back(self):
        with self.hub.read() as session:
            fences = {row.id: row.fence for row in session.execute(select(Link.id, Link.fence))}
        assert [id for id, fence in fences.items() if fence < self.fences.get(id, 0)] == []
        self.fences = fences

    @invariant()
    def no_run_says_more_than_is_so(self):
        with self.hub.read() as session:
            runs = session.scalars(select(Run)).all()
        for run in runs:
            parts = (run.created, run.updated, run.unchanged, run.deleted, run.rejected, run.deferred, run.conflicts)
            assert run.records_read == sum(parts)
            assert run.status != RunStatus.SUCCESS or not (run.rejected or run.deferred or run.conflicts)

    # The end --------------------------------------------------------------------------------------------------------

    def teardown(self):
        self.remote.faults.clear()
        self.remote.meanwhile.clear()
        for round in range(ROUNDS):
            self.time_passes(keys_too=False)
            self.a_worker_works(which=round % 2)
            if round and not self._left_over():
                break
        assert self._left_over() == {}
        self.nothing_is_there_twice()
        self.no_fence_goes_back()
        self._sides_are_equal()
        del REMOTES[self.account]

    def _left_over(self):
        with self.hub.read() as session:
            left = {
                "owed": session.scalars(select(Link.label).where(Link.wanted > Link.done)).all(),
                "parked": session.scalars(select(Link.parked).where(Link.parked.is_not(None))).all(),
                "sent without an answer": session.scalars(select(Link.label).where(Link.attempt_id.is_not(None))).all(),
                "attempts": session.scalars(select(Attempt.id).where(Attempt.answered_at.is_(None))).all(),
                "batches": session.scalars(select(Batch.id).where(Batch.answered_at.is_(None))).all(),
                "hints": session.scalars(select(Hint.reason)).all(),
            }
        return {name: found for name, found in left.items() if found}

    def _sides_are_equal(self):
        there = self.remote.of("clients")
        with self.hub.read() as session:
            clients = {client.id: client for client in session.scalars(select(Client))}
            payments = {payment.id: payment for payment in session.scalars(select(Payment))}
            remote_ids = {link.record_id: link.remote_id for link in session.scalars(select(Link))}
        assert sorted(remote_ids[id] for id in clients) == sorted(there)
        for client in clients.values():
            held = there[remote_ids[client.id]]
            shown = {name: held.get(name, "") for name in FIELDS}
            assert shown == {name: getattr(client, name) for name in FIELDS}
            for name in FIELDS[1:]:
                # What stands there in the end is what somebody wrote there last, on one side or the other.
                written = self.written.get((client.name, name), {})
                assert not written or shown[name] in written.values()
        sent = self.remote.of("payments").values()
        assert sorted((held["our_id"], held["client"], held["amount"]) for held in sent) == sorted(
            (str(payment.id), remote_ids[payment.client_id], f"{payment.amount:.2f}") for payment in payments.values()
        )

    # Small steps ----------------------------------------------------------------------------------------------------

    def _clients(self):
        with self.hub.read() as session:
            return session.scalars(select(Client).order_by(Client.id)).all()

    def _read_is_due(self):
        self.hub.transact(lambda session: session.execute(update(Connection).values(pulled_at=None)) and None)

    def _next_name(self):
        self.named += 1
        return WORDS[self.named - 1]

    def _next_value(self, side):
        return f"{side} {self._next_number()}"

    def _next_number(self):
        self.number += 1
        return self.number


def empty(hub):
    """As it was: without a row of the core's."""

    def work(session):
        for table in reversed(Base.metadata.sorted_tables):
            if table.name not in KEPT and not table.name.startswith("partner_"):
                session.execute(table.delete())

    hub.transact(work)


@pytest.mark.slow
def test_both_sides_converge_whatever_happens(make_hub):
    def begin():
        hubs = [make_hub({"crosses": plugin()}) for _ in range(4)]
        empty(hubs[0])
        return BothSides(hubs)

    examples, steps = (300, 40) if IN_BENCH else (8, 20)
    run_state_machine_as_test(
        begin,
        settings=hypothesis_settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=not IN_BENCH, database=None
        ),
    )
