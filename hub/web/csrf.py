"""A change is accepted from a page only with a token that is bound to the browser's session."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final

from flask import Response, g, request

from hub.core.errors import AccessDenied

FIELD: Final = "_csrf"
HEADER: Final = "X-CSRF-Token"
VISIT_COOKIE: Final = "hub_visit"
SESSION_COOKIE: Final = "hub_session"


class StaleForm(AccessDenied):
    """This page was open for too long, or in another session. Go back, reload it, and try again."""


def csrf_token() -> str:
    """The token for this page's forms: of the session, or before signing in of the visit."""
    return hashlib.sha256(f"csrf:{_cookie()}".encode()).hexdigest()


def check_csrf() -> None:
    """Raises StaleForm unless the request carries this session's token."""
    known = request.cookies.get(SESSION_COOKIE) or request.cookies.get(VISIT_COOKIE)
    given = request.headers.get(HEADER) or request.form.get(FIELD, "")
    if not known or not hmac.compare_digest(csrf_token().encode(), given.encode()):
        raise StaleForm()


def keep_visit(response: Response, *, secure: bool) -> None:
    """Give a visitor who saw a form before signing in the cookie that its token is bound to."""
    if "visit" in g:
        response.set_cookie(VISIT_COOKIE, g.visit, httponly=True, samesite="Lax", secure=secure)


def _cookie() -> str:
    known = request.cookies.get(SESSION_COOKIE) or request.cookies.get(VISIT_COOKIE)
    if known:
        return known
    if "visit" not in g:
        g.visit = secrets.token_urlsafe(32)
    visit: str = g.visit
    return visit
