"""First matching on the way out: what is there already is adopted, what may be is asked, and nothing is doubled."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from hub.core.errors import NotFound, RuleBroken, TemporaryFailure
from hub.core.outbox import Link
from hub.sync.cycle import run_connection
from hub.sync.matching import accept_all, open_cases, settle_case
from hub.sync.models import RunItem
from hub.sync.repairs import retry_links
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
