"""/keys: API keys. Who does not handle everybody's sees their own."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from marshmallow import Schema, fields, validate
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from hub.access.keys import PREFIX, NewKey, create_key, revoke_key
from hub.access.models import ApiKey
from hub.access.permissions import permissions_of
from hub.access.users import get_user
from hub.core.errors import NotFound, RuleBroken
from hub.web.api.fields import RecordOutput, text
from hub.web.api.rest import ApiBlueprint, Values, answer, answer_page, filtered
from hub.web.current import current_hub, current_user, fingerprints

blueprint = ApiBlueprint("keys", "API keys.", prefix="/keys")


class KeyInput(Schema):
    """A new key. scopes: some of the permissions of the owner's role; unless given, all. expires_on: its last day."""

    name = text(100, least=1, required=True, metadata={"example": "Nightly export"})
    scopes = fields.List(fields.String(), allow_none=True, validate=validate.Length(max=200))
    expires_on = fields.Date(allow_none=True)
    owner_id = fields.UUID(metadata={"description": "Somebody else, for whoever handles everybody's keys."})


class KeyOutput(RecordOutput):
    """A key, without its secret. prefix: how the key begins."""

    owner_id = fields.UUID(required=True)
    name = fields.String(required=True)
    prefix = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True, allow_none=True)
    expires_on = fields.Date(required=True, allow_none=True)
    last_used_at = fields.AwareDateTime(required=True, allow_none=True)
    revoked_at = fields.AwareDateTime(required=True, allow_none=True)


class NewKeyOutput(KeyOutput):
    """A key that was just made, with its secret: shown this once, and null when the request is repeated."""

    secret = fields.String(required=True, allow_none=True, metadata={"shown_once": True})


class KeyQuery(Schema):
    """Filters."""

    owner_id = fields.UUID()


@blueprint.get("", permission="keys.own", query=KeyQuery, output=KeyOutput, paged=True)
def list_keys(query: Values) -> Response:
    """Keys, the oldest first; those that are revoked too."""
    return answer_page(filtered(_visible(), query, {"owner_id": ApiKey.owner_id}), view=_shown)


@blueprint.post("", permission="keys.own", body=KeyInput, output=NewKeyOutput)
def create_a_key(body: Values) -> Response:
    """Make a key; its secret is in this answer and nowhere else."""
    return answer(lambda session: _create(session, body), view=_shown_new)


@blueprint.get("/<uuid:key_id>", permission="keys.own", output=KeyOutput)
def get_a_key(key_id: UUID) -> Response:
    """One key."""
    return answer(lambda session: _key(session, key_id), view=_shown)


@blueprint.delete("/<uuid:key_id>", permission="keys.own", output=KeyOutput)
def revoke_a_key(key_id: UUID) -> Response:
    """Revoke a key: it is good for nothing from now on, and stays in the list."""

    def work(session: Session) -> None:
        revoke_key(session, _key(session, key_id).id)

    return answer(work, of=lambda session: _key(session, key_id), view=_shown)


def _visible() -> Select[Any]:
    user = current_user()
    return select(ApiKey) if user.may("keys.write") else select(ApiKey).where(ApiKey.owner_id == user.id)


def _key(session: Session, key_id: UUID) -> ApiKey:
    key: ApiKey | None = session.scalar(_visible().where(ApiKey.id == key_id))
    if key is None:
        raise NotFound(f"There is no API key with id {key_id}.")
    return key


def _create(session: Session, body: Values) -> NewKey:
    """A new key; one that is limited itself cannot make one that may do more."""
    user = current_user()
    owner = get_user(session, body.get("owner_id", user.id))
    if owner.id != user.id and not user.may("keys.write"):
        raise RuleBroken("You may create keys for yourself only.", fields={"owner_id": "is not you"})
    scopes = body.get("scopes")
    held = permissions_of(owner.role, current_hub().plugins.hooks)
    beyond = (held if scopes is None else set(scopes)) - user.permissions
    if beyond and scopes is not None:
        raise RuleBroken(
            f"You do not hold {', '.join(sorted(beyond))} yourself.", fields={"scopes": "exceed what you may do"}
        )
    limited = sorted(held & user.permissions) if beyond else scopes
    return create_key(
        session, fingerprints(), owner=owner, name=body["name"], scopes=limited, expires_on=body.get("expires_on")
    )


def _shown(session: Session, key: ApiKey) -> Values:
    names = ("id", "revision", "owner_id", "name", "scopes", "expires_on", "last_used_at", "revoked_at")
    shown = {name: getattr(key, name) for name in (*names, "created_at", "updated_at")}
    return {**shown, "prefix": PREFIX + key.key_id}


def _shown_new(session: Session, new: NewKey) -> Values:
    return {**_shown(session, new.key), "secret": new.secret}
