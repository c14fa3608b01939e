"""A real headless browser for the tests of this folder.

Playwright drives the distribution's Chromium: HUB_CHROMIUM names it, else the usual names are looked for, first the
one without a window, which is much faster. Without any the tests are skipped. Screenshots land in var/screenshots.
"""

from __future__ import annotations

import os
import shutil
import threading
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from werkzeug.serving import make_server

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "var" / "screenshots"
AXE = (Path(__file__).with_name("vendor") / "axe-core" / "axe.min.js").read_text()

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--font-render-hinting=none",
]

WIDE = {"width": 1280, "height": 900}
NARROW = {"width": 390, "height": 844}

LOOKS = [("light", 1280, True), ("dark", 1280, False), ("light", 390, False), ("dark", 390, True)]
"""Theme, width in pixels, and whether barriers are looked for: once in each theme and at each width."""

RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    "rules": {"target-size": {"enabled": True}},
    "resultTypes": ["violations"],
}


def chromium_path() -> str | None:
    """Where the browser is, or None."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    return os.environ.get("HUB_CHROMIUM") or next((path for name in names if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser():
    """One browser for all tests."""
    path = chromium_path()
    if path is None or not Path(path).exists():
        pytest.skip("No Chromium: install the distribution's, or name it in HUB_CHROMIUM.")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def is_error(message):
    """What a page should not say on the console. A refused form (422) is an answer, though browsers note it."""
    return message.type == "error" and "status of 422" not in message.text


@pytest.fixture
def open_page(browser):
    """Open pages: theme light or dark, wide or narrow, with or without scripts. Errors of the page fail the test."""
    contexts, errors = [], []

    def open_page(*, theme="light", narrow=False, scripts=True):
        context = browser.new_context(
            viewport=NARROW if narrow else WIDE,
            color_scheme=theme,
            java_script_enabled=scripts,
            reduced_motion="reduce",
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if is_error(message) else None)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def page(open_page):
    """A wide light page."""
    return open_page()


@dataclass(frozen=True)
class Violation:
    """One thing that axe found: which rule, where, and what is wrong there."""

    rule: str
    where: str
    text: str


@pytest.fixture
def axe():
    """Look for barriers on a page: axe(page) asserts that there are none, by WCAG 2.2 AA."""

    def axe(page):
        if not page.evaluate("'axe' in window"):
            page.evaluate(AXE)
        found = page.evaluate("rules => axe.run(document, rules)", RULES)["violations"]
        violations = [
            Violation(each["id"], " ".join(map(str, node["target"])), node["failureSummary"].replace("\n", " "))
            for each in found
            for node in each["nodes"]
        ]
        assert violations == []

    return axe


@pytest.fixture
def screenshot():
    """Save what a page looks like: screenshot(page, name)."""

    def screenshot(page, name):
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    return screenshot


@pytest.fixture
def no_sideways_scroll():
    """The page itself never scrolls sideways (a wide table may, in its own box)."""

    def check(page):
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0

    return check


@pytest.fixture
def look_at(axe, no_sideways_scroll, screenshot):
    """Look at the page that is open: look_at(page, name), light and dark, wide and narrow."""

    def look_at(page, name):
        for theme, width, has_axe in LOOKS:
            page.emulate_media(color_scheme=theme)
            page.set_viewport_size({"width": width, "height": 900})
            screenshot(page, f"{name}-{theme}-{width}")
            no_sideways_scroll(page)
            if has_axe:
                axe(page)

    return look_at


def in_one_piece(app):
    """The application, its answers read at once: this server leaves a file open when the browser hangs up on it."""

    def answer(environ, start_response):
        with closing(app(environ, start_response)) as body:
            return [b"".join(body)]

    return answer


@pytest.fixture(scope="session")
def serve():
    """Serve WSGI applications on loopback: serve(app) gives the address."""
    servers = []

    def serve(app):
        server = make_server("127.0.0.1", 0, in_one_piece(app), threaded=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()
