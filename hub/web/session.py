"""What a page works with: routes that name a permission, rendering, messages shown once, going elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.access.models import UserSession
from hub.core.companies.models import Company
from hub.core.errors import HubError
from hub.web.csrf import SESSION_COOKIE, csrf_token, keep_visit
from hub.web.current import current_hub, current_user_or_none, reading, transact
from hub.web.guard import guard_for, guarded
from hub.web.menu import menu_of, shortcuts_of

PageView = Callable[..., ResponseReturnValue]
TONES: Final = ("good", "info", "warn", "bad")
_MOST_NOTICES = 10


class PageBlueprint(Blueprint):
    """Pages whose every route names a permission, or says that it is public. "*" is for everybody who is signed in."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.permissions: set[str] = set()

    def get(self, rule: str, *, permission: str = "", public: bool = False, **options: Any) -> Callable[..., Any]:
        """A page to look at."""
        return self._page("GET", rule, permission, public, options)

    def post(self, rule: str, *, permission: str = "", public: bool = False, **options: Any) -> Callable[..., Any]:
        """A form that is sent; it must carry the token of the session."""
        return self._page("POST", rule, permission, public, options)

    def _page(
        self, method: str, rule: str, permission: str, public: bool, options: dict[str, Any]
    ) -> Callable[[PageView], PageView]:
        guard = guard_for(permission, public=public)

        def decorate(view: PageView) -> PageView:
            self.permissions.add(permission)
            endpoint = options.pop("endpoint", view.__name__)
            self.add_url_rule(rule, endpoint, guarded(view, guard), methods=[method], **options)
            return view

        return decorate


def page_blueprint(name: str, import_name: str, *, prefix: str = "", templates: str | None = None) -> PageBlueprint:
    """Pages below `prefix`. templates: the folder beside the module, if it has templates of its own."""
    return PageBlueprint(name, import_name, url_prefix=prefix or None, template_folder=templates)


def render(template: str, **context: Any) -> str:
    """A page from its template, with everything the frame needs."""
    return render_template(template, **context)


def redirect_to(endpoint: str, **values: Any) -> Response:
    """On to another page after a form: 303, or what htmx understands."""
    address = url_for(endpoint, **values)
    if request.headers.get("HX-Request"):
        return Response(status=204, headers={"HX-Redirect": address})
    return make_response(redirect(address, 303))


def flash(tone: str, text: str) -> None:
    """A message for the next page that is rendered for this session. tone: good, info, warn or bad."""
    if tone not in TONES:
        raise ValueError(f"{tone} is no tone of a message; use one of {', '.join(TONES)}")
    session_id: UUID | None = g.get("session_id")
    if session_id is not None:
        transact(lambda session: _add_notice(session, session_id, {"tone": tone, "text": text}))


def sign_in_response(response: Response, token: str) -> Response:
    """Give the browser the cookie of its new session."""
    secure = is_secure()
    response.set_cookie(SESSION_COOKIE, token, httponly=True, samesite="Lax", secure=secure, path="/")
    return response


def sign_out_response(response: Response) -> Response:
    response.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="Lax", secure=is_secure())
    return response


def current_session_id() -> UUID:
    """The browser session of who is asking; only in views that need a permission."""
    session_id: UUID = g.session_id
    return session_id


def is_secure() -> bool:
    """Whether the hub is reached by https, so that cookies must not travel without."""
    return current_hub().settings.public_url.startswith("https://")


def frame() -> dict[str, Any]:
    """What every template gets besides its own context."""
    user = current_user_or_none()
    company, g.time_zone = _firm()
    return {
        "user": user,
        "nav": menu_of(user),
        "shortcuts": shortcuts_of(user),
        "theme": user.theme if user else "system",
        "company": company,
        "messages": _take_notices(),
        "csrf_token": csrf_token(),
        "csp_nonce": g.get("csp_nonce", ""),
    }


def finish(response: Response) -> Response:
    """After each request: headers for the browser's safety, the visit's cookie, the request's id."""
    keep_visit(response, secure=is_secure())
    response.headers.setdefault("X-Request-Id", str(g.get("request_id", "")))
    for name, value in _headers().items():
        response.headers.setdefault(name, value)
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _headers() -> dict[str, str]:
    nonce = g.get("csp_nonce", "")
    policy = {
        "default-src": "'none'",
        "script-src": f"'self' 'nonce-{nonce}'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "font-src": "'self'",
        "connect-src": "'self'",
        "manifest-src": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        **({"Strict-Transport-Security": "max-age=31536000"} if is_secure() else {}),
    }


def _firm() -> tuple[str, str]:
    """The firm's name and time zone: its first company's."""
    try:
        with reading() as session:
            company = session.scalar(select(Company).order_by(Company.id).limit(1))
    except HubError:  # the page that says so must still be shown
        return "", "UTC"
    return (company.name, company.time_zone) if company else ("", "UTC")


def _add_notice(session: Session, session_id: UUID, notice: dict[str, str]) -> None:
    found = session.get(UserSession, session_id, with_for_update={"of": UserSession})
    if found is not None:
        found.notices = [*found.notices, notice][-_MOST_NOTICES:]


def _take_notices() -> list[dict[str, str]]:
    """The messages for this page, which are then gone. A part that htmx asks for leaves them to the next page."""
    notices: list[dict[str, str]] = g.get("notices", [])
    session_id: UUID | None = g.get("session_id")
    if not notices or session_id is None or request.headers.get("HX-Request"):
        return []
    shown = len(notices)
    transact(lambda session: _drop_notices(session, session_id, shown))
    g.notices = []
    return notices


def _drop_notices(session: Session, session_id: UUID, shown: int) -> None:
    found = session.get(UserSession, session_id, with_for_update={"of": UserSession})
    if found is not None:
        found.notices = found.notices[shown:]
