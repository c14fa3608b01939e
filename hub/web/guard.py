"""Every route says who may use it, or that it is public; what says nothing is refused, at start-up already."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from flask import Flask, current_app, g, request
from sqlalchemy.exc import SQLAlchemyError

from hub.access.identity import CurrentUser, key_identity, user_identity
from hub.access.keys import is_to_be_noted, key_of, note_use
from hub.access.permissions import all_permissions
from hub.access.sign_in import is_to_be_renewed, renew, session_of
from hub.core.database import uuid7
from hub.core.errors import AccessDenied, HubError, RuleBroken, SetupError
from hub.tracing import begin_trace
from hub.web.csrf import SESSION_COOKIE, check_csrf
from hub.web.current import current_hub, current_user_or_none, fingerprints

if TYPE_CHECKING:
    from hub.plugin_host import Hooks

View = TypeVar("View", bound=Callable[..., Any])

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


class NotSignedIn(AccessDenied):
    """Sign in, or send an API key, first."""


@dataclass(frozen=True, slots=True)
class Guard:
    """Who may use a route. permission: empty for a public one, "*" for everybody who is signed in.

    by_key: it is part of the API, and who asks is told by a key; else by the browser's session, and every change
    must carry the session's CSRF token.
    """

    permission: str
    by_key: bool = False
    checks_csrf: bool = True


def guarded(view: View, guard: Guard) -> View:
    """Put the guard on a view."""
    view.hub_guard = guard  # type: ignore[attr-defined]
    return view


def guard_for(permission: str, *, public: bool, by_key: bool = False) -> Guard:
    """The guard a decorator asks for. Raises TypeError when it names neither or both."""
    if public == bool(permission):
        raise TypeError("a route names a permission, or is public=True; never both, never neither")
    return Guard(permission, by_key=by_key)


def guard_of(app: Flask, endpoint: str) -> Guard | None:
    """What stands before a route; None for one that says nothing."""
    return getattr(app.view_functions.get(endpoint), "hub_guard", None)


def check_guards(app: Flask, hooks: Hooks) -> None:
    """Raises SetupError naming each route without a guard, or with a permission nobody defined."""
    known = _known(hooks)
    open_routes = sorted(
        rule.rule
        for rule in app.url_map.iter_rules()
        if (guard := guard_of(app, rule.endpoint)) is None or guard.permission not in known
    )
    if open_routes:
        raise SetupError(f"These routes name no known permission and are not public: {', '.join(open_routes)}.")


def check_permissions(named: Iterable[str], hooks: Hooks) -> None:
    """Raises SetupError for a permission that neither the core nor an enabled plugin defines."""
    unknown = sorted(set(named) - _known(hooks))
    if unknown:
        raise SetupError(f"There is no permission called {unknown[0]}; add it by the hook `permissions`.")


def admit() -> None:
    """Before each request: find out who asks, and stop who may not. Raises NotSignedIn, AccessDenied."""
    given = request.headers.get("X-Request-Id", "")
    g.csp_nonce = secrets.token_urlsafe(16)
    g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid7().hex
    begin_trace(g.request_id)
    guard = guard_of(current_app, request.endpoint) if request.endpoint else None
    if request.endpoint is None:
        _look_without_fail()
        return
    if guard is None:
        raise AccessDenied("This address is not open to anybody.")
    g.user = _by_key() if guard.by_key else _by_session()
    if guard.permission:
        _check(guard, current_user_or_none())
    is_form = not guard.by_key and guard.checks_csrf and request.method not in SAFE_METHODS
    _refuse_nul(request.args.values(), request.form.values() if is_form else ())
    if is_form:
        check_csrf()


def _refuse_nul(*given: Iterable[str]) -> None:
    """PostgreSQL holds no text with this character, which nobody types."""
    if any("\0" in value for values in given for value in values):
        raise RuleBroken("A text cannot hold the character NUL. Take it out.", fields={"text": "holds NUL"})


def _known(hooks: Hooks) -> set[str]:
    return {permission.name for permission in all_permissions(hooks)} | {"", "*"}


def _check(guard: Guard, user: CurrentUser | None) -> None:
    if user is None:
        raise NotSignedIn()
    if guard.permission != "*" and not user.may(guard.permission):
        raise AccessDenied(f"This needs the permission {guard.permission}, which {user.name} does not hold.")


def _look_without_fail() -> None:
    """An address that is not there: whoever is signed in sees that within the frame, if it can be found out."""
    g.user = None
    if not request.path.startswith("/api/"):
        try:
            g.user = _by_session()
        except (HubError, SQLAlchemyError):
            g.user = None


def _by_key() -> CurrentUser | None:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text:
        return None
    hub = current_hub()
    with hub.read() as session:
        key = key_of(session, fingerprints(), text.strip())
        if key is None:
            raise NotSignedIn("This API key is not known, is revoked, or has expired. Create a new one.")
        identity = key_identity(key, hub.plugins.hooks)
    if is_to_be_noted(key):
        key_id = key.id
        hub.transact(lambda session: note_use(session, key_id), actor=identity.actor)
    return identity


def _by_session() -> CurrentUser | None:
    token = request.cookies.get(SESSION_COOKIE, "")
    if not token:
        return None
    hub = current_hub()
    with hub.read() as session:
        found = session_of(session, token)
        if found is None:
            return None
        identity = user_identity(found.user, hub.plugins.hooks)
        g.session_id, g.notices = found.id, list(found.notices)
    if is_to_be_renewed(found):
        session_id = found.id
        hub.transact(lambda session: renew(session, session_id), actor=identity.actor)
    return identity
