"""Reconciliation says what differs, and only that."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import update

from hub.core.errors import RuleBroken
from hub.core.outbox import announce
from hub.sync.apply import apply_plan, carry_out
from hub.sync.connections import set_state
from hub.sync.cycle import run_connection
from hub.sync.models import ConnectionState, Plan
from hub.sync.plan import load_plan, make_plan
from hub.sync.reconcile import reconcile


def test_what_was_pushed_is_equal_to_the_cent(hub, invoice_for, books, remote):
    invoice_for("Acme Ltd", hours=1)
    invoice_for("Globex", hours=2)
    run_connection(hub, books)

    found = reconcile(hub, books, kinds=["invoices"])

    assert found.equal
    # 80 + 160 = 240 net, 16 + 32 = 48 tax
    assert [(total.ours, total.theirs, total.our_tax) for total in found.totals] == [
        (Decimal(288), Decimal(288), Decimal(48))
    ]


def test_every_kind_of_difference_is_named(hub, invoice_for, books, remote):
    invoices = [invoice_for(name) for name in ("One", "Two", "Three", "Four")]
    run_connection(hub, books)
    table = remote.records["invoices"]
    by_number = {held["number"]: remote_id for remote_id, held in table.items()}
    table[by_number[invoices[0].number]]["total"] = "95.99"
    table[by_number[invoices[1].number]]["tax"] = "15.99"
    del table[by_number[invoices[2].number]]
    table["i77"] = {"number": "X-1", "total": "10.00", "tax": "0", "version": 1}

    found = reconcile(hub, books, kinds=["invoices"])

    assert not found.equal
    assert {row.number: str(row.verdict) for row in found.rows} == {
        invoices[0].number: "amount_differs",
        invoices[1].number: "tax_differs",
        invoices[2].number: "missing_there",
        invoices[3].number: "matched",
        "X-1": "missing_here",
    }


def test_an_invoice_that_was_not_sent_yet_is_missing_there(hub, invoice_for, books, remote):
    invoice_for()

    found = reconcile(hub, books, kinds=["invoices"])

    assert [str(row.verdict) for row in found.rows] == ["missing_there"]


# Why, and what to do --------------------------------------------------------------------------------------------------


def only_row(hub, books, **where):
    (row,) = [each for each in reconcile(hub, books, kinds=["invoices"]).rows if each.differs]
    return row


def test_what_was_refused_is_missing_with_the_reason_and_its_remedy(hub, invoice_for, books, remote):
    remote.bad_names.add("Acme Ltd")
    invoice_for("Acme Ltd")
    run_connection(hub, books)

    row = only_row(hub, books)

    assert row.reason == "It was refused: Acme Ltd has to be mended first: Acme Ltd is no good name."
    assert row.remedy == "Mend what is wrong with it, then retry it."


def test_what_was_deleted_over_there_is_missing_and_can_be_planned_again(hub, invoice_for, books, remote):
    invoice_for()
    run_connection(hub, books)
    del remote.records["invoices"]["i1"]

    row = only_row(hub, books)

    assert row.reason == "It was sent as i1, and is not there any more, or with another date."
    assert row.remedy == "Look over there; a plan can send it once more."


def test_what_was_changed_here_and_not_sent_yet_says_so(hub, invoice_for, books, remote):
    invoice = invoice_for()
    run_connection(hub, books)
    remote.records["invoices"]["i1"]["total"] = "1.00"
    hub.transact(lambda session: announce(session, "invoices", [invoice.id]))

    assert only_row(hub, books).reason == "The total was changed here, and that was not sent yet."


# Mended by a plan -----------------------------------------------------------------------------------------------------


def mended(hub, books, **options):
    """A plan of what reconciliation found, applied."""
    found = reconcile(hub, books, kinds=["invoices"])
    plan_id = make_plan(hub, books, anew=found.mendable())
    return plan_id, apply_plan(hub, plan_id, beyond_guards=True, **options)


def test_a_plan_sends_what_differs_again_in_full_and_nothing_else(hub, invoice_for, books, remote):
    invoices = [invoice_for(name) for name in ("One", "Two", "Three")]
    run_connection(hub, books)
    by_number = {held["number"]: remote_id for remote_id, held in remote.records["invoices"].items()}
    changed = by_number[invoices[1].number]
    remote.records["invoices"][changed] |= {"total": "95.99", "tax": "15.99"}
    before = len(remote.ledger)

    plan_id, applied = mended(hub, books)

    _, items = load_plan(hub, plan_id)
    assert [(item.action, item.kind, item.record_id) for item in items] == [("update", "invoices", invoices[1].id)]
    assert applied.outcomes == {"updated": 1}
    assert remote.ledger[before:] == [("update", "invoices", changed)]
    assert reconcile(hub, books).equal


def test_a_plan_creates_again_what_is_gone_over_there_once(hub, invoice_for, books, remote):
    invoice = invoice_for()
    run_connection(hub, books)
    del remote.records["invoices"]["i1"]
    remote.records["invoices"]["other"] = {"number": "theirs", "total": "1.00", "tax": "0", "version": 1}

    plan_id, applied = mended(hub, books)

    assert applied.outcomes == {"created": 1}
    again = apply_again(hub, plan_id)
    assert again.code == "plan-applied"
    assert [held["number"] for held in remote.records["invoices"].values()] == ["theirs", invoice.number]
    assert remote.created("invoices") == 2


def apply_again(hub, plan_id):
    with pytest.raises(RuleBroken) as refused:
        apply_plan(hub, plan_id)
    return refused.value


def test_carried_out_once_more_after_a_crash_nothing_is_created_twice(hub, invoice_for, books, remote, monkeypatch):
    invoice_for()
    run_connection(hub, books)
    del remote.records["invoices"]["i1"]
    remote.records["invoices"]["other"] = {"number": "theirs", "total": "1.00", "tax": "0", "version": 1}
    plan_id = make_plan(hub, books, anew=reconcile(hub, books, kinds=["invoices"]).mendable())

    def die(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr("hub.sync.apply._sent", die)  # it is sent, and not written on the plan
        broken.setattr("hub.sync.apply._close", lambda *_: 0)
        with pytest.raises(KeyboardInterrupt):
            apply_plan(hub, plan_id, beyond_guards=True)
    hub.transact(lambda session: session.execute(update(Plan).values(lease_until=None)) and None)

    carried_out = carry_out(hub, plan_id)

    assert carried_out.outcomes == {"done": 1}
    assert remote.created("invoices") == 2  # the first one, and the one that took its place


def test_what_is_over_there_after_all_is_not_created_again(hub, invoice_for, books, remote):
    invoice = invoice_for()
    run_connection(hub, books)

    plan_id = make_plan(hub, books, anew={"invoices": {invoice.id: True}})

    _, items = load_plan(hub, plan_id)
    assert [(item.action, item.reason) for item in items] == [
        ("wait", "It is over there after all, so there is nothing to create.")
    ]


def test_an_invoice_that_was_never_sent_brings_what_it_needs(hub, invoice_for, books, remote):
    invoice_for("Acme Ltd")
    remote.records["invoices"] = {}

    _, applied = mended(hub, books)

    # its service, its client, itself
    assert applied.outcomes == {"created": 3}
    assert reconcile(hub, books, kinds=["invoices"]).equal


# In the shadow of people who enter the same documents ----------------------------------------------------------------


@pytest.fixture
def shadow(hub, books):
    """The connection as it is while it only reads."""
    hub.transact(lambda session: set_state(session, books, ConnectionState.READ_ONLY) and None)
    return books


def entered(remote, number, *, total="96.00", tax="16.00", label=""):
    """What somebody entered over there."""
    table = remote.records.setdefault("invoices", {})
    table[f"x{len(table)}"] = {"number": number, "total": total, "tax": tax, "version": 1, "label": label}


def test_what_others_entered_is_compared_with_what_would_have_been_sent(hub, invoice_for, shadow, remote):
    one, two, three = (invoice_for(name) for name in ("One", "Two", "Three"))
    entered(remote, one.number)
    entered(remote, two.number, total="95.99")
    entered(remote, "A-17", total="5.00", tax="0.00")
    before, calls = list(remote.ledger), list(remote.calls)

    found = reconcile(hub, shadow, kinds=["invoices"])

    assert {row.number: (str(row.verdict), row.recognised) for row in found.rows} == {
        one.number: ("matched", "number"),
        two.number: ("amount_differs", "number"),
        three.number: ("missing_there", ""),
        "A-17": ("missing_here", ""),
    }
    reasons = {row.number: row.reason for row in found.rows if row.differs}
    assert reasons == {
        two.number: "It was entered over there by others, recognised by its number, with another total.",
        three.number: "The hub would have created it, and nobody entered it over there.",
    }
    assert (remote.ledger, remote.calls) == (before, calls)
    assert found.mendable() == {"invoices": {three.id: False}}


def test_what_has_another_number_there_is_recognised_by_client_date_and_total(hub, invoice_for, shadow, remote):
    invoice = invoice_for("Acme Ltd")
    entered(remote, "2026-17", label="ACME Limited")

    (row,) = reconcile(hub, shadow, kinds=["invoices"]).rows

    assert (row.number, str(row.verdict), row.recognised) == (invoice.number, "matched", "client, date and total")


def test_two_that_look_alike_are_not_guessed_at(hub, invoice_for, shadow, remote):
    invoice_for("Acme Ltd")
    entered(remote, "2026-17", label="Acme Ltd")
    entered(remote, "2026-18", label="Acme Ltd")

    found = reconcile(hub, shadow, kinds=["invoices"])

    assert sorted(str(row.verdict) for row in found.rows) == ["missing_here", "missing_here", "missing_there"]


def test_a_connection_that_writes_takes_nothing_of_others_for_its_own(hub, invoice_for, books, remote):
    entered(remote, invoice_for().number)

    verdicts = [str(row.verdict) for row in reconcile(hub, books, kinds=["invoices"]).rows]

    assert verdicts == ["missing_there", "missing_here"]
