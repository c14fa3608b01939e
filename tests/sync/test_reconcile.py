"""Reconciliation says what differs, and only that."""

from __future__ import annotations

from decimal import Decimal

from hub.sync.cycle import run_connection
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
