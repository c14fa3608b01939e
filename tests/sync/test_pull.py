"""Coming in: pages, references, matching, and both sides' changes."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from sqlalchemy import select, update

from hub.core import clock
from hub.core.clients.models import Client
from hub.core.clients.service import change_client, create_client
from hub.core.database import uuid7
from hub.core.errors import TemporaryFailure
from hub.core.invoicing.service import get_invoice
from hub.core.outbox import Lineage, Link, Subscription
from hub.core.payments.models import Payment
from hub.sdk import Change, Page, Refused, RemoteRef
from hub.sync import pull as pulling
from hub.sync.connections import open_connection
from hub.sync.cycle import pull_slice, run_connection
from hub.sync.hints import leave_hint
from hub.sync.matching import open_cases, settle_case
from hub.sync.models import Connection, Hint, Run, StreamCursor
from hub.sync.pull import pull_stream, work_hints
from hub.sync.runs import RunLog
from tests.sync.fake_remote import Fake, payment


def client_change(remote_id, name, **values):
    return Change("clients", remote_id, {"name": name, **values}, label=name)


def show(remote, *changes, refused=()):
    """The remote shows one more page."""
    remote.pages.append(Page(changes, None, tuple(refused)))


def pull_when_due(hub, connection_id, *, seconds=5):
    """A slice of the worker, once the time between two readings has passed."""
    hub.transact(lambda session: session.execute(update(Connection).values(pulled_at=None)) and None)
    return pull_slice(hub, connection_id, seconds=seconds)


def pull_stream_hints(hub, connection_id):
    """One look at the hints of clients, by a run of its own."""
    opened = open_connection(hub, connection_id)
    run = RunLog(hub, opened, "pull", "schedule", "system", ["clients"])
    work_hints(hub, opened, opened.stream("clients"), run)


def all_of(hub, model):
    with hub.read() as session:
        return session.scalars(select(model).order_by(model.id)).all()


def test_unknown_clients_are_created_with_a_link(hub, firm, books, remote):
    show(remote, client_change("c7", "Globex", website="https://globex.example"))

    run = run_connection(hub, books, direction="pull")

    assert run.counts["created"] == run.counts["read"] == 1
    assert [client.name for client in all_of(hub, Client)] == ["Globex"]
    assert all_of(hub, Link)[0].remote_id == "c7"


def test_the_cursor_is_saved_with_the_page_and_the_same_page_changes_nothing(hub, firm, books, remote):
    show(remote, client_change("c7", "Globex"))
    run_connection(hub, books, direction="pull")

    again = run_connection(hub, books, direction="pull", full=True)

    assert again.counts["unchanged"] == again.counts["read"] == 1
    cursor = next(cursor for cursor in all_of(hub, StreamCursor) if cursor.kind == "clients")
    assert cursor.cursor == {"v": 1, "page": 1}


def cursor_of(hub, kind):
    return next(cursor.cursor for cursor in all_of(hub, StreamCursor) if cursor.kind == kind)


def test_a_page_whose_saving_broke_off_is_read_again(hub, firm, books, remote, monkeypatch):
    """As when its worker is killed in the middle: neither the page nor the cursor behind it is saved."""
    show(remote, client_change("c7", "Globex"))
    with monkeypatch.context() as patch:
        patch.setattr(pulling, "merge", lambda *arguments, **more: {}["killed"])
        run_connection(hub, books, kinds=["clients"], direction="pull")
    assert (cursor_of(hub, "clients"), all_of(hub, Client)) == (None, [])

    run_connection(hub, books, kinds=["clients"], direction="pull")

    assert [client.name for client in all_of(hub, Client)] == ["Globex"]


def test_a_pull_that_was_overtaken_saves_nothing(hub, firm, books, remote, monkeypatch):
    """Suspended for longer than its lease: another worker has begun, and its cursor is the one that counts."""
    show(remote, client_change("c7", "Globex"))
    pull = Fake.pull

    def overtaken(connector, stream, cursor):
        hub.transact(lambda session: session.execute(update(StreamCursor).values(lease_until=None)) and None)
        assert pulling._take(hub, books, stream) is not None
        yield from pull(connector, stream, cursor)

    monkeypatch.setattr(Fake, "pull", overtaken)
    run_connection(hub, books, kinds=["clients"], direction="pull")

    assert (cursor_of(hub, "clients"), all_of(hub, Client)) == (None, [])


def test_a_scheduled_look_that_finds_nothing_new_leaves_no_run(hub, firm, books, remote):
    show(remote, client_change("c7", "Globex"))
    pull_when_due(hub, books)
    remote.pages.append(remote.pages[0])  # the lookback shows it once more

    again = pull_when_due(hub, books)

    assert again.id is None
    with hub.read() as session:
        assert [run.created for run in session.scalars(select(Run))] == [1]


def test_what_was_known_is_counted_as_soon_as_there_is_news_beside_it(hub, firm, books, remote):
    show(remote, client_change("c7", "Globex"))
    pull_when_due(hub, books)
    remote.pages += [remote.pages[0], Page((client_change("c8", "Hooli"),), None), remote.pages[0]]

    run = pull_when_due(hub, books)

    assert (run.counts["created"], run.counts["unchanged"], run.counts["read"]) == (1, 2, 3)


def test_a_change_over_there_reaches_our_record(hub, firm, books, remote):
    show(remote, client_change("c7", "Globex", phone="1"))
    run_connection(hub, books, direction="pull")
    show(remote, client_change("c7", "Globex", phone="2"))

    run = run_connection(hub, books, direction="pull")

    assert run.counts["updated"] == 1
    assert all_of(hub, Client)[0].phone == "2"


def test_fields_only_one_side_changed_do_not_conflict(hub, firm, books, remote):
    show(remote, client_change("c7", "Globex", phone="1"))
    run_connection(hub, books, direction="pull")
    client = all_of(hub, Client)[0]
    hub.transact(lambda session: change_client(session, client.id, email="ap@globex.example"))
    show(remote, client_change("c7", "Globex", phone="2"))

    run = run_connection(hub, books, direction="pull")

    assert run.status == "success"
    merged = all_of(hub, Client)[0]
    assert (merged.phone, merged.email) == ("2", "ap@globex.example")


def test_a_field_both_sides_changed_is_a_conflict_with_all_values(hub, firm, books, remote):
    show(remote, client_change("c7", "Globex", phone="1"))
    run_connection(hub, books, direction="pull")
    client = all_of(hub, Client)[0]
    hub.transact(lambda session: change_client(session, client.id, phone="ours"))
    show(remote, client_change("c7", "Globex", phone="theirs"))

    run = run_connection(hub, books, direction="pull")

    assert run.counts["conflicts"] == 1
    assert run.status == "partial"
    from hub.sync.models import RunItem

    item = next(item for item in all_of(hub, RunItem) if item.outcome == "conflict")
    assert item.differences == {
        "phone": {"base": "1", "hub": "ours", "remote": "theirs", "winner": "remote", "rule": "remote"}
    }
    assert all_of(hub, Client)[0].phone == "theirs"


def test_one_exact_match_is_adopted_and_none_created(hub, firm, books, remote):
    ours = hub.transact(lambda session: create_client(session, name="Globex Ltd", website="globex.example").id)
    show(remote, client_change("c7", "GLOBEX", website="https://www.globex.example/home"))

    run = run_connection(hub, books, direction="pull")

    assert run.counts["unchanged"] == run.counts["read"] == 1
    assert [client.id for client in all_of(hub, Client)] == [ours]
    assert all_of(hub, Link)[0].record_id == ours


def test_a_near_match_waits_for_a_person_and_the_rest_goes_on(hub, firm, books, remote):
    ours = hub.transact(lambda session: create_client(session, name="Initech Consulting", website="i.example").id)
    show(remote, client_change("c7", "Consulting Initech", website="other.example"), client_change("c8", "Hooli"))

    run = run_connection(hub, books, direction="pull")

    assert (run.status, run.counts["created"], run.counts["deferred"]) == ("deferred", 1, 1)
    with hub.read() as session:
        case = open_cases(session, books)[0]
    assert (case.label, case.candidates[0]["id"]) == ("Consulting Initech", str(ours))


def test_a_settled_match_takes_effect_on_the_next_look(hub, firm, books, remote):
    ours = hub.transact(lambda session: create_client(session, name="Initech Consulting", website="i.example").id)
    show(remote, client_change("c7", "Consulting Initech", website="other.example"))
    run_connection(hub, books, direction="pull")

    def settle(session):
        case = open_cases(session, books)[0]
        settle_case(session, case.id, "link", actor="user:anna")

    hub.transact(settle)
    run_connection(hub, books, direction="pull")

    links = all_of(hub, Link)
    assert [(link.record_id, link.remote_id) for link in links] == [(ours, "c7")]


def test_a_row_the_connector_could_not_read_is_rejected_and_said(hub, firm, books, remote):
    show(remote, client_change("c7", "Globex"), refused=[Refused("c9", "It has no name.", field="name")])

    run = run_connection(hub, books, direction="pull")

    assert run.counts["created"] == 1
    assert run.counts["rejected"] == 1
    assert run.status == "partial"


def test_a_payment_made_over_there_pays_our_invoice_to_the_cent(hub, invoice_for, books, remote):
    invoice = invoice_for("Acme Ltd", hours=1)  # 80.00 + 20 % = 96.00
    run_connection(hub, books)
    show(remote, payment("p1", client="c1", invoice="i1", amount="96.00"))

    run = run_connection(hub, books)

    assert run.status == "success", run.headline
    with hub.read() as session:
        paid = get_invoice(session, invoice.id).to_record()
    assert (paid.status, paid.paid) == ("paid", Decimal("96.00"))
    assert [payment.reference for payment in all_of(hub, Payment)] == ["p1"]


def test_a_payment_deleted_over_there_opens_its_invoice_again(hub, invoice_for, books, remote):
    invoice = invoice_for("Acme Ltd", hours=1)
    run_connection(hub, books)
    show(remote, payment("p1", client="c1", invoice="i1", amount="96.00"))
    run_connection(hub, books, direction="pull")
    show(remote, Change("payments", "p1", {}, deleted=True, label="p1"))

    run = run_connection(hub, books, direction="pull")

    assert run.counts["deleted"] == 1
    with hub.read() as session:
        opened = get_invoice(session, invoice.id).to_record()
    assert (opened.status, opened.paid) == ("issued", Decimal(0))


def test_a_payment_of_somebody_else_is_not_even_read(hub, invoice_for, books, remote):
    invoice_for()
    run_connection(hub, books)
    show(remote, payment("p1", client="c99", invoice="i99", amount="5.00"))

    run = run_connection(hub, books, direction="pull")

    assert run.counts["read"] == 0
    assert all_of(hub, Payment) == []


def test_a_payment_moved_to_another_invoice_frees_the_first(hub, invoice_for, books, remote):
    first = invoice_for("Acme Ltd", hours=1)
    second = invoice_for("Acme Ltd", hours=1, client_id=first.client_id)
    run_connection(hub, books)
    show(remote, payment("p1", client="c1", invoice="i1", amount="96.00"))
    run_connection(hub, books, direction="pull")
    show(remote, payment("p1", client="c1", invoice="i2", amount="96.00"))

    run_connection(hub, books, direction="pull")

    with hub.read() as session:
        assert get_invoice(session, first.id).status == "issued"
        assert get_invoice(session, second.id).status == "paid"


def test_what_was_deleted_over_there_stays_here_with_a_tombstone(hub, firm, books, remote):
    show(remote, client_change("c7", "Globex"))
    run_connection(hub, books, direction="pull")
    show(remote, Change("clients", "c7", {}, deleted=True, label="Globex"))

    run = run_connection(hub, books, direction="pull")

    assert run.counts["deleted"] == 1
    assert len(all_of(hub, Client)) == 1
    assert all_of(hub, Link)[0].tombstone_at is not None


def test_a_deletion_that_is_shown_again_is_no_news(hub, firm, books, remote):
    show(remote, client_change("c7", "Globex"))
    show(remote, Change("clients", "c7", {}, deleted=True, label="Globex"))
    run_connection(hub, books, direction="pull")
    show(remote, Change("clients", "c7", {}, deleted=True, label="Globex"))

    run = run_connection(hub, books, direction="pull")

    assert (run.counts["deleted"], run.counts["unchanged"]) == (0, 1)


def test_a_merge_over_there_redirects_the_link(hub, firm, books, remote):
    show(remote, client_change("c7", "Globex"))
    run_connection(hub, books, direction="pull")
    show(remote, Change("clients", "c7", {}, merged_into="c8", label="Globex"))

    run_connection(hub, books, direction="pull")

    assert all_of(hub, Link)[0].remote_id == "c8"


def test_a_child_that_arrives_before_its_parent_is_counted_once(hub, invoice_for, books, remote):
    invoice = invoice_for("Acme Ltd")
    run_connection(hub, books)
    waiting = payment("p1", client="c1", invoice="i1", amount="96.00")
    values = {**waiting.values, "client_id": RemoteRef("clients", "c7")}
    remote.pages.append(Page((Change("payments", "p1", values, label="p1"),), None))
    show(remote, client_change("c7", "Globex"))  # read after the payment was put off, when its hint is worked

    run = run_connection(hub, books, direction="pull")

    assert run.counts["read"] == 2
    assert run.counts["created"] == 2
    assert invoice.total == Decimal("96.00")


def test_what_a_rule_refuses_is_rejected_once_a_run_and_looked_at_again_in_the_next(hub, firm, books, remote):
    show(remote, client_change("c7", "Globex", address={"country": "Atlantis"}))
    first = run_connection(hub, books, direction="pull")
    remote.pages[0] = Page((client_change("c7", "Globex", address={"country": "GR"}),), None)

    second = run_connection(hub, books, direction="pull")

    assert (first.counts["rejected"], first.counts["read"]) == (1, 1)
    assert "Atlantis" in first.headline
    assert second.counts["created"] == second.counts["read"] == 1


def test_a_value_that_breaks_stops_only_its_record(hub, invoice_for, books, remote):
    invoice_for()
    run_connection(hub, books, direction="push")
    show(
        remote,
        payment("p1", client="c1", invoice="i1", amount="1,234.00"),  # no decimal of ours
        payment("p2", client="c1", invoice="i1", amount="50.00"),
    )

    run = run_connection(hub, books, direction="pull")

    assert (run.counts["created"], run.counts["rejected"], run.counts["read"]) == (1, 1, 2)
    assert [held.reference for held in all_of(hub, Payment)] == ["p2"]
    assert next(cursor for cursor in all_of(hub, StreamCursor) if cursor.kind == "payments").cursor is not None
    assert [hint.remote_id for hint in all_of(hub, Hint)] == ["p1"]


def test_what_refers_to_a_stream_that_is_not_read_says_so_and_asks_for_nothing(hub, firm, books, remote):
    hub.transact(
        lambda session: (
            session.execute(update(Subscription).where(Subscription.kind == "clients").values(pulls=False)) and None
        )
    )
    show(remote, Change("payments", "p1", {"client_id": RemoteRef("clients", "c9"), "amount": "1.00"}, label="p1"))

    run = run_connection(hub, books, direction="pull")

    assert (run.counts["rejected"], run.headline) == (
        1,
        "p1: It refers to clients c9, which this connection does not read.",
    )
    assert [(hint.kind, hint.remote_id, hint.due_at is None) for hint in all_of(hub, Hint)] == [
        ("payments", "p1", False)
    ]


def test_hints_that_cannot_be_fetched_now_are_put_off(hub, firm, books, remote, monkeypatch):
    def unreachable(connector, stream, remote_ids):
        raise TemporaryFailure("It cannot be reached.")

    hub.transact(lambda session: leave_hint(session, books, "clients", "c7", "told"))
    monkeypatch.setattr(Fake, "fetch", unreachable)

    pull_when_due(hub, books)

    (hint,) = all_of(hub, Hint)
    assert (hint.failures, hint.due_at > clock.now()) == (1, True)


def test_what_is_told_while_its_record_is_being_read_is_looked_at_once_more(hub, firm, books, remote, monkeypatch):
    show(remote, client_change("c7", "Globex"))
    hub.transact(lambda session: leave_hint(session, books, "clients", "c7", "told"))
    fetch = Fake.fetch

    def fetch_while_it_changes(self, stream, remote_ids):
        page = fetch(self, stream, remote_ids)
        hub.transact(lambda session: leave_hint(session, books, "clients", "c7", "told again"))
        return page

    with monkeypatch.context() as patch:
        patch.setattr(Fake, "fetch", fetch_while_it_changes)
        pull_stream_hints(hub, books)

    (hint,) = all_of(hub, Hint)
    assert (hint.reason, hint.due_at) == ("told again", None)
    pull_stream_hints(hub, books)
    assert all_of(hub, Hint) == []


def test_a_row_that_cannot_be_read_stays_due_until_it_can(hub, firm, books, remote):
    show(remote, refused=[Refused("c8", "Its name is missing.", "name", "c8")])
    run_connection(hub, books, kinds=["clients"], direction="pull")
    assert [hint.remote_id for hint in all_of(hub, Hint)] == ["c8"]

    show(remote, client_change("c8", "Globex"))  # somebody has mended it
    run = run_connection(hub, books, kinds=["clients"], direction="pull")

    assert (run.counts["created"], all_of(hub, Hint)) == (1, [])


def test_a_copy_with_our_key_on_it_takes_nothing_away_from_the_original(hub, firm, books, remote):
    show(remote, client_change("c7", "Globex"))
    run_connection(hub, books, direction="pull")
    (link,) = all_of(hub, Link)
    copy = Change("clients", "c8", {"name": "Globex"}, label="Globex", our_id=link.record_id)
    show(remote, copy)

    run = run_connection(hub, books, direction="pull")

    assert (run.counts["conflicts"], run.status) == (1, "partial")
    assert "“Globex” is c7 over there already" in run.headline
    assert [link.remote_id for link in all_of(hub, Link)] == ["c7"]


def test_a_merge_over_there_waits_for_the_answer_of_an_open_send(hub, invoice_for, books, remote):
    invoice_for("Acme Ltd")
    run_connection(hub, books)
    (link,) = (link for link in all_of(hub, Link) if link.kind == "clients")
    hub.transact(lambda session: session.execute(update(Link).where(Link.id == link.id).values(attempt_id=link.id)))
    show(remote, Change("clients", "c1", {}, label="Acme", merged_into="c9"))

    run = run_connection(hub, books, direction="pull")

    assert run.counts["deferred"] == 1
    assert next(one.remote_id for one in all_of(hub, Link) if one.id == link.id) == "c1"
    assert [hint.remote_id for hint in all_of(hub, Hint)] == ["c1"]


def test_between_two_readings_only_hints_are_worked(hub, firm, books, remote):
    pull_when_due(hub, books)
    show(remote, client_change("c7", "Globex"))
    show(remote, client_change("c8", "Hooli"))
    hub.transact(lambda session: leave_hint(session, books, "clients", "c8", "told"))
    remote.calls.clear()

    pull_slice(hub, books, seconds=5)

    assert remote.calls == []  # the fake's fetch makes no note
    assert [client.name for client in all_of(hub, Client)] == ["Hooli"]


def test_a_slice_whose_time_is_up_goes_on_after_the_page_it_saved(hub, firm, books, remote):
    show(remote, client_change("c7", "Globex"))
    show(remote, client_change("c8", "Hooli"))
    opened = open_connection(hub, books)
    run = RunLog(hub, opened, "pull", "schedule", "system", ["clients"])

    pull_stream(hub, opened, opened.stream("clients"), run, until=0)
    first = [client.name for client in all_of(hub, Client)]
    pull_stream(hub, opened, opened.stream("clients"), run)

    assert run.cut_short
    assert first == ["Globex"]
    assert [client.name for client in all_of(hub, Client)] == ["Globex", "Hooli"]


def test_what_a_slice_had_no_time_for_is_due_at_once(hub, firm, books, remote):
    pull_when_due(hub, books, seconds=-1)

    with hub.read() as session:
        assert session.scalar(select(Connection.pulled_at)) is None


def test_a_scheduled_reading_that_fails_is_told_and_once_while_it_lasts(hub, firm, books, remote, monkeypatch):
    def unreachable(connector, stream, cursor):
        raise TemporaryFailure("It cannot be reached.")

    monkeypatch.setattr(Fake, "pull", unreachable)

    runs = [pull_when_due(hub, books) for _ in range(3)]

    assert [run.status for run in runs] == ["failed"] * 3
    assert [(run.status, run.headline) for run in all_of(hub, Run)] == [("failed", "It cannot be reached.")]


def test_what_was_sent_as_another_kind_is_where_a_record_comes_from(hub, firm, books, remote):
    """As a won opportunity is the one that a deal was sent as, whatever became of our key on it."""
    lead_id = uuid7()
    lead = Link(connection_id=books, kind="leads", record_id=lead_id, part="", remote_id="c7")
    hub.transact(lambda session: session.add(lead))
    show(remote, *(replace(client_change(id, id), may_be=("leads",)) for id in ("c7", "c8")))

    run_connection(hub, books, direction="pull")

    (origin,) = all_of(hub, Lineage)
    clients = {client.name: client.id for client in all_of(hub, Client)}
    assert (origin.origin_kind, origin.origin_id, origin.record_id) == ("leads", lead_id, clients["c7"])
    assert (origin.connection_id, origin.remote_id) == (books, "c7")
