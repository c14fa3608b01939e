"""`hub invoice`: from approved time to issued invoices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.bootstrap import Hub
from hub.cli.lookup import as_id, one_of
from hub.cli.output import amount_text, end_partly, json_option, plural, print_json, print_rows, progress
from hub.cli.session import ACTOR, pass_hub
from hub.cli.types import DAY
from hub.core.database import MAX_ROWS_PER_TRANSACTION
from hub.core.errors import NotFound, RuleBroken
from hub.core.invoicing.drafts import Group, billable_groups, draft_invoice
from hub.core.invoicing.models import Invoice
from hub.core.invoicing.service import delete_draft, draft_ids, issue_invoice
from hub.core.money import ZERO, money_text
from hub.core.records import InvoiceRecord

COLUMNS = ("number", "status", "dated_on", "client_name", "currency", "net", "tax", "total", "paid")


@click.group()
def invoice() -> None:
    """Draft, issue and list invoices."""


@invoice.command("draft")
@click.option(
    "--by", default="client", metavar="client|project|month,...", help="One draft per these, comma-separated."
)
@click.option(
    "--date", "dated_on", type=DAY, help="The invoices' date; unless given, the last day of the month billed."
)
@click.option("--until", type=DAY, help="Bill work up to this day.")
@json_option
@pass_hub
def draft_command(hub: Hub, by: str, dated_on: date | None, until: date | None, as_json: bool) -> None:
    """Draft invoices of all approved, billable time that is on no invoice yet.

    A group of work without a rate is left out and named; the others are drafted.
    """
    wanted = [name.strip() for name in by.split(",") if name.strip()]
    with hub.read() as session:
        groups = billable_groups(session, wanted, until=until)
    drafts: list[InvoiceRecord] = []
    refused: list[str] = []
    for group in groups:

        def work(session: Session, group: Group = group) -> InvoiceRecord | None:
            draft = draft_invoice(session, group, dated_on=dated_on, until=until)
            return draft.to_record() if draft else None

        try:
            draft = hub.transact(work, actor=ACTOR)
        except RuleBroken as failure:
            refused.append(str(failure))
        else:
            drafts.extend([draft] if draft else [])
    _report("drafted", drafts, refused, as_json=as_json)


@invoice.command("issue")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="All drafts, in the order of their dates.")
@click.option("--date", "on", type=DAY, help="Another date than the draft's.")
@json_option
@pass_hub
def issue_command(hub: Hub, ids: tuple[str, ...], everything: bool, on: date | None, as_json: bool) -> None:
    """Number and freeze drafts; connected systems are told. What is refused stays a draft and is named."""
    if bool(ids) == everything:
        raise click.UsageError("Say which drafts to issue, by id, or --all.")
    with hub.read() as session:
        chosen = draft_ids(session) if everything else [_invoice(session, text).id for text in ids]
        names = _names(session, chosen)
    issued: list[InvoiceRecord] = []
    refused: list[str] = []
    for invoice_id in chosen:

        def work(session: Session, invoice_id: UUID = invoice_id) -> InvoiceRecord:
            return issue_invoice(session, invoice_id, on=on).to_record()

        try:
            issued.append(hub.transact(work, actor=ACTOR))
        except (RuleBroken, NotFound) as failure:
            refused.append(f"{names.get(invoice_id, invoice_id)}: {failure}")
        if len(issued) and len(issued) % 500 == 0:
            progress(f"{len(issued):,} issued so far ...")
    _report("issued", issued, refused, as_json=as_json)


@invoice.command("list")
@click.option("--status", type=click.Choice(["draft", "issued", "paid"]), help="Only these.")
@json_option
@pass_hub
def list_command(hub: Hub, status: str | None, as_json: bool) -> None:
    """The invoices there are, by date."""
    query = select(Invoice).order_by(Invoice.dated_on, Invoice.number, Invoice.id)
    with hub.read() as session:
        rows = session.scalars(query.where(Invoice.status == status) if status else query)
        records = [_brief(row.to_record()) for row in rows]
    print_rows(records, COLUMNS, as_json=as_json, empty="There are no invoices.")


@invoice.command("show")
@click.argument("number")
@json_option
@pass_hub
def show_command(hub: Hub, number: str, as_json: bool) -> None:
    """One invoice with its lines, by NUMBER or id."""
    with hub.read() as session:
        record = _invoice(session, number).to_record()
    if as_json:
        print_json(record)
        return
    total = amount_text(record.total, record.currency)
    click.echo(f"{record.number or 'Draft'} for {record.client_name}, {record.dated_on}, {record.status}: {total}")
    columns = ("position", "description", "quantity", "rate", "net", "tax_rate")
    print_rows(record.lines, columns, as_json=False, empty="It has no lines.")


@invoice.command("delete")
@click.argument("draft_id", type=click.UUID)
@json_option
@pass_hub
def delete_command(hub: Hub, draft_id: UUID, as_json: bool) -> None:
    """Throw a draft away; its time can be billed again."""
    hub.transact(lambda session: delete_draft(session, draft_id), actor=ACTOR)
    if as_json:
        print_json({"deleted": draft_id})
    else:
        click.echo("The draft is gone; its time can be billed again.")


def _invoice(session: Session, text: str) -> Invoice:
    return one_of(session, Invoice, text, by=(Invoice.number,), what="invoice" if as_id(text) else "issued invoice")


def _names(session: Session, ids: Sequence[UUID]) -> dict[UUID, str]:
    """What a person calls each of these invoices."""
    found: dict[UUID, str] = {}
    for start in range(0, len(ids), MAX_ROWS_PER_TRANSACTION):
        query = select(Invoice.id, Invoice.number, Invoice.client_name, Invoice.dated_on)
        for row in session.execute(query.where(Invoice.id.in_(ids[start : start + MAX_ROWS_PER_TRANSACTION]))):
            found[row.id] = row.number or f"the draft of {row.dated_on} for {row.client_name} ({row.id})"
    return found


def _report(verb: str, done: Sequence[InvoiceRecord], refused: Sequence[str], *, as_json: bool) -> None:
    """What was done and what was not; ends the command with 3, or 1 if nothing was."""
    sums: dict[str, Decimal] = {}
    for record in done:
        sums[record.currency] = sums.get(record.currency, ZERO) + record.total
    if as_json:
        totals = {currency: money_text(total, currency) for currency, total in sums.items()}
        print_json({verb: len(done), "refused": refused, "totals": totals, "invoices": [_brief(item) for item in done]})
    else:
        amounts = ", ".join(amount_text(total, currency) for currency, total in sorted(sums.items()))
        click.echo(f"{plural(len(done), 'invoice')} {verb}{': ' + amounts if amounts else ''}.")
    end_partly(len(done), refused, as_json=as_json)


def _brief(record: InvoiceRecord) -> dict[str, Any]:
    """An invoice without its lines; amounts with all decimals of the currency."""
    names = ("id", "number", "status", "dated_on", "due_on", "client_name", "currency")
    amounts = {name: money_text(getattr(record, name), record.currency) for name in ("net", "tax", "total", "paid")}
    return {name: getattr(record, name) for name in names} | amounts
