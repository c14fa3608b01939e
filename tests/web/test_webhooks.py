"""Messages of other systems: verified, stored, answered, and looked at later."""

from __future__ import annotations

import uuid
from types import SimpleNamespace

import pytest
from sqlalchemy import select

from hub.core.errors import WebhookRejected
from hub.sdk import hookimpl
from hub.sync.connections import add_connection, set_state
from hub.sync.connector import Hint
from hub.sync.models import Connection, ConnectionState, WebhookMessage
from hub.sync.models import Hint as StoredHint
from hub.web.app import create_app
from tests.sync.fake_remote import REMOTES, Fake, Remote


class Telling(Fake):
    """The fake remote, which also tells: a message is `signed:<kind>:<remote id>`."""

    def webhook(self, headers, body):
        signature, _, rest = body.decode().partition(":")
        if signature != "signed":
            raise WebhookRejected()
        kind, _, remote_id = rest.partition(":")
        return [Hint(kind, remote_id)]


def plugin_of(connector):
    @hookimpl
    def connectors():
        return [connector]

    return SimpleNamespace(connectors=connectors)


@pytest.fixture(params=[Telling])
def hub(make_hub, request):
    return make_hub({"fake": plugin_of(request.param)})


@pytest.fixture
def books(hub):
    account = f"account-{uuid.uuid4()}"
    REMOTES[account] = Remote()
    yield add_connection(hub, connector="fake", name="books", settings={"account": account}).id
    del REMOTES[account]


def tell(app, connection_id, body="signed:payments:P-1", **headers):
    return app.test_client().post(f"/webhooks/{connection_id}", data=body, headers=headers)


def left(hub):
    with hub.read() as session:
        hints = [(hint.kind, hint.remote_id) for hint in session.scalars(select(StoredHint))]
        return hints, len(session.scalars(select(WebhookMessage)).all())


def test_a_signed_message_is_stored_and_leaves_a_hint(app, hub, books):
    assert tell(app, books).status_code == 204
    assert left(hub) == ([("payments", "P-1")], 1)


def test_a_repeated_message_is_answered_and_stored_once(app, hub, books):
    assert [tell(app, books).status_code for _ in range(2)] == [204, 204]
    assert left(hub) == ([("payments", "P-1")], 1)


def test_a_message_that_is_not_theirs_is_refused_and_nothing_is_stored(app, hub, books):
    assert tell(app, books, "forged:payments:P-1").status_code == 401
    assert left(hub) == ([], 0)


def test_what_no_stream_of_the_connection_is_about_is_passed_over(app, hub, books):
    assert tell(app, books, "signed:weather:W-1").status_code == 204
    assert left(hub) == ([], 1)


def test_nobody_listens_at_an_address_of_no_connection(app, hub):
    assert tell(app, uuid.uuid4()).status_code == 404


@pytest.mark.parametrize("hub", [Fake], indirect=True)
def test_nobody_listens_for_a_connector_that_takes_no_messages(app, hub, books):
    assert tell(app, books).status_code == 404


def test_while_its_plugin_is_disabled_the_sender_is_asked_to_come_again(make_hub, hub, books):
    answer = tell(create_app(make_hub()), books)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "300")


def test_while_the_connection_is_paused_the_sender_is_asked_to_come_again(app, hub, books):
    hub.transact(lambda session: set_state(session, books, ConnectionState.PAUSED).id)
    assert tell(app, books).status_code == 503


def test_a_message_that_is_not_signed_is_remembered_until_one_is(hub, own_app, books):
    def unsigned():
        with hub.read() as session:
            return session.get_one(Connection, books).unsigned_at is not None

    assert not unsigned()
    tell(own_app, books, body="forged:payments:P-1")
    assert unsigned()
    tell(own_app, books)
    assert not unsigned()
