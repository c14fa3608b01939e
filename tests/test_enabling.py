"""A plugin is switched on with its tables, or not at all."""

from __future__ import annotations

import pytest
from sqlalchemy import inspect

from hub import enabling, migrations
from hub.bootstrap import build_hub
from hub.plugin_host import PluginState


@pytest.fixture
def hub(settings):
    """A hub with the installed plugins, none enabled."""
    hub = build_hub(settings)
    yield hub
    hub.close()


def test_the_tables_are_there_when_it_is_enabled(hub):
    enabling.enable_with_tables(hub, "partner_portal", actor="user:ada")
    assert "partner_deal_registration" in inspect(hub.database.engine).get_table_names()


def test_without_its_tables_it_stays_disabled_and_says_why(hub, monkeypatch):
    def fail(hub):
        raise RuntimeError("no room")

    monkeypatch.setattr(migrations, "upgrade", fail)
    with pytest.raises(RuntimeError):
        enabling.enable_with_tables(hub, "partner_portal", actor="user:ada")
    with hub.read() as session:
        state = session.get_one(PluginState, "partner_portal")
    assert (state.enabled, state.status) == (False, "failed")
    assert "tables could not be made" in state.reason
