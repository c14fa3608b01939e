"""The blueprint that all pages of the hub itself stand on, a module a screen."""

from __future__ import annotations

from hub.web.session import page_blueprint

pages = page_blueprint("pages", __name__)
