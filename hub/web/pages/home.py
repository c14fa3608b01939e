"""The first page after signing in."""

from __future__ import annotations

from flask.typing import ResponseReturnValue

from hub.web.current import current_user
from hub.web.pages.blueprint import pages
from hub.web.session import render


@pages.get("/", permission="*")
def home() -> ResponseReturnValue:
    """What needs this user now."""
    greeting = f"Hello, {current_user().name.split()[0]}"
    return render("pages/home.html", greeting=greeting, note="", needs=[], kpis=[], activity=[], panels=[], quick=[])


@pages.get("/search", permission="*")
def search() -> ResponseReturnValue:
    """What is called like this."""
    return render("pages/search.html", query="", groups=[], results=[])


@pages.get("/shortcuts", permission="*")
def shortcuts() -> ResponseReturnValue:
    """The keys that save a click."""
    return render("pages/shortcuts.html")
