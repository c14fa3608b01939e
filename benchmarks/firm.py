"""A hub in a temporary folder, with a company, to measure on."""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.orm import Session

from benchmarks.figures import Figure
from hub.bootstrap import Hub, build_hub
from hub.config import load_settings
from hub.core.clients.service import create_client
from hub.core.companies.service import set_company
from hub.core.invoicing.drafts import billable_groups, draft_invoice
from hub.core.invoicing.service import draft_ids, issue_invoice
from hub.core.people.service import create_person
from hub.core.projects.service import create_project, create_task
from hub.core.rates.service import add_rate
from hub.core.timesheets.service import record_time, submit_and_approve
from hub.migrations import upgrade
from hub.services.queue_server import stop_queue_server

DAY = date(2026, 1, 5)


@contextmanager
def firm(*plugins: str) -> Iterator[Hub]:
    """A company that bills 80.00 GBP an hour, on SQLite and the embedded queue server."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as folder:
        hub = build_hub(load_settings({"data_dir": folder}, environ={}))
        upgrade(hub)
        for name in plugins:
            hub.plugins.enable(name, actor="bench")
        hub.transact(lambda session: set_company(session, name="Firm", country="GB", currency="GBP"))
        hub.transact(lambda session: add_rate(session, rate=Decimal(80), currency="GBP"))
        try:
            yield hub
        finally:
            hub.close()
            stop_queue_server(Path(folder))


def invoices(hub: Hub, count: int, *, clients: int) -> None:
    """So many issued invoices of one line each, spread over so many clients."""

    def work(session: Session) -> None:
        person = create_person(session, name="Ann")
        ids = [create_client(session, name=f"Client {number}").id for number in range(clients)]
        entries = []
        for number in range(count):
            project = create_project(session, client_id=ids[number % clients], name=f"Project {number}")
            task = create_task(session, project_id=project.id, name="Advice")
            entries.append(record_time(session, task_id=task.id, person_id=person.id, worked_on=DAY, seconds=3600).id)
        submit_and_approve(session, entries)
        for group in billable_groups(session, ["project"]):
            draft_invoice(session, group)
        for invoice_id in draft_ids(session):
            issue_invoice(session, invoice_id)

    hub.transact(work)


def report(measure: Callable[[bool], list[Figure]]) -> None:
    """Measure, and print the figures for the collecting process."""
    figures: list[dict[str, Any]] = [asdict(figure) for figure in measure("--full" in sys.argv)]
    print("\n" + json.dumps(figures))
