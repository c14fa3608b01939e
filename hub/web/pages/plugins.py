"""What is installed, and switching it on and off."""

from __future__ import annotations

from typing import Any

from flask import url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from hub.core.errors import NotFound
from hub.enabling import enable_with_tables
from hub.plugin_host import PluginState
from hub.sync.models import Connection
from hub.web.connector_catalogue import listed, plugin_states
from hub.web.current import current_hub, current_user, reading
from hub.web.display import words
from hub.web.pages.blueprint import pages
from hub.web.session import flash, redirect_to, render

_STATES = {"enabled": "enabled", "quarantined": "isolated", "failed": "failed", "incompatible": "failed"}
_REMEDIES = {
    "quarantined": "Mend the plugin, then enable it again.",
    "failed": "Install a version that can be imported, then enable it.",
    "incompatible": "Install a version that is for this one, then enable it.",
}


@pages.get("/plugins", permission="plugins.read")
def plugins() -> ResponseReturnValue:
    """Every installed plugin with its state and the reason of a failure."""
    return render("pages/plugins.html", plugins=[_shown(state) for state in plugin_states()])


@pages.post("/plugins/<name>/enable", permission="plugins.write")
def enable_plugin(name: str) -> ResponseReturnValue:
    """Switch a plugin on; a plugin that cannot be loaded is shown with its reason."""
    enable_with_tables(current_hub(), name, actor=current_user().actor)
    flash("good", f"{words(name)} is enabled.")
    return redirect_to("pages.plugins")


@pages.get("/plugins/<name>/disable", permission="plugins.write")
def disable_plugin(name: str) -> ResponseReturnValue:
    """What switching it off means."""
    state = _state(name)
    with reading() as session:
        resting = session.scalars(select(Connection.name).where(Connection.plugin == name).order_by(Connection.name))
        names = resting.all()
    consequences = ["Its pages and its part of the API are gone at once, everywhere. Its data stays."]
    if names:
        consequences.append(f"Nothing is read or written by {listed(names)} until it is enabled again.")
    return render(
        "confirm.html",
        title=f"Disable {_title(state)}?",
        text="It can be enabled again at any time.",
        consequences=consequences,
        href=url_for("pages.disable_plugin", name=name),
        button="Disable",
        danger=True,
        back=url_for("pages.plugins"),
    )


@pages.post("/plugins/<name>/disable", permission="plugins.write", endpoint="disable_plugin_sent")
def disable_plugin_sent(name: str) -> ResponseReturnValue:
    """Switch a plugin off."""
    current_hub().plugins.disable(name, actor=current_user().actor)
    flash("good", f"{words(name)} is disabled. Its data stays.")
    return redirect_to("pages.plugins")


def _state(name: str) -> PluginState:
    for state in plugin_states():
        if state.name == name:
            return state
    raise NotFound(f"There is no plugin called {name}.")


def _title(state: PluginState) -> str:
    connectors = (state.probe or {}).get("connectors", [])
    return str(connectors[0]["title"]) if len(connectors) == 1 else words(state.name)


def _text(state: PluginState) -> str:
    """What the plugin says of itself, without its title again."""
    text = str((state.probe or {}).get("title", ""))
    start, colon, rest = text.partition(": ")
    return rest[:1].upper() + rest[1:] if colon and start == _title(state) else text


def _shown(state: PluginState) -> dict[str, Any]:
    found = state.probe or {}
    reason = state.reason or ("" if found.get("ok", True) else found.get("reason", ""))
    return {
        "name": state.name,
        "title": _title(state),
        "text": _text(state),
        "version": state.version,
        "author": "",
        "licence": "",
        "state": _STATES.get(state.status, "disabled"),
        "reason": reason[:1].upper() + reason[1:] + ("" if reason.endswith(".") or not reason else "."),
        "remedy": _REMEDIES.get(state.status, "") if reason else "",
        "detail": "",
        "hooks": found.get("hooks", []),
        "actions": _actions(state),
    }


def _actions(state: PluginState) -> list[dict[str, Any]]:
    if not current_user().may("plugins.write"):
        return []
    enable = url_for("pages.enable_plugin", name=state.name)
    disable = url_for("pages.disable_plugin", name=state.name)
    again = state.status in ("failed", "incompatible", "quarantined")
    actions = []
    if not state.enabled or again:
        label = "Enable again" if again else "Enable"
        actions.append({"label": label, "href": enable, "method": "post", "icon": "player-play", "style": "default"})
    if state.enabled:
        actions.append(
            {"label": "Disable", "href": disable, "method": "get", "icon": "player-pause", "style": "default"}
        )
    return actions
