from __future__ import annotations

import pytest

from tests.plugins.quickbooks.books import Caller, company


@pytest.fixture
def open_books():
    """Serve a company with these options, and return a caller of it."""
    servers = []

    def serve(**options):
        servers.append(company(**options).serve())
        return Caller(servers[-1])

    yield serve
    for server in servers:
        server.stop()


@pytest.fixture
def us(open_books):
    return open_books(country="US")


@pytest.fixture
def gb(open_books):
    return open_books(country="GB")
