"""`hub plan`: what a sync would do, and doing exactly that."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import click
from sqlalchemy import select

from hub.bootstrap import Hub
from hub.cli.lazy import PARTLY_FAILED
from hub.cli.output import amount_text, json_option, plural, print_json
from hub.cli.session import ACTOR, pass_hub
from hub.core import clock
from hub.core.money import money_text
from hub.sync.apply import apply_plan
from hub.sync.choose import can_be_applied
from hub.sync.connections import get_connection
from hub.sync.models import Plan, PlanItem, PlanState
from hub.sync.plan import blocks, load_plan
from hub.sync.plan_text import field_changes, new_labels

_WAYS = {"push": "to", "pull": "from"}
_SHOWN_AT_ONCE = 200


@click.group()
def plan() -> None:
    """What a sync would do: `hub sync NAME --dry-run` makes a plan."""


@plan.command("show")
@click.argument("plan_id", type=click.UUID, metavar="ID")
@json_option
@pass_hub
def show_command(hub: Hub, plan_id: UUID, as_json: bool) -> None:
    """Every change of a plan, field by field, with the counts and the money it comes to."""
    show_plan(hub, plan_id, as_json=as_json)


@plan.command("apply")
@click.argument("plan_id", type=click.UUID, metavar="ID")
@click.option("--only", multiple=True, metavar="LINK", help="Only this record: its label, its id, or the item's.")
@click.option("--go-live", is_flag=True, help="Let a connection that only reads write from now on.")
@click.option("--beyond-guards", is_flag=True, help="Also more updates or deletes than the guards allow.")
@json_option
@pass_hub
def apply_command(
    hub: Hub, plan_id: UUID, only: tuple[str, ...], go_live: bool, beyond_guards: bool, as_json: bool
) -> None:
    """Do what a plan shows, or a part of it. What changed on either side since is left out as stale: exit code 3."""
    applied = apply_plan(hub, plan_id, only=only, go_live=go_live, beyond_guards=beyond_guards, actor=ACTOR)
    if as_json:
        print_json({"run": applied.run.id, "status": applied.run.status, "outcomes": applied.outcomes})
    else:
        done = ", ".join(f"{number:,} {outcome}" for outcome, number in sorted(applied.outcomes.items()))
        click.echo(f"{applied.run.connection}: {applied.run.status}. {done}. {applied.run.headline}".rstrip())
    if not applied.ok:
        raise click.exceptions.Exit(PARTLY_FAILED)


def show_plan(hub: Hub, plan_id: UUID, *, as_json: bool) -> None:
    """Print a plan."""
    found, items = load_plan(hub, plan_id)
    with hub.read() as session:
        name = get_connection(session, found.connection_id).name
    if as_json:
        print_json(plan_values(found, items, name))
        return
    for block in blocks(items, _SHOWN_AT_ONCE):
        with hub.read() as session:
            new = new_labels(session, plan_id, block)
        for item in block:
            click.echo(_line(item, name))
            for field, before, after in field_changes(item, new):
                click.echo(f"    {field}: {_change(item, before, after)}")
    with hub.read() as session:
        left = session.scalar(select(PlanItem.id).where(*can_be_applied(plan_id)).limit(1)) is not None
    click.echo(_sentence(found, name, left=left))


def plan_values(found: Plan, items: Any, connection: str) -> dict[str, Any]:
    """A plan for programs."""
    names = "id direction kind action label record_id remote_id revision remote_version differences reason field status"
    return {
        "id": found.id,
        "connection": connection,
        "state": found.state,
        "reason": found.reason,
        "digest": found.digest,
        "counts": found.counts,
        "totals": {currency: money_text(Decimal(total), currency) for currency, total in found.totals.items()},
        "calls": found.calls,
        "expires_at": found.expires_at,
        "applied_at": found.applied_at,
        "items": [
            {name: getattr(item, name) for name in names.split()}
            | {"amount": item.amount, "currency": item.currency, "document_on": item.document_on, "note": item.note}
            for item in items
        ],
    }


def _line(item: PlanItem, connection: str) -> str:
    amount = f", {amount_text(item.amount, item.currency)}" if item.amount is not None and item.currency else ""
    reason = f": {item.reason}" if item.reason else ""
    status = f" [{item.status}]" if item.status != "planned" else ""
    way = _WAYS[item.direction]
    return f"{item.action} {item.kind} {way} {connection}: {item.label or item.remote_id}{amount}{reason}{status}"


def _change(item: PlanItem, before: str, after: str) -> str:
    """How one field changes."""
    if item.action == "conflict":
        return f"here {before or 'nothing'}, there {after or 'nothing'}"
    return f"{before} -> {after or 'nothing'}" if before else after


def _sentence(found: Plan, connection: str, *, left: bool) -> str:
    """What the plan comes to, and what can be done with it. left: whether there is anything to apply."""
    if found.state == PlanState.FAILED:
        return f"The plan could not be made: {found.reason}"
    if not found.digest:
        return "The plan is not complete. If nobody is at work on it any more, make a new one."
    ways = [
        f"{_WAYS[direction].capitalize()} {connection}: "
        + "; ".join(
            f"{kind.replace('_', ' ')}: " + ", ".join(f"{action} {number:,}" for action, number in actions.items())
            for kind, actions in kinds.items()
        )
        for direction, kinds in found.counts.items()
    ]
    if not ways:
        return f"Nothing would change: {connection} is in step."
    totals = ", ".join(amount_text(Decimal(total), currency) for currency, total in found.totals.items())
    money = f" Documents of {totals} would go out." if totals else ""
    return f"{'. '.join(ways)}.{money} About {plural(found.calls, 'call')}.\n{_what_next(found, left=left)}"


def _what_next(found: Plan, *, left: bool) -> str:
    if not left:
        applied = f" It was applied on {found.applied_at:%Y-%m-%d %H:%M} UTC." if found.applied_at else ""
        return f"Nothing of it is left to apply.{applied}"
    if found.expires_at <= clock.now():
        return f"It expired on {found.expires_at:%Y-%m-%d %H:%M} UTC. Make a new one."
    return f"Apply it until {found.expires_at:%Y-%m-%d %H:%M} UTC: hub plan apply {found.id}"
