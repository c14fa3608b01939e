"""Plugins: found, loaded, called and isolated, whatever they do."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from uuid import uuid4

import pytest

from hub import plugin_host
from hub.bootstrap import build_hub
from hub.core.errors import NotFound, PluginFault, RuleBroken, SetupError, TemporaryFailure
from hub.plugin_host import PluginHost, PluginState, check_implementations
from hub.sdk import hookimpl
from tests.distribution import Distribution

GOOD = '''
    """A good plugin
    that works."""
    from hub.sdk import hookimpl

    @hookimpl
    def check_invoice(invoice):
        return ["No."]
'''


@pytest.fixture
def installed(tmp_path, monkeypatch):
    # A group of their own, so that the hub's own plugins are not probed in every test.
    monkeypatch.setattr(plugin_host, "GROUP", "trial.plugins")
    distribution = Distribution(tmp_path / "site", "trial.plugins")
    distribution.install(monkeypatch)
    yield distribution
    distribution.forget()


@pytest.fixture
def start_hub(settings):
    """Hubs with the installed plugins, as two processes have them."""
    made = []

    def start():
        made.append(build_hub(settings))
        return made[-1]

    yield start
    for hub in made:
        hub.close()


def state_of(hub, name):
    def work(session):
        found = next(state for state in hub.plugins.states(session) if state.name == name)
        return found.status, found.reason

    return hub.transact(work)


def enabled(hub):
    with hub.read():
        return sorted(hub.plugins.modules)


# Found and loaded ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise ValueError('no licence')", "it cannot be imported (ValueError: no licence)"),
        ("import unheard_of", "it cannot be imported (ModuleNotFoundError: No module named 'unheard_of')"),
        ("def broken(:", "it cannot be imported (SyntaxError: invalid syntax"),
        ("import sys; sys.exit(3)", "it cannot be imported (SystemExit: 3)"),
        ("import os; os._exit(3)", "its import ended the process"),
        ("import time; time.sleep(600)", "it was not imported within 1 seconds"),
    ],
    ids=["raises", "misses a module", "is no Python", "exits", "ends the process", "sleeps"],
)
def test_a_plugin_that_breaks_when_imported_is_failed_with_the_reason_and_others_load(
    installed, start_hub, monkeypatch, source, reason
):
    installed.add("trial_bad", source)
    installed.add("trial_good", GOOD)
    hub = start_hub()
    hub.plugins.enable("trial_good", actor="user:1")

    if "sleep" in source:
        monkeypatch.setattr(plugin_host, "PROBE_TIMEOUT_S", 1)
    with pytest.raises(RuleBroken) as refusal:
        hub.plugins.enable("trial_bad", actor="user:1")

    assert reason in str(refusal.value)
    assert refusal.value.code == "plugin-failed"
    status, shown = state_of(hub, "trial_bad")
    assert (status, reason in shown) == ("failed", True)
    assert enabled(hub) == ["trial_good"]


def test_an_enabled_plugin_that_breaks_later_does_not_stop_the_hub(installed, start_hub):
    for name in ("trial_breaks", "trial_stays"):
        installed.add(name, GOOD)
        start_hub().plugins.enable(name, actor="user:1")
    installed.forget()
    installed.add("trial_breaks", "raise ValueError('after the update')")

    hub = start_hub()

    assert enabled(hub) == ["trial_stays"]
    assert state_of(hub, "trial_breaks") == ("failed", "it cannot be imported (ValueError: after the update)")


def test_a_plugin_that_is_not_enabled_is_shown_and_never_imported_here(installed, start_hub):
    installed.add("trial_shy", GOOD + "    print('noise on standard output')\n")
    hub = start_hub()

    def work(session):
        (found,) = [state for state in hub.plugins.states(session) if state.name == "trial_shy"]
        return found.status, found.probe["title"], found.probe["hooks"], found.version

    assert hub.transact(work) == ("available", "A good plugin", ["check_invoice"], "1.0")
    assert "trial_shy" not in sys.modules


def test_a_plugin_is_probed_once_per_version(installed, start_hub, monkeypatch):
    installed.add("trial_once", GOOD)
    hub = start_hub()
    hub.transact(lambda session: hub.plugins.states(session) and None)
    probed = []
    monkeypatch.setattr(plugin_host, "probe", lambda source: probed.append(source.name) or {"ok": True})

    hub.transact(lambda session: hub.plugins.states(session) and None)
    assert probed == []
    installed.describe(version="1.1")
    hub.transact(lambda session: hub.plugins.states(session) and None)
    assert "trial_once" in probed


def test_what_is_not_installed_cannot_be_enabled(installed, start_hub):
    installed.add("trial_known", GOOD)
    with pytest.raises(NotFound, match=r"There is no plugin called unheard_of\. Installed: trial_known"):
        start_hub().plugins.enable("unheard_of", actor="user:1")


def _module(name, function):
    return SimpleNamespace(**{name: hookimpl(function)})


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (_module("check_invoce", lambda invoice: ()), "the hook “check_invoce”, which does not exist"),
        (_module("check_invoice", lambda invoice=None: ()), "check_invoice gives “invoice” a default"),
        (_module("check_invoice", lambda bill: ()), "check_invoice asks for “bill”, which the hub does not pass"),
    ],
    ids=["misspelt", "default", "unknown argument"],
)
def test_a_hook_that_would_never_work_is_refused_by_name(make_hub, module, reason):
    with pytest.raises(PluginFault, match=reason):
        check_implementations(module)
    good = _module("check_invoice", lambda: ["No."])
    hub = make_hub({"bad": module, "good": good})
    assert enabled(hub) == ["good"]
    assert reason in state_of(hub, "bad")[1]


# Called --------------------------------------------------------------------------------------------------------------


def fail(*_):
    raise ZeroDivisionError


@pytest.fixture
def hooks(make_hub):
    """a fails in every hook; b and c answer."""

    def hooks(name, b, c):
        hub = make_hub({"a": _module(name, lambda: fail()), "b": _module(name, b), "c": _module(name, c)})
        with hub.read():
            return hub.plugins.hooks

    return hooks


def test_checks_fail_closed_and_gather_all_reasons(hooks):
    found = hooks("check_invoice", lambda: ["The period is closed."], lambda: None)
    assert found.check("check_invoice", invoice=None) == [
        "The plugin a could not check it; it is disabled or mended first.",
        "The period is closed.",
    ]


def test_the_first_answer_wins_and_a_failure_is_passed_over(hooks):
    found = hooks("rate_for", lambda: None, lambda currency: Decimal(90))
    arguments = {"project_id": 1, "task_id": 2, "person_id": 3, "worked_on": None, "currency": "EUR"}
    assert found.first("rate_for", **arguments) == 90


def test_plugins_are_asked_in_the_order_of_their_names(hooks):
    found = hooks("rate_for", lambda: Decimal(1), lambda: Decimal(2))
    assert found.listeners("rate_for") == ["a", "b", "c"]
    arguments = dict.fromkeys(("project_id", "task_id", "person_id", "worked_on", "currency"))
    assert found.first("rate_for", **arguments) == 1


def test_contributions_are_collected_with_whose_they_are_and_a_failure_contributes_nothing(hooks):
    found = hooks("commands", lambda: ["one", "two"], lambda: None)
    assert found.collect("commands") == [("b", "one"), ("b", "two")]


def test_a_pipeline_goes_on_with_what_it_has(hooks):
    found = hooks("shape_invoice_lines", lambda lines: [*lines, "b"], lambda lines: [*lines, "c"])
    assert found.pipeline("shape_invoice_lines", "lines", ["mine"], currency="EUR") == ["mine", "b", "c"]


def test_telling_reaches_one_plugin_and_says_what_became_of_it(hooks):
    told = []

    def put_off(invoice):
        raise TemporaryFailure("Come back later.")

    found = hooks("invoice_issued", lambda invoice: told.append(invoice), put_off)
    found.tell("invoice_issued", "b", invoice="INV-1", context=None)
    assert told == ["INV-1"]
    with pytest.raises(TemporaryFailure, match="Come back later"):
        found.tell("invoice_issued", "c", invoice="INV-1", context=None)
    with pytest.raises(PluginFault, match="The plugin a failed in invoice_issued: ZeroDivisionError"):
        found.tell("invoice_issued", "a", invoice="INV-1", context=None)


# Switched on and off -------------------------------------------------------------------------------------------------


def test_every_process_has_a_plugin_from_its_next_transaction_on_until_it_is_disabled(installed, start_hub):
    installed.add("trial_live", GOOD)
    here, there = start_hub(), start_hub()
    assert enabled(there) == []

    here.plugins.enable("trial_live", actor="user:1")
    assert there.transact(lambda session: there.plugins.hooks.check("check_invoice", invoice=None)) == ["No."]

    here.plugins.disable("trial_live", actor="user:1")
    assert there.transact(lambda session: there.plugins.hooks.check("check_invoice", invoice=None)) == []
    assert state_of(there, "trial_live") == ("disabled", "")


@pytest.fixture
def quarantine_threads(monkeypatch):
    """Wait for what was started in the background."""
    before = set(threading.enumerate())

    def wait():
        for thread in set(threading.enumerate()) - before:
            thread.join(20)

    return wait


def test_a_plugin_that_fails_again_and_again_is_taken_out_of_the_way(installed, start_hub, quarantine_threads):
    installed.add("trial_flaky", GOOD.replace('return ["No."]', "raise ZeroDivisionError"))
    hub = start_hub()
    hub.plugins.enable("trial_flaky", actor="user:1")
    for _ in range(plugin_host.ERRORS_BEFORE_QUARANTINE - 1):
        assert hub.plugins.hooks.check("check_invoice", invoice=None) != []
    quarantine_threads()
    assert enabled(hub) == ["trial_flaky"]

    hub.plugins.hooks.check("check_invoice", invoice=None)
    quarantine_threads()

    assert enabled(hub) == []
    assert state_of(hub, "trial_flaky") == ("quarantined", "5 failures within 10 minutes, the last in check_invoice")


def test_a_plugin_that_was_mended_and_enabled_again_starts_with_a_clean_slate(installed, start_hub, quarantine_threads):
    installed.add("trial_mended", GOOD.replace('return ["No."]', "raise ZeroDivisionError"))
    hub = start_hub()
    for _ in range(2):
        hub.plugins.enable("trial_mended", actor="user:1")
        for _ in range(plugin_host.ERRORS_BEFORE_QUARANTINE - 1):
            hub.plugins.hooks.check("check_invoice", invoice=None)
        quarantine_threads()
    assert enabled(hub) == ["trial_mended"]


def test_an_answer_the_hub_knows_is_no_failure(make_hub):
    def refuse():
        raise RuleBroken("Not now.")

    hub = make_hub({"p": _module("check_invoice", refuse)})
    reported = []
    with hub.read():
        from dataclasses import replace

        hooks = replace(hub.plugins.hooks, report=lambda *what: reported.append(what))
    assert hooks.check("check_invoice", invoice=None) != []
    assert reported == []


def test_switching_is_noted_with_who_did_it(installed, start_hub):
    from sqlalchemy import select

    from hub.core.audit import AuditEntry

    installed.add("trial_noted", GOOD)
    hub = start_hub()
    hub.plugins.enable("trial_noted", actor="user:1")
    hub.plugins.disable("trial_noted", actor="user:2", reason="not needed")
    with hub.read() as session:
        rows = session.scalars(select(AuditEntry).where(AuditEntry.record_kind == "plugin").order_by(AuditEntry.id))
        noted = [(row.action, row.actor, row.changes["name"], row.changes["reason"]) for row in rows]
        assert session.get_one(PluginState, "trial_noted").enabled is False
    assert noted == [
        ("enabled", "user:1", "trial_noted", ""),
        ("disabled", "user:2", "trial_noted", "not needed"),
    ]


def test_plugins_are_listed_in_one_order_on_every_machine(hub):
    host = PluginHost(hub.database, plugins={name: SimpleNamespace() for name in ("b", "a", str(uuid4()))})
    assert list(host.sources()) == sorted(host.sources())


# For some versions of the hub ----------------------------------------------------------------------------------------


def test_a_plugin_for_another_version_is_not_imported_and_the_hub_starts(installed, start_hub):
    installed.add("trial_old", "raise SystemExit('it was imported')")
    installed.describe(requires="<0.0.1")
    hub = start_hub()

    with pytest.raises(RuleBroken) as refused:
        hub.plugins.enable("trial_old", actor="test")

    reason = f"it is for PSA Hub <0.0.1, and this is {plugin_host.HUB_VERSION}; install another version of it"
    assert refused.value.code == "plugin-incompatible"
    assert state_of(hub, "trial_old") == ("incompatible", reason)
    assert "trial_old" not in sys.modules


def test_a_plugin_that_an_upgrade_left_behind_is_set_aside_and_comes_back_with_its_next_version(installed, start_hub):
    installed.add("trial_kept", GOOD)
    start_hub().plugins.enable("trial_kept", actor="test")
    installed.describe(version="1.1", requires="<0.0.1")

    behind = start_hub()
    assert state_of(behind, "trial_kept")[0] == "incompatible"
    assert enabled(behind) == []

    installed.describe(version="1.2", requires=">=0.0.1")
    again = start_hub()
    assert state_of(again, "trial_kept") == ("enabled", "")
    assert enabled(again) == ["trial_kept"]


def test_a_strict_hub_says_at_once_which_plugin_cannot_be_loaded(installed, start_hub, settings):
    installed.add("trial_strict", GOOD)
    start_hub().plugins.enable("trial_strict", actor="test")
    installed.describe(requires="<0.0.1")

    strict = build_hub(replace(settings, strict_plugins=True))
    said = r"HUB_STRICT_PLUGINS is set, .*: trial_strict: it is for PSA Hub <0\.0\.1"
    with pytest.raises(SetupError, match=said), strict.read():
        pass
    strict.close()
