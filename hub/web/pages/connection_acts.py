"""What a person does with a connection: run, test, pause, resume, let it write, remove it."""

from __future__ import annotations

from flask import request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.errors import ConnectorError, RuleBroken
from hub.core.outbox import Subscription
from hub.sync.connections import check_connection, connection_named, remove_connection, set_state
from hub.sync.models import Connection, ConnectionState
from hub.sync.standing import not_yet_owed, standings, together
from hub.web.connection_states import kind_title
from hub.web.current import current_hub, current_user, reading, transact
from hub.web.pages.blueprint import pages
from hub.web.queueing import queue_run
from hub.web.session import flash, redirect_to, render


@pages.post("/connections/<name>/sync", permission="connections.sync")
def sync_connection(name: str) -> ResponseReturnValue:
    """Queue a whole run."""
    found = _named(name)
    if found.state not in (ConnectionState.ACTIVE, ConnectionState.READ_ONLY):
        raise RuleBroken(f"{name} is not ready: resume it, or mend and test it first.", code="connection-not-ready")
    queue_run(found.id, done=f"A run of {name} is queued.")
    return redirect_to("pages.connection", name=name)


@pages.post("/connections/<name>/check", permission="connections.sync")
def check_now(name: str) -> ResponseReturnValue:
    """Test the connection; nothing is written over there."""
    found = _named(name)
    try:
        result = check_connection(current_hub(), found.id, actor=current_user().actor)
    except ConnectorError as failure:
        flash("bad", f"The test failed: {failure}")
    else:
        if result.ok:
            flash("good", f"The connection to {result.account_name} works.")
        else:
            flash("warn", "The connection was reached, but not all is well: see the test's findings.")
    return redirect_to("pages.connection", name=name)


@pages.post("/connections/<name>/pause", permission="connections.write")
def pause_connection(name: str) -> ResponseReturnValue:
    """Let it rest; what is owed stays owed."""
    transact(lambda session: set_state(session, connection_named(session, name).id, ConnectionState.PAUSED))
    flash("good", f"{name} is paused. What changes meanwhile is kept and sent later.")
    return redirect_to("pages.connection", name=name)


@pages.post("/connections/<name>/resume", permission="connections.write")
def resume_connection(name: str) -> ResponseReturnValue:
    """Go on as before the pause."""
    state = transact(lambda session: _go_on(session, name))
    flash("good", f"{name} goes on." if state == ConnectionState.ACTIVE else f"{name} goes on, reading only.")
    return redirect_to("pages.connection", name=name)


@pages.get("/connections/<name>/enable-writing", permission="connections.write")
def enable_writing(name: str) -> ResponseReturnValue:
    """What writing would do, before it is enabled."""
    found = _named(name)
    numbers = _would_send(found)
    return render(
        "confirm.html",
        title=f"Let the hub write to {name}?",
        text=f"From then on changes in the hub are sent to {found.account_name} by themselves.",
        consequences=[f"To be sent first: {kind_title(kind).lower()} ({number:,})." for kind, number in numbers.items()]
        or ["Nothing is waiting to be sent now."],
        href=url_for("pages.enable_writing", name=name),
        button="Enable writing",
        danger=False,
        back=url_for("pages.connection", name=name),
    )


@pages.post("/connections/<name>/enable-writing", permission="connections.write", endpoint="enable_writing_sent")
def enable_writing_sent(name: str) -> ResponseReturnValue:
    """Let it write."""

    def work(session: Session) -> None:
        found = connection_named(session, name)
        if found.state not in (ConnectionState.READ_ONLY, ConnectionState.ACTIVE):
            raise RuleBroken(f"{name} is not ready: resume it, or mend and test it first.", code="connection-not-ready")
        set_state(session, found.id, ConnectionState.ACTIVE)
        session.info.setdefault("owed", set()).add(found.id)

    transact(work)
    flash("good", f"{name} may write now.")
    return redirect_to("pages.connection", name=name)


@pages.get("/connections/<name>/remove", permission="connections.write")
def remove(name: str) -> ResponseReturnValue:
    """What is lost, and what stays."""
    return _remove_page(_named(name))


@pages.post("/connections/<name>/remove", permission="connections.write", endpoint="remove_sent")
def remove_sent(name: str) -> ResponseReturnValue:
    """Remove the connection whose name was typed."""
    found = _named(name)
    if request.form.get("typed", "").strip() != name:
        return _remove_page(found, error=f"Type {name} to remove it."), 422
    remove_connection(current_hub(), found.id, actor=current_user().actor)
    flash("good", f"{name} is removed.")
    return redirect_to("pages.connections")


def _named(name: str) -> Connection:
    with reading() as session:
        return connection_named(session, name)


def _go_on(session: Session, name: str) -> str:
    found = connection_named(session, name)
    state = ConnectionState.ACTIVE if found.writes else ConnectionState.READ_ONLY
    session.info.setdefault("owed", set()).add(found.id)
    return set_state(session, found.id, state).state


def _would_send(found: Connection) -> dict[str, int]:
    """What is not yet owed or owed already, by kind; kinds with nothing are left out."""
    kinds = current_hub().kinds
    with reading() as session:
        counts = standings(session, [found.id])
        query = select(Subscription).where(Subscription.connection_id == found.id, Subscription.pushes)
        pushed = [each for each in session.scalars(query.order_by(Subscription.position)) if each.kind in kinds]
        numbers = {each.kind: not_yet_owed(session, kinds[each.kind], each) for each in pushed}
    for (_, kind), standing in counts.items():
        if kind in numbers:
            numbers[kind] += standing.owed + standing.waiting
    return {kind: number for kind, number in numbers.items() if number}


def _remove_page(found: Connection, *, error: str = "") -> str:
    with reading() as session:
        standing = together(standings(session, [found.id]), found.id)
    return render(
        "confirm.html",
        title=f"Remove {found.name}?",
        text="The hub forgets the credentials and stops reading and writing there.",
        consequences=[
            f"{standing.linked:,} records stay as they are, on both sides.",
            "The history of its runs stays.",
            "What is still to be sent is not sent.",
        ],
        href=url_for("pages.remove", name=found.name),
        button="Remove the connection",
        danger=True,
        back=url_for("pages.connection", name=found.name),
        typed=found.name,
        error=error,
    )
