"""Who may come in: users, their sessions, links to set a password, API keys; and answers kept for repeated requests."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from hub.access.permissions import Role
from hub.core import clock
from hub.core.database import Base, Identified, Revised


class User(Revised, Base):
    """Someone who signs in. email: in small letters. person_id: who they are where time is recorded."""

    __tablename__ = "user_account"
    __secret__ = frozenset({"password_hash"})

    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    role: Mapped[str] = mapped_column(default=Role.CONSULTANT)
    password_hash: Mapped[str | None]
    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("person.id"), unique=True)
    active: Mapped[bool] = mapped_column(default=True)
    theme: Mapped[str] = mapped_column(default="system")


class LoginGuard(Base):
    """How often a sign-in with this e-mail address failed lately, whether or not there is such a user."""

    __tablename__ = "login_guard"

    email_hash: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int] = mapped_column(default=0)
    last_failure_at: Mapped[datetime]
    blocked_until: Mapped[datetime | None]


class UserSession(Identified, Base):
    """One browser that is signed in. token_hash: SHA-256 of the cookie. notices: messages to be shown once."""

    __tablename__ = "user_session"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    last_seen_at: Mapped[datetime] = mapped_column(default=clock.now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    notices: Mapped[list[Any]] = mapped_column(default=list)

    user: Mapped[User] = relationship(lazy="joined")


class PasswordReset(Identified, Base):
    """A link to set a password, good once and for a time. token_hash: SHA-256 of what stands in the link."""

    __tablename__ = "password_reset"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]

    user: Mapped[User] = relationship(lazy="joined")


class ApiKey(Revised, Base):
    """A program's way in, in the place of its owner. key_id stands in the key; secret_hash is keyed SHA-256 of it."""

    __tablename__ = "api_key"
    __secret__ = frozenset({"secret_hash"})

    owner_id: Mapped[UUID] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    key_id: Mapped[str] = mapped_column(unique=True)
    secret_hash: Mapped[str]
    scopes: Mapped[list[Any] | None]
    """Names of permissions; None stands for all that the owner's role holds."""
    expires_on: Mapped[date | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    owner: Mapped[User] = relationship(lazy="joined")


class IdempotencyRecord(Identified, Base):
    """One key that a caller gave a request, and the answer it got. lease: who works on it now.

    scope: SHA-256 of caller, method, path and key. fingerprint: keyed SHA-256 of the request, so that the same key
    with another body is seen. status is None while there is no answer.
    """

    __tablename__ = "idempotency_record"
    __table_args__ = (UniqueConstraint("scope"), Index("ix_idempotency_record_created_at", "created_at"))

    scope: Mapped[str]
    fingerprint: Mapped[str]
    lease: Mapped[str]
    lease_until: Mapped[datetime]
    status: Mapped[int | None]
    body: Mapped[str | None] = mapped_column(Text)
    headers: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
