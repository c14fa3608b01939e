"""What a view works with: this application's hub, who is asking, reading and changing in their name."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TypeVar

from flask import current_app, g
from sqlalchemy.orm import Session

from hub.access.fingerprints import Fingerprints
from hub.access.identity import CurrentUser
from hub.core.errors import AccessDenied

if TYPE_CHECKING:
    from hub.bootstrap import Hub

T = TypeVar("T")


def current_hub() -> Hub:
    """The hub this application serves."""
    hub: Hub = current_app.extensions["hub"]
    return hub


def fingerprints() -> Fingerprints:
    """Keyed hashes under this hub's secret."""
    made: Fingerprints = current_app.extensions["hub.fingerprints"]
    return made


def current_user() -> CurrentUser:
    """Who is asking. Raises AccessDenied in a public view that nobody signed in for."""
    user = current_user_or_none()
    if user is None:
        raise AccessDenied("Sign in first.")
    return user


def current_user_or_none() -> CurrentUser | None:
    """Who is asking, or None for somebody unknown."""
    user: CurrentUser | None = g.get("user")
    return user


def request_id() -> str:
    """The id of this request: the caller's, if it sent a sound one, else ours."""
    return str(g.get("request_id", ""))


def reading() -> AbstractContextManager[Session]:
    """A session for looking only."""
    return current_hub().read()


def transact(work: Callable[[Session], T]) -> T:
    """Run `work` in one transaction in the name of who is asking; it may be run again from the start."""
    user = current_user_or_none()
    return current_hub().transact(work, actor=user.actor if user else "system", request_id=request_id())
