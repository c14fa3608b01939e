"""The pages of the hub itself: every module of this package is a screen and puts its routes on `blueprint.pages`."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from flask import Blueprint, Flask


def register_pages(app: Flask) -> None:
    """Mount all screens."""
    app.register_blueprint(_with_all_screens())


@cache
def _with_all_screens() -> Blueprint:
    # Looked for once in a process: a module that an upgrade adds on the disk must not join a blueprint in use.
    for module in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        importlib.import_module(f"{__name__}.{module}")
    from hub.web.pages.blueprint import pages

    return pages
