"""`hub user`: people who log in."""

from __future__ import annotations

import sys
from typing import Any
from uuid import UUID

import click
from sqlalchemy.orm import Session

from hub.access.models import User
from hub.access.permissions import ROLE_TEXTS, Role
from hub.access.sign_in import make_reset_token, reset_path
from hub.access.users import change_user, create_user, find_user, new_password, users
from hub.bootstrap import Hub
from hub.cli.lookup import id_of
from hub.cli.output import json_option, print_record, print_rows
from hub.cli.session import ACTOR, pass_hub
from hub.core.errors import NotFound
from hub.core.people.models import Person

ROLES = click.Choice([str(role) for role in Role])


@click.group()
def user() -> None:
    """People who log in."""


@user.command("add")
@click.option("--email", required=True)
@click.option("--name", required=True)
@click.option(
    "--role", type=ROLES, required=True, help=" ".join(f"{role}: {text}" for role, text in ROLE_TEXTS.items())
)
@click.option("--person", help="Who they are where time is recorded (name, number or id).")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input; else a link is printed.")
@json_option
@pass_hub
def add_command(
    hub: Hub, email: str, name: str, role: str, person: str | None, password_stdin: bool, as_json: bool
) -> None:
    """Add someone. They set their password by the link that is printed, which is good once, for a day."""
    password = new_password(sys.stdin.readline().rstrip("\n")) if password_stdin else None

    def work(session: Session) -> dict[str, Any]:
        person_id = _person_id(session, person)
        added = create_user(session, email=email, name=name, role=role, password=password, person_id=person_id)
        return user_values(added) | ({} if password else {"link": _link(hub, session, added)})

    added = hub.transact(work, actor=ACTOR)
    first = f"{added['name']} <{added['email']}> is {added['role']}."
    sentence = f"{first} They set their password here: {added['link']}" if "link" in added else first
    print_record(added, as_json=as_json, sentence=sentence)


@user.command("list")
@json_option
@pass_hub
def list_command(hub: Hub, as_json: bool) -> None:
    """Everyone who may log in."""
    with hub.read() as session:
        rows = [user_values(one) for one in users(session)]
    empty = "There are no users yet. Add an admin with `hub user add --role admin`."
    print_rows(rows, ("email", "name", "role", "active"), as_json=as_json, empty=empty)


@user.command("set")
@click.argument("email")
@click.option("--name")
@click.option("--role", type=ROLES)
@click.option("--person", help="Who they are where time is recorded (name, number or id).")
@click.option("--active/--inactive", default=None, help="May they log in?")
@json_option
@pass_hub
def set_command(
    hub: Hub, email: str, name: str | None, role: str | None, person: str | None, active: bool | None, as_json: bool
) -> None:
    """Change someone's name, role or person, or whether they may log in."""
    given: dict[str, Any] = {"name": name, "role": role, "person": person, "active": active}
    given = {key: value for key, value in given.items() if value is not None}
    if not given:
        raise click.UsageError("Say what to change: --name, --role, --person, --active or --inactive.")

    def work(session: Session) -> dict[str, Any]:
        values = {key: value for key, value in given.items() if key != "person"}
        if person is not None:
            values["person_id"] = _person_id(session, person)
        return user_values(change_user(session, _user(session, email).id, **values))

    changed = hub.transact(work, actor=ACTOR)
    state = "active" if changed["active"] else "inactive"
    sentence = f"{changed['name']} <{changed['email']}> is {changed['role']}, {state}."
    print_record(changed, as_json=as_json, sentence=sentence)


@user.command("reset")
@click.argument("email")
@json_option
@pass_hub
def reset_command(hub: Hub, email: str, as_json: bool) -> None:
    """Print a link by which someone sets a new password; it is good once, for a day."""

    def work(session: Session) -> dict[str, Any]:
        found = _user(session, email)
        return {"email": found.email, "link": _link(hub, session, found)}

    answer = hub.transact(work, actor=ACTOR)
    print_record(answer, as_json=as_json, sentence=f"{answer['email']} sets a new password here: {answer['link']}")


def user_values(one: User) -> dict[str, Any]:
    """A user as it is shown: never a password, not even its hash."""
    return {name: getattr(one, name) for name in ("id", "email", "name", "role", "person_id", "active")}


def _person_id(session: Session, text: str | None) -> UUID | None:
    return id_of(session, Person, text, by=(Person.name, Person.external_id), what="person")


def _user(session: Session, email: str) -> User:
    found = find_user(session, email)
    if found is None:
        raise NotFound(f"There is no user with the address {email}. See `hub user list`.")
    return found


def _link(hub: Hub, session: Session, one: User) -> str:
    return hub.settings.public_url.rstrip("/") + reset_path(make_reset_token(session, one))
