"""A hub of one company."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from hub.core.companies.service import set_company


@pytest.fixture
def hub(make_hub):
    """A whole hub, with one company and nothing else in it."""
    hub = make_hub()
    hub.transact(lambda session: set_company(session, name="Firm", country="GB", currency="GBP"))
    return hub


@pytest.fixture
def rows(hub):
    """What a query finds: `rows(select(Client))`."""

    def rows(query):
        with hub.read() as session:
            return session.scalars(query).all()

    return rows


@pytest.fixture
def count(rows):
    """How many rows a table has: `count(Client)`."""
    return lambda table: rows(select(func.count()).select_from(table))[0]
