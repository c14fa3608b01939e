"""Records that a full read did not show, more of them than usual: were they deleted over there?"""

from __future__ import annotations

from flask import request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from hub.core.outbox import Link
from hub.sync.connections import connection_named
from hub.sync.vanished import decide_vanished, full_read_of, vanished_links
from hub.web.connection_states import kind_title
from hub.web.current import reading, transact
from hub.web.pages.blueprint import pages
from hub.web.queueing import queue_run
from hub.web.session import flash, redirect_to, render

_SHOWN = 20


@pages.get("/connections/<name>/vanished/<kind>", permission="connections.sync")
def vanished(name: str, kind: str) -> ResponseReturnValue:
    """Some of them by name, and the question."""
    with reading() as session:
        found = connection_named(session, name)
        missing = vanished_links(found.id, kind, full_read_of(session, found.id, kind))
        labels = select(Link.label, Link.remote_id).where(*missing).order_by(Link.label, Link.id).limit(_SHOWN + 1)
        rows = session.execute(labels).all()
    names = [label or remote_id for label, remote_id in rows[:_SHOWN]]
    return render(
        "confirm.html",
        title=f"Were these {kind_title(kind).lower()} deleted in {name}?",
        text="The last full read did not show them, and they are more than the guard allows. If they were deleted, "
        "each is asked for once more and marked as deleted; what the hub has of them stays.",
        consequences=[*names, "and more"] if len(rows) > _SHOWN else names,
        href=url_for("pages.vanished", name=name, kind=kind),
        button="They were deleted",
        danger=True,
        other=("answer", "there", "They are still there"),
        back=url_for("pages.parked"),
    )


@pages.post("/connections/<name>/vanished/<kind>", permission="connections.sync", endpoint="vanished_sent")
def vanished_sent(name: str, kind: str) -> ResponseReturnValue:
    """Note the answer; what is gone is marked by a run."""
    gone = request.form.get("answer") != "there"
    with reading() as session:
        connection_id = connection_named(session, name).id
    number = transact(lambda session: decide_vanished(session, connection_id, kind, gone=gone))
    if gone:
        queue_run(connection_id, done=f"{number:,} are asked for once more, and marked as deleted if they are gone.")
    else:
        flash("good", "They stay as they are.")
    return redirect_to("pages.connection", name=name)
