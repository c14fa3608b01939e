"""Going out: once, in order, and the truth said of each record."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from hub.core import clock
from hub.core.clients.service import change_client
from hub.core.errors import ConfigurationFailure, PermanentFailure, RuleBroken
from hub.core.outbox import Link
from hub.sync.connector import Outcome, Status
from hub.sync.cycle import run_connection
from hub.sync.models import Attempt, Batch, Connection, RunItem
from hub.sync.repairs import ignore_link, parked_links, retry_all
from tests.sync.fake_remote import Fake


def links(hub, kind):
    with hub.read() as session:
        return session.scalars(select(Link).where(Link.kind == kind).order_by(Link.id)).all()


def make_due(hub):
    """Let time pass: whatever is put off may be tried now."""
    hub.transact(lambda session: session.execute(update(Link).values(due_at=None)))


def test_what_was_issued_before_the_connection_existed_is_owed_by_the_scan(hub, invoice_for, remote, request):
    invoice_for("Acme Ltd")

    run = run_connection(hub, request.getfixturevalue("books"))

    assert run.status == "success", run.headline
    # one service, one client that the invoice needs, one invoice
    assert run.counts == {
        "read": 3,
        "created": 3,
        "updated": 0,
        "unchanged": 0,
        "deleted": 0,
        "rejected": 0,
        "deferred": 0,
        "conflicts": 0,
    }
    assert remote.records["invoices"]["i1"]["total"] == "96.00"
    assert remote.records["invoices"]["i1"]["client"] == "c1"


def test_a_client_is_created_there_with_its_first_invoice_and_not_before(hub, invoice_for, books, remote):
    from hub.core.clients.service import create_client

    hub.transact(lambda session: create_client(session, name="Only known to sales"))
    invoice_for("Acme Ltd")

    run_connection(hub, books)

    assert [held["name"] for held in remote.records["clients"].values()] == ["Acme Ltd"]


def test_a_second_run_finds_nothing_to_do(hub, invoice_for, books, remote):
    invoice_for()
    run_connection(hub, books)
    before = list(remote.ledger)

    again = run_connection(hub, books)

    assert again.status == "success"
    assert again.counts["read"] == 0
    assert remote.ledger == before


def test_a_change_that_does_not_show_over_there_is_settled_without_a_call(hub, invoice_for, books, remote):
    invoice = invoice_for()
    run_connection(hub, books)
    remote.calls.clear()
    hub.transact(lambda session: change_client(session, invoice.client_id, phone="+44 20 7946 0000"))

    run = run_connection(hub, books, direction="push")

    assert run.counts["unchanged"] == run.counts["read"] == 1
    assert remote.calls == []


def test_only_differences_travel(hub, invoice_for, books, remote):
    invoice = invoice_for("Acme Ltd")
    run_connection(hub, books)
    hub.transact(lambda session: change_client(session, invoice.client_id, name="Acme Limited"))

    run = run_connection(hub, books)

    assert run.counts["updated"] == 1
    with hub.read() as session:
        last = session.scalars(select(Attempt).order_by(Attempt.id.desc())).first()
    assert last.body == {"name": "Acme Limited"}


def test_a_lost_answer_with_keys_is_repeated_and_creates_nothing_twice(hub, invoice_for, books, remote):
    invoice_for()
    run_connection(hub, books)
    invoice_for("Acme Two")
    remote.faults = ["", "lose"]  # the client's create is answered, the invoice's answer is lost

    first = run_connection(hub, books)
    make_due(hub)
    second = run_connection(hub, books)

    assert first.status == "deferred"
    assert second.status == "success", second.headline
    assert remote.created("invoices") == 2
    with hub.read() as session:
        keys = session.scalars(select(Attempt.key).where(Attempt.label.contains("Acme Two"))).all()
    assert len(keys) == len(set(keys))


def test_a_lost_answer_without_keys_is_looked_up_and_adopted(hub, invoice_for, books, remote):
    invoice_for("Acme Ltd")
    remote.faults = ["", "lose"]  # the service is answered, the client's create is not

    run_connection(hub, books)
    time.sleep(0.25)  # the fake's calls have certainly ended after 0.2 s
    make_due(hub)
    second = run_connection(hub, books)

    assert second.status == "success", second.headline
    assert remote.created("clients") == 1
    assert links(hub, "clients")[0].remote_id == "c1"


def test_before_a_call_has_certainly_ended_nothing_is_sent_again(hub, invoice_for, books, remote):
    from tests.sync.fake_remote import Fake

    invoice_for("Acme Ltd")
    remote.faults = ["", "lose"]
    run_connection(hub, books)
    remote.calls.clear()
    make_due(hub)
    patience, Fake.call_timeout_s = Fake.call_timeout_s, 60
    try:
        run_connection(hub, books, direction="push")
    finally:
        Fake.call_timeout_s = patience

    assert remote.calls == []


def test_one_bad_record_is_parked_and_the_rest_goes_on(hub, invoice_for, books, remote):
    remote.bad_names = {"Bad: Name"}
    good, bad = invoice_for("Good Ltd"), invoice_for("Bad: Name")

    run = run_connection(hub, books)

    assert run.status == "partial"
    assert "Bad: Name" in run.headline
    assert [held["number"] for held in remote.records["invoices"].values()] == [good.number]
    with hub.read() as session:
        parked = {link.kind: link for link in parked_links(session, books)}
        counted = session.scalars(select(RunItem.outcome).where(RunItem.label.contains(bad.number))).all()
    assert parked["clients"].parked_field == "name"
    assert "Bad: Name has to be mended first" in parked["invoices"].parked
    assert counted == ["rejected"]


def test_what_was_parked_with_its_parent_comes_back_with_it(hub, invoice_for, books, remote):
    remote.bad_names = {"Bad: Name"}
    invoice_for("Bad: Name")
    run_connection(hub, books)
    remote.bad_names = set()
    retry_all(hub.transact)

    run = run_connection(hub, books)

    assert run.status == "success", run.headline
    assert remote.created("invoices") == 1


def test_mending_the_record_releases_it_and_what_waits_for_it(hub, invoice_for, books, remote):
    remote.bad_names = {"Bad: Name"}
    invoice = invoice_for("Bad: Name")
    run_connection(hub, books)
    hub.transact(lambda session: change_client(session, invoice.client_id, name="Mended Ltd"))

    run = run_connection(hub, books)

    assert run.status == "success", run.headline
    assert [held["name"] for held in remote.records["clients"].values()] == ["Mended Ltd"]
    assert remote.created("invoices") == 1


def test_a_call_refused_as_a_whole_is_halved_down_to_the_bad_record(hub, invoice_for, books, remote):
    from hub.core.services.service import create_service

    def work(session):
        for name in ("one", "two", "poison", "four", "five"):
            create_service(session, name=name)

    hub.transact(work)

    run = run_connection(hub, books, kinds=["services"])

    assert run.counts["created"] == 4
    assert run.counts["rejected"] == 1
    assert sorted(held["name"] for held in remote.records["services"].values()) == ["five", "four", "one", "two"]


def test_an_unreachable_remote_defers_everything_and_says_so(hub, invoice_for, books, remote):
    invoice_for()
    remote.faults = ["down"]

    run = run_connection(hub, books)

    assert run.status == "deferred"
    assert "cannot be reached" in run.headline
    assert remote.ledger == []


def test_a_connector_that_crashes_leaves_its_records_uncertain_not_lost(hub, invoice_for, books, remote):
    invoice_for()
    remote.faults = ["crash"]

    run = run_connection(hub, books)
    make_due(hub)
    again = run_connection(hub, books)

    assert run.status == "failed"
    assert "ZeroDivisionError" in run.headline
    assert again.status == "success", again.headline
    assert remote.created("invoices") == 1


def test_two_runs_at_once_send_each_record_once(hub, invoice_for, books, remote):
    from concurrent.futures import ThreadPoolExecutor

    for number in range(6):
        invoice_for(f"Client {number}")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: run_connection(hub, books), range(4)))
    run_connection(hub, books)

    assert remote.created("invoices") == 6
    assert remote.created("clients") == 6
    assert remote.created("services") == 1


def test_a_record_mended_while_it_was_being_refused_is_sent_as_it_is_now(hub, invoice_for, books, remote, monkeypatch):
    client_id = invoice_for("poison").client_id
    push = Fake.push

    def mended_meanwhile(connector, batch):
        if any(item.body.get("name") == "poison" for item in batch.sendings):
            hub.transact(lambda session: change_client(session, client_id, name="Acme Ltd") and None)
        return push(connector, batch)

    monkeypatch.setattr(Fake, "push", mended_meanwhile)
    run_connection(hub, books)
    make_due(hub)
    run_connection(hub, books)

    assert [held["name"] for held in remote.records["clients"].values()] == ["Acme Ltd"]
    assert remote.created("invoices") == 1
    with hub.read() as session:
        assert parked_links(session) == []


def test_a_connector_that_fails_to_look_holds_back_only_what_it_should_have_looked_for(
    hub, invoice_for, books, remote, monkeypatch
):
    invoice_for("Acme Ltd")
    monkeypatch.setattr(Fake, "find", lambda connector, stream, sendings: {}["bug"])

    run = run_connection(hub, books)

    (client,) = links(hub, "clients")
    assert remote.created("services") == 1
    assert (client.failures, client.lease_until) == (1, None)
    assert "KeyError" in run.headline


def test_a_record_the_connector_has_something_against_stops_no_other(hub, invoice_for, books, remote, monkeypatch):
    bad, _ = invoice_for("Acme Ltd"), invoice_for("Globex")
    needs = Fake.needs

    def picky(connector, stream, record):
        if stream == "invoices" and record.number == bad.number:
            raise PermanentFailure("It has no client over there.", field="client")
        return needs(connector, stream, record)

    monkeypatch.setattr(Fake, "needs", picky)
    run = run_connection(hub, books)

    assert remote.created("invoices") == 1
    with hub.read() as session:
        (link,) = parked_links(session)
        assert (link.parked, link.parked_field) == ("It has no client over there.", "client")
    assert run.status == "partial"


def test_a_child_of_a_parked_parent_is_counted_once(hub, invoice_for, books, remote):
    remote.bad_names.add("Acme Ltd")
    client_id = invoice_for("Acme Ltd").client_id
    run_connection(hub, books)
    invoice_for(client_id=client_id)

    run = run_connection(hub, books)

    assert (run.counts["read"], run.counts["rejected"]) == (1, 1)


def test_a_send_that_has_no_answer_cannot_be_ignored(hub, invoice_for, books, remote):
    invoice_for()
    remote.faults = ["", "crash"]
    run_connection(hub, books)
    (client,) = links(hub, "clients")

    with pytest.raises(RuleBroken, match="no answer yet"):
        hub.transact(lambda session: ignore_link(session, client.id, "not wanted") and None)


def test_a_send_that_did_not_arrive_and_goes_again_counts_once(hub, invoice_for, books, remote):
    invoice_for("Acme Ltd")
    remote.faults = ["", "drop"]  # the service is answered, the client's create never arrives
    run_connection(hub, books)
    time.sleep(0.25)  # its call has certainly ended
    make_due(hub)

    run = run_connection(hub, books)

    assert run.status == "success", run.headline
    assert (run.counts["created"], run.counts["read"]) == (2, 2)  # the client and its invoice


def test_what_became_of_a_call_is_not_asked_before_it_has_certainly_ended(hub, invoice_for, books, remote, monkeypatch):
    monkeypatch.setattr(Fake, "call_timeout_s", 60)
    invoice_for("Acme Ltd")
    remote.faults = ["", "lose"]
    run_connection(hub, books)
    # The batch was written down long ago, as when its worker was suspended, and left only now.
    long_ago = clock.now() - timedelta(hours=1)
    hub.transact(lambda session: session.execute(update(Batch).values(created_at=long_ago)))
    make_due(hub)
    remote.calls.clear()

    run_connection(hub, books, direction="push")

    assert "find clients" not in remote.calls


def test_a_fault_of_the_connection_that_one_record_met_holds_it_and_what_was_accepted_counts(
    hub, invoice_for, books, remote, monkeypatch
):
    invoice_for("Acme Ltd"), invoice_for("Beta Ltd")
    push = Fake.push
    reason = "The user may not create clients in Leeds."

    def only_acme(connector, batch):
        may_not = {item.ref for item in batch.sendings if item.body.get("name") == "Beta Ltd"}
        done = push(connector, replace(batch, sendings=tuple(s for s in batch.sendings if s.ref not in may_not)))
        return [*done, *(Outcome(ref, Status.DEFERRED, reason=reason, stops=True) for ref in may_not)]

    monkeypatch.setattr(Fake, "push", only_acme)
    run = run_connection(hub, books)

    assert (run.status, run.headline) == ("failed", reason)
    with hub.read() as session:
        connection = session.get(Connection, books)
        assert (connection.state, connection.reason) == ("needs_attention", reason)
        assert parked_links(session) == []
    assert {link.label: link.remote_id for link in links(hub, "clients")} == {"Acme Ltd": "c1", "Beta Ltd": None}
    assert remote.created("invoices") == 0  # nothing more was sent


def test_a_look_that_the_settings_forbid_holds_the_connection(hub, invoice_for, books, remote, monkeypatch):
    def forbidden(connector, stream, sendings):
        raise ConfigurationFailure("The user may not look.")

    invoice_for("Acme Ltd")
    monkeypatch.setattr(Fake, "find", forbidden)
    run_connection(hub, books)
    with hub.read() as session:
        connection = session.get(Connection, books)
    assert (connection.state, connection.reason) == ("needs_attention", "The user may not look.")
    assert links(hub, "clients")[0].lease_until is None


def test_what_changes_while_its_call_is_open_goes_out_afterwards(hub, invoice_for, books, remote, monkeypatch):
    client_id = invoice_for("Acme Ltd").client_id
    push = Fake.push

    def changed_meanwhile(connector, batch):
        if batch.stream == "clients" and remote.created("clients") == 0:
            hub.transact(lambda session: change_client(session, client_id, name="Acme Limited") and None)
        return push(connector, batch)

    monkeypatch.setattr(Fake, "push", changed_meanwhile)
    run_connection(hub, books)

    assert [op for op, kind, _ in remote.ledger if kind == "clients"] == ["create", "update"]
    assert remote.records["clients"]["c1"]["name"] == "Acme Limited"


def test_each_body_has_a_key_of_its_own(hub, invoice_for, books, remote):
    """Another body under a key that was used is a repeat to the other system: it would answer, and do nothing."""
    client_id = invoice_for("Acme Ltd").client_id
    run_connection(hub, books)
    hub.transact(lambda session: change_client(session, client_id, name="Acme Limited") and None)
    run_connection(hub, books)

    (client,) = links(hub, "clients")
    with hub.read() as session:
        sent = session.scalars(select(Attempt).where(Attempt.link_id == client.id).order_by(Attempt.id)).all()
    assert [attempt.body for attempt in sent] == [{"name": "Acme Ltd"}, {"name": "Acme Limited"}]
    assert len({attempt.key for attempt in sent}) == 2
