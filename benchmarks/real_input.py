"""The real work records of a services company, from the file to the books."""

from __future__ import annotations

import tempfile
from math import ceil
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from benchmarks.figures import Figure, peak_memory_mb, stopwatch
from benchmarks.firm import firm, report
from hub.core.clients.models import Client
from hub.core.invoicing.drafts import billable_groups, draft_invoice
from hub.core.invoicing.service import draft_ids, issue_invoice
from hub.core.timesheets.service import submit_and_approve, unapproved_ids
from hub.imports.layouts import parse_mapping
from hub.imports.time_import import import_time
from hub.sync.connections import add_connection
from hub.sync.cycle import run_connection
from hub.sync.reconcile import reconcile
from plugins.quickbooks.sandbox.server import QuickBooksSandbox

FILE = Path(__file__).resolve().parents[2] / "shared" / "data" / "sip" / "tasks.csv"
MAPPING = [
    "client=ProjectCode",
    "project=ProjectBreakdownCode",
    "task=Summary",
    "person=DeveloperID",
    "start=StartedOn",
    "date=CompletedOn",
    "hours=DeveloperHoursActual",
    "external_id=TaskNumber+DeveloperID",
]


def measure(full: bool) -> list[Figure]:
    """Import, approve, draft by project and month, issue, send, reconcile."""
    if not FILE.exists():
        return [Figure("real records (the folder ../shared/data/sip is not here)", 0, "records")]
    with (
        firm("quickbooks") as hub,
        QuickBooksSandbox(country="GB", currency="GBP").serve() as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        with stopwatch() as importing:
            summary = import_time(
                hub, FILE, mapping=parse_mapping(MAPPING), create=True, faults_folder=Path(folder), actor="bench"
            )
        with stopwatch() as approving:
            while ids := hub.transact(lambda session: unapproved_ids(session)):
                hub.transact(lambda session, ids=ids: submit_and_approve(session, ids))  # type: ignore[misc]
        with stopwatch() as billing:
            with hub.read() as session:
                groups = billable_groups(session, ["project", "month"])
            for group in groups:
                hub.transact(lambda session, group=group: draft_invoice(session, group))  # type: ignore[misc]
            hub.transact(_issue_all)
        books = add_connection(hub, connector="quickbooks", name="books", settings=server.settings)
        before = sum(server.sandbox.calls().values())
        with stopwatch() as sending:
            run_connection(hub, books.id)
        calls = sum(server.sandbox.calls().values()) - before
        with stopwatch() as comparing:
            equal = reconcile(hub, books.id).equal
        with hub.read() as session:
            clients = session.scalar(select(func.count(Client.id))) or 0
        least = ceil(len(groups) / 30) + ceil(clients / 30) + 1
        rows = summary.rows
        return [
            Figure("real: rows imported", rows / importing.seconds, "rows/s", "over 500"),
            Figure("real: entries approved", summary.entries / approving.seconds, "entries/s"),
            Figure("real: invoices drafted and issued", len(groups) / billing.seconds, "invoices/s"),
            Figure("real: invoices sent", len(groups) / sending.seconds, "invoices/s", "40 batches a minute allow 20"),
            Figure("real: calls for it", calls, "calls", f"least possible {least}", float(least)),
            Figure("real: reconciled, equal to the cent" if equal else "real: NOT EQUAL", comparing.seconds, "s"),
            Figure("real: peak memory", peak_memory_mb(), "MB", "under 500"),
        ]


def _issue_all(session: Session) -> None:
    for invoice_id in draft_ids(session):
        issue_invoice(session, invoice_id)


if __name__ == "__main__":
    report(measure)
