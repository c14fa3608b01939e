"""Every page template, light and dark, wide and narrow: no barriers, no sideways scrolling, no errors."""

from __future__ import annotations

import pytest

from tests.web.sample_app import build_app
from tests.web.samples import SAMPLES

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(serve):
    return serve(build_app())


@pytest.mark.parametrize("name", SAMPLES)
def test_a_page_has_no_barriers(page, look_at, address, name):
    page.goto(f"{address}/sample/{name}")

    look_at(page, f"sample-{name}")
