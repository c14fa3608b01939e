"""Signing in and out: browser sessions kept in the database, slow answers to guessing, links to set a password."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from hub.access.fingerprints import digest
from hub.access.models import LoginGuard, PasswordReset, User, UserSession
from hub.access.users import NewPassword, Proof, find_user, prove, set_password
from hub.core import audit, clock
from hub.core.errors import AccessDenied, NotFound, RuleBroken
from hub.core.outbox import upsert

SESSION_IDLE: Final = timedelta(hours=12)
SESSION_LONGEST: Final = timedelta(days=14)
RESET_LIFE: Final = timedelta(hours=24)
FREE_FAILURES: Final = 5
LONGEST_BLOCK_S: Final = 900
_TOUCHED_EVERY: Final = timedelta(minutes=5)
_FORGIVEN_AFTER: Final = timedelta(hours=1)


class TooManyTries(AccessDenied):
    """Signing in failed too often; it is possible again after retry_after_s seconds."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"Signing in failed too often. Wait {retry_after_s} seconds and try again.")
        self.retry_after_s = retry_after_s


def try_password(session: Session, email: str, password: str) -> Proof:
    """What signing in needs to know, in a session for reading: it takes long. Raises TooManyTries."""
    _refuse_while_blocked(session.get(LoginGuard, digest(email.strip().casefold())))
    return prove(find_user(session, email), password)


def sign_in(session: Session, email: str, proof: Proof) -> tuple[UserSession, str] | None:
    """A new browser session and its token for the cookie; None when e-mail and password do not belong together.

    A failure is counted, so its transaction must be committed too. Raises TooManyTries.
    """
    key = digest(email.strip().casefold())
    _refuse_while_blocked(session.get(LoginGuard, key))
    user = find_user(session, email)
    if user is None or not proof.holds_for(user):
        _count_failure(session, key, user)
        return None
    session.execute(delete(LoginGuard).where(LoginGuard.email_hash == key))
    forget_expired(session)
    return open_session(session, user)


def open_session(session: Session, user: User) -> tuple[UserSession, str]:
    """A browser session of a user who proved to be the one, and its token."""
    token = secrets.token_urlsafe(32)
    opened = UserSession(user=user, user_id=user.id, token_hash=digest(token), expires_at=clock.now() + SESSION_IDLE)
    session.add(opened)
    audit.note(session, "sign-in", "user_account", user.id)
    return opened, token


def session_of(session: Session, token: str) -> UserSession | None:
    """The browser session of a cookie, if it is still good and its user active."""
    found = session.scalar(select(UserSession).where(UserSession.token_hash == digest(token)))
    if found is None or found.expires_at <= clock.now() or not found.user.active:
        return None
    return found


def is_to_be_renewed(found: UserSession) -> bool:
    """Whether a session was last renewed so long ago that it is worth a write."""
    return found.last_seen_at < clock.now() - _TOUCHED_EVERY


def renew(session: Session, session_id: UUID) -> None:
    """Have a session that is used go on, up to its longest life."""
    found = session.get(UserSession, session_id)
    if found is not None:
        found.last_seen_at = clock.now()
        found.expires_at = min(clock.now() + SESSION_IDLE, found.created_at + SESSION_LONGEST)


def sign_out(session: Session, session_id: UUID) -> None:
    """End one browser session."""
    session.execute(delete(UserSession).where(UserSession.id == session_id))


def make_reset_token(session: Session, user: User) -> str:
    """What stands in a link to set a password: good once, for a day; earlier links of the user end."""
    session.execute(delete(PasswordReset).where(PasswordReset.user_id == user.id, PasswordReset.used_at.is_(None)))
    token = secrets.token_urlsafe(32)
    session.add(PasswordReset(user_id=user.id, token_hash=digest(token), expires_at=clock.now() + RESET_LIFE))
    audit.note(session, "reset-link", "user_account", user.id)
    return token


def reset_path(token: str) -> str:
    """The path of the page where the password is set, below the hub's public address."""
    return f"/reset/{token}"


def reset_of(session: Session, token: str) -> PasswordReset:
    """The link with this token. Raises NotFound when it is used up, too old, or never was."""
    found = session.scalar(select(PasswordReset).where(PasswordReset.token_hash == digest(token)))
    if found is None or found.used_at is not None or found.expires_at <= clock.now() or not found.user.active:
        raise NotFound("This link has been used or is too old. Ask an administrator for a new one.")
    return found


def use_reset(session: Session, token: str, password: NewPassword) -> User:
    """Set the password by a link, which is used up by it. Raises NotFound, RuleBroken for a bad password."""
    reset = reset_of(session, token)
    user = session.get(User, reset.user_id, with_for_update=True)
    if user is None:
        raise RuleBroken("This user is gone.")
    set_password(session, user, password)
    reset.used_at = clock.now()
    session.execute(delete(LoginGuard).where(LoginGuard.email_hash == digest(user.email)))
    return user


def forget_expired(session: Session) -> None:
    """Take out sessions and links that are over."""
    session.execute(delete(UserSession).where(UserSession.expires_at <= clock.now()))
    session.execute(delete(PasswordReset).where(PasswordReset.expires_at <= clock.now()))
    session.execute(delete(LoginGuard).where(LoginGuard.last_failure_at < clock.now() - _FORGIVEN_AFTER))


def _refuse_while_blocked(guard: LoginGuard | None) -> None:
    now = clock.now()
    if guard is not None and guard.blocked_until is not None and guard.blocked_until > now:
        raise TooManyTries(int((guard.blocked_until - now).total_seconds()) + 1)


def _count_failure(session: Session, key: str, user: User | None) -> None:
    """The first few are free; then each failure doubles the time until the next try."""
    start = upsert(session, LoginGuard).values(email_hash=key, failures=0, last_failure_at=clock.now())
    session.execute(start.on_conflict_do_nothing(index_elements=["email_hash"]))
    guard = session.get_one(LoginGuard, key, with_for_update=True)
    if guard.last_failure_at < clock.now() - _FORGIVEN_AFTER:
        guard.failures = 0
    guard.failures += 1
    guard.last_failure_at = clock.now()
    if guard.failures >= FREE_FAILURES:
        wait_s = min(LONGEST_BLOCK_S, 2 ** (guard.failures - FREE_FAILURES + 1))
        guard.blocked_until = clock.now() + timedelta(seconds=wait_s)
    audit.note(session, "sign-in-failed", "user_account", user.id if user else None, failures=guard.failures)
