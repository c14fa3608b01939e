"""`hub deadletter`: records that could not be delivered."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.bootstrap import Hub
from hub.cli.link import connection_names, link_values
from hub.cli.output import json_option, plural, print_fields, print_record, print_rows
from hub.cli.session import ACTOR, pass_hub
from hub.core.outbox import Link
from hub.sync.connections import connection_named
from hub.sync.models import Attempt
from hub.sync.repairs import get_link, ignore_link, parked_links, retry_all, retry_links


@click.group()
def deadletter() -> None:
    """Records that could not be delivered: why, and what to do."""


@deadletter.command("list")
@click.option("--connection", "name", help="Only of this connection.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1000, show_default=True)
@json_option
@pass_hub
def list_command(hub: Hub, name: str | None, limit: int, as_json: bool) -> None:
    """What waits for a person."""
    with hub.read() as session:
        connection_id = connection_named(session, name).id if name else None
        names = connection_names(session)
        rows = [link_values(link, names) for link in parked_links(session, connection_id, limit=limit)]
    columns = ("id", "connection", "kind", "label", "parked", "parked_field", "parked_remedy")
    print_rows(rows, columns, as_json=as_json, empty="Nothing waits for a person.")


@deadletter.command("show")
@click.argument("link_id", type=click.UUID, metavar="ID")
@json_option
@pass_hub
def show_command(hub: Hub, link_id: UUID, as_json: bool) -> None:
    """One of them, with every try to send it."""
    with hub.read() as session:
        link = get_link(session, link_id)
        names = connection_names(session)
        attempts = session.scalars(select(Attempt).where(Attempt.link_id == link_id).order_by(Attempt.id))
        values: dict[str, Any] = link_values(link, names)
        values["attempts"] = [{"op": one.op, "status": one.status, "reason": one.reason} for one in attempts]
    print_fields(values, as_json=as_json)


@deadletter.command("retry")
@click.argument("ids", nargs=-1, type=click.UUID, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="Everything that is parked.")
@click.option("--connection", "name", help="With --all: only of this connection.")
@json_option
@pass_hub
def retry_command(hub: Hub, ids: tuple[UUID, ...], everything: bool, name: str | None, as_json: bool) -> None:
    """Send them again, as the records are now."""
    if bool(ids) == everything:
        raise click.UsageError("Say which, by id, or --all.")

    def chosen(session: Session) -> int:
        return retry_links(session, [get_link(session, link_id).id for link_id in ids])

    transact = partial(hub.transact, actor=ACTOR)
    if everything:
        with hub.read() as session:
            which = [Link.connection_id == connection_named(session, name).id] if name else []
        count = retry_all(transact, *which)
    else:
        count = hub.transact(chosen, actor=ACTOR)
    print_record({"retried": count}, as_json=as_json, sentence=f"{plural(count, 'record')} will be sent again.")


@deadletter.command("ignore")
@click.argument("link_id", type=click.UUID, metavar="ID")
@click.option("--reason", required=True, help="Why it is not to be sent.")
@json_option
@pass_hub
def ignore_command(hub: Hub, link_id: UUID, reason: str, as_json: bool) -> None:
    """Decide that it is not to be sent. A retry brings it back."""

    def work(session: Session) -> dict[str, Any]:
        link = ignore_link(session, link_id, reason)
        return {"id": link.id, "label": link.label, "ignored": link.ignored}

    ignored = hub.transact(work, actor=ACTOR)
    print_record(ignored, as_json=as_json, sentence=f"“{ignored['label']}” will not be sent: {ignored['ignored']}")
