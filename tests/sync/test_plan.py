"""Dry runs: a plan says what a run would do and changes nothing; applied, it does that, and nothing that is stale."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import event, inspect, select, update

from hub.core import clock
from hub.core.audit import AuditEntry
from hub.core.clients.models import Client
from hub.core.clients.service import change_client, create_client
from hub.core.database import Base
from hub.core.errors import NotFound, PluginFault, RuleBroken
from hub.core.outbox import Link
from hub.sdk import Change, Page
from hub.sync.apply import apply_plan
from hub.sync.connections import get_connection, set_state
from hub.sync.cycle import push_slice, run_connection
from hub.sync.guards import set_guards
from hub.sync.hints import leave_hint
from hub.sync.models import ConnectionState, Plan, PlanState
from hub.sync.plan import ask_for_plan, at_work, load_plan, make_plan, unfinished_plans, work_on_plan
from hub.sync.standing import standings
from tests.sync.fake_remote import Fake, payment

PLAN_TABLES = {"plan", "plan_item", "audit_entry"}


def contents(hub):
    """Every row of every table, apart from the plans themselves and the audit log."""
    there = set(inspect(hub.database.engine).get_table_names()) - PLAN_TABLES
    with hub.read() as session:
        return {
            table.name: sorted(map(repr, session.execute(select(table)).all()))
            for table in Base.metadata.sorted_tables
            if table.name in there
        }


def planned(hub, connection_id, **values):
    """The items of a new plan, as (direction, action, kind, label)."""
    plan, items = load_plan(hub, make_plan(hub, connection_id, **values))
    return plan, [(item.direction, item.action, item.kind, item.label) for item in items]


def set_connection(hub, connection_id, state):
    hub.transact(lambda session: set_state(session, connection_id, state) and None)


def rename(hub, client_id, name):
    hub.transact(lambda session: change_client(session, client_id, name=name) and None)


def show(remote, *changes):
    remote.pages.append(Page(changes, None))


def client_change(remote_id, name, **values):
    return Change("clients", remote_id, {"name": name, **values}, version="9", label=name)


@pytest.fixture
def resting(hub, books):
    """The connection only reads, so that nothing goes by itself."""
    set_connection(hub, books, ConnectionState.READ_ONLY)
    return books


# Making a plan --------------------------------------------------------------------------------------------------------


def test_a_plan_shows_what_would_go_out_parents_first_with_the_money_it_comes_to(hub, invoice_for, resting, remote):
    invoice = invoice_for("Acme Ltd")

    plan, items = planned(hub, resting)

    assert items == [
        ("push", "create", "services", "Consulting hours"),
        ("push", "create", "clients", "Acme Ltd"),
        ("push", "create", "invoices", f"{invoice.number} Acme Ltd"),
    ]
    assert {currency: Decimal(total) for currency, total in plan.totals.items()} == {"GBP": Decimal(96)}
    assert plan.counts == {"push": {kind: {"create": 1} for kind in ("clients", "invoices", "services")}}
    assert plan.calls == 4  # one call for each stream, and a look for the client's name


def test_a_plan_shows_each_field_that_would_change(hub, invoice_for, books, remote):
    invoice = invoice_for("Acme Ltd")
    run_connection(hub, books)
    rename(hub, invoice.client_id, "Acme Limited")

    _, items = load_plan(hub, make_plan(hub, books))

    assert [(item.action, item.differences) for item in items] == [
        ("update", {"name": {"remote": "Acme Ltd", "hub": "Acme Limited"}})
    ]


def test_a_plan_shows_what_would_come_in(hub, invoice_for, books, remote):
    invoice_for("Acme Ltd")
    run_connection(hub, books)
    show(remote, client_change("c7", "Globex"), client_change("c1", "Acme Group"))
    show(remote, payment("p1", client="c1", invoice="i1", amount="96.00"))

    _, items = planned(hub, books)

    assert sorted(items) == [
        ("pull", "create", "clients", "Globex"),
        ("pull", "create", "payments", "p1"),
        ("pull", "update", "clients", "Acme Group"),
    ]


def test_what_comes_in_after_something_that_comes_in_is_in_the_plan(hub, invoice_for, books, remote):
    show(remote, client_change("c7", "Globex"))
    page = payment("p1", client="c7", invoice="i9", amount="10.00")
    values = {**page.values, "client_id": type(page.values["client_id"])("clients", "c7")}  # waits for its client
    show(remote, Change("payments", "p1", values, version="1", label="p1"))

    _, items = load_plan(hub, make_plan(hub, books))

    assert [(item.action, item.kind, item.needs) for item in items] == [
        ("create", "clients", []),
        ("create", "payments", [["clients", "c7"]]),
    ]


def test_what_a_person_has_to_match_or_the_connector_refuses_is_said(hub, invoice_for, resting, remote):
    remote.records["clients"] = {"old1": {"name": "Acme Limited", "version": 1}}
    remote.bad_names = {"Bad Ltd"}
    invoice_for("Acme Ltd")
    invoice_for("Bad Ltd")

    _, items = planned(hub, resting)

    assert ("push", "ask", "clients", "Acme Ltd") in items
    assert ("push", "refuse", "clients", "Bad Ltd") in items
    assert [action for _, action, kind, _ in items if kind == "invoices"] == ["wait", "wait"]


def test_making_a_plan_changes_nothing_on_either_side(hub, invoice_for, books, remote):
    invoice = invoice_for("Acme Ltd")
    run_connection(hub, books)
    rename(hub, invoice.client_id, "Acme Limited")
    invoice_for("Umbrella")
    show(remote, client_change("c7", "Globex"), payment("p1", client="c1", invoice="i1", amount="96.00"))
    before, ledger = contents(hub), list(remote.ledger)

    make_plan(hub, books)

    assert contents(hub) == before
    assert remote.ledger == ledger


def test_where_nothing_would_change_the_plan_is_empty(hub, invoice_for, books, remote):
    invoice_for("Acme Ltd")
    run_connection(hub, books)

    plan, items = planned(hub, books)

    assert (items, plan.counts, plan.totals, plan.calls) == ([], {}, {}, 0)


# Applying it ----------------------------------------------------------------------------------------------------------


def test_applying_does_what_the_plan_shows(hub, invoice_for, books, remote):
    invoice_for("Acme Ltd")
    show(remote, client_change("c7", "Globex"))
    plan_id = make_plan(hub, books)

    applied = apply_plan(hub, plan_id)

    assert (applied.ok, applied.outcomes) == (True, {"created": 4})
    assert [effect[:2] for effect in remote.ledger] == [
        ("create", "services"),
        ("create", "clients"),
        ("create", "invoices"),
    ]
    assert remote.records["invoices"]["i1"]["client"] == "c1"  # the id of the client that the plan created
    with hub.read() as session:
        assert "Globex" in session.scalars(select(Client.name)).all()


def test_what_changed_here_since_is_stale_and_the_rest_goes(hub, invoice_for, books, remote):
    first, second = invoice_for("Acme Ltd"), invoice_for("Umbrella")
    run_connection(hub, books)
    rename(hub, first.client_id, "Acme Limited")
    rename(hub, second.client_id, "Umbrella Corp")
    plan_id = make_plan(hub, books)
    rename(hub, first.client_id, "Acme Group")

    applied = apply_plan(hub, plan_id)

    assert applied.outcomes == {"stale": 1, "updated": 1}
    assert not applied.ok
    assert [held["name"] for held in remote.records["clients"].values()] == ["Acme Ltd", "Umbrella Corp"]


def test_what_changed_here_in_whatever_field_is_stale(hub, invoice_for, books, remote):
    """Though it would be sent as the plan shows it: whoever looked at the plan did not see the record as it is."""
    client_id = invoice_for("Acme Ltd").client_id
    run_connection(hub, books)
    rename(hub, client_id, "Acme Limited")
    plan_id = make_plan(hub, books)
    hub.transact(lambda session: change_client(session, client_id, phone="+44 20 7946 0000") and None)

    assert apply_plan(hub, plan_id).outcomes == {"stale": 1}
    assert remote.records["clients"]["c1"]["name"] == "Acme Ltd"


def test_what_changed_there_since_is_stale(hub, firm, books, remote):
    show(remote, client_change("c7", "Globex"), client_change("c8", "Initech"))
    plan_id = make_plan(hub, books)
    remote.pages[0] = Page(
        (Change("clients", "c7", {"name": "Globex Two"}, version="2"), remote.pages[0].changes[1]), None
    )

    applied = apply_plan(hub, plan_id)

    assert applied.outcomes == {"stale": 1, "created": 1}
    with hub.read() as session:
        assert session.scalars(select(Client.name)).all() == ["Initech"]


def test_a_part_brings_what_it_needs_and_the_rest_stays_held(hub, invoice_for, resting, remote):
    chosen, other = invoice_for("Acme Ltd"), invoice_for("Umbrella")
    plan_id = make_plan(hub, resting)

    applied = apply_plan(hub, plan_id, only=[f"{chosen.number} Acme Ltd"], go_live=True)
    push_slice(hub, resting, seconds=5)  # a worker comes by

    assert applied.ok
    assert [held["number"] for held in remote.records["invoices"].values()] == [chosen.number]
    with hub.read() as session:
        assert get_connection(session, resting).state == "active"
        held = session.scalars(select(Link.label).where(Link.held.is_(True))).all()
    assert len(held) == 1

    again = apply_plan(hub, make_plan(hub, resting))  # another plan shows it, and lets it go
    assert again.ok
    assert {held["number"] for held in remote.records["invoices"].values()} == {chosen.number, other.number}


def test_a_connection_that_only_reads_writes_nothing_unless_it_is_to_go_live(hub, invoice_for, resting, remote):
    invoice_for("Acme Ltd")
    plan_id = make_plan(hub, resting)

    with pytest.raises(RuleBroken, match="With --go-live it does from now on") as refusal:
        apply_plan(hub, plan_id)

    assert refusal.value.code == "connection-not-ready"
    assert remote.ledger == []


def test_a_plan_is_applied_once(hub, invoice_for, books, remote):
    invoice_for("Acme Ltd")
    plan_id = make_plan(hub, books)
    apply_plan(hub, plan_id)
    ledger = list(remote.ledger)

    with pytest.raises(RuleBroken, match="nothing left to apply"):
        apply_plan(hub, plan_id)

    assert remote.ledger == ledger


def test_what_could_not_be_reached_can_be_applied_again(hub, invoice_for, books, remote):
    invoice_for("Acme Ltd")
    plan_id = make_plan(hub, books)
    remote.faults = ["down"]
    assert not apply_plan(hub, plan_id).ok

    applied = apply_plan(hub, plan_id)

    assert applied.ok, applied.run.headline
    assert remote.created("invoices") == 1


@pytest.mark.parametrize(
    ("values", "code"),
    [({"expires_at": clock.now() - timedelta(seconds=1)}, "plan-expired"), ({"digest": "other"}, "plan-incomplete")],
)
def test_a_plan_that_is_no_good_any_more_is_refused(hub, invoice_for, books, remote, values, code):
    invoice_for("Acme Ltd")
    plan_id = make_plan(hub, books)
    hub.transact(lambda session: session.execute(update(Plan).values(**values)))

    with pytest.raises(RuleBroken) as refusal:
        apply_plan(hub, plan_id)

    assert (refusal.value.code, remote.ledger) == (code, [])


def test_a_choice_that_is_not_in_the_plan_is_refused_by_name(hub, invoice_for, books, remote):
    invoice_for("Acme Ltd")
    plan_id = make_plan(hub, books)

    with pytest.raises(NotFound, match="nothing to apply called INV-7"):
        apply_plan(hub, plan_id, only=["INV-7"])


def test_a_plan_there_is_not_is_said_to_be_so(hub, books):
    with pytest.raises(NotFound, match="There is no plan"):
        apply_plan(hub, books)


def test_a_plan_that_updates_too_much_is_stopped_before_the_first_write(hub, invoice_for, books, remote):
    invoices = [invoice_for(f"Client {number} Ltd") for number in range(6)]
    run_connection(hub, books)
    for number, invoice in enumerate(invoices):
        rename(hub, invoice.client_id, f"Firm {number} Ltd")
    plan_id = make_plan(hub, books)
    ledger = list(remote.ledger)

    with pytest.raises(RuleBroken, match="update 6 of 6 clients, more than the guard of 5") as refusal:
        apply_plan(hub, plan_id)
    assert (refusal.value.code, remote.ledger) == ("plan-guarded", ledger)

    assert apply_plan(hub, plan_id, beyond_guards=True).outcomes == {"updated": 6}


def test_what_is_owed_since_the_plan_was_made_goes_by_itself(hub, invoice_for, books, remote):
    invoice_for("Acme Ltd")
    plan_id = make_plan(hub, books)
    late = invoice_for("Umbrella")

    apply_plan(hub, plan_id)
    push_slice(hub, books, seconds=5)  # a worker comes by

    assert late.number in {held["number"] for held in remote.records["invoices"].values()}


def test_what_is_held_is_counted_and_nothing_is_called_in_step_while_it_is(hub, invoice_for, resting, remote):
    chosen, _ = invoice_for("Acme Ltd"), invoice_for("Umbrella")
    apply_plan(hub, make_plan(hub, resting), only=[f"{chosen.number} Acme Ltd"], go_live=True)

    with hub.read() as session:
        standing = standings(session, [resting])[resting, "invoices"]
    assert (standing.linked, standing.held, standing.owed, standing.in_step) == (1, 1, 0, False)


# Two sides at once ----------------------------------------------------------------------------------------------------


def actions_of(hub, plan_id):
    return [(item.direction, item.action, item.label) for item in load_plan(hub, plan_id)[1]]


def new_client(hub, name):
    return hub.transact(lambda session: create_client(session, name=name).id)


def test_what_comes_in_and_is_a_record_of_ours_is_not_created_there_as_well(hub, invoice_for, resting, remote):
    invoice_for("Acme Ltd")
    show(remote, client_change("c7", "Acme Ltd", external_id=""))

    actions = actions_of(hub, make_plan(hub, resting, kinds=["clients", "services", "invoices"]))

    assert ("pull", "adopt", "Acme Ltd") in actions
    assert ("push", "create", "Acme Ltd") not in actions
    assert [action for way, action, label in actions if way == "push" and label.startswith("INV-")] == ["create"]


def test_what_changes_here_first_by_what_comes_in_goes_out_with_the_next_plan(hub, invoice_for, books, remote):
    invoice = invoice_for("Acme Ltd")
    run_connection(hub, books)
    rename(hub, invoice.client_id, "Acme Limited")
    show(remote, client_change("c1", "Acme Group"))

    _, items = load_plan(hub, make_plan(hub, books))

    assert [(item.direction, item.action) for item in items] == [("pull", "conflict"), ("push", "wait")]


def test_what_something_pointed_to_is_in_the_plan(hub, firm, books, remote):
    show(remote, client_change("c7", "Globex"))
    run_connection(hub, books, direction="pull")
    remote.pages[0] = Page((client_change("c7", "Globex Two"),), None)
    hub.transact(lambda session: leave_hint(session, books, "clients", "c7", "a message came in"))

    assert actions_of(hub, make_plan(hub, books)) == [("pull", "update", "Globex Two")]


def test_what_was_sent_and_has_no_answer_waits(hub, invoice_for, books, remote):
    invoice_for("Acme Ltd")
    remote.faults = ["lose"]
    push_slice(hub, books, seconds=5)

    actions = actions_of(hub, make_plan(hub, books))

    assert ("push", "wait", "Consulting hours") in actions


def test_a_plan_asks_the_database_no_more_for_many_records_than_for_few(hub, invoice_for, resting, remote):
    def queries():
        found = []
        listener = lambda *call: found.append(call[2])  # noqa: E731
        event.listen(hub.database.engine, "before_cursor_execute", listener)
        make_plan(hub, resting)
        event.remove(hub.database.engine, "before_cursor_execute", listener)
        return sum(statement.startswith("SELECT") for statement in found)

    invoice_for("Client 0 Ltd")
    few = queries()
    for number in range(1, 12):
        invoice_for(f"Client {number} Ltd")

    assert queries() == few


# Exactly what it shows ------------------------------------------------------------------------------------------------


def test_what_would_be_merged_otherwise_than_the_plan_shows_is_stale(hub, firm, books, remote):
    show(remote, client_change("c7", "Globex"))
    plan_id = make_plan(hub, books)
    new_client(hub, "Globex")  # theirs would be taken as the same now, and the plan says that it is created

    applied = apply_plan(hub, plan_id)

    assert applied.outcomes == {"stale": 1}
    with hub.read() as session:
        assert session.scalars(select(Link.remote_id).where(Link.connection_id == books)).all() == []


def test_an_update_of_what_was_changed_there_since_is_stale(hub, invoice_for, books, remote):
    invoice = invoice_for("Acme Ltd")
    run_connection(hub, books)
    show(remote, Change("clients", "c1", {"name": "Acme Ltd"}, version="1"))
    rename(hub, invoice.client_id, "Acme Limited")
    plan_id = make_plan(hub, books, direction="push")
    remote.pages[0] = Page((Change("clients", "c1", {"name": "Acme Ltd"}, version="2"),), None)

    applied = apply_plan(hub, plan_id)

    assert (applied.outcomes, remote.records["clients"]["c1"]["name"]) == ({"stale": 1}, "Acme Ltd")


def test_what_was_to_be_taken_as_the_same_and_is_gone_there_is_not_created(hub, invoice_for, resting, remote):
    remote.records["clients"] = {"old1": {"name": "Acme Ltd", "version": 1}}
    invoice_for("Acme Ltd")
    plan_id = make_plan(hub, resting)
    assert ("push", "adopt", "Acme Ltd") in actions_of(hub, plan_id)
    del remote.records["clients"]["old1"]

    apply_plan(hub, plan_id, go_live=True)

    assert remote.created("clients") == 0


def test_a_plan_is_for_the_account_that_it_was_made_against(hub, invoice_for, books, remote):
    invoice_for("Acme Ltd")
    plan_id = make_plan(hub, books)

    def work(session):
        get_connection(session, books).environment = "production"

    hub.transact(work)

    with pytest.raises(RuleBroken, match=r"made against .* \(sandbox\)") as refusal:
        apply_plan(hub, plan_id)
    assert (refusal.value.code, remote.ledger) == ("plan-for-another-account", [])


def test_going_live_by_a_plan_of_one_stream_holds_the_others_too(hub, invoice_for, resting, remote):
    invoice_for("Acme Ltd")

    apply_plan(hub, make_plan(hub, resting, kinds=["services"]), go_live=True)
    push_slice(hub, resting, seconds=5)  # a worker comes by

    assert [kind for _, kind, _ in remote.ledger] == ["services"]


# Broken off -----------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process ends here."""


def test_applied_again_after_a_crash_nothing_is_done_twice(hub, invoice_for, books, remote, monkeypatch):
    invoice_for("Acme Ltd")
    plan_id = make_plan(hub, books)

    def die(*_, **__):
        raise Killed

    with monkeypatch.context() as broken:
        broken.setattr("hub.sync.apply._sent", die)  # the services are sent, and it is not written on the plan
        broken.setattr("hub.sync.apply._close", lambda *_: 0)
        with pytest.raises(Killed):
            apply_plan(hub, plan_id)
    assert [kind for _, kind, _ in remote.ledger] == ["services"]

    applied = apply_plan(hub, plan_id)

    assert applied.outcomes == {"created": 2, "done": 1}
    assert sorted(kind for _, kind, _ in remote.ledger) == ["clients", "invoices", "services"]


def test_workers_take_over_a_plan_whose_process_died(hub, invoice_for, books, remote, monkeypatch):
    invoice_for("Acme Ltd")
    plan_id = make_plan(hub, books)

    def die(*_, **__):
        raise Killed

    with monkeypatch.context() as broken:
        broken.setattr("hub.sync.apply._take_in", die)
        broken.setattr("hub.sync.apply._close", lambda *_: 0)
        with pytest.raises(Killed):
            apply_plan(hub, plan_id)
    with hub.read() as session:
        assert unfinished_plans(session) == [plan_id]

    work_on_plan(hub, plan_id)

    assert remote.created("invoices") == 1
    with hub.read() as session:
        assert unfinished_plans(session) == []
        assert session.get(Plan, plan_id).state == PlanState.READY


def test_two_never_apply_one_plan_at_once(hub, invoice_for, books, remote):
    invoice_for("Acme Ltd")
    plan_id = make_plan(hub, books)

    with at_work(hub, plan_id), pytest.raises(RuleBroken) as refusal:
        apply_plan(hub, plan_id)

    assert (refusal.value.code, remote.ledger) == ("plan-at-work", [])


def test_a_plan_that_was_asked_for_is_made_by_the_workers(hub, invoice_for, books, remote):
    invoice_for("Acme Ltd")
    plan = ask_for_plan(hub, books, queued=True)
    with pytest.raises(RuleBroken, match="not complete"):
        apply_plan(hub, plan.id)

    work_on_plan(hub, plan.id)

    assert load_plan(hub, plan.id)[0].counts == {
        "push": {k: {"create": 1} for k in ("clients", "invoices", "services")}
    }


def test_a_plan_that_cannot_be_made_says_why(hub, invoice_for, books, remote, monkeypatch):
    invoice_for("Acme Ltd")
    monkeypatch.setattr(Fake, "find", lambda *_: 1 / 0)

    with pytest.raises(PluginFault, match="failed with ZeroDivisionError"):
        make_plan(hub, books)

    with hub.read() as session:
        plan = session.scalars(select(Plan)).one()
    assert (plan.state, "ZeroDivisionError" in plan.reason) == (PlanState.FAILED, True)
    with pytest.raises(RuleBroken, match="could not be made"):
        apply_plan(hub, plan.id)


# Guards ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def renamed(hub, invoice_for, books):
    """A plan that updates six of six clients: 30 % of six is one, and five may be updated in any case."""
    invoices = [invoice_for(f"Client {number} Ltd") for number in range(6)]
    run_connection(hub, books)
    for number, invoice in enumerate(invoices):
        rename(hub, invoice.client_id, f"Firm {number} Ltd")
    return make_plan(hub, books)


def test_the_guards_of_a_connection_can_be_set(hub, books, renamed):
    hub.transact(lambda session: set_guards(session, books, updates=100) and None)

    assert apply_plan(hub, renamed).outcomes == {"updated": 6}


def test_a_guard_is_a_percentage(hub, books):
    with pytest.raises(RuleBroken, match="101 is no percentage"):
        hub.transact(lambda session: set_guards(session, books, deletes=101))


def test_a_chosen_part_within_the_guards_goes(hub, renamed):
    assert apply_plan(hub, renamed, only=["Firm 1 Ltd"]).outcomes == {"updated": 1}


def test_going_beyond_a_guard_is_audited(hub, renamed):
    apply_plan(hub, renamed, beyond_guards=True, actor="user:ann")

    with hub.read() as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "apply")).one()
    assert (entry.actor, entry.changes["beyond_guards"], entry.changes["items"]) == ("user:ann", True, 6)


def test_more_than_five_deletes_are_stopped_while_they_are_over_two_percent(hub, firm, books, remote):
    show(remote, *(client_change(f"c{number}", f"Client {number} Ltd") for number in range(1, 9)))
    run_connection(hub, books, direction="pull")
    gone = [Change("clients", f"c{number}", {}, label=f"Client {number} Ltd", deleted=True) for number in range(1, 7)]
    show(remote, *gone)
    plan_id = make_plan(hub, books)

    with pytest.raises(RuleBroken, match="delete 6 of 8 clients here, more than the guard of 5"):
        apply_plan(hub, plan_id)
