"""What the tests of pages share."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from sqlalchemy import event


@pytest.fixture
def count_queries(hub):
    """How many SELECTs are sent meanwhile: `with count_queries() as found: ...; found.count`."""

    @contextmanager
    def count_queries():
        found = SimpleNamespace(count=0)

        def note(connection, cursor, statement, *rest):
            found.count += statement.lstrip().upper().startswith("SELECT")

        event.listen(hub.database.engine, "before_cursor_execute", note)
        try:
            yield found
        finally:
            event.remove(hub.database.engine, "before_cursor_execute", note)

    return count_queries
