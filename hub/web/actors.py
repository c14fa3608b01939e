"""Who did something, as a person reads it: the actors of the audit log and of runs by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.access.models import ApiKey, User

_PLAIN = {"system": "The hub itself", "command": "The command line"}
_WAYS = {"user": "page", "key": "api", "command": "command", "connection": "sync", "system": ""}


def actor_names(session: Session, actors: Iterable[str]) -> Mapping[str, str]:
    """A name for each actor, in at most two queries. One that is gone keeps its id."""
    wanted = set(actors)
    users = {actor: UUID(actor.partition(":")[2]) for actor in wanted if actor.startswith("user:")}
    keys = {actor: actor.partition(":")[2] for actor in wanted if actor.startswith("key:")}
    user_names = dict(session.execute(select(User.id, User.name).where(User.id.in_(users.values()))).all())
    key_names = dict(session.execute(select(ApiKey.key_id, ApiKey.name).where(ApiKey.key_id.in_(keys.values()))).all())
    return {
        **{actor: _PLAIN.get(actor, actor.partition(":")[2] or actor) for actor in wanted},
        **{actor: user_names.get(each, "A user who is gone") for actor, each in users.items()},
        **{actor: f"Key “{key_names.get(each, each)}”" for actor, each in keys.items()},
    }


def way_of(actor: str) -> str:
    """By which way an actor came: page, api, command or sync; "" for the hub itself."""
    return _WAYS.get(actor.partition(":")[0], actor)
