"""The pages of the hub itself: every module of this package is a screen and puts its routes on `blueprint.pages`."""

from __future__ import annotations

import importlib
import pkgutil

from flask import Flask


def register_pages(app: Flask) -> None:
    """Mount all screens."""
    for module in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        importlib.import_module(f"{__name__}.{module}")
    from hub.web.pages.blueprint import pages

    app.register_blueprint(pages)
