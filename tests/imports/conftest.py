"""A hub with a real database and nothing around it: imports need no web, no queue and no plugin."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from hub.core.companies.service import set_company
from hub.core.core_kinds import CORE_KINDS
from hub.core.database import Base, Circumstances, Database


class SmallHub:
    """What an import needs of a hub."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self._kinds = {kind.name: kind for kind in CORE_KINDS}

    @contextmanager
    def read(self):
        with self.database.read(Circumstances(kinds=self._kinds)) as session:
            yield session

    def transact(self, work, *, actor: str = "system"):
        return self.database.transact(work, Circumstances(actor, kinds=self._kinds))

    def all(self, query):
        with self.read() as session:
            return session.scalars(query).all()


@pytest.fixture
def hub(tmp_path):
    """A hub of one company and nothing else."""
    hub = SmallHub(f"sqlite:///{tmp_path / 'hub.db'}")
    Base.metadata.create_all(hub.database.engine)
    hub.transact(lambda session: set_company(session, name="Firm", country="GB", currency="GBP"))
    yield hub
    hub.database.close()
