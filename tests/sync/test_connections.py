"""Connections: checked before they are kept, one per account, their secrets shown nowhere."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import func, select

from hub.core.audit import AuditEntry
from hub.core.clients.service import change_client
from hub.core.errors import ConfigurationFailure, NotFound, RuleBroken, TemporaryFailure
from hub.core.outbox import Subscription
from hub.sync.connections import (
    add_connection,
    change_settings,
    check_connection,
    connection_named,
    get_connection,
    open_connection,
    remove_connection,
    set_state,
)
from hub.sync.cycle import run_connection
from hub.sync.models import Connection, ConnectionState
from hub.sync.tokens import Tokens
from tests.sync.fake_remote import REMOTES, Fake, Remote


def add(hub, account, name="books", **values):
    return add_connection(hub, connector="fake", name=name, settings={"account": account, "token": "s3cret!"}, **values)


@pytest.fixture
def account(remote):
    return next(name for name, known in REMOTES.items() if known is remote)


@pytest.fixture
def second():
    name = f"account-{uuid4()}"
    REMOTES[name] = Remote()
    yield name
    del REMOTES[name]


def count(hub, table):
    with hub.read() as session:
        return session.scalar(select(func.count()).select_from(table))


def failing_check(monkeypatch, failure):
    def check(self):
        raise failure

    monkeypatch.setattr(Fake, "check", check)


def test_a_new_connection_knows_its_account_and_has_the_connectors_streams(hub, account):
    added = add(hub, account)
    assert (added.account_id, added.account_name, added.environment) == (account, "The fake firm", "sandbox")
    assert (added.state, added.facts) == ("active", {"currency": "GBP"})
    assert list(open_connection(hub, added.id).subscriptions) == ["services", "clients", "invoices", "payments"]


@pytest.mark.parametrize(
    ("given", "field"),
    [({}, "account"), ({"account": ["a"]}, "account"), ({"account": "a", "colour": "red"}, "colour")],
    ids=["missing", "of the wrong kind", "unknown"],
)
def test_settings_that_are_not_right_are_refused_by_name_and_nothing_is_kept(hub, given, field):
    with pytest.raises(RuleBroken, match="The settings of Fake are not right") as refusal:
        add_connection(hub, connector="fake", name="books", settings={**given, "token": "s3cret!"})
    assert list(refusal.value.fields) == [field]
    assert "s3cret!" not in str(refusal.value)
    assert count(hub, Connection) == 0


def test_an_unknown_connector_is_refused_naming_those_there_are(hub):
    with pytest.raises(NotFound, match=r"no connector called “sage”.* There is: fake"):
        add_connection(hub, connector="sage", name="books", settings={})


@pytest.mark.parametrize("failure", [TemporaryFailure("Down."), ConfigurationFailure("Wrong token.")])
def test_a_connection_whose_test_fails_is_not_kept(hub, account, monkeypatch, failure):
    failing_check(monkeypatch, failure)
    with pytest.raises(type(failure)):
        add(hub, account)
    assert (count(hub, Connection), count(hub, Subscription)) == (0, 0)


def test_an_account_is_connected_once(hub, account):
    add(hub, account)
    with pytest.raises(RuleBroken, match="The fake firm is connected already, as “books”") as refusal:
        add(hub, account, name="again")
    assert refusal.value.code == "account-connected"
    assert count(hub, Connection) == 1


def test_a_name_is_given_once(hub, account, second):
    add(hub, account)
    with pytest.raises(RuleBroken) as refusal:
        add(hub, second)
    assert refusal.value.fields == {"name": "is taken"}


def test_credentials_of_another_account_are_refused(hub, account, second):
    books = add(hub, account).id
    change_settings(hub, books, {"account": second})
    with pytest.raises(RuleBroken, match="Add a new connection for it") as refusal:
        check_connection(hub, books)
    assert refusal.value.code == "other-account"
    with hub.read() as session:
        held = get_connection(session, books)
    assert (held.account_id, held.state) == (account, "needs_attention")  # nothing goes to the wrong account
    assert "Add a new connection for it" in held.reason

    change_settings(hub, books, {"account": account})
    check_connection(hub, books)
    with hub.read() as session:
        assert get_connection(session, books).state == "active"


def test_a_removed_connection_frees_its_account_and_its_name(hub, account):
    remove_connection(hub, add(hub, account).id)
    assert add(hub, account).account_id == account


def test_an_account_that_is_connected_again_gets_nothing_a_second_time(hub, account, remote, invoice_for):
    invoice = invoice_for("Acme Ltd")
    first = add(hub, account).id
    run_connection(hub, first)
    sent = list(remote.ledger)
    remove_connection(hub, first)
    hub.transact(lambda session: change_client(session, invoice.client_id, name="Acme Limited"))
    invoice_for("Umbrella")

    run = run_connection(hub, add(hub, account, name="the books").id)

    assert run.status == "success", run.headline
    assert remote.ledger[len(sent) :] == [  # what changed and what came since it was removed, and nothing else
        ("update", "clients", "c1"),
        ("create", "clients", "c2"),
        ("create", "invoices", "i2"),
    ]
    assert remote.records["clients"]["c1"]["name"] == "Acme Limited"


def test_what_is_announced_while_a_connection_is_tested_is_owed_once(hub, account, remote, invoice_for, monkeypatch):
    remove_connection(hub, add(hub, account).id)
    check, issued = Fake.check, []

    def check_while_an_invoice_is_issued(self):
        issued.append(invoice_for("Acme Ltd"))
        return check(self)

    with monkeypatch.context() as patch:
        patch.setattr(Fake, "check", check_while_an_invoice_is_issued)
        books = add(hub, account).id

    assert run_connection(hub, books).status == "success"
    assert [held["number"] for held in remote.records["invoices"].values()] == [issued[0].number]


def test_a_new_connection_rests_until_its_test_has_said_which_account_it_is(hub, account, monkeypatch):
    seen, check = [], Fake.check

    def check_looking(self):
        with hub.read() as session:
            seen.append(connection_named(session, "books").state)
        return check(self)

    monkeypatch.setattr(Fake, "check", check_looking)
    assert (add(hub, account).state, seen) == ("active", ["paused"])


def test_wrong_credentials_hold_a_connection_until_a_test_succeeds(hub, account, monkeypatch):
    books = add(hub, account, read_only=True).id
    with monkeypatch.context() as patch:
        failing_check(patch, ConfigurationFailure("The token is wrong."))
        with pytest.raises(ConfigurationFailure):
            check_connection(hub, books)
        with hub.read() as session:
            held = get_connection(session, books)
            assert (held.state, held.reason) == ("needs_attention", "The token is wrong.")
    check_connection(hub, books)
    with hub.read() as session:
        mended = get_connection(session, books)
        assert (mended.state, mended.reason) == ("read_only", "")  # as it was


@pytest.mark.parametrize(
    ("values", "state", "may_write"),
    [({}, "active", True), ({"read_only": True}, "read_only", False), ({"paused": True}, "paused", False)],
)
def test_a_connection_begins_as_asked_for(hub, account, values, state, may_write):
    added = add(hub, account, **values)
    assert (added.state, open_connection(hub, added.id).may_write) == (state, may_write)


def test_writing_can_be_allowed_later(hub, account):
    books = add(hub, account, read_only=True).id
    hub.transact(lambda session: set_state(session, books, ConnectionState.ACTIVE) and None)
    assert open_connection(hub, books).may_write


@pytest.mark.parametrize(
    ("values", "left"),
    [
        ({"token": "n3w"}, {}),  # other credentials: nothing of the old login is good
        ({"account": "elsewhere"}, {"refresh_token": "r1"}),  # the vendor may have rotated the one in the settings
        ({"token": "s3cret!"}, {"access_token": "a1", "refresh_token": "r1"}),  # as it was
    ],
    ids=["a secret", "where to sign in", "nothing"],
)
def test_a_change_of_settings_drops_the_tokens_that_belonged_to_the_old_ones(hub, account, values, left):
    books = add(hub, account).id
    Tokens(hub, books, {}).access_token(lambda known: {"access_token": "a1", "refresh_token": "r1"})
    change_settings(hub, books, values)
    with hub.read() as session:
        assert hub.cipher.decrypt(get_connection(session, books).tokens) == left


def test_settings_that_are_not_named_keep_their_value(hub, account):
    books = add(hub, account).id
    change_settings(hub, books, {"token": "n3w"})
    assert open_connection(hub, books).connector.context.settings == {"account": account, "token": "n3w"}


def test_a_wrong_change_changes_nothing(hub, account):
    books = add(hub, account).id
    with pytest.raises(RuleBroken):
        change_settings(hub, books, {"colour": "red"})
    assert open_connection(hub, books).connector.context.settings["token"] == "s3cret!"


def test_secrets_stand_in_no_row_audit_or_representation(hub, account, capsys, caplog):
    added = add(hub, account)
    change_settings(hub, added.id, {"token": "n3w-s3cret!"})
    opened = open_connection(hub, added.id)
    with hub.read() as session:
        at_rest = get_connection(session, added.id).settings
        audited = [row.changes for row in session.scalars(select(AuditEntry))]
    output = capsys.readouterr()
    for text in (at_rest, repr(audited), repr(added), repr(opened), output.out, output.err, caplog.text):
        assert "s3cret!" not in text
    assert any("settings" in changes for changes in audited)


def test_an_unknown_name_is_answered_with_those_there_are(hub, account):
    add(hub, account)
    with hub.read() as session, pytest.raises(NotFound, match="There is: books"):
        connection_named(session, "boks")
