"""Setting a connection up: its account, what travels, and whether it may write."""

from __future__ import annotations

from typing import Any

from flask import request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from hub.core.errors import ConnectorError, NotFound, RuleBroken
from hub.core.outbox import Subscription
from hub.sync.connections import add_connection as connect
from hub.sync.connections import connection_named, set_state
from hub.sync.connector import Connector
from hub.sync.models import Connection, ConnectionState
from hub.sync.standing import not_yet_owed
from hub.web.connection_form import SettingsForm, entered, name_fault, refused, settings_form
from hub.web.connection_states import kind_title, title_of
from hub.web.connector_catalogue import listed
from hub.web.current import current_hub, current_user, reading
from hub.web.display import words
from hub.web.pages.blueprint import pages
from hub.web.session import flash, redirect_to, render


@pages.get("/connectors/<connector>/add", permission="connections.write")
def add_connection(connector: str) -> ResponseReturnValue:
    """Step 1: the account."""
    kind = _kind(connector)
    if kind is None:
        return redirect_to("pages.connectors", q=connector)
    return _account(kind, settings_form(kind), name=_free_name(connector))


@pages.post("/connectors/<connector>/add", permission="connections.write", endpoint="add_connection_sent")
def add_connection_sent(connector: str) -> ResponseReturnValue:
    """Test the account. It is kept if the test succeeds, but nothing is read or written before its streams are chosen.

    What a test renews (a token that is good once) has to be kept, so there is no test that leaves nothing behind.
    """
    kind = _kind(connector)
    if kind is None:
        raise NotFound(f"The connector {connector} is not enabled.")
    name, values = request.form.get("name", "").strip(), entered(kind, request.form)
    fault = name_fault(name)
    if fault:
        return _account(kind, SettingsForm(settings_form(kind).schema, values), name=name, name_error=fault), 422
    try:
        added = connect(
            current_hub(),
            connector=connector,
            name=name,
            settings=values,
            read_only=True,
            paused=True,
            actor=current_user().actor,
        )
    except (RuleBroken, ConnectorError) as failure:
        return _account_again(kind, name, values, failure), 422
    all_well = all(finding["ok"] for finding in added.findings or ())
    if request.form.get("action") == "test" or not all_well:
        return redirect_to("pages.edit_connection", name=name, setup=1, tested=1)
    flash("good", f"Connected to {added.account_name}. Nothing is read or written yet.")
    return redirect_to("pages.connection_streams", name=name, setup=1)


@pages.get("/connections/<name>/ready", permission="connections.write")
def connection_ready(name: str) -> ResponseReturnValue:
    """Step 3: what was set up, and what can be done now."""
    with reading() as session:
        connection = connection_named(session, name)
        subscriptions = _running(session, connection)
        to_send = {each.kind: number for each in subscriptions if (number := _to_send(session, each))}
    return render(
        "pages/connection_setup.html",
        connector={"name": connection.connector, "title": title_of(connection)},
        step=3,
        connection=None,
        errors={},
        summary=[
            ("Account", connection.account_name),
            ("Environment", words(connection.environment)),
            ("Streams", listed([kind_title(each.kind) for each in subscriptions])),
            (
                "Would be sent",
                listed([f"{kind_title(kind).lower()} ({number:,})" for kind, number in to_send.items()])
                or "nothing is waiting",
            ),
            ("Writing", "on" if connection.writes else "off: nothing is written over there"),
        ],
        actions=_ready_actions(connection),
    )


def begin_reading(session: Session, name: str) -> None:
    """The set-up is done: the connection reads from now on, and writes once a person enables that."""
    connection = connection_named(session, name)
    if connection.state == ConnectionState.PAUSED:
        set_state(session, connection.id, ConnectionState.READ_ONLY)


def _kind(connector: str) -> type[Connector] | None:
    known = current_hub().connector_classes().get(connector)
    return known[1] if known is not None else None


def _account(
    kind: type[Connector], form: SettingsForm, *, name: str, name_error: str = "", status_text: str = ""
) -> str:
    errors = {**({"name": name_error} if name_error else {}), **form.errors}
    return render(
        "pages/connection_setup.html",
        connector={"name": kind.name, "title": kind.title},
        step=1,
        href=url_for("pages.add_connection", connector=kind.name),
        name=name,
        name_error=name_error,
        fields=form.fields(),
        errors=errors,
        form_error=form.text or status_text,
        check=None,
        connection=None,
    )


def _account_again(
    kind: type[Connector], name: str, values: dict[str, Any], failure: RuleBroken | ConnectorError
) -> str:
    """The form with what is wrong; a name that is taken belongs to the field above the settings."""
    if isinstance(failure, RuleBroken) and set(failure.fields) == {"name"}:
        form = SettingsForm(settings_form(kind).schema, values)
        return _account(kind, form, name=name, name_error=str(failure))
    return _account(kind, refused(kind, values, failure), name=name)


def _free_name(connector: str) -> str:
    """The connector's name, with a number if there is one called so."""
    with reading() as session:
        taken = set(session.scalars(select(Connection.name).where(Connection.name.startswith(connector))))
    numbered = (connector if number == 1 else f"{connector}-{number}" for number in range(1, len(taken) + 2))
    return next((name for name in numbered if name not in taken), connector)


def _running(session: Session, connection: Connection) -> list[Subscription]:
    query = select(Subscription).where(Subscription.connection_id == connection.id).order_by(Subscription.position)
    return [each for each in session.scalars(query) if each.pushes or each.pulls]


def _to_send(session: Session, subscription: Subscription) -> int:
    kind = current_hub().kinds.get(subscription.kind)
    return not_yet_owed(session, kind, subscription) if kind is not None and subscription.pushes else 0


def _ready_actions(connection: Connection) -> list[dict[str, Any]]:
    name = connection.name
    writing = {
        "label": "Enable writing",
        "href": url_for("pages.enable_writing", name=name),
        "method": "get",
        "icon": "lock-open",
        "style": "default",
    }
    sync = {
        "label": "Sync now",
        "href": url_for("pages.sync_connection", name=name),
        "method": "post",
        "icon": "refresh",
        "style": "primary",
    }
    look = {"label": "Go to the connection", "href": url_for("pages.connection", name=name), "method": "get"}
    return [sync, *([] if connection.writes else [writing]), {**look, "style": "quiet"}]
