"""Signing in and out, one's password and theme."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Response, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from hub.access.sign_in import open_session, reset_of, sign_in, sign_out, try_password, use_reset
from hub.access.users import NewPassword, Proof, change_user, get_user, new_password, prove, set_password
from hub.core.errors import HubError, NotFound, RuleBroken
from hub.web.current import current_user, current_user_or_none, reading, transact
from hub.web.pages.blueprint import pages
from hub.web.pages.first_run import has_users
from hub.web.session import (
    current_session_id,
    flash,
    redirect_to,
    render,
    sign_in_response,
    sign_out_response,
)

_WRONG = "The e-mail address and the password do not belong together."


@pages.get("/login", public=True)
def login() -> ResponseReturnValue:
    """The form to sign in."""
    if current_user_or_none() is not None:
        return redirect_to("pages.home")
    if not has_users():
        return redirect_to("pages.first_admin")
    return render("pages/login.html", email="", next=_local(request.args.get("next", "")), error="")


@pages.post("/login", public=True, endpoint="login_sent")
def login_sent() -> ResponseReturnValue:
    """Sign in: on to the page that was asked for, or the form again with one sentence."""
    email, password = request.form.get("email", ""), request.form.get("password", "")
    wanted = _local(request.form.get("next", ""))
    try:
        with reading() as session:
            proof = try_password(session, email, password)
        opened = transact(lambda session: _token(session, email, proof))
    except HubError as failure:
        return render("pages/login.html", email=email, next=wanted, error=str(failure)), 429
    if opened is None:
        return render("pages/login.html", email=email, next=wanted, error=_WRONG), 422
    return sign_in_response(make_response(redirect(wanted or url_for("pages.home"), 303)), opened)


@pages.post("/logout", permission="*")
def logout() -> ResponseReturnValue:
    """End this session."""
    session_id = current_session_id()
    transact(lambda session: sign_out(session, session_id))
    return sign_out_response(make_response(redirect(url_for("pages.login"), 303)))


@pages.get("/reset/<token>", public=True)
def reset_password(token: str) -> ResponseReturnValue:
    """The form behind a printed link."""
    return _reset_form(token, {})


@pages.post("/reset/<token>", public=True, endpoint="reset_password_sent")
def reset_password_sent(token: str) -> ResponseReturnValue:
    """Set the password by a link, and sign in with it."""
    password = request.form.get("password", "")
    if password != request.form.get("repeat", ""):
        return _reset_form(token, {"repeat": "This is not the same as above."}), 422
    try:
        with reading() as session:
            reset_of(session, token)  # nobody has us hash for a link that is none
        new = new_password(password)
        opened = transact(lambda session: open_session(session, use_reset(session, token, new))[1])
    except RuleBroken as refused:
        return _reset_form(token, {"password": str(refused)}), 422
    except NotFound:
        return _reset_form(token, {}), 404
    return sign_in_response(make_response(redirect(url_for("pages.home"), 303)), opened)


@pages.get("/password", permission="*")
def password() -> ResponseReturnValue:
    """The form to change one's password."""
    return render("pages/password.html", errors={})


@pages.post("/password", permission="*", endpoint="password_sent")
def password_sent() -> ResponseReturnValue:
    """Change one's password; the other sessions end."""
    form, session_id = request.form, current_session_id()
    if form.get("password", "") != form.get("repeat", ""):
        return render("pages/password.html", errors={"repeat": "This is not the same as above."}), 422

    with reading() as session:
        proof = prove(get_user(session, current_user().id), form.get("current", ""))

    def work(session: Session, password: NewPassword) -> None:
        user = get_user(session, current_user().id)
        if not proof.holds_for(user):
            raise RuleBroken(fields={"current": "This is not your current password."})
        set_password(session, user, password, keep=session_id)

    try:
        new = new_password(form.get("password", ""))
        transact(lambda session: work(session, new))
    except RuleBroken as refused:
        known = {name: text if name == "current" else str(refused) for name, text in refused.fields.items()}
        return render("pages/password.html", errors=known), 422
    flash("good", "Your password is changed.")
    return redirect_to("pages.home")


@pages.post("/preferences/theme", permission="*")
def theme() -> ResponseReturnValue:
    """Remember the theme, and go back to where it was chosen."""
    transact(lambda session: change_user(session, current_user().id, theme=request.form.get("theme", "")))
    if request.headers.get("HX-Request"):
        return Response(status=204)
    return redirect(_local(urlsplit(request.referrer or "").path) or url_for("pages.home"), 303)


def _token(session: Session, email: str, proof: Proof) -> str | None:
    opened = sign_in(session, email, proof)
    return None if opened is None else opened[1]


def _reset_form(token: str, errors: dict[str, str]) -> str:
    href = url_for("pages.reset_password", token=token)
    try:
        with reading() as session:
            person = reset_of(session, token).user.name
    except NotFound:
        person = None
    return render("pages/reset_password.html", person=person, errors=errors, href=href)


def _local(address: str) -> str:
    """The address if it is one of this hub, else nothing: nobody is sent elsewhere after signing in."""
    parts = urlsplit(address)
    plain = not parts.scheme and not parts.netloc and not address.startswith("//") and "\\" not in address
    return address if plain and address.startswith("/") else ""
