"""Who is asking: a user, by a browser session or an API key, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from hub.access.models import ApiKey, User
from hub.access.permissions import permissions_of

if TYPE_CHECKING:
    from hub.plugin_host import Hooks


@dataclass(frozen=True, slots=True)
class CurrentUser:
    """Who is asking. actor: as the audit log names them, "user:<id>" or "key:<key id>"."""

    id: UUID
    name: str
    email: str
    role: str
    person_id: UUID | None
    theme: str
    permissions: frozenset[str]
    actor: str

    def may(self, permission: str) -> bool:
        return permission in self.permissions


def user_identity(user: User, hooks: Hooks) -> CurrentUser:
    """A user who signed in with a browser: all that the role holds."""
    return _identity(user, permissions_of(user.role, hooks), f"user:{user.id}")


def key_identity(key: ApiKey, hooks: Hooks) -> CurrentUser:
    """A program in its owner's place: what the owner's role holds now, within the key's scopes."""
    held = permissions_of(key.owner.role, hooks)
    return _identity(key.owner, held if key.scopes is None else held & set(key.scopes), f"key:{key.key_id}")


def _identity(user: User, permissions: frozenset[str], actor: str) -> CurrentUser:
    return CurrentUser(
        id=user.id,
        name=user.name,
        email=user.email,
        role=user.role,
        person_id=user.person_id,
        theme=user.theme,
        permissions=permissions,
        actor=actor,
    )
