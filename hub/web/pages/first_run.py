"""A new hub: the first admin and the firm, then a checklist of what is worth doing first."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

from flask import make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub.access.models import User
from hub.access.permissions import Role
from hub.access.sign_in import open_session
from hub.access.users import NewPassword, create_user, new_password
from hub.core import audit
from hub.core.audit import AuditEntry
from hub.core.clients.models import Client
from hub.core.companies.models import Company
from hub.core.companies.service import set_company
from hub.core.errors import AccessDenied, NotFound, RuleBroken
from hub.core.people.service import create_person
from hub.core.projects.models import Project
from hub.core.rates.models import RateCard
from hub.sync.models import Connection, Lease, Run, RunStatus
from hub.web.current import current_user_or_none, reading, transact
from hub.web.pages.blueprint import pages
from hub.web.session import redirect_to, render, sign_in_response

_FIELDS = ("name", "email", "password", "repeat", "company", "country", "currency")


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the checklist. shows: the page where it is done (endpoint), with the label of its button."""

    key: str
    title: str
    text: str
    label: str
    endpoint: str
    icon: str


STEPS = (
    Step("connect", "Connect a system", "The CRM that knows your clients, the accounting that books your invoices.",
         "Connect", "pages.connectors", "plug"),
    Step("sync", "Run it for the first time", "It starts reading only. Look at what came, then let it write.",
         "Connections", "pages.connections", "refresh"),
    Step("import", "Take over clients and projects", "From a connected CRM, or from another system's export.",
         "Import", "pages.imports", "file-import"),
    Step("rates", "Set rates", "What an hour costs, for everybody or for one project.",
         "Projects", "pages.projects", "cash"),
    Step("people", "Invite people", "Each gets a link to set a password, and sees what the role needs.",
         "Add a user", "pages.add_user", "user-plus"),
)  # fmt: skip


@pages.get("/welcome", permission="companies.write")
def first_run() -> ResponseReturnValue:
    """The checklist. A step is done when what it asks for is there, whoever did it and how."""
    with reading() as session:
        done, skipped = _done(session), _skipped(session)
        company = session.scalar(select(Company).order_by(Company.id).limit(1))
    steps = [_firm_step(company), *(_shown(step, done, skipped) for step in STEPS)]
    return render("pages/first_run.html", steps=steps, finished=all(step["done"] or step["skipped"] for step in steps))


@pages.post("/welcome/skip/<step>", permission="companies.write")
def skip_step(step: str) -> ResponseReturnValue:
    """Leave a step out; the audit log remembers it."""
    if step not in {each.key for each in STEPS}:
        raise NotFound(f"There is no step {step}.")
    transact(lambda session: audit.note(session, "skip", "first_run", None, step=step))
    return redirect_to("pages.first_run")


@pages.get("/welcome/start", public=True)
def first_admin() -> ResponseReturnValue:
    """The form for the first admin, while there is nobody who could sign in."""
    if has_users():
        return redirect_to("pages.first_run" if current_user_or_none() else "pages.login")
    _refuse_strangers()
    return _start_page({"currency": "GBP", "country": "GB"}, {})


@pages.post("/welcome/start", public=True, endpoint="first_admin_sent")
def first_admin_sent() -> ResponseReturnValue:
    """Create the first admin and the firm, and sign the admin in. Refused once there is a user."""
    if has_users():
        return redirect_to("pages.login")
    _refuse_strangers()
    values = {name: request.form.get(name, "").strip() for name in _FIELDS}
    if values["password"] != values["repeat"]:
        return _start_page(values, {"repeat": "This is not the same as above."}), 422
    try:
        password = new_password(values["password"])
        token = transact(lambda session: _start(session, values, password))
    except RuleBroken as refused:
        return _start_page(values, _errors(values, refused)), 422
    return sign_in_response(make_response(redirect(url_for("pages.first_run"), 303)), token)


def _refuse_strangers() -> None:
    """A new hub belongs to whoever sits at its machine, not to whoever finds its address first.

    A request that came through a proxy names where it came from, and is a stranger's too.
    """
    here = ipaddress.ip_address(request.remote_addr or "0.0.0.0").is_loopback  # noqa: S104  (nobody's address)
    if not here or any(name in request.headers for name in ("Forwarded", "X-Forwarded-For", "X-Real-Ip")):
        raise AccessDenied(
            "The first admin is set up on the machine the hub runs on: open this page there, or run "
            "`hub user add --email ADDRESS --name NAME --role admin`."
        )


def has_users() -> bool:
    """Whether anybody could sign in."""
    with reading() as session:
        return session.scalar(select(User.id).limit(1)) is not None


def _start(session: Session, values: dict[str, str], password: NewPassword) -> str:
    """Returns the token of the admin's browser session. The lease row lets only one of two at once through."""
    if session.scalar(select(User.id).limit(1)) is not None:
        raise RuleBroken("There is a user already. Sign in, or ask an administrator.", code="not-the-first")
    session.add(Lease(name="first-admin", owner=values["email"], lease_until=None))
    session.flush()
    if not values["company"]:
        raise RuleBroken("The firm needs a name.", fields={"company": "must not be empty"})
    set_company(session, name=values["company"], country=values["country"], currency=values["currency"])
    user = create_user(session, email=values["email"], name=values["name"], role=Role.ADMIN, password=password)
    person = create_person(session, name=user.name, email=user.email)
    session.flush()
    user.person_id = person.id
    return open_session(session, user)[1]


def _errors(values: dict[str, str], refused: RuleBroken) -> dict[str, str]:
    if "name" in refused.fields and values["name"]:
        return {"company": str(refused)}
    return dict.fromkeys(refused.fields or [""], str(refused))


def _start_page(values: dict[str, str], errors: dict[str, str]) -> str:
    return render("pages/first_admin.html", values=values, errors=errors, href=url_for("pages.first_admin"))


def _done(session: Session) -> set[str]:
    """The steps whose outcome is there."""
    present = {
        "connect": select(Connection.id),
        "sync": select(Run.id).where(Run.status == RunStatus.SUCCESS),
        "import": select(Client.id).join(Project, Project.client_id == Client.id),
        "rates": select(RateCard.id),
    }
    done = {key for key, query in present.items() if session.scalar(query.limit(1)) is not None}
    users = session.scalar(select(func.count()).select_from(User)) or 0
    return done | ({"people"} if users > 1 else set())


def _skipped(session: Session) -> set[str]:
    query = select(AuditEntry.changes).where(AuditEntry.record_kind == "first_run", AuditEntry.action == "skip")
    return {str(changes.get("step")) for changes in session.scalars(query)}


def _firm_step(company: Company | None) -> dict[str, Any]:
    """Done by the form before; a hub that was set up by commands may still need it."""
    text = f"{company.name}, {company.country}, {company.currency}" if company else "Run hub company set."
    return {"title": "The firm and its first admin", "text": text, "done": company is not None, "skipped": False}


def _shown(step: Step, done: set[str], skipped: set[str]) -> dict[str, Any]:
    return {
        "title": step.title,
        "text": step.text,
        "done": step.key in done,
        "skipped": step.key in skipped,
        "actions": [
            {
                "label": step.label,
                "href": url_for(step.endpoint),
                "method": "get",
                "icon": step.icon,
                "style": "default",
            }
        ],
        "skip_href": url_for("pages.skip_step", step=step.key),
    }
