from __future__ import annotations

import pytest

from tests.plugins.quickbooks.books import company
from tests.plugins.quickbooks.connection import Connection, a_client, a_service


@pytest.fixture
def connect():
    """Serve a company with some options, and connect to it; settings go by `settings=`."""
    servers = []

    def serve(*, settings=None, start_on=None, **options):
        servers.append(company(**options).serve())
        connection = Connection(servers[-1], start_on=start_on, **(settings or {}))
        connection.check()
        return connection

    yield serve
    for server in servers:
        server.stop()


@pytest.fixture
def us(connect):
    """A company in the United States that knows our service and our client."""
    return ready(connect(country="US"))


@pytest.fixture
def gb(connect):
    """A company in Great Britain that knows our service and our client."""
    return ready(connect(country="GB"))


def ready(connection, part=""):
    connection.push("services", a_service())
    connection.push("clients", a_client(), part=part)
    return connection
