"""Reconciliation says what differs, and only that."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import update

from hub.core.errors import RuleBroken
from hub.core.outbox import announce
from hub.sync.apply import apply_plan, carry_out
from hub.sync.cycle import run_connection
from hub.sync.models import Plan
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
