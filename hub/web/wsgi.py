"""The WSGI callable: one Flask application per generation of plugins, swapped when another process changes them.

A plugin that is disabled leaves no trace in the next generation: its pages and its API answer 404. `application()` is
for any WSGI server: `gunicorn 'hub.web.wsgi:application()'`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import structlog
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from hub.core.errors import HubError
from hub.web.app import create_app

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from hub.bootstrap import Hub

log = structlog.get_logger("hub.web")


class HubApplication:
    """Serves a hub. Each request is answered by the application of the generation it finds."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self._lock = threading.Lock()
        self._app = create_app(hub)
        self._generation = hub.plugins.generation

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self.current()(environ, start_response)

    def current(self) -> Flask:
        """The application of the present generation; the last one while the database cannot be asked."""
        try:
            with self.hub.read():
                pass  # looks whether the plugins are still those of this process
        except (HubError, SQLAlchemyError) as failure:
            log.warning("the generation of plugins cannot be read", error=str(failure))
            return self._app
        if self.hub.plugins.generation != self._generation:
            self._swap()
        return self._app

    def _swap(self) -> None:
        with self._lock:
            generation = self.hub.plugins.generation
            if generation == self._generation:
                return
            try:
                self._app = create_app(self.hub)
            except Exception as failure:
                log.error("the new generation cannot be served; the last one goes on", exc_info=failure)
            self._generation = generation


def application(settings: Any = None) -> HubApplication:
    """The callable for a WSGI server, with settings from the environment unless given."""
    from hub.bootstrap import build_hub

    return HubApplication(build_hub(settings))
