"""The schema's branches: the core's and the plugins', each going its own way."""

from uuid import uuid4

from alembic import command
from sqlalchemy import inspect, select, text

import plugins.partner_portal as partner_portal
from hub.bootstrap import build_hub
from hub.config import load_settings
from hub.core.clients.service import create_client
from hub.core.database import Base
from hub.core.outbox import Link
from hub.jobs.scheduler import sweep
from hub.migrations import check, config, upgrade
from hub.sync.models import Connection, Run


def test_a_new_database_is_as_the_program_says(make_hub):
    assert check(make_hub()) == []


def test_a_plugin_brings_its_tables(make_hub):
    assert check(make_hub({"partner_portal": partner_portal})) == []


def test_a_plugin_that_is_new_is_said_to_be_behind_and_is_brought_up(make_hub):
    make_hub()
    with_plugin = make_hub({"partner_portal": partner_portal})
    assert check(with_plugin) == ["The schema is behind for partner_portal. Run `hub db upgrade`."]
    upgrade(with_plugin)
    assert check(with_plugin) == []


def test_a_plugin_that_is_gone_keeps_its_tables_and_stops_nothing(make_hub):
    make_hub({"partner_portal": partner_portal})
    without = make_hub()
    upgrade(without)
    assert check(without) == []
    assert check(make_hub({"partner_portal": partner_portal})) == []


def tables(hub):
    return set(inspect(hub.database.engine).get_table_names())


def test_going_down_to_nothing_and_up_again_gives_the_same(make_hub):
    hub = make_hub()
    all_tables = tables(hub)
    command.downgrade(config(hub), "base")
    assert tables(hub) == {"alembic_version"}
    assert check(hub) == ["The schema is behind. Run `hub db upgrade`."]
    upgrade(hub)
    assert tables(hub) == all_tables
    assert check(hub) == []


def test_a_second_upgrade_touches_nothing(make_hub):
    hub = make_hub()
    hub.transact(lambda session: create_client(session, name="Acme") and None)
    before = tables(hub)
    upgrade(hub)
    assert tables(hub) == before
    with hub.read() as session:
        assert [client.name for client in session.query(hub.kinds["clients"].model)] == ["Acme"]


def test_a_database_without_tables_is_behind(tmp_path):
    url = f"sqlite:///{tmp_path / 'empty.sqlite3'}"
    hub = build_hub(load_settings({"data_dir": str(tmp_path), "database_url": url}, environ={}), plugins={})
    assert check(hub) == ["The schema is behind. Run `hub db upgrade`."]
    upgrade(hub)
    assert check(hub) == []
    hub.close()


def test_a_table_that_was_tampered_with_is_found(make_hub):
    hub = make_hub()
    with hub.database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE person ADD COLUMN nickname VARCHAR")
    assert check(hub) == ["The schema differs from the program: remove_column None."]


def test_every_table_of_the_core_is_named_by_the_conventions(make_hub):
    """Constraints without a name cannot be dropped by a later revision."""
    make_hub()
    unnamed = [
        f"{table.name}: {constraint}"
        for table in Base.metadata.tables.values()
        for constraint in table.constraints
        if constraint.name is None
    ]
    assert unnamed == []


def at(hub, revision):
    """Bring the core's tables back to a revision, and what is in them with it."""
    command.downgrade(config(hub), revision)


def test_a_hub_at_work_keeps_its_rows_and_closes_what_nobody_works_at(make_hub):
    """Nobody works while the schema changes: what is said to go on has ended, and the next sweep says so."""
    hub = make_hub()
    at(hub, "core_0003")
    with hub.database.engine.begin() as connection:
        for table, rows in rows_of_a_hub_at_work().items():
            for row in rows:
                names, places = ", ".join(row), ", ".join(f":{name}" for name in row)
                connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), row)

    upgrade(hub)

    sweep(hub)
    with hub.read() as session:
        assert [run.status for run in session.scalars(select(Run).order_by(Run.started_at))] == ["stale", "success"]
        link = session.scalars(select(Link)).one()
        assert (link.remote_id, link.full_read, link.shown_at) == ("c1", 0, None)
        known = {each.name: each.began_at is not None for each in session.scalars(select(Connection))}
        assert known == {"at work": True, "being set up": False}


def rows_of_a_hub_at_work():
    then = "2026-11-01 08:00:00.000000+00:00"
    connection = {
        "plugin": "fake", "connector": "fake", "settings": "", "writes": True, "reason": "", "account_name": "",
        "environment": "", "facts": "{}", "token_version": 0, "created_at": then,
    }  # fmt: skip
    run = {
        "connection_id": uuid4().hex, "connection_name": "at work", "direction": "pull", "kinds": "[]",
        "trigger": "schedule", "actor": "system", "headline": "", "records_read": 0, "created": 0, "updated": 0,
        "unchanged": 0, "deleted": 0, "rejected": 0, "deferred": 0, "conflicts": 0, "api_calls": 0,
    }  # fmt: skip
    return {
        "connection": [
            {**connection, "id": uuid4().hex, "name": "at work", "state": "active", "pulled_at": then},
            {**connection, "id": uuid4().hex, "name": "being set up", "state": "paused", "pulled_at": None},
        ],
        "run": [
            {**run, "id": uuid4().hex, "status": "running", "started_at": then},
            {**run, "id": uuid4().hex, "status": "success", "started_at": "2026-11-02 08:00:00.000000+00:00"},
        ],
        "link": [
            {"id": uuid4().hex, "connection_id": uuid4().hex, "kind": "clients", "part": "", "remote_id": "c1",
             "changed_at": then}
        ],
    }  # fmt: skip
