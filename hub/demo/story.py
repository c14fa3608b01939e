"""The story of the demo, step by step: each does what a person would, and checks that it came true."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import click
import requests
from click.testing import CliRunner
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub.bootstrap import Hub
from hub.core import clock
from hub.core.clients.models import Client, Contact
from hub.core.errors import HubError
from hub.core.invoicing.models import Invoice
from hub.core.outbox import Lineage, Link
from hub.core.payments.models import Payment
from hub.core.projects.models import Project
from hub.demo.firm import COMPANY, LOGINS, PARTNER, PASSWORD, RATE
from hub.demo.firm import deal as deal_to_register
from hub.demo.time_export import Work, billable_hours, german_work_of, work_of, write_english, write_german
from hub.sync.connections import connection_named

WAIT_S: Final = 120


class StepFailed(HubError):
    """A step of the story did not come true."""


@dataclass
class Story:
    """What the steps share: the commands, the hub to look into, the stand-ins, and the counts for programs."""

    hub: Hub
    data_dir: Path
    address: str
    flags: Sequence[str]
    vendors: Mapping[str, dict[str, Any]]
    broken: Callable[[], str] = lambda: ""
    counts: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    work: list[Work] = field(default_factory=list)
    deal_id: str = ""

    # What a person does -----------------------------------------------------------------------------------------------

    def command(self, *arguments: str, given: str = "", codes: Sequence[int] = (0,)) -> Any:
        """`hub ARGUMENTS --json`, and what it answers. Raises StepFailed with what it said."""
        from hub.cli import cli

        outside = {name: None for name in os.environ if name.startswith("HUB_")}
        result = CliRunner(env=outside).invoke(
            cli, [*self.flags, *arguments, "--json"], input=given, prog_name="hub", standalone_mode=False
        )
        if isinstance(result.exception, click.Abort):
            raise KeyboardInterrupt
        code = result.return_value or 0 if result.exception is None else 1
        if code not in codes:
            failure = result.exception
            said = failure.format_message() if isinstance(failure, click.ClickException) else result.stderr.strip()
            raise StepFailed(f"`hub {' '.join(arguments)}` ended with {code}: {said}") from failure
        return json.loads(result.stdout)

    def call(self, who: str, method: str, path: str, body: Any = None, *, match: int | None = None) -> Any:
        """A call of the hub's own API with the key of one of its users. Raises StepFailed."""
        headers = {"Authorization": f"Bearer {self.keys[who]}", "Idempotency-Key": f'"{uuid4()}"'}
        if match is not None:
            headers["If-Match"] = f'"{match}"'
        answer = requests.request(method, f"{self.address}/api/v1{path}", json=body, headers=headers, timeout=30)
        if not answer.ok:
            raise StepFailed(f"{method} {path} was answered with {answer.status_code}: {answer.text[:500]}")
        return answer.json() if answer.content else None

    def vendor(self, name: str, action: str, **arguments: Any) -> Any:
        """What a user of the vendor's system does."""
        answer = requests.post(f"{self.vendors[name]['url']}/_control/{action}", json=arguments, timeout=30)
        if not answer.ok:
            raise StepFailed(f"The stand-in of {name} refused {action}: {answer.text[:500]}")
        return answer.json()

    def vendor_state(self, name: str) -> Any:
        return requests.get(f"{self.vendors[name]['url']}/_control/state", timeout=30).json()

    # What came of it --------------------------------------------------------------------------------------------------

    def wait(self, what: str, reached: Callable[[Session], Any]) -> Any:
        """Look until the workers have brought something about. Raises StepFailed after two minutes."""
        until = time.monotonic() + WAIT_S
        while True:
            with self.hub.read() as session:
                answer = reached(session)
            if answer:
                return answer
            if broken := self.broken():
                raise StepFailed(f"The process {broken} ended; see its log in {self.data_dir / 'log'}.")
            if time.monotonic() > until:
                raise StepFailed(f"{what} did not come true within {WAIT_S} seconds.{self._parked()}")
            time.sleep(0.1)

    def expect(self, what: str, found: Any, expected: Any) -> None:
        if found != expected:
            raise StepFailed(f"{what}: {found} instead of {expected}.")

    def count(self, session: Session, model: type[Any], *where: Any) -> int:
        return session.scalar(select(func.count()).select_from(model).where(*where)) or 0

    def _parked(self) -> str:
        with self.hub.read() as session:
            link = session.scalar(select(Link).where(Link.parked.is_not(None)).limit(1))
        return f" {link.label}: {link.parked}" if link else ""


# The steps ------------------------------------------------------------------------------------------------------------


def set_up(story: Story) -> str:
    """The firm, its rate and its people; a key each for those who use the API below."""
    story.command("company", "set", "--name", COMPANY, "--country", "GB", "--currency", "GBP", "--tax-rate", "20")
    story.command("rate", "add", "--rate", str(RATE), "--currency", "GBP")
    for role, (email, name) in LOGINS.items():
        arguments = ("user", "add", "--email", email, "--name", name, "--role", role, "--password-stdin")
        story.command(*arguments, given=f"{PASSWORD}\n")
    story.command("plugin", "enable", "partner_portal")
    for role in ("admin", "partner"):
        made = story.command("key", "create", "--user", LOGINS[role][0], "--name", "demo")
        story.keys[role] = made["key"]
    return f"{COMPANY}, {len(LOGINS)} users"


def connect(story: Story) -> str:
    """Both systems, each tested before it is kept, and tested once more."""
    names = {"crm": "salesforce", "books": "quickbooks"}
    for name, connector in names.items():
        file = story.data_dir / f"{name}.json"
        file.write_text(json.dumps(story.vendors[connector]["settings"]), encoding="utf-8")
        file.chmod(0o600)
        story.command("connection", "add", connector, "--name", name, "--config", str(file))
        file.unlink()
        checked = story.command("connection", "check", name)
        story.expect(f"The test of {name}", checked["ok"], True)
    return "Salesforce as “crm”, QuickBooks as “books”; both tested"


def pull(story: Story) -> str:
    """Accounts, contacts and won opportunities come in by themselves."""
    rows = story.vendor_state("salesforce")["rows"]
    won = [row for row in rows["Opportunity"].values() if row.get("StageName") == "Closed Won"]
    expected = {"clients": len(rows["Account"]), "contacts": len(rows["Contact"]), "projects": len(won)}

    def found(session: Session) -> dict[str, int]:
        models = {"clients": Client, "contacts": Contact, "projects": Project}
        return {name: story.count(session, model) for name, model in models.items()}

    story.wait(f"{expected} from Salesforce", lambda session: found(session) == expected)
    story.counts.update(expected)
    return "{clients} clients, {contacts} contacts, {projects} projects".format(**expected)


def import_time(story: Story) -> str:
    """Two exports, one of them German; three rows cannot be right; a second import changes nothing."""
    with story.hub.read() as session:
        query = select(Client.name, Project.name).join(Project, Project.client_id == Client.id)
        projects = [(client, project) for client, project in session.execute(query.order_by(Project.name))]
    month = clock.now().date().replace(day=1) - timedelta(days=1)
    english, german = work_of(month, projects), german_work_of(month, projects)
    story.work = [*english, *german]
    files = [story.data_dir / "harvest.csv", story.data_dir / "harvest-deutsch.csv"]
    write_english(files[0], english)
    write_german(files[1], german)
    summaries = [_imported(story, file) for file in files]
    story.expect("Rejected rows", [item["rejected"] for item in summaries], [3, 0])
    story.expect("Imported rows", [item["created"] for item in summaries], [len(english), len(german)])
    again = [_imported(story, file) for file in files]
    story.expect("Rows that a second import created", [item["created"] for item in again], [0, 0])
    email, name = LOGINS["consultant"]
    story.command("user", "set", email, "--person", name)
    story.counts["time_rows"] = sum(item["created"] for item in summaries)
    story.counts["rejected_rows"] = summaries[0]["rejected"]
    hours = sum(Decimal(item["hours"]) for item in summaries)
    faults = Path(summaries[0]["faults_file"]).name
    return f"{story.counts['time_rows']} rows, {hours} hours; 3 faulty rows are in {faults}"


def bill(story: Story) -> str:
    """Approve, draft per project, issue: exact to the cent from the stopwatch on."""
    approved = story.command("time", "approve", "--all")["approved"]
    story.expect("Approved entries", approved, len(story.work))
    story.command("invoice", "draft", "--by", "project")
    issued = story.command("invoice", "issue", "--all")
    net = sum(Decimal(invoice["net"]) for invoice in issued["invoices"])
    story.expect("The net of all invoices", net, billable_hours(story.work) * RATE)
    story.counts["invoices"], story.counts["net"] = issued["issued"], str(net)
    return f"{issued['issued']} invoices, {net:,.2f} GBP net = {billable_hours(story.work)} hours x {RATE}"


def deliver(story: Story) -> str:
    """Customers, items and invoices arrive in QuickBooks through queued jobs."""
    with story.hub.read() as session:
        books = connection_named(session, "books").id

    def arrived(session: Session) -> bool:
        mine = (Link.connection_id == books, Link.kind == "invoices")
        done = story.count(session, Link, *mine, Link.remote_id.is_not(None), Link.wanted == Link.done)
        return bool(done == story.counts["invoices"])

    story.wait("All invoices in QuickBooks", arrived)
    there = (Link.connection_id == books, Link.remote_id.is_not(None))
    with story.hub.read() as session:
        found = {
            kind: story.count(session, Link, *there, Link.kind == kind) for kind in ("clients", "services", "invoices")
        }
    story.counts["in_quickbooks"] = found
    items = "item" if found["services"] == 1 else "items"
    return f"{found['clients']} customers, {found['services']} {items}, {found['invoices']} invoices"


def register_deal(story: Story) -> str:
    """A partner registers a deal by API; approved, it becomes an opportunity, is won, and comes back as a project."""
    story.command("partner", "family", "data", "--name", "Data platforms")
    story.command("partner", "add", PARTNER)
    story.command("partner", "user", PARTNER, LOGINS["partner"][0])
    deals = "/partner/deal-registrations"
    deal = story.call("partner", "POST", deals, deal_to_register(clock.now().date() + timedelta(days=60)))
    deal = story.call("partner", "POST", f"{deals}/{deal['id']}/submit", match=deal["revision"])
    story.expect("The deal", deal["state"], "submitted")
    review = f"/partner/review/{deal['id']}"
    deal = story.call("admin", "POST", f"{review}/approve", match=story.call("admin", "GET", review)["revision"])
    story.expect("The deal", deal["state"], "approved")
    deal_id = UUID(deal["id"])
    opportunity = story.wait("The opportunity in Salesforce", lambda session: _remote_id(session, "deals", deal_id))
    story.vendor("salesforce", "win_opportunity", id=opportunity)
    born = select(Lineage.record_id).where(
        Lineage.origin_kind == "deals", Lineage.origin_id == deal_id, Lineage.kind == "projects"
    )
    project_id = story.wait("The project of the won deal", lambda session: session.scalar(born))
    with story.hub.read() as session:
        project = session.get_one(Project, project_id)
    story.wait("The deal is won", lambda _: story.call("partner", "GET", f"{deals}/{deal['id']}")["state"] == "won")
    story.counts["deals_won"] = 1
    return f"{deal['number']} of {PARTNER} became the opportunity {opportunity} and the project “{project.name}”"


def receive_payment(story: Story) -> str:
    """A bookkeeper pays one invoice in QuickBooks."""
    number = "INV-00001"
    story.vendor("quickbooks", "pay_invoice", number=number)
    paid = select(Invoice).where(Invoice.number == number, Invoice.status == "paid")
    invoice = story.wait(f"The payment of {number}", lambda session: session.scalar(paid))
    with story.hub.read() as session:
        story.counts["payments"] = story.count(session, Payment)
    return f"{number} is paid: {invoice.paid:,.2f} {invoice.currency}"


def compare(story: Story) -> str:
    """Every invoice, tax and payment on both sides."""
    found = story.command("reconcile", "books", codes=(0, 1))
    story.counts["equal"] = found["equal"]
    different = [row for row in found["rows"] if row["verdict"] != "matched"]
    if not found["equal"] or different:
        raise StepFailed(f"Not equal: {json.dumps(different[:3])}")
    story.counts["compared"] = found["counts"]["matched"]
    return f"{found['counts']['matched']} documents on both sides, equal to the cent"


STEPS: Final[tuple[tuple[str, Callable[[Story], str]], ...]] = (
    ("Set up", set_up),
    ("Connect", connect),
    ("Pull", pull),
    ("Import time", import_time),
    ("Invoice", bill),
    ("Deliver", deliver),
    ("Partner deal", register_deal),
    ("Payment", receive_payment),
    ("Reconcile", compare),
)


def _imported(story: Story, file: Path) -> Any:
    return story.command("import", "time", str(file), "--create", "--faults", str(story.data_dir), codes=(0, 3))


def _remote_id(session: Session, kind: str, record_id: UUID) -> str | None:
    return session.scalar(select(Link.remote_id).where(Link.kind == kind, Link.record_id == record_id))
