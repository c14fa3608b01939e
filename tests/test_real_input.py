"""The work records of a real services company, from the file to the books, by commands anyone can put in a script.

Every hour of the file is on exactly one invoice line or in the faults file, and what the books hold is what the
accepted rows come to, computed straight from the file with decimals.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import func, select

from hub.bootstrap import build_hub
from hub.core.invoicing.models import Invoice, InvoiceLine, LineEntry
from plugins.quickbooks.sandbox.server import QuickBooksSandbox

pytestmark = [pytest.mark.story, pytest.mark.slow]

RATE = Decimal("80.00")
MAPPING = (
    "client=ProjectCode project=ProjectBreakdownCode task=Summary person=DeveloperID start=StartedOn "
    "date=CompletedOn hours=DeveloperHoursActual external_id=TaskNumber+DeveloperID"
).split()


@pytest.fixture
def run(settings, tmp_path):
    """Runs a `hub` command in a process of its own and returns what it printed."""
    environ = {
        **os.environ,
        "HUB_DATA_DIR": str(settings.data_dir),
        "HUB_DATABASE_URL": settings.database_url,
        "HUB_REDIS_URL": str(settings.redis_url),
    }

    def command(*words, exits=0):
        done = subprocess.run(
            [sys.executable, "-m", "hub", *words], capture_output=True, text=True, env=environ, cwd=tmp_path
        )
        assert done.returncode == exits, f"{words}: {done.stdout[-500:]} {done.stderr[-2000:]}"
        return done.stdout

    return command


def hours_of(path, column):
    with path.open(encoding="utf-8-sig", newline="") as file:
        return sum((Decimal(row[column]) for row in csv.DictReader(file)), Decimal(0))


def test_every_hour_of_the_file_reaches_the_books_or_the_faults_file(run, settings, sip_tasks, tmp_path):
    run("company", "set", "--name", "SiP Ltd", "--country", "GB", "--currency", "GBP")
    run("rate", "add", "--rate", str(RATE), "--currency", "GBP")
    maps = [word for item in MAPPING for word in ("--map", item)]
    summary = json.loads(
        run("import", "time", str(sip_tasks), "--create", *maps, "--json", exits=3)
    )  # partly: the faults file
    again = json.loads(run("import", "time", str(sip_tasks), "--create", *maps, "--json", exits=3))
    run("time", "approve", "--all")
    run("invoice", "draft", "--by", "project,month")
    run("invoice", "issue", "--all")

    with QuickBooksSandbox(country="GB", currency="GBP").serve() as server:
        config = tmp_path / "books.json"
        config.write_text(json.dumps(server.settings))
        run("connection", "add", "quickbooks", "--name", "books", "--config", str(config))
        synced = json.loads(run("sync", "books", "--json"))
        reconciled = json.loads(run("reconcile", "books", "--json"))
        effects = server.sandbox.effects(operation="create", kind="Invoice")

    whole = hours_of(sip_tasks, "DeveloperHoursActual")
    rejected = hours_of(tmp_path / Path(summary["faults_file"]).name, "DeveloperHoursActual")
    accepted = whole - rejected
    assert (summary["rows"], whole) == (7488, Decimal("42608.80"))
    assert Decimal(summary["hours"]) == accepted
    assert Decimal(summary["rejected_hours"]) == rejected
    assert summary["created"] + summary["rejected"] == 7488
    assert (again["created"], again["unchanged"]) == (0, summary["created"])

    hub = build_hub(settings, plugins={})
    with hub.read() as session:
        billed = session.scalar(select(func.sum(InvoiceLine.quantity)))
        entries, distinct = session.execute(
            select(func.count(LineEntry.id), func.count(LineEntry.time_entry_id.distinct()))
        ).one()
        invoices = session.scalar(select(func.count(Invoice.id)))
        numbers = set(session.scalars(select(Invoice.number)))
    hub.close()
    assert billed == accepted
    assert entries == distinct == summary["entries"]
    assert numbers == {f"INV-{number:05d}" for number in range(1, invoices + 1)}

    assert synced["status"] == "success", synced
    assert len(effects) == invoices
    assert reconciled["equal"] is True
    total = next(item for item in reconciled["totals"] if item["kind"] == "invoices")
    assert Decimal(total["theirs"]) == accepted * RATE
