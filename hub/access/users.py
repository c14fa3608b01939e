"""Users: creating and changing them, and their passwords."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub.access.models import ApiKey, PasswordReset, User, UserSession
from hub.access.permissions import Role
from hub.core import audit, clock
from hub.core.errors import NotFound, RuleBroken
from hub.core.people.models import Person
from hub.core.people.service import create_person, get_person

SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 200
THEMES: Final = ("system", "light", "dark")

_hasher = PasswordHasher()
_UNKNOWN_USERS_HASH: Final = _hasher.hash("nobody has this password")


@dataclass(frozen=True, slots=True)
class NewPassword:
    """A password to be set, hashed before the transaction that keeps it: that takes long, and nobody else can write."""

    text: str = field(repr=False)
    hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether a password is a user's, looked at before the transaction that relies on it, for the same reason."""

    good: bool
    password_hash: str | None = field(repr=False)

    def holds_for(self, user: User | None) -> bool:
        """It does no more once the password has been changed, or the user may not sign in."""
        return self.good and user is not None and user.active and user.password_hash == self.password_hash


def new_password(text: str) -> NewPassword:
    """To be made outside of a write transaction. Raises RuleBroken for one that is too short or too long."""
    if not SHORTEST_PASSWORD <= len(text) <= LONGEST_PASSWORD:
        raise RuleBroken(
            f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters; this one has {len(text)}.",
            fields={"password": f"use {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters"},
        )
    return NewPassword(text, _hasher.hash(text))


def prove(user: User | None, password: str) -> Proof:
    """To be made outside of a write transaction."""
    return Proof(password_is(user, password), user.password_hash if user is not None else None)


def create_user(
    session: Session,
    *,
    email: str,
    name: str,
    role: str,
    password: NewPassword | None = None,
    person_id: UUID | None = None,
) -> User:
    """A new user; without a password they sign in by a reset link first. Raises RuleBroken, NotFound.

    A consultant records time, so they are one of the firm's people: the one named, else the one with their e-mail
    address who has no user yet, else a new one.
    """
    if person_id is None and role == Role.CONSULTANT:
        person_id = _own_person(session, email, name)
    user = User(email="", name="", role=Role.CONSULTANT)
    _write(session, user, {"email": email, "name": name, "role": role, "person_id": person_id})
    if password is not None:
        user.password_hash = _checked(password, user)
    session.add(user)
    session.flush()
    return user


def change_user(session: Session, user_id: UUID, **values: Any) -> User:
    """Change email, name, role, person_id, active or theme. The last active admin stays one. Raises RuleBroken."""
    user = get_user(session, user_id)
    was_admin = user.active and user.role == Role.ADMIN
    _write(session, user, values)
    if was_admin and not (user.active and user.role == Role.ADMIN):
        _refuse_without_admin(session, user)
    if not user.active:
        sign_out_everywhere(session, user.id)
    session.flush()
    return user


def set_password(session: Session, user: User, password: NewPassword, *, keep: UUID | None = None) -> None:
    """A new password; every other browser session of the user ends. keep: the session that goes on."""
    user.password_hash = _checked(password, user)
    sign_out_everywhere(session, user.id, keep=keep)
    for reset in session.scalars(
        select(PasswordReset).where(PasswordReset.user_id == user.id, PasswordReset.used_at.is_(None))
    ):
        reset.used_at = clock.now()
    audit.note(session, "set-password", "user_account", user.id)


def password_is(user: User | None, password: str) -> bool:
    """Whether this is the user's password. Takes as long for nobody as for somebody."""
    known = user.password_hash if user is not None and user.active else None
    try:
        _hasher.verify(known or _UNKNOWN_USERS_HASH, password[:LONGEST_PASSWORD])
    except (VerificationError, InvalidHashError):
        return False
    return known is not None


def get_user(session: Session, user_id: UUID) -> User:
    user = session.get(User, user_id)
    if user is None:
        raise NotFound(f"There is no user with id {user_id}.")
    return user


def find_user(session: Session, email: str) -> User | None:
    """The user with this e-mail address, however it is written."""
    return session.scalar(select(User).where(User.email == email.strip().casefold()))


def users(session: Session) -> Sequence[User]:
    """All users by name."""
    return session.scalars(select(User).order_by(User.name, User.id)).all()


def sign_out_everywhere(session: Session, user_id: UUID, *, keep: UUID | None = None) -> None:
    """End the user's browser sessions, but for the one to keep."""
    for one in session.scalars(select(UserSession).where(UserSession.user_id == user_id)):
        if one.id != keep:
            session.delete(one)


def delete_user(session: Session, user_id: UUID) -> None:
    """Take a user out who left no trace yet. Raises RuleBroken for one who owns keys: deactivate them instead."""
    user = get_user(session, user_id)
    if session.scalar(select(ApiKey.id).where(ApiKey.owner_id == user.id).limit(1)) is not None:
        raise RuleBroken(f"{user.name} owns API keys. Deactivate the user instead.", code="user-in-use")
    _refuse_without_admin(session, user)
    sign_out_everywhere(session, user.id)
    session.delete(user)


def _write(session: Session, user: User, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(user, name, _READERS[name](session, user, value))


def _email(session: Session, user: User, value: str) -> str:
    email = value.strip().casefold()
    if len(email) > 254 or not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
        raise RuleBroken(f"“{value}” is not an e-mail address.", fields={"email": "write one such as ada@example.com"})
    with session.no_autoflush:
        other = find_user(session, email)
    if other is not None and other is not user:
        raise RuleBroken(f"There is a user with the address {email} already.", fields={"email": "is taken"})
    return email


def _name(session: Session, user: User, value: str) -> str:
    if not value.strip():
        raise RuleBroken("A user needs a name.", fields={"name": "must not be empty"})
    return value.strip()


def _own_person(session: Session, email: str, name: str) -> UUID:
    taken = select(User.person_id).where(User.person_id.is_not(None))
    known = select(Person.id).where(func.lower(Person.email) == email.strip().lower(), Person.id.not_in(taken))
    return session.scalar(known.limit(1)) or create_person(session, name=name, email=email).id


def _role(session: Session, user: User, value: str) -> str:
    if value not in set(Role):
        raise RuleBroken(f"“{value}” is no role.", fields={"role": f"use one of {', '.join(Role)}"})
    return str(value)


def _person(session: Session, user: User, value: UUID | None) -> UUID | None:
    if value is None:
        return None
    with session.no_autoflush:
        person = get_person(session, value)
        other = session.scalar(select(User).where(User.person_id == person.id))
    if other is not None and other is not user:
        raise RuleBroken(f"{person.name} signs in as {other.email} already.", fields={"person_id": "is taken"})
    return person.id


def _theme(session: Session, user: User, value: str) -> str:
    if value not in THEMES:
        raise RuleBroken(f"“{value}” is no theme.", fields={"theme": f"use one of {', '.join(THEMES)}"})
    return value


_READERS: Final[Mapping[str, Callable[[Session, User, Any], Any]]] = {
    "email": _email,
    "name": _name,
    "role": _role,
    "person_id": _person,
    "theme": _theme,
    "active": lambda session, user, value: bool(value),
}


def _checked(password: NewPassword, user: User) -> str:
    """The hash. Raises RuleBroken for a password that is the user's own name or easy to guess."""
    if password.text.casefold() in (user.email, user.name.casefold()) or len(set(password.text)) < 4:
        raise RuleBroken(
            "This password is too easy to guess. A few words are better than one.",
            fields={"password": "is too easy to guess"},
        )
    return password.hash


def _refuse_without_admin(session: Session, leaving: User) -> None:
    # All admins locked, in one order: two who go at the same moment must not each count on the other.
    admins = select(User.id).where(User.role == Role.ADMIN, User.active).order_by(User.id).with_for_update()
    with session.no_autoflush:
        if set(session.scalars(admins)) <= {leaving.id}:
            raise RuleBroken("The last active admin cannot go: make somebody else an admin first.", code="last-admin")
