"""Plugins are told what happened: each record's events in order, one record's trouble holding back nothing else."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from sqlalchemy import select, update

from hub.core.clients.service import change_client, create_client
from hub.core.errors import TemporaryFailure
from hub.core.outbox import Event, Notice
from hub.jobs import notices
from hub.jobs.notices import deliver_notices
from hub.plugin_host import Hooks
from hub.sdk import hookimpl


class Listener:
    """A plugin that notes what it is told; `trouble` says what to raise for which name."""

    def __init__(self):
        self.told, self.keys, self.trouble = [], [], {}
        listener = self

        @hookimpl
        def client_changed(client, context):
            if client.name in listener.trouble:
                raise listener.trouble[client.name]
            listener.told.append((client.name, client.revision))
            listener.keys.append(context.idempotency_key)

        self.module = SimpleNamespace(client_changed=client_changed)


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture
def hub(make_hub, listener):
    return make_hub({"listener": listener.module})


def deliver(hub):
    """Everything that is due now, as if what was put off were due too."""
    hub.transact(lambda session: session.execute(update(Notice).values(due_at=None)) and None)
    return deliver_notices(hub, seconds=60)


def rename(hub, id, *names):
    for name in names:
        hub.transact(lambda session, name=name: change_client(session, id, name=name) and None)


def parked(hub):
    with hub.read() as session:
        return session.scalars(select(Notice.parked).where(Notice.parked.is_not(None))).all()


def test_each_change_is_told_once_in_order_and_as_it_was_then(hub, listener):
    id = hub.transact(lambda session: create_client(session, name="a").id)
    rename(hub, id, "b", "c")
    assert deliver(hub) == 3
    assert listener.told == [("a", 1), ("b", 2), ("c", 3)]
    assert deliver(hub) == 0
    assert len(set(listener.keys)) == 3


def test_a_failing_notice_is_parked_and_only_its_record_held_back(hub, listener):
    bad, good = [hub.transact(lambda session, name=name: create_client(session, name=name).id) for name in "xg"]
    listener.trouble["x"] = ZeroDivisionError()
    rename(hub, bad, "y")
    rename(hub, good, "h")

    deliver(hub)
    deliver(hub)

    assert listener.told == [("g", 1), ("h", 2)]
    assert parked(hub) == ["The plugin listener failed in client_changed: ZeroDivisionError."]


def test_after_a_parked_notice_is_let_go_the_record_goes_on_where_it_stopped(hub, listener):
    id = hub.transact(lambda session: create_client(session, name="x").id)
    rename(hub, id, "y")
    listener.trouble["x"] = ZeroDivisionError()
    deliver(hub)
    listener.trouble.clear()

    hub.transact(lambda session: session.execute(update(Notice).values(parked=None)) and None)
    deliver(hub)

    assert listener.told == [("x", 1), ("y", 2)]


def test_a_temporary_failure_is_tried_again_later_and_keeps_the_order(hub, listener):
    id = hub.transact(lambda session: create_client(session, name="x").id)
    rename(hub, id, "y")
    listener.trouble["x"] = TemporaryFailure("Down.", retry_after_s=3600)

    deliver(hub)
    assert deliver_notices(hub, seconds=60) == 0  # not due for an hour, and the later one waits for it
    assert (listener.told, parked(hub)) == ([], [])

    listener.trouble.clear()
    deliver(hub)
    assert listener.told == [("x", 1), ("y", 2)]


def test_what_happens_while_a_plugin_is_off_waits_for_it(hub, make_hub, listener):
    hub.transact(lambda session: create_client(session, name="a").id)
    without = make_hub()
    assert deliver(without) == 0
    assert deliver(hub) == 1


def test_two_workers_tell_each_change_once(hub, make_hub, listener):
    from concurrent.futures import ThreadPoolExecutor

    hubs = [hub, make_hub({"listener": listener.module})]
    for number in range(10):
        hub.transact(lambda session, number=number: create_client(session, name=f"c{number}").id)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda own: deliver_notices(own, seconds=60), hubs))
    assert sorted(listener.told) == [(f"c{number}", 1) for number in range(10)]


def test_a_notice_whose_worker_was_killed_is_told_by_another_when_its_lease_has_run_out(hub, listener):
    from datetime import timedelta

    from hub.core import clock
    from hub.jobs.notices import _claim

    hub.transact(lambda session: create_client(session, name="a").id)
    _claim(hub)  # and killed
    assert deliver(hub) == 0
    past = clock.now() - timedelta(seconds=1)
    hub.transact(lambda session: session.execute(update(Notice).values(lease_until=past)) and None)
    assert deliver(hub) == 1
    assert listener.told == [("a", 1)]


def test_slow_plugins_keep_what_their_worker_has_not_told_yet(hub, listener, monkeypatch):
    monkeypatch.setattr("hub.jobs.notices.LEASE_S", 0.3)
    for name in "ab":
        hub.transact(lambda session, name=name: create_client(session, name=name).id)
    others, deliver_one = [], notices._deliver

    def slowly(hub, told):
        time.sleep(0.6)  # two leases long
        monkeypatch.setattr(notices, "_deliver", deliver_one)
        others.append(deliver_notices(hub, seconds=60))  # another worker comes by
        deliver_one(hub, told)

    monkeypatch.setattr(notices, "_deliver", slowly)
    assert deliver(hub) == 2
    assert (others, listener.told) == ([0], [("a", 1), ("b", 1)])


def test_a_plugin_switched_off_meanwhile_is_told_when_it_is_back(hub, listener, monkeypatch):
    hub.transact(lambda session: create_client(session, name="a") and None)
    hooks, modules = hub.plugins.hooks, hub.plugins.modules
    monkeypatch.setattr(hub.plugins, "hooks", Hooks())

    def off_after_the_claim(hub, plugin, event):
        monkeypatch.setattr(hub.plugins, "modules", {})

    monkeypatch.setattr("hub.jobs.notices._context", off_after_the_claim)
    deliver(hub)
    assert listener.told == []

    monkeypatch.undo()
    hub.plugins.hooks, hub.plugins.modules = hooks, modules
    deliver(hub)
    assert listener.told == [("a", 1)]


def test_an_event_that_cannot_be_read_any_more_is_parked_and_the_others_told(hub, listener):
    for name in "ab":
        hub.transact(lambda session, name=name: create_client(session, name=name) and None)
    with hub.read() as session:
        first = session.scalar(select(Event.sequence).order_by(Event.sequence))
    hub.transact(
        lambda session: session.execute(update(Event).where(Event.sequence == first).values(payload={"x": 1})) and None
    )

    deliver(hub)

    assert listener.told == [("b", 1)]
    assert len(parked(hub)) == 1
