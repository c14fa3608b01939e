"""Runs: what they say is so, how they end, and what of them is told once."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

import hub.sync.runs as runs_module
from hub.core import clock
from hub.core.errors import QuotaSpent, TemporaryFailure
from hub.core.outbox import Link
from hub.sync.connections import open_connection
from hub.sync.cycle import pull_slice, run_connection
from hub.sync.models import Connection, Run
from hub.sync.runs import RunLog
from tests.sync.fake_remote import Fake


@pytest.fixture
def unreachable(monkeypatch):
    """While `unreachable.there` is false nothing can be read."""

    class Switch:
        there = False

    def pull(connector, stream, cursor):
        if not Switch.there:
            raise TemporaryFailure("It cannot be reached.")
        return iter(())

    monkeypatch.setattr(Fake, "pull", pull)
    return Switch


def look(hub, connection_id):
    """A scheduled look, once the time between two has passed."""
    hub.transact(lambda session: session.execute(update(Connection).values(pulled_at=None)) and None)
    return pull_slice(hub, connection_id, seconds=5)


def all_runs(hub):
    with hub.read() as session:
        return session.scalars(select(Run).order_by(Run.id)).all()


def test_a_failure_that_lasts_is_told_once_with_its_end(hub, books, unreachable):
    look(hub, books)
    (first,) = all_runs(hub)

    look(hub, books)

    (told,) = all_runs(hub)
    assert told.ended_at > first.ended_at


def test_a_failure_after_a_look_that_went_well_is_told_anew(hub, books, unreachable):
    """Monday's failure did not last until Friday: a look on Tuesday found nothing new, and so left no run."""
    look(hub, books)
    (monday,) = all_runs(hub)
    unreachable.there = True
    look(hub, books)
    unreachable.there = False

    look(hub, books)

    first, second = all_runs(hub)
    assert (first.id, first.ended_at) == (monday.id, monday.ended_at)
    assert second.headline == "It cannot be reached."


def test_a_run_holds_its_lease_for_as_long_as_it_goes_on(hub, books, monkeypatch):
    monkeypatch.setattr(runs_module, "RUN_LEASE_S", 0.3)
    run = RunLog(hub, open_connection(hub, books), "pull", "manual", "system", [])
    run.open()
    long_ago = clock.now() - timedelta(hours=1)
    hub.transact(lambda session: session.execute(update(Run).values(lease_until=long_ago)) and None)

    with run.closing():
        while all_runs(hub)[0].lease_until == long_ago:
            time.sleep(0.02)  # the beat comes by itself
    run.finish()

    (ended,) = all_runs(hub)
    assert (ended.status, ended.lease_until) == ("success", None)


def test_counts_that_do_not_add_up_are_refused_by_the_database(hub, invoice_for, books):
    invoice_for()
    run = run_connection(hub, books)
    one_too_many = update(Run).where(Run.id == run.id).values(created=Run.created + 1)

    with pytest.raises(IntegrityError, match="counts_add_up"):
        hub.transact(lambda session: session.execute(one_too_many) and None)


def test_a_spent_quota_puts_off_until_it_resumes(hub, invoice_for, books, remote, monkeypatch):
    resumes_at = datetime(2100, 1, 1, tzinfo=UTC)

    def spent(connector, batch):
        raise QuotaSpent("No more calls today.", resets_at=resumes_at)

    invoice_for()
    monkeypatch.setattr(Fake, "push", spent)

    run = run_connection(hub, books)

    assert (run.status, run.resumes_at) == ("deferred", resumes_at)
    assert "No more calls today." in run.headline
    with hub.read() as session:
        assert session.query(Link.due_at).where(Link.kind == "services").scalar() == resumes_at
