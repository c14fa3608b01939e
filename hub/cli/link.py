"""`hub link`: what records are called in other systems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import click
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from hub.bootstrap import Hub
from hub.cli.lookup import as_id
from hub.cli.output import json_option, print_record, print_rows
from hub.cli.session import ACTOR, pass_hub
from hub.core.outbox import Link
from hub.sync.models import Connection
from hub.sync.repairs import relink, settle_conflict, unlink


@click.group()
def link() -> None:
    """What records are called in other systems."""


@link.command("show")
@click.argument("text", metavar="ID|LABEL")
@json_option
@pass_hub
def show_command(hub: Hub, text: str, as_json: bool) -> None:
    """The links of a record, by its id, its number or name, its id over there, or the link's own id."""
    record_id = as_id(text)
    starts = Link.label.startswith(f"{text} ", autoescape=True)  # a document's label is its number and the client
    wanted = [Link.label == text, starts, Link.remote_id == text]
    if record_id is not None:
        wanted = [Link.record_id == record_id, Link.id == record_id]
    with hub.read() as session:
        names = connection_names(session)
        rows = [link_values(one, names) for one in session.scalars(select(Link).where(or_(*wanted)).order_by(Link.id))]
    columns = ("id", "connection", "kind", "label", "remote_id", "owed", "waiting", "parked")
    print_rows(rows, columns, as_json=as_json, empty=f"Nothing is linked as “{text}”.")


@link.command("unlink")
@click.argument("link_id", type=click.UUID, metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_hub
def unlink_command(hub: Hub, link_id: UUID, yes: bool, as_json: bool) -> None:
    """Forget which record over there is meant; the next send looks for it, or creates it."""
    if not yes:
        click.confirm("Forget what it is called there? The next send may create it anew.", abort=True, err=True)
    hub.transact(lambda session: unlink(session, link_id), actor=ACTOR)
    print_record({"unlinked": link_id}, as_json=as_json, sentence="It is linked to nothing any more.")


@link.command("relink")
@click.argument("link_id", type=click.UUID, metavar="ID")
@click.argument("remote_id")
@json_option
@pass_hub
def relink_command(hub: Hub, link_id: UUID, remote_id: str, as_json: bool) -> None:
    """Say which record over there is meant."""

    def work(session: Session) -> dict[str, Any]:
        changed = relink(session, link_id, remote_id)
        return {"id": changed.id, "label": changed.label, "remote_id": changed.remote_id}

    changed = hub.transact(work, actor=ACTOR)
    print_record(changed, as_json=as_json, sentence=f"“{changed['label']}” is {remote_id} there.")


@link.command("settle")
@click.argument("link_id", type=click.UUID, metavar="ID")
@click.option("--keep", required=True, type=click.Choice(["hub", "remote"]), help="Whose values hold.")
@json_option
@pass_hub
def settle_command(hub: Hub, link_id: UUID, keep: str, as_json: bool) -> None:
    """Decide on fields that both sides changed: keep what the hub says, or take what the other system says."""

    def work(session: Session) -> dict[str, Any]:
        settled = settle_conflict(session, link_id, keep)
        return {"id": settled.id, "label": settled.label, "kept": keep}

    whose = "what the hub says" if keep == "hub" else "what the other system says"
    settled = hub.transact(work, actor=ACTOR)
    print_record(settled, as_json=as_json, sentence=f"“{settled['label']}”: {whose} holds.")


def connection_names(session: Session) -> dict[UUID, str]:
    """The names of all connections by id."""
    return {row.id: row.name for row in session.execute(select(Connection.id, Connection.name))}


def link_values(one: Link, connections: Mapping[UUID, str]) -> dict[str, Any]:
    """A link as it is shown. owed: something is to be sent; waiting: for another record."""
    names = "id kind label record_id part remote_id remote_version revision parked parked_field parked_remedy ignored"
    return {
        "connection": connections.get(one.connection_id, str(one.connection_id)),
        **{name: getattr(one, name) for name in names.split()},
        "owed": one.wanted > one.done,
        "waiting": one.waiting_for is not None,
        "held": one.held,
        "findings": one.findings,
        "undecided": one.undecided,
    }
