"""The fixtures a plugin author's tests get by themselves, by the entry point group pytest11. Kept light to import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def tell() -> Callable[..., None]:
    """Tell a plugin something: `tell(module, "invoice_issued", an_invoice(), settings={...})`."""
    from hub.testing.kit import tell_plugin

    return tell_plugin


@pytest.fixture
def check_plugin() -> Callable[[Any], list[str]]:
    """The hooks a plugin implements; a hook or an argument that does not exist is an error."""
    from hub.plugin_host import check_implementations

    return check_implementations


@pytest.fixture
def plugin_context() -> Callable[..., Any]:
    """Make a context: `plugin_context(settings={...}, external_ids={...})`."""
    from hub.testing.kit import a_context

    return a_context
