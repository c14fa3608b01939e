"""The chapter on sync, and its one diagram, name every table of the engine and every state a row of it can be in."""

from __future__ import annotations

import re

import pytest

import hub.core.outbox
import hub.sync.models
from hub.core.database import Base
from hub.sync.connector import Status
from hub.sync.models import ConnectionState, PlanState, RunStatus
from tests.docs.test_reference import ROOT

PAGE = (ROOT / "docs" / "explanation" / "how_sync_works.md").read_text(encoding="utf-8")
DIAGRAM = re.search(r"^```mermaid\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[1]
OWN = (hub.core.outbox.__name__, hub.sync.models.__name__)
TABLES = sorted(
    (mapper.local_table for mapper in Base.registry.mappers if mapper.class_.__module__ in OWN),
    key=lambda table: table.name,
)

WHAT_IT_IS = {
    *("id", "name", "kind", "kinds", "label", "part", "position", "connection_id", "connection_name", "record_id"),
    *(
        "account_id",
        "account_name",
        "environment",
        "plugin",
        "connector",
        "settings",
        "external_id",
        "actor",
        "trigger",
    ),
    *("batch_id", "link_id", "run_id", "plan_id", "ref", "op", "body", "mapped", "direction", "action", "differences"),
    *("origin_kind", "origin_id", "subscriber", "event_sequence", "sequence", "payload", "candidates", "field"),
    *("remedy", "anew", "counts", "totals", "calls", "api_calls", "needs", "amount", "currency", "document_on"),
    *("account", "limit_class", "day_on"),
    *("created_at", "changed_at", "happened_at", "recorded_at", "received_at", "started_at"),
}
"""Columns that say what a row is about. Every other one says how it stands."""


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_diagram_has_a_table_and_the_chapter_explains_how_its_rows_stand(table):
    assert f"<b>{table.name}</b>" in DIAGRAM
    explained = set(re.findall(r"`(\w+)`", PAGE))
    assert {column.name for column in table.columns} - WHAT_IT_IS - explained == set()


@pytest.mark.parametrize("states", [ConnectionState, RunStatus, PlanState, Status], ids=lambda states: states.__name__)
def test_every_state_that_has_a_name_is_explained(states):
    assert {f"`{state}`" for state in states} - set(re.findall(r"`\w+`", PAGE)) == set()


def test_what_is_not_explained_is_a_column_of_some_table():
    """So that the list does not outlive what it names."""
    assert {column.name for table in TABLES for column in table.columns} >= WHAT_IT_IS
