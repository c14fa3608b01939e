"""The first page after signing in: what needs this user now, the figures of their work, and what happened lately."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

from flask import render_template, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.access.permissions import Role
from hub.core import clock
from hub.core.companies.models import Company
from hub.web.current import current_hub, current_user, reading
from hub.web.home_activity import recent_activity
from hub.web.home_figures import home_figures
from hub.web.home_needs import home_needs
from hub.web.menu import Panel, entries_of
from hub.web.pages.blueprint import pages
from hub.web.session import render

_QUICK: Final[Mapping[str, tuple[str, ...]]] = {
    Role.ADMIN: ("pages.connections", "pages.runs"),
    Role.FINANCE: ("pages.invoices", "pages.reconciliation"),
    Role.MANAGER: ("pages.week", "pages.approvals"),
    Role.CONSULTANT: ("pages.week",),
}


@pages.get("/", permission="*")
def home() -> ResponseReturnValue:
    """What needs this user now."""
    with reading() as session:
        zone = session.scalar(select(Company.time_zone).order_by(Company.id).limit(1)) or "UTC"
        context = _context(session, zone)
    return render("pages/home.html", **context, panels=_panels())


def _context(session: Session, zone: str) -> dict[str, Any]:
    today = clock.today(zone)
    needs = home_needs(session, today)
    return {
        "greeting": f"{_time_of_day(zone)}, {current_user().name.split()[0]}",
        "note": f"{today:%A} {today.day} {today:%B}",
        "needs": needs,
        "kpis": home_figures(session, today),
        "activity": recent_activity(session),
        "quick": _quick(),
    }


def _time_of_day(zone: str) -> str:
    hour = clock.now().astimezone(ZoneInfo(zone)).hour
    return "Good morning" if hour < 12 else "Good afternoon" if hour < 18 else "Good evening"


def _quick() -> list[dict[str, Any]]:
    """The buttons on top: this week for who records time, and what plugins have for somebody from outside."""
    user = current_user()
    if user.role == Role.PARTNER:
        entries = [entry for entry in entries_of(user) if not entry.endpoint.startswith("pages.")]
    else:
        entries = [entry for entry in entries_of(user) if entry.endpoint in _QUICK.get(user.role, ())]
    return [
        {"label": entry.label, "href": url_for(entry.endpoint), "icon": entry.icon, "style": "default"}
        for entry in entries
    ]


def _panels() -> list[dict[str, Any]]:
    """What plugins show to this user; one that cannot be rendered is left out by the caller of hooks."""
    contributed = [panel for _, panel in current_hub().plugins.hooks.collect("home_panels", user=current_user())]
    wanted = sorted((each for each in contributed if isinstance(each, Panel)), key=lambda each: each.position)
    return [{"title": each.title, "note": each.note, "html": _rendered(each)} for each in wanted]


def _rendered(panel: Panel) -> Markup:
    return Markup(render_template(panel.template, **panel.context))  # noqa: S704 - what the template escaped
