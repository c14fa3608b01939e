from __future__ import annotations

from decimal import Decimal
from types import ModuleType

import pytest

from hub.core.errors import PluginFault, TemporaryFailure
from hub.sdk import hookimpl
from hub.testing.kit import a_client, a_context, a_payment, an_invoice, an_invoice_line, tell_plugin


def plugin(**hooks):
    """A module with these functions as hooks."""
    module = ModuleType("hub_example")
    for name, function in hooks.items():
        setattr(module, name, hookimpl(function))
    return module


def test_an_invoice_adds_up():
    lines = (
        an_invoice_line(quantity=Decimal("2.50"), rate=Decimal("80.00")),  # 200.00
        an_invoice_line(quantity=Decimal("1.00"), rate=Decimal("99.99"), tax_rate=Decimal(5)),
    )

    invoice = an_invoice(lines=lines)

    assert invoice.net == Decimal("299.99")
    assert [(group.rate, group.tax) for group in invoice.taxes] == [
        (Decimal(5), Decimal("5.00")),  # 99.99 * 5 % = 4.9995
        (Decimal(20), Decimal("40.00")),
    ]
    assert invoice.total == Decimal("344.99")


def test_what_a_test_says_goes_before_what_is_usual():
    assert an_invoice(number="X-1", total=Decimal(1)).total == Decimal(1)
    assert a_payment(amount=Decimal("5.00")).allocations[0].amount == Decimal("5.00")


def test_a_field_that_does_not_exist_is_named():
    with pytest.raises(TypeError, match="ClientRecord has no field nmae; it has address, archived"):
        a_client(nmae="Harbour Foods")


def test_a_hook_gets_only_what_it_asks_for():
    told = []

    tell_plugin(plugin(invoice_issued=lambda invoice: told.append(invoice.number)), "invoice_issued", an_invoice())

    assert told == ["INV-00001"]


def test_the_context_holds_settings_ids_and_a_key():
    told = []
    client = a_client()

    def client_changed(client, context):
        told.append((context.settings["X"], context.external_id("clients", client.id), context.idempotency_key))

    ids = {("clients", client.id): "C-7"}
    tell_plugin(plugin(client_changed=client_changed), "client_changed", client, settings={"X": 1}, external_ids=ids)

    assert told == [(1, "C-7", "event-1")]


def test_a_failure_the_hub_knows_is_raised_as_it_is_and_any_other_as_the_plugins_fault():
    def busy(invoice):
        raise TemporaryFailure("busy")

    def broken(invoice):
        raise KeyError("CHAT_URL")

    with pytest.raises(TemporaryFailure):
        tell_plugin(plugin(invoice_issued=busy), "invoice_issued", an_invoice())
    with pytest.raises(PluginFault, match="failed in invoice_issued: KeyError"):
        tell_plugin(plugin(invoice_issued=broken), "invoice_issued", an_invoice())


def test_a_hook_that_is_not_implemented_is_said_with_those_that_are():
    with pytest.raises(AssertionError, match="does not implement invoice_paid; it implements invoice_issued"):
        tell_plugin(plugin(invoice_issued=lambda invoice: None), "invoice_paid", an_invoice())


def test_a_context_without_a_database_says_so():
    with pytest.raises(AssertionError, match="has no database"):
        a_context().transact(lambda session: None)
