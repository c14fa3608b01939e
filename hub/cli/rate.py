"""`hub rate`: rate cards."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.bootstrap import Hub
from hub.cli.lookup import id_of
from hub.cli.output import amount_text, json_option, print_record, print_rows
from hub.cli.session import ACTOR, pass_hub
from hub.cli.types import DAY, DECIMAL
from hub.core.clients.models import Client
from hub.core.companies.models import Company
from hub.core.people.models import Person
from hub.core.projects.models import Project, Task
from hub.core.rates.models import RateCard
from hub.core.rates.service import add_rate, end_rate, replace_rate


@click.group()
def rate() -> None:
    """What an hour costs the client."""


@rate.command("add")
@click.option("--rate", "amount", type=DECIMAL, required=True, help="Per hour: 80.00.")
@click.option("--currency", required=True, help="ISO 4217 code: GBP.")
@click.option("--company", help="Only for this company (name or id).")
@click.option("--client", help="Only for this client (name or id).")
@click.option("--project", help="Only for this project (name, code or id).")
@click.option("--task", help="Only for this task (id).")
@click.option("--person", help="Only for this person (name, number or id).")
@click.option("--from", "valid_from", type=DAY, help="The first day it applies.")
@click.option("--to", "valid_to", type=DAY, help="The last day it applies.")
@json_option
@pass_hub
def add_command(
    hub: Hub,
    amount: Decimal,
    currency: str,
    company: str | None,
    client: str | None,
    project: str | None,
    task: str | None,
    person: str | None,
    valid_from: date | None,
    valid_to: date | None,
    as_json: bool,
) -> None:
    """Add a rate. The most specific one that is valid on the day of the work applies."""

    def work(session: Session) -> dict[str, Any]:
        card = add_rate(
            session,
            rate=amount,
            currency=currency,
            company_id=id_of(session, Company, company, by=(Company.name,), what="company"),
            client_id=id_of(session, Client, client, by=(Client.name,), what="client"),
            project_id=id_of(session, Project, project, by=(Project.name, Project.code), what="project"),
            task_id=id_of(session, Task, task, by=(Task.name,), what="task"),
            person_id=id_of(session, Person, person, by=(Person.name, Person.external_id), what="person"),
            valid_from=valid_from,
            valid_to=valid_to,
        )
        session.flush()
        return card_values(card)

    card = hub.transact(work, actor=ACTOR)
    price = amount_text(card["rate"], card["currency"])
    print_record(card, as_json=as_json, sentence=f"{price} an hour from {card['valid_from']}.")


@rate.command("end")
@click.argument("rate_id", type=click.UUID)
@click.option("--to", "valid_to", type=DAY, required=True, help="The last day it applies.")
@json_option
@pass_hub
def end_command(hub: Hub, rate_id: UUID, valid_to: date, as_json: bool) -> None:
    """End a rate (its id is in `hub rate list`). What was priced before keeps its price."""
    card = hub.transact(lambda session: card_values(end_rate(session, rate_id, valid_to=valid_to)), actor=ACTOR)
    price = amount_text(card["rate"], card["currency"])
    print_record(card, as_json=as_json, sentence=f"{price} an hour from {card['valid_from']} to {card['valid_to']}.")


@rate.command("replace")
@click.argument("rate_id", type=click.UUID)
@click.option("--rate", "amount", type=DECIMAL, required=True, help="Per hour: 85.00.")
@click.option("--from", "valid_from", type=DAY, required=True, help="The first day of the new rate.")
@json_option
@pass_hub
def replace_command(hub: Hub, rate_id: UUID, amount: Decimal, valid_from: date, as_json: bool) -> None:
    """Another rate for the same work from a day on; the old one ends the day before."""

    def work(session: Session) -> dict[str, Any]:
        card = replace_rate(session, rate_id, rate=amount, valid_from=valid_from)
        session.flush()
        return card_values(card)

    card = hub.transact(work, actor=ACTOR)
    price = amount_text(card["rate"], card["currency"])
    print_record(card, as_json=as_json, sentence=f"{price} an hour from {card['valid_from']}.")


@rate.command("list")
@json_option
@pass_hub
def list_command(hub: Hub, as_json: bool) -> None:
    """The rates there are."""
    with hub.read() as session:
        cards = [card_values(card) for card in session.scalars(select(RateCard).order_by(RateCard.id))]
    columns = ("id", "rate", "currency", "client_id", "project_id", "task_id", "person_id", "valid_from", "valid_to")
    print_rows(cards, columns, as_json=as_json, empty="There are no rates yet. Add one with `hub rate add`.")


def card_values(card: RateCard) -> dict[str, Any]:
    """A rate card as it is shown."""
    names = ("id", "rate", "currency", "company_id", "client_id", "project_id", "task_id", "person_id")
    return {name: getattr(card, name) for name in (*names, "valid_from", "valid_to")}
