"""Why does this record differ? Everything that was kept of it, in one list."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select, update

from hub.core.clients.models import Client
from hub.core.clients.service import change_client, create_client
from hub.core.errors import NotFound, RuleBroken
from hub.core.outbox import Link
from hub.sdk import Change, Page
from hub.sync.connector import Authority
from hub.sync.cycle import run_connection
from hub.sync.models import Attempt
from hub.sync.repairs import ignore_link, relink, retry_links, settle_conflict, unlink
from hub.sync.timeline import find_record, now_of, timeline_of
from tests.sync.fake_remote import Fake


@pytest.fixture
def told(hub):
    """The timeline of a record, and how it stands now."""

    def tell(kind, record_id, **more):
        with hub.read() as session:
            known = hub.kinds[kind]
            return timeline_of(hub, session, known, record_id, **more), now_of(session, known, record_id)

    return tell


def whats(entries):
    return [entry.what for entry in entries]


def one_link(hub, kind):
    with hub.read() as session:
        return session.scalars(select(Link).where(Link.kind == kind)).one()


def client_change(name, version):
    return Change("clients", "c1", {"name": name, "phone": "1"}, version=version, label=name)


def test_an_invoice_tells_its_way_with_what_was_sent_and_answered(hub, invoice_for, books, remote, told):
    invoice = invoice_for("Acme Ltd")
    run = run_connection(hub, books)

    entries, now = told("invoices", invoice.id)

    assert whats(entries)[-2:] == ["push create", "push created"]
    assert "invoice_issued" in whats(entries)
    sent, answered = entries[-2:]
    assert (sent.who, sent.fields["total"], sent.run_id) == ("books", {"sent": "96.00"}, run.id)
    assert (answered.text, answered.fields["remote_version"]) == ("i1", {"answered": "1"})
    assert [(entry.what, entry.who, entry.text) for entry in now] == [("now in step", "books", "i1")]


def test_a_conflict_tells_both_values_the_base_the_winner_and_the_rule(hub, firm, books, remote, told):
    """The name was Acme on both sides; here it became Acme Ltd, there Acme Inc: theirs wins."""
    remote.pages = [Page((client_change("Acme", "1"),), None)]
    run_connection(hub, books, direction="pull")
    link = one_link(hub, "clients")
    hub.transact(lambda session: change_client(session, link.record_id, name="Acme Ltd") and None)
    remote.pages.append(Page((client_change("Acme Inc", "2"),), None))
    run_connection(hub, books, direction="pull")

    entries, _ = told("clients", link.record_id)

    (conflict,) = [entry for entry in entries if entry.what == "pull conflict"]
    assert conflict.fields["name"] == {
        "base": "Acme",
        "hub": "Acme Ltd",
        "remote": "Acme Inc",
        "winner": "remote",
        "rule": "remote",
    }


def test_what_differs_now_is_told_field_by_field_until_a_person_has_decided(
    hub, firm, books, remote, told, monkeypatch
):
    """Both changed the name, and a person is to decide: she keeps theirs."""
    manual = tuple(replace(stream, authority={"*": Authority.MANUAL}) for stream in Fake.streams)
    monkeypatch.setattr(Fake, "streams", manual)
    remote.pages = [Page((client_change("Acme", "1"),), None)]
    run_connection(hub, books, direction="pull")
    link = one_link(hub, "clients")
    hub.transact(lambda session: change_client(session, link.record_id, name="Acme Ltd") and None)
    remote.pages.append(Page((client_change("Acme Inc", "2"),), None))
    run_connection(hub, books, direction="pull")

    _, (now,) = told("clients", link.record_id)
    assert now.what == "now parked"
    assert (now.fields["name"]["hub"], now.fields["name"]["remote"]) == ("Acme Ltd", "Acme Inc")

    hub.transact(lambda session: settle_conflict(session, link.id, "remote") and None, actor="user:7")
    entries, (now,) = told("clients", link.record_id)
    (decided,) = [entry for entry in entries if entry.what == "settle"]
    assert (decided.who, decided.text) == ("user:7", "books keep remote")
    assert decided.fields["name"]["remote"] == "Acme Inc"
    assert now.fields == {}


@pytest.mark.parametrize(
    ("decide", "what", "text"),
    [
        (lambda s, link: relink(s, link.id, "c99"), "relink", "books remote_id c1 → c99"),
        (lambda s, link: unlink(s, link.id), "unlink", "books remote_id c1"),
        (lambda s, link: ignore_link(s, link.id, "By hand."), "ignore", "books reason By hand."),
        (lambda s, link: retry_links(s, [link.id]), "retry", "books"),
    ],
    ids=["linked to another", "linked to none", "ignored", "retried"],
)
def test_what_a_person_decides_about_a_link_is_told_with_who_it_was(
    hub, invoice_for, books, remote, told, decide, what, text
):
    invoice_for("Acme Ltd")
    run_connection(hub, books)
    link = one_link(hub, "clients")

    hub.transact(lambda session: decide(session, link) and None, actor="user:7")

    entries, _ = told("clients", link.record_id)
    decided = [(entry.what, entry.who, entry.text) for entry in entries if entry.sort == "decision"]
    assert decided == [(what, "user:7", text)]


def test_a_link_that_follows_dies_and_comes_back_over_there_tells_so(hub, firm, books, remote, told):
    first = client_change("Acme", "1")
    for shown in (first, replace(first, deleted=True), first, replace(first, deleted=True, merged_into="c2")):
        remote.pages.append(Page((shown,), None))
        run_connection(hub, books, direction="pull", kinds=["clients"])
    link = one_link(hub, "clients")

    entries, (now,) = told("clients", link.record_id)

    texts = [entry.text for entry in entries if entry.sort == "read"]
    assert texts == [
        "c1",
        "c1 It was deleted over there; the record here stays.",
        "c1 It is over there again.",
        "c1 It was merged into c2 over there; the link follows.",
    ]
    assert now.text == "c2"


def test_no_secret_of_the_connection_is_told(hub, invoice_for, books, remote, told):
    invoice = invoice_for("Acme Ltd")
    run_connection(hub, books)
    leaked = {"memo": ["the token is s3cret!"], "total": "96.00"}
    values = {"body": leaked, "reason": "s3cret! is wrong", "answer": {"remedy": "s3cret!"}}
    hub.transact(lambda session: session.execute(update(Attempt).values(**values)) and None)

    entries, _ = told("invoices", invoice.id)

    assert "s3cret!" not in repr(entries)
    assert {"sent": "96.00"} in [entry.fields.get("total") for entry in entries]


def test_only_the_newest_entries_are_told_where_that_is_wanted(hub, invoice_for, books, remote, told):
    invoice = invoice_for("Acme Ltd")
    run_connection(hub, books)
    everything, _ = told("invoices", invoice.id)

    newest, _ = told("invoices", invoice.id, most=2)

    assert newest == everything[-2:]


def test_a_record_is_found_by_id_number_name_and_its_id_over_there(hub, invoice_for, books, remote):
    invoice = invoice_for("Acme Ltd")
    run_connection(hub, books)

    with hub.read() as session:
        for text in (str(invoice.id), invoice.number, "i1"):
            assert find_record(session, hub.kinds["invoices"], text) == invoice.id
        assert find_record(session, hub.kinds["clients"], "Acme Ltd") == invoice.client_id
        with pytest.raises(NotFound, match="no invoices with the id, number, name or id over there “x9”"):
            find_record(session, hub.kinds["invoices"], "x9")


def test_of_several_records_of_one_name_the_id_is_asked_for(hub):
    for _ in range(2):
        hub.transact(lambda session: create_client(session, name="Acme Ltd") and None)

    with hub.read() as session:
        with pytest.raises(RuleBroken, match="give the id"):
            find_record(session, hub.kinds["clients"], "Acme Ltd")
        ids = session.scalars(select(Client.id)).all()
        assert find_record(session, hub.kinds["clients"], str(ids[0])) == ids[0]
