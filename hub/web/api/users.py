"""/users: who may sign in."""

from __future__ import annotations

from uuid import UUID

from flask import Response
from marshmallow import Schema, fields
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.access.models import User
from hub.access.permissions import Role
from hub.access.sign_in import make_reset_token, reset_path
from hub.access.users import THEMES, change_user, create_user, get_user, new_password
from hub.web.api.fields import ListQuery, RecordOutput, choice, text
from hub.web.api.rest import ApiBlueprint, Values, answer, answer_page, filtered, row
from hub.web.current import current_hub

blueprint = ApiBlueprint("users", "Who may sign in.", prefix="/users")


class UserInput(Schema):
    """A new user. Without a password they sign in by a reset link first."""

    email = text(254, least=3, required=True, metadata={"example": "ada@example.com"})
    name = text(200, least=1, required=True)
    role = choice(Role, required=True)
    person_id = fields.UUID(allow_none=True)
    password = text(200, load_only=True)


class UserChange(Schema):
    """What can be changed of a user. Passwords are changed by their owners."""

    email = text(254, least=3)
    name = text(200, least=1)
    role = choice(Role)
    person_id = fields.UUID(allow_none=True)
    active = fields.Boolean()
    theme = choice(THEMES)


class UserOutput(RecordOutput):
    """Someone who may sign in."""

    email = fields.String(required=True)
    name = fields.String(required=True)
    role = choice(Role, required=True)
    person_id = fields.UUID(required=True, allow_none=True)
    active = fields.Boolean(required=True)
    theme = fields.String(required=True)


class UserQuery(ListQuery):
    """Filters."""

    email = fields.String()
    role = choice(Role)
    active = fields.Boolean()


class ResetLink(Schema):
    """Where the user sets a new password: good once, for a day. Shown this once."""

    url = fields.String(required=True, allow_none=True, metadata={"shown_once": True})


@blueprint.get("", permission="users.read", query=UserQuery, output=UserOutput, paged=True)
def list_users(query: Values) -> Response:
    """Users, the oldest first."""
    columns = {"email": User.email, "role": User.role, "active": User.active, "updated_after": User.updated_at}
    return answer_page(filtered(select(User), query, columns))


@blueprint.post("", permission="users.write", body=UserInput, output=UserOutput)
def create_a_user(body: Values) -> Response:
    """Add a user."""
    password = new_password(body.pop("password")) if "password" in body else None
    return answer(lambda session: create_user(session, **body, password=password))


@blueprint.get("/<uuid:user_id>", permission="users.read", output=UserOutput)
def get_a_user(user_id: UUID) -> Response:
    """One user."""
    return answer(row(User, user_id))


@blueprint.patch("/<uuid:user_id>", permission="users.write", body=UserChange, output=UserOutput)
def change_a_user(user_id: UUID, body: Values) -> Response:
    """Change what is given; who is made inactive is signed out at once."""
    return answer(lambda session: change_user(session, user_id, **body), of=row(User, user_id))


@blueprint.post("/<uuid:user_id>/reset-link", permission="users.write", output=ResetLink)
def make_reset_link(user_id: UUID) -> Response:
    """A link by which the user sets a new password."""
    address = current_hub().settings.public_url

    def work(session: Session) -> Values:
        return {"url": address + reset_path(make_reset_token(session, get_user(session, user_id)))}

    return answer(work)
