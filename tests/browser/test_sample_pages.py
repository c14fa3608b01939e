"""Every page template, light and dark, wide and narrow: no barriers, no sideways scrolling, no errors."""

from __future__ import annotations

import pytest

from tests.web.sample_app import build_app
from tests.web.samples import SAMPLES

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(serve):
    return serve(build_app())


@pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", SAMPLES)
def test_a_page_has_no_barriers(open_page, axe, no_sideways_scroll, screenshot, address, name, theme, narrow):
    page = open_page(theme=theme, narrow=narrow)

    page.goto(f"{address}/sample/{name}")

    screenshot(page, f"sample-{name}-{theme}-{'narrow' if narrow else 'wide'}")
    no_sideways_scroll(page)
    axe(page)
