"""The web application of one generation of plugins: API, pages, health and metrics."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

import structlog
from flask import Flask

from hub.access.fingerprints import Fingerprints
from hub.config import secret_keys
from hub.tracing import end_trace
from hub.web.api import add_core_api
from hub.web.api.rest import ApiBlueprint, add_blueprint, make_api
from hub.web.display import prepare_templates
from hub.web.errors import register_errors
from hub.web.guard import Guard, admit, check_guards, check_permissions, guarded
from hub.web.health import health
from hub.web.pages import register_pages
from hub.web.session import PageBlueprint, finish, frame
from hub.web.webhooks import webhooks

if TYPE_CHECKING:
    from flask_smorest import Api

    from hub.bootstrap import Hub

log = structlog.get_logger("hub.web")

LARGEST_BODY = 16 * 1024 * 1024
STATIC_KEPT_FOR_S = 365 * 24 * 3600


def create_app(hub: Hub) -> Flask:
    """A Flask application for the hub as its plugins are now. Raises SetupError for a route that anybody could use."""
    with hub.read():
        pass  # so that the plugins are those of the present generation
    app = Flask("hub.web", static_folder="static", template_folder="templates")
    app.config.update(
        MAX_CONTENT_LENGTH=LARGEST_BODY, SEND_FILE_MAX_AGE_DEFAULT=STATIC_KEPT_FOR_S, PROPAGATE_EXCEPTIONS=False
    )
    serve(app, hub)
    app.before_request(admit)
    app.teardown_request(lambda _: end_trace())
    app.after_request(finish)
    app.context_processor(frame)
    prepare_templates(app)
    register_errors(app)
    api = make_api(app, version("psa-hub"))
    names = add_core_api(api)
    app.register_blueprint(health)
    app.register_blueprint(webhooks)
    register_pages(app)
    _add_plugins(app, api, hub, names)
    for endpoint in ("static", "api-docs.openapi_json"):
        app.view_functions[endpoint] = guarded(partial(app.view_functions[endpoint]), Guard("", checks_csrf=False))
    check_guards(app, hub.plugins.hooks)
    return app


def serve(app: Flask, hub: Hub) -> None:
    """Let an application answer for this hub."""
    app.extensions["hub"] = hub
    app.extensions["hub.fingerprints"] = Fingerprints(secret_keys(hub.settings))


def _add_plugins(app: Flask, api: Api, hub: Hub, names: set[str]) -> None:
    """Mount what plugins contribute; one that cannot be mounted is left out, and the others go on."""
    for plugin, blueprint in hub.plugins.hooks.collect("api_blueprints"):
        try:
            if not isinstance(blueprint, ApiBlueprint):
                raise TypeError("api_blueprints must return what hub.sdk.web.api_blueprint makes")
            check_permissions(blueprint.permissions, hub.plugins.hooks)
            add_blueprint(api, blueprint, names)
        except Exception as failure:
            log.error("a plugin's API was left out", plugin=plugin, error=str(failure), exc_info=failure)
    for plugin, blueprint in hub.plugins.hooks.collect("page_blueprints"):
        try:
            if not isinstance(blueprint, PageBlueprint):
                raise TypeError("page_blueprints must return what hub.sdk.web.page_blueprint makes")
            check_permissions(blueprint.permissions, hub.plugins.hooks)
            app.register_blueprint(blueprint)
        except Exception as failure:
            log.error("a plugin's pages were left out", plugin=plugin, error=str(failure), exc_info=failure)
