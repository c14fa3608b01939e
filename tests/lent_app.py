"""One web application a process, lent to each test with a hub of its own: making one is most of a web test's time."""

from __future__ import annotations

from hub.web.app import create_app, serve

_made = {}


def app_for(hub):
    """The application with what this hub's plugins contribute, answering for this hub."""
    with hub.read():
        pass  # so that the plugins are those of the present generation
    blueprints = [
        blueprint for hook in ("api_blueprints", "page_blueprints") for _, blueprint in hub.plugins.hooks.collect(hook)
    ]
    key = tuple(map(id, blueprints))
    if key not in _made:
        _made[key] = create_app(hub), blueprints  # held on to, so that no other blueprint gets its id
    app, _ = _made[key]
    serve(app, hub)
    return app
