"""API keys: one's own, and for whoever handles them everybody's."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from hub.access.keys import PREFIX, NewKey, create_key, is_expired, revoke_key
from hub.access.models import ApiKey
from hub.access.permissions import all_permissions
from hub.access.users import get_user
from hub.core.errors import NotFound, RuleBroken
from hub.web.current import current_hub, current_user, fingerprints, reading, transact
from hub.web.pages.blueprint import pages
from hub.web.session import flash, redirect_to, render


@pages.get("/keys", permission="keys.own")
def keys() -> ResponseReturnValue:
    """The keys there are, and the form for a new one."""
    return _page()


@pages.post("/keys", permission="keys.own", endpoint="keys_sent")
def keys_sent() -> ResponseReturnValue:
    """Create a key. Its secret is in this answer and nowhere else, so there is no redirect."""
    form = request.form
    values = {
        "name": form.get("name", "").strip(),
        "expires_on": form.get("expires_on", "").strip(),
        "limited": form.get("may") == "some",
        "scopes": form.getlist("scope"),
    }
    try:
        new = transact(lambda session: _create(session, values))
    except RuleBroken as refused:
        errors = {name: str(refused) for name in refused.fields} or {"": str(refused)}
        return _page(values=values, errors=errors), 422
    return _page(created={"name": new.key.name, "secret": new.secret})


@pages.get("/keys/<uuid:key_id>/revoke", permission="keys.own")
def revoke(key_id: UUID) -> ResponseReturnValue:
    """Ask before a program is locked out."""
    with reading() as session:
        key = _key(session, key_id)
    return render(
        "confirm.html",
        title=f"Revoke the key {key.name}?",
        text="The program that uses it is locked out at once. A revoked key stays in the list and cannot come back.",
        href=url_for("pages.revoke", key_id=key_id),
        button="Revoke the key",
        danger=True,
        back=url_for("pages.keys"),
    )


@pages.post("/keys/<uuid:key_id>/revoke", permission="keys.own", endpoint="revoke_sent")
def revoke_sent(key_id: UUID) -> ResponseReturnValue:
    """Revoke a key."""
    name = transact(lambda session: revoke_key(session, _key(session, key_id).id).name)
    flash("good", f"The key {name} is revoked.")
    return redirect_to("pages.keys")


def _create(session: Session, values: dict[str, Any]) -> NewKey:
    if values["limited"] and not values["scopes"]:
        raise RuleBroken("Choose what the key may do.", fields={"scope": "choose at least one"})
    owner = get_user(session, current_user().id)
    scopes = values["scopes"] if values["limited"] else None
    return create_key(
        session,
        fingerprints(),
        owner=owner,
        name=values["name"],
        scopes=scopes,
        expires_on=_day(values["expires_on"]),
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise RuleBroken(f"“{text}” is no day. Write it as 2026-11-24.", fields={"expires_on": "is no day"}) from None


def _visible() -> Select[Any]:
    """One's own keys; everybody's for whoever handles them."""
    user = current_user()
    return select(ApiKey) if user.may("keys.write") else select(ApiKey).where(ApiKey.owner_id == user.id)


def _key(session: Session, key_id: UUID) -> ApiKey:
    key: ApiKey | None = session.scalar(_visible().where(ApiKey.id == key_id))
    if key is None:
        raise NotFound("There is no such key among those you handle.")
    return key


def _page(
    *,
    values: dict[str, Any] | None = None,
    errors: dict[str, str] | None = None,
    created: dict[str, str] | None = None,
) -> str:
    with reading() as session:
        found = session.scalars(_visible().order_by(ApiKey.revoked_at.is_not(None), ApiKey.id.desc())).all()
    user = current_user()
    return render(
        "pages/keys.html",
        keys=[_shown(key) for key in found],
        shows_owners=user.may("keys.write"),
        created=created,
        values=values or {},
        errors=errors or {},
        scopes=[
            (permission.name, permission.title)
            for permission in all_permissions(current_hub().plugins.hooks)
            if user.may(permission.name)
        ],
    )


def _shown(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": PREFIX + key.key_id,
        "owner": key.owner.name,
        "role": key.owner.role,
        "scopes": key.scopes,
        "created_at": key.created_at,
        "expires_on": key.expires_on,
        "expired": is_expired(key),
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
        "revoke_href": url_for("pages.revoke", key_id=key.id),
    }
