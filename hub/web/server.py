"""The web server: gunicorn with sync workers."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gunicorn.app.base import BaseApplication

from hub.bootstrap import build_hub
from hub.config import Settings
from hub.core.errors import SetupError
from hub.web.app import create_app
from hub.web.wsgi import HubApplication

if TYPE_CHECKING:
    from hub.bootstrap import Hub

TIMEOUT_S: Final = 120
"""A request may wait for another system: the test of a connection, or a short run."""
GRACE_S: Final = 15


def run_web(hub: Hub) -> None:
    """Serve the hub until it is told to stop. Raises SetupError when it cannot: an address in use, no tables."""
    refuse_taken_address(hub.settings.host, hub.settings.port)
    create_app(hub)  # what is wrong is said here, once, and not by every worker
    settings = hub.settings
    hub.close()  # a worker must not inherit connections
    _Server(settings).run()  # type: ignore[no-untyped-call]


def refuse_taken_address(host: str, port: int) -> None:
    """Raises SetupError, in one sentence, unless something may listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as failure:
            raise SetupError(
                f"The web server cannot listen on {host}:{port} ({failure.strerror}). "
                "End what listens there, or choose another address with HUB_BIND."
            ) from None


class _Server(BaseApplication):
    """Gunicorn with our settings; each worker makes a hub of its own."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        super().__init__()  # type: ignore[no-untyped-call]

    def load_config(self) -> None:
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        chosen: dict[str, Any] = {
            "bind": f"{host}:{self.settings.port}",
            "workers": self.settings.web_workers,
            "worker_class": "sync",
            "timeout": TIMEOUT_S,
            "graceful_timeout": GRACE_S,
            "loglevel": "warning",
            "proc_name": "hub web",
            "control_socket_disable": True,
            "worker_tmp_dir": "/dev/shm" if Path("/dev/shm").is_dir() else None,  # noqa: S108
        }
        assert self.cfg is not None
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> HubApplication:
        return HubApplication(build_hub(self.settings))
