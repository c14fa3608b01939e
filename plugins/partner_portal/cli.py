"""`hub partner ...`: the programme, its partners, their people, and the product families."""

from __future__ import annotations

from typing import Any

import click
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub.sdk import RuleBroken
from hub.sdk.cli import ACTOR, create_user, find_user, json_option, pass_hub, print_fields, print_record, print_rows
from plugins.partner_portal import partners
from plugins.partner_portal.models import Deal, Membership, Partner


@click.group("partner")
def partner() -> None:
    """Partners who register deals, and what they can register."""


@partner.command("add")
@click.argument("name")
@json_option
@pass_hub
def add(hub: Any, name: str, as_json: bool) -> None:
    """Add a partner called NAME."""
    added = hub.transact(lambda session: _partner_row(session, partners.add_partner(session, name)), actor=ACTOR)
    print_record(added, as_json=as_json, sentence=f"{added['name']} is a partner.")


@partner.command("list")
@json_option
@pass_hub
def list_(hub: Any, as_json: bool) -> None:
    """The partners, with their people and deals."""
    with hub.read() as session:
        rows = [_partner_row(session, each) for each in partners.partners(session)]
    print_rows(
        rows,
        ["name", "active", "people", "deals"],
        as_json=as_json,
        empty="There are no partners yet. Add one with `hub partner add NAME`.",
    )


@partner.command("user")
@click.argument("name", metavar="PARTNER")
@click.argument("email")
@click.option("--name", "person", metavar="NAME", help="Create the user, if there is none with this address.")
@json_option
@pass_hub
def user(hub: Any, name: str, email: str, person: str | None, as_json: bool) -> None:
    """Let the user with EMAIL work for PARTNER."""
    joined = hub.transact(lambda session: _join(session, name, email, person), actor=ACTOR)
    print_record(joined, as_json=as_json, sentence=f"{joined['email']} works for {joined['partner']}.")


@partner.command("activate")
@click.argument("name")
@json_option
@pass_hub
def activate(hub: Any, name: str, as_json: bool) -> None:
    """Let the partner called NAME register deals again."""
    _set_active(hub, name, as_json, active=True)


@partner.command("deactivate")
@click.argument("name")
@json_option
@pass_hub
def deactivate(hub: Any, name: str, as_json: bool) -> None:
    """Keep the partner called NAME from registering deals; what it has stays."""
    _set_active(hub, name, as_json, active=False)


@partner.command("family")
@click.argument("code")
@click.option("--name", default="", help="What partners read; the code unless given.")
@click.option("--retired", is_flag=True, help="No new deals can name it.")
@json_option
@pass_hub
def family(hub: Any, code: str, name: str, retired: bool, as_json: bool) -> None:
    """Add the product family called CODE, or change it."""

    def work(session: Session) -> dict[str, Any]:
        row = partners.set_family(session, code, name, active=not retired)
        return {"code": row.code, "name": row.name, "active": row.active}

    saved = hub.transact(work, actor=ACTOR)
    can = "can be registered" if saved["active"] else "is retired"
    print_record(saved, as_json=as_json, sentence=f"{saved['name']} ({saved['code']}) {can}.")


@partner.command("families")
@json_option
@pass_hub
def families(hub: Any, as_json: bool) -> None:
    """The product families that deals can name."""
    with hub.read() as session:
        rows = [{"code": row.code, "name": row.name} for row in partners.families(session)]
    empty = "There are no product families yet. Add one with `hub partner family CODE --name NAME`."
    print_rows(rows, ["code", "name"], as_json=as_json, empty=empty)


@partner.command("programme")
@click.option("--time-zone", metavar="ZONE", help="Where its days begin and end, such as Europe/Berlin.")
@click.option("--protection-days", type=int, metavar="DAYS", help="How long an approved deal is protected.")
@json_option
@pass_hub
def programme(hub: Any, time_zone: str | None, protection_days: int | None, as_json: bool) -> None:
    """Show the programme's rules, or change them."""

    def work(session: Session) -> dict[str, Any]:
        row = partners.set_programme(session, time_zone=time_zone, protection_days=protection_days)
        return {"time_zone": row.time_zone, "protection_days": row.protection_days}

    print_fields(hub.transact(work, actor=ACTOR), as_json=as_json)


def _partner_row(session: Session, row: Partner) -> dict[str, Any]:
    def count(table: type[Any]) -> int:
        return session.scalar(select(func.count(table.id)).where(table.partner_id == row.id)) or 0

    return {
        "id": str(row.id),
        "name": row.name,
        "active": row.active,
        "people": count(Membership),
        "deals": count(Deal),
    }


def _join(session: Session, name: str, email: str, person: str | None) -> dict[str, str]:
    row = partners.get_partner(session, name)
    found = find_user(session, email)
    if found is None and person is None:
        raise RuleBroken(
            f"There is no user with the address {email}. Say --name to create one, or use `hub user add`.",
            fields={"email": "Nobody has this address."},
        )
    if found is None:
        found = create_user(session, email=email, name=str(person), role="partner")
    if found.role != "partner":
        raise RuleBroken(
            f"{found.email} has the role {found.role}; only users with the role partner work for a partner.",
            fields={"email": "This user works for the firm."},
        )
    partners.join_partner(session, row, found.id)
    return {"partner": row.name, "email": found.email, "user_id": str(found.id)}


def _set_active(hub: Any, name: str, as_json: bool, *, active: bool) -> None:
    def work(session: Session) -> dict[str, Any]:
        row = partners.get_partner(session, name)
        partners.set_partner_active(session, row, active=active)
        return _partner_row(session, row)

    saved = hub.transact(work, actor=ACTOR)
    can = "can register deals" if active else "can no longer register deals"
    print_record(saved, as_json=as_json, sentence=f"{saved['name']} {can}.")
