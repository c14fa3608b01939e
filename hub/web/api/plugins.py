"""/plugins: what is installed, and whether it is enabled."""

from __future__ import annotations

from flask import Response
from marshmallow import Schema, fields

from hub.core.errors import NotFound
from hub.enabling import enable_with_tables
from hub.plugin_host import PluginState
from hub.web.api.rest import ApiBlueprint, Values, answer, answer_after
from hub.web.current import current_hub, current_user, transact

blueprint = ApiBlueprint("plugins", "What is installed, and whether it is enabled.", prefix="/plugins")


class PluginOutput(Schema):
    """One plugin. status: available, enabled, disabled, failed, incompatible, quarantined, with the reason."""

    name = fields.String(required=True)
    title = fields.String(required=True)
    version = fields.String(required=True)
    enabled = fields.Boolean(required=True)
    status = fields.String(required=True)
    reason = fields.String(required=True)
    hooks = fields.List(fields.String(), required=True)
    connectors = fields.List(fields.Dict(), required=True)


class Plugins(Schema):
    """All of them; they are few, so there is one page."""

    data = fields.List(fields.Nested(PluginOutput), required=True)


@blueprint.get("", permission="plugins.read", output=Plugins)
def list_plugins() -> Response:
    """The installed plugins by name."""
    shown = [_shown(state) for state in _states()]
    return answer(lambda session: {"data": shown})


@blueprint.get("/<name>", permission="plugins.read", output=PluginOutput)
def get_plugin(name: str) -> Response:
    """One plugin."""
    shown = _one(name)
    return answer(lambda session: shown)


@blueprint.post("/<name>/enable", permission="plugins.write", output=PluginOutput)
def enable_plugin(name: str) -> Response:
    """Switch a plugin on, in every process."""

    def work() -> Values:
        enable_with_tables(current_hub(), name, actor=current_user().actor)
        return _one(name)

    return answer_after(work)


@blueprint.post("/<name>/disable", permission="plugins.write", output=PluginOutput)
def disable_plugin(name: str) -> Response:
    """Switch a plugin off, in every process; its data stays."""

    def work() -> Values:
        current_hub().plugins.disable(name, actor=current_user().actor)
        return _one(name)

    return answer_after(work)


def _states() -> list[PluginState]:
    """A plugin that is new is probed, which is worth keeping: so this is a transaction."""
    return transact(lambda session: current_hub().plugins.states(session))


def _one(name: str) -> Values:
    for state in _states():
        if state.name == name:
            return _shown(state)
    raise NotFound(f"There is no plugin called {name}.")


def _shown(state: PluginState) -> Values:
    found = state.probe or {}
    return {
        "name": state.name,
        "title": found.get("title", ""),
        "version": state.version,
        "enabled": state.enabled,
        "status": state.status,
        "reason": state.reason or "",
        "hooks": found.get("hooks", []),
        "connectors": found.get("connectors", []),
    }
