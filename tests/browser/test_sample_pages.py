"""Every page template, light and dark, wide and narrow: no barriers, no sideways scrolling, no errors."""

from __future__ import annotations

import pytest

from tests.web.sample_app import build_app
from tests.web.samples import SAMPLES

pytestmark = pytest.mark.browser

LOOKS = [("light", 1280), ("dark", 1280), ("dark", 390), ("light", 390)]


@pytest.fixture(scope="module")
def address(serve):
    return serve(build_app())


@pytest.mark.parametrize("name", SAMPLES)
def test_a_page_has_no_barriers(page, axe, no_sideways_scroll, screenshot, address, name):
    page.goto(f"{address}/sample/{name}")

    for theme, width in LOOKS:
        page.emulate_media(color_scheme=theme)
        page.set_viewport_size({"width": width, "height": 900})
        screenshot(page, f"sample-{name}-{theme}-{width}")
        no_sideways_scroll(page)
        axe(page)
