"""Take the documentation's pictures from a running demo.

    make demo                                            in one terminal; it prints its address
    .venv/bin/python scripts/take_pictures.py ADDRESS    in another; writes docs/pictures/*.png

Playwright drives the distribution's Chromium; HUB_CHROMIUM names another. A picture that is larger than a page should
load is refused.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from hub.demo.firm import LOGINS, PASSWORD

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "pictures"
MOST_BYTES = 200_000
SIZE = {"width": 1280, "height": 880}
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--font-render-hinting=none"]


@dataclass(frozen=True)
class Picture:
    """One page as one user sees it. theme: light or dark. press: a button to press there first."""

    name: str
    who: str
    path: str
    theme: str = "light"
    press: str = ""


PICTURES = (
    Picture("home", "admin", "/"),
    Picture("connect", "admin", "/connectors/quickbooks/add"),
    Picture("invoices", "finance", "/invoices"),
    Picture("reconciliation-dark", "finance", "/reconciliation", "dark", press="Compare now"),
)


def main() -> int:
    """Take every picture. Exit code 1 if one is too large or no browser is there."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("address", help="where the demo is: http://127.0.0.1:8000")
    address = parser.parse_args().address.rstrip("/")
    chromium = os.environ.get("HUB_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("There is no Chromium: install the distribution's, or name one in HUB_CHROMIUM.", file=sys.stderr)
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        sizes = {picture.name: take(browser, address, picture) for picture in PICTURES}
        browser.close()
    too_large = [name for name, size in sizes.items() if size > MOST_BYTES]
    for name, size in sizes.items():
        print(f"{name}: {size // 1000} kB{' is too large' if name in too_large else ''}")
    return 1 if too_large else 0


def take(browser: Browser, address: str, picture: Picture) -> int:
    """Log in, open the page, and write the picture. Returns its size in bytes."""
    context = browser.new_context(viewport=SIZE, color_scheme=picture.theme, reduced_motion="reduce")
    page = context.new_page()
    log_in(page, address, LOGINS[picture.who][0])
    page.goto(f"{address}{picture.path}", wait_until="networkidle")
    if picture.press:
        page.get_by_role("button", name=picture.press).click()
        page.get_by_role("heading", name="Totals by currency").wait_for()
        page.wait_for_load_state("networkidle")
    target = FOLDER / f"{picture.name}.png"
    page.screenshot(path=target)
    context.close()
    return target.stat().st_size


def log_in(page: Page, address: str, email: str) -> None:
    page.goto(f"{address}/login")
    page.fill("input[name=email]", email)
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_load_state("networkidle")


if __name__ == "__main__":
    sys.exit(main())
