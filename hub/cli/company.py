"""`hub company`: the firm's own legal entities."""

from __future__ import annotations

from decimal import Decimal

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.bootstrap import Hub
from hub.cli.output import json_option, print_record, print_rows
from hub.cli.session import ACTOR, pass_hub
from hub.cli.types import DECIMAL
from hub.core.companies.models import Company
from hub.core.companies.service import set_company
from hub.core.records import CompanyRecord


@click.group()
def company() -> None:
    """Your own companies (legal entities)."""


@company.command("set")
@click.option("--name", required=True, help="The company's name; a new one is created.")
@click.option("--country", help="ISO 3166 code: GB. Needed for a new company.")
@click.option("--currency", help="ISO 4217 code: GBP. Needed for a new company.")
@click.option("--time-zone", help="IANA name: Europe/London.")
@click.option("--tax-rate", type=DECIMAL, help="Per cent on a line, unless its service or client says otherwise.")
@click.option("--payment-days", type=click.IntRange(0, 365), help="Days from an invoice's date until it is due.")
@json_option
@pass_hub
def set_command(
    hub: Hub,
    name: str,
    country: str | None,
    currency: str | None,
    time_zone: str | None,
    tax_rate: Decimal | None,
    payment_days: int | None,
    as_json: bool,
) -> None:
    """Create a company, or change what is given of it."""

    def work(session: Session) -> CompanyRecord:
        changed = set_company(
            session,
            name=name,
            country=country,
            currency=currency,
            time_zone=time_zone,
            tax_rate=tax_rate,
            payment_days=payment_days,
        )
        session.flush()
        return changed.to_record()

    record = hub.transact(work, actor=ACTOR)
    sentence = f"{record.name}: {record.country}, {record.currency}, {record.time_zone}."
    print_record(record, as_json=as_json, sentence=sentence)


@company.command("list")
@json_option
@pass_hub
def list_command(hub: Hub, as_json: bool) -> None:
    """The companies there are."""
    with hub.read() as session:
        records = [row.to_record() for row in session.scalars(select(Company).order_by(Company.name))]
    columns = ("name", "country", "currency", "time_zone", "tax_rate", "payment_days")
    print_rows(records, columns, as_json=as_json, empty="There is no company yet. Set one up with `hub company set`.")
