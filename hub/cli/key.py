"""`hub key`: API keys."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.access.fingerprints import Fingerprints
from hub.access.keys import create_key, revoke_key
from hub.access.models import ApiKey
from hub.access.users import find_user
from hub.bootstrap import Hub
from hub.cli.output import json_option, print_record, print_rows
from hub.cli.session import ACTOR, pass_hub
from hub.cli.types import DAY
from hub.config import secret_keys
from hub.core.errors import NotFound


@click.group()
def key() -> None:
    """API keys: how programs come in, in the place of a user."""


@key.command("create")
@click.option("--user", "email", required=True, help="The e-mail address of the user it acts for.")
@click.option("--name", required=True, help="Which program uses it.")
@click.option("--scope", "scopes", multiple=True, help="Only this permission; may be repeated. Else all of the user's.")
@click.option("--expires-on", type=DAY, help="The last day it is good.")
@json_option
@pass_hub
def create_command(
    hub: Hub, email: str, name: str, scopes: tuple[str, ...], expires_on: date | None, as_json: bool
) -> None:
    """Make a key and print it. It is shown once: only a fingerprint of it is kept."""
    fingerprints = Fingerprints(secret_keys(hub.settings))

    def work(session: Session) -> dict[str, Any]:
        owner = find_user(session, email)
        if owner is None:
            raise NotFound(f"There is no user with the address {email}. See `hub user list`.")
        made = create_key(
            session, fingerprints, owner=owner, name=name, scopes=list(scopes) or None, expires_on=expires_on
        )
        return key_values(made.key) | {"key": made.secret}

    made = hub.transact(work, actor=ACTOR)
    print_record(made, as_json=as_json, sentence=made["key"])


@key.command("list")
@json_option
@pass_hub
def list_command(hub: Hub, as_json: bool) -> None:
    """The keys there are, without what is secret of them."""
    with hub.read() as session:
        rows = [key_values(one) for one in session.scalars(select(ApiKey).order_by(ApiKey.id))]
    columns = ("id", "name", "user", "expires_on", "last_used_at", "revoked_at")
    print_rows(rows, columns, as_json=as_json, empty="There are no API keys.")


@key.command("revoke")
@click.argument("key_id", type=click.UUID, metavar="ID")
@json_option
@pass_hub
def revoke_command(hub: Hub, key_id: UUID, as_json: bool) -> None:
    """Make a key useless, from now on."""
    revoked = hub.transact(lambda session: key_values(revoke_key(session, key_id)), actor=ACTOR)
    print_record(revoked, as_json=as_json, sentence=f"The key “{revoked['name']}” of {revoked['user']} is revoked.")


def key_values(one: ApiKey) -> dict[str, Any]:
    """A key as it is shown: never the key itself."""
    names = ("id", "name", "key_id", "scopes", "expires_on", "last_used_at", "revoked_at")
    return {"user": one.owner.email} | {name: getattr(one, name) for name in names}
