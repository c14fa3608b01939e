"""First matching on the way out: what is there already is adopted, what may be is asked, and nothing is doubled."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select, update

from hub.core.errors import NotFound, RuleBroken, TemporaryFailure
from hub.core.outbox import Link
from hub.sync.cycle import push_slice, run_connection
from hub.sync.matching import accept_all, open_cases, settle_case
from hub.sync.models import RunItem
from hub.sync.repairs import relink, retry_links
from tests.sync.fake_remote import Fake
from tests.sync.test_push import make_due


def there(remote, *names):
    """Clients that exist over there before the hub comes."""
    held = remote.records.setdefault("clients", {})
    for name in names:
        held[f"old{len(held) + 1}"] = {"name": name, "version": 1}


def client_link(hub):
    with hub.read() as session:
        return session.scalars(select(Link).where(Link.kind == "clients")).one()


def client_label(hub):
    return client_link(hub).label


def cases(hub, books):
    with hub.read() as session:
        return open_cases(session, books)


def settle(hub, books, decision, **values):
    (case,) = cases(hub, books)
    hub.transact(lambda session: settle_case(session, case.id, decision, **values) and None)


@pytest.fixture
def near(hub, books, remote, invoice_for):
    """A client of ours, and two over there that may be it; the first run has asked."""
    there(remote, "Acme Limited", "Acme Bath")
    invoice_for("Acme Ltd")
    return run_connection(hub, books)


def test_a_client_that_is_there_already_is_adopted_and_none_is_created(hub, books, remote, invoice_for):
    there(remote, "Acme Ltd")
    invoice_for("Acme Ltd")

    run = run_connection(hub, books)

    assert run.status == "success", run.headline
    assert (client_link(hub).remote_id, remote.created("clients")) == ("old1", 0)
    assert remote.records["invoices"]["i1"]["client"] == "old1"
    assert run.counts["unchanged"] == 1  # adopted counts as unchanged


def test_a_client_that_nothing_there_is_like_is_created_without_a_question(hub, books, remote, invoice_for):
    there(remote, "Zebra")
    invoice_for("Acme Ltd")
    run_connection(hub, books)
    assert remote.created("clients") == 1
    assert cases(hub, books) == []


def test_near_ones_are_for_a_person_and_nothing_of_the_client_is_written(hub, books, remote, near):
    (case,) = cases(hub, books)
    assert (case.label, case.direction) == ("Acme Ltd", "out")
    assert [item["id"] for item in case.candidates] == ["old1", "old2"]
    assert (remote.created("clients"), remote.created("invoices")) == (0, 0)
    assert near.status != "success"
    with hub.read() as session:
        reasons = session.scalars(select(RunItem.reason).where(RunItem.kind == "clients")).all()
    assert any("say whether it is the same (`hub match list books`)" in reason for reason in reasons)


def test_it_is_asked_once_however_often_it_runs(hub, books, remote, near):
    run_connection(hub, books)
    assert len(cases(hub, books)) == 1


def test_the_rest_of_the_stream_goes_on(hub, books, remote, near, invoice_for):
    other = invoice_for("Zebra Ltd")
    run_connection(hub, books)
    assert [held["number"] for held in remote.records["invoices"].values()] == [other.number]


def test_linking_sends_the_client_and_what_waited_for_it_there(hub, books, remote, near):
    settle(hub, books, "link", chosen="old2")
    run = run_connection(hub, books)
    assert run.status == "success", run.headline
    assert client_link(hub).remote_id == "old2"
    assert remote.records["clients"]["old2"]["name"] == "Acme Ltd"
    assert remote.records["invoices"]["i1"]["client"] == "old2"
    assert remote.created("clients") == 0


def test_creating_makes_a_new_one_though_others_are_alike(hub, books, remote, near):
    settle(hub, books, "create")
    run = run_connection(hub, books)
    assert run.status == "success", run.headline
    assert remote.created("clients") == 1
    assert remote.created("invoices") == 1


def test_ignoring_sends_neither_the_client_nor_its_invoice_and_asks_no_more(hub, books, remote, near):
    settle(hub, books, "ignore")
    make_due(hub)
    run_connection(hub, books)
    assert (remote.created("clients"), remote.created("invoices")) == (0, 0)
    assert cases(hub, books) == []


@pytest.mark.parametrize(
    ("decision", "chosen", "field"),
    [("merge", None, "decision"), ("link", "c99", "chosen")],
    ids=["no decision", "no candidate"],
)
def test_a_decision_that_cannot_be_is_refused(hub, books, remote, near, decision, chosen, field):
    with pytest.raises(RuleBroken) as refusal:
        settle(hub, books, decision, chosen=chosen)
    assert list(refusal.value.fields) == [field]
    assert len(cases(hub, books)) == 1


def test_an_unknown_case_is_said_to_be_so(hub, books):
    with pytest.raises(NotFound):
        hub.transact(lambda session: settle_case(session, books, "create") and None)


def test_accepting_all_leaves_those_without_one_best_candidate(hub, books, remote, near):
    assert hub.transact(lambda session: accept_all(session, books)) == 0  # both are alike
    assert len(cases(hub, books)) == 1


def test_accepting_all_gives_one_over_there_to_one_of_ours_only(hub, books, remote, invoice_for):
    there(remote, "Acme Limited")
    invoice_for("Acme Ltd")
    invoice_for("Acme Bath")
    run_connection(hub, books)

    assert hub.transact(lambda session: accept_all(session, books)) == 0  # both want it: a person decides
    assert len(cases(hub, books)) == 2


def test_what_is_linked_to_another_record_cannot_be_chosen(hub, books, remote, invoice_for):
    there(remote, "Acme Limited")
    for name in ("Acme Ltd", "Acme Bath"):
        invoice_for(name)
    run_connection(hub, books)
    first, second = cases(hub, books)
    hub.transact(lambda session: settle_case(session, first.id, "link") and None)

    with pytest.raises(RuleBroken, match=f"“{first.label}” is old1 over there. Unlink it first"):
        hub.transact(lambda session: settle_case(session, second.id, "link") and None)


def test_what_waits_for_a_record_that_is_ignored_is_set_aside_with_it(hub, books, remote, near):
    settle(hub, books, "ignore")

    with hub.read() as session:
        (invoice,) = session.scalars(select(Link).where(Link.kind == "invoices"))
    assert invoice.parked == "Acme Ltd has to be mended first: A person decided not to send it."


def test_what_was_set_aside_with_a_record_goes_when_that_is_linked_by_hand(hub, books, remote, near):
    settle(hub, books, "ignore")

    hub.transact(lambda session: retry_links(session, [client_link(hub).id]) and None)
    hub.transact(lambda session: relink(session, client_link(hub).id, "old2") and None)
    run_connection(hub, books)

    assert remote.records["invoices"]["i1"]["client"] == "old2"


def test_each_part_of_a_client_is_asked_about_on_its_own(hub, books, remote, invoice_for, monkeypatch):
    there(remote, "Acme Limited", "Acme Bath")
    needs, body = Fake.needs, Fake.body

    def in_two_currencies(self, stream, record):
        refs = needs(self, stream, record)
        return [*refs, replace(refs[0], part="EUR")] if refs else refs

    monkeypatch.setattr(Fake, "needs", in_two_currencies)
    monkeypatch.setattr(Fake, "body", lambda self, stream, record, ids, *, part="": body(self, stream, record, ids))
    invoice_for("Acme Ltd")
    for _ in range(2):
        make_due(hub)
        run_connection(hub, books)

    for chosen in ("old1", "old2"):
        case = cases(hub, books)[0]
        hub.transact(
            lambda session, case=case, chosen=chosen: settle_case(session, case.id, "link", chosen=chosen) and None
        )
        run_connection(hub, books)

    with hub.read() as session:
        found = session.execute(select(Link.part, Link.remote_id).where(Link.kind == "clients").order_by(Link.part))
    assert sorted(row.remote_id for row in found) == ["old1", "old2"]
    assert remote.created("clients") == 0


def test_a_look_alike_is_looked_for_ever_less_often_while_a_create_has_no_answer(
    hub, books, remote, invoice_for, monkeypatch
):
    monkeypatch.setattr(Fake, "call_timeout_s", 600)
    invoice_for("Acme Ltd")
    remote.faults = ["", "lose"]  # the service; then the client, whose answer is lost
    run_connection(hub, books)
    invoice_for("Acme Bath")

    pauses = []
    for _ in range(4):
        hub.transact(
            lambda session: session.execute(
                update(Link).where(Link.attempt_id.is_(None)).values(due_at=None, lease_until=None)
            )
        )
        push_slice(hub, books, seconds=30)
        with hub.read() as session:
            (bath,) = session.scalars(select(Link).where(Link.kind == "clients", Link.attempt_id.is_(None)))
        pauses.append(bath.failures)

    assert pauses == sorted(set(pauses))  # each time one more
    assert bath.due_at is not None


def test_without_a_look_nothing_is_created(hub, books, remote, invoice_for, monkeypatch):
    def down(self, stream, sendings):
        raise TemporaryFailure("It cannot be reached.")

    invoice_for("Acme Ltd")
    with monkeypatch.context() as patch:
        patch.setattr(Fake, "find", down)
        run = run_connection(hub, books)
    assert run.status == "deferred"
    assert remote.created("clients") == 0
    make_due(hub)
    assert run_connection(hub, books).status == "success"


def test_one_over_there_is_adopted_by_one_of_ours_only(hub, books, remote, invoice_for):
    there(remote, "Acme Ltd")
    for _ in range(2):
        invoice_for("Acme Ltd")  # two clients of the same name
    run_connection(hub, books)
    with hub.read() as session:
        adopted = session.scalars(select(Link.remote_id).where(Link.kind == "clients", Link.remote_id == "old1")).all()
    assert adopted == ["old1"]


def test_what_was_ignored_and_is_tried_again_is_asked_again(hub, books, remote, near):
    settle(hub, books, "ignore")
    hub.transact(lambda session: retry_links(session, [client_link(hub).id]) and None)

    run_connection(hub, books)

    assert [case.label for case in cases(hub, books)] == [client_label(hub)]
