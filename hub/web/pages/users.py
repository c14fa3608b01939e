"""Who may sign in, as what, and the links by which they set a password."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hub.access.models import User, UserSession
from hub.access.permissions import ROLE_TEXTS, Role, all_permissions
from hub.access.sign_in import make_reset_token, reset_path
from hub.access.users import change_user, create_user, get_user
from hub.access.users import users as all_users
from hub.core.errors import RuleBroken
from hub.core.people.models import Person
from hub.web.current import current_hub, current_user, reading, transact
from hub.web.display import words
from hub.web.form_revision import check_revision, revision_to_show
from hub.web.pages.blueprint import pages
from hub.web.session import flash, redirect_to, render

ROLES = [(str(role), words(role)) for role in Role]


@pages.get("/users", permission="users.read")
def users() -> ResponseReturnValue:
    """Everybody who may sign in, and what each role may do."""
    with reading() as session:
        seen = _last_seen(session)
        shown = [_row(user, seen.get(user.id)) for user in all_users(session)]
    return render("pages/users.html", users=shown, roles=_roles())


@pages.get("/users/add", permission="users.write")
def add_user() -> ResponseReturnValue:
    """The form for somebody new."""
    return _form_page(None, {"role": str(Role.CONSULTANT)}, {})


@pages.post("/users/add", permission="users.write", endpoint="add_user_sent")
def add_user_sent() -> ResponseReturnValue:
    """Add somebody, and show the link by which they set their password: this once."""
    values = _posted()

    def work(session: Session) -> tuple[User, str]:
        user = create_user(session, **_checked(values))
        return user, make_reset_token(session, user)

    try:
        user, token = transact(work)
    except RuleBroken as refused:
        return _form_page(None, values, _errors(refused)), 422
    return _user_page(user, link=_link(token))


@pages.get("/users/<uuid:user_id>", permission="users.read")
def user(user_id: UUID) -> ResponseReturnValue:
    """One user."""
    with reading() as session:
        found = get_user(session, user_id)
    return _user_page(found)


@pages.post("/users/<uuid:user_id>", permission="users.write", endpoint="user_sent")
def user_sent(user_id: UUID) -> ResponseReturnValue:
    """Change somebody; who may not sign in any more is signed out at once."""
    values = _posted()
    active = bool(request.form.get("active"))
    try:
        changed = transact(lambda session: _change(session, user_id, **_checked(values), active=active))
    except RuleBroken as refused:
        with reading() as session:
            found = get_user(session, user_id)
        revision = revision_to_show(refused)
        return _form_page(found, {**values, "active": active}, _errors(refused), revision=revision), 422
    flash("good", f"{changed.name} is changed.")
    return redirect_to("pages.users")


def _change(session: Session, user_id: UUID, **values: Any) -> User:
    check_revision(session, get_user(session, user_id))
    return change_user(session, user_id, **values)


@pages.post("/users/<uuid:user_id>/reset-link", permission="users.write")
def reset_link(user_id: UUID) -> ResponseReturnValue:
    """A link to set a new password, shown this once: so it is in the answer itself."""

    def work(session: Session) -> tuple[User, str]:
        found = get_user(session, user_id)
        if not found.active:
            raise RuleBroken(f"{found.name} may not sign in. Allow that first.", code="user-inactive")
        return found, make_reset_token(session, found)

    found, token = transact(work)
    return _user_page(found, link=_link(token))


def _link(token: str) -> str:
    return current_hub().settings.public_url + reset_path(token)


def _last_seen(session: Session) -> dict[UUID, datetime]:
    """When each user's newest browser session was last used."""
    query = select(UserSession.user_id, func.max(UserSession.last_seen_at)).group_by(UserSession.user_id)
    return {user_id: seen_at for user_id, seen_at in session.execute(query) if seen_at is not None}


def _row(user: User, seen_at: datetime | None) -> dict[str, Any]:
    return {
        "id": user.id,
        "name": user.name,
        "email": user.email,
        "role": user.role,
        "active": user.active,
        "last_seen_at": seen_at,
        "has_password": user.password_hash is not None,
    }


def _roles() -> list[dict[str, Any]]:
    permissions = all_permissions(current_hub().plugins.hooks)
    return [
        {
            "name": str(role),
            "text": ROLE_TEXTS[role],
            "permissions": [permission.title for permission in permissions if role in permission.roles],
        }
        for role in Role
    ]


def _posted() -> dict[str, Any]:
    return {name: request.form.get(name, "").strip() for name in ("name", "email", "role", "person")}


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    """What the service takes. Raises RuleBroken for a person that is no id."""
    try:
        person_id = UUID(values["person"]) if values["person"] else None
    except ValueError:
        raise RuleBroken("Choose a person of the list.", fields={"person_id": "is none of the list"}) from None
    return {**{name: values[name] for name in ("name", "email", "role")}, "person_id": person_id}


def _errors(refused: RuleBroken) -> dict[str, str]:
    """The sentence at its field; one that is about the whole user on top."""
    names = ["person" if name == "person_id" else name for name in refused.fields]
    return dict.fromkeys(names or ["role" if refused.code == "last-admin" else ""], str(refused))


def _user_page(found: User, *, link: str = "") -> str:
    values = {
        "name": found.name,
        "email": found.email,
        "role": found.role,
        "person": str(found.person_id or ""),
        "active": found.active,
    }
    return _form_page(found, values, {}, link=link, revision=found.revision)


def _form_page(
    found: User | None, values: dict[str, Any], errors: dict[str, str], *, link: str = "", revision: str | int = ""
) -> str:
    href = url_for("pages.add_user") if found is None else url_for("pages.user", user_id=found.id)
    return render(
        "pages/user.html",
        person=None if found is None else {"id": found.id, "name": found.name, "email": found.email},
        values=values,
        errors=errors,
        revision=revision,
        roles=ROLES,
        people=_people(found),
        partners=[],
        href=href,
        link=link,
        actions=_actions(found),
    )


def _people(found: User | None) -> list[tuple[str, str]]:
    """Who works here and signs in as nobody else."""
    with reading() as session:
        taken = select(User.person_id).where(User.person_id.is_not(None))
        if found is not None:
            taken = taken.where(User.id != found.id)
        query = select(Person).where(Person.active, Person.id.not_in(taken)).order_by(Person.name)
        return [(str(person.id), person.name) for person in session.scalars(query)]


def _actions(found: User | None) -> list[dict[str, Any]]:
    if found is None or not found.active or not current_user().may("users.write"):
        return []
    href = url_for("pages.reset_link", user_id=found.id)
    return [{"label": "Link to set a password", "href": href, "method": "post", "icon": "link", "style": "default"}]
