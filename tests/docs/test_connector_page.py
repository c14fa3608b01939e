"""The connector of the page does what the page says, in a whole hub."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest
import responses

from hub.core.clients.service import change_client, create_client
from hub.core.outbox import Link
from hub.sync.connections import add_connection
from hub.sync.cycle import run_connection

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how_to" / "write_a_connector.md"
BOOK = "https://book.example"


@pytest.fixture
def address_book(tmp_path):
    """The module that the page shows."""
    text = PAGE.read_text(encoding="utf-8")
    name, code = re.search(r"^<!-- file: (\S+) -->\n```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE).groups()
    (tmp_path / name).write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("hub_address_book", tmp_path / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def hub(make_hub, address_book):
    return make_hub({"address_book": address_book})


@pytest.fixture
def book():
    """The address book's API; what it was sent is in `calls`."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.get(f"{BOOK}/me", json={"id": "7", "name": "Our book"})
        mock.post(f"{BOOK}/entries", json={"id": "e-1"})
        mock.patch(f"{BOOK}/entries/e-1", json={"id": "e-1"})
        yield mock


def connect(hub):
    return add_connection(hub, connector="address_book", name="book", settings={"url": BOOK, "token": "t"})


def sent(book):
    return [(call.request.method, json.loads(call.request.body)) for call in book.calls if call.request.method != "GET"]


def test_a_client_is_created_once_and_then_only_what_changed_is_sent(hub, book):
    client_id = hub.transact(lambda session: create_client(session, name="Acme", email="a@acme.example").id)
    connection = connect(hub)

    first = run_connection(hub, connection.id)
    again = run_connection(hub, connection.id)
    hub.transact(lambda session: change_client(session, client_id, email="b@acme.example"))
    changed = run_connection(hub, connection.id)

    assert (first.counts["created"], again.counts["read"], changed.counts["updated"]) == (1, 0, 1)
    assert sent(book) == [
        ("POST", {"title": "Acme", "mail": "a@acme.example"}),
        ("PATCH", {"mail": "b@acme.example"}),
    ]


def test_a_client_without_an_address_is_parked_with_the_field(hub, book):
    hub.transact(lambda session: create_client(session, name="Acme"))

    run_connection(hub, connect(hub).id)

    with hub.read() as session:
        link = session.query(Link).one()
        assert (link.parked, link.parked_field) == ("The client Acme has no e-mail address.", "email")
    assert sent(book) == []
