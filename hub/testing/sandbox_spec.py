"""How a plugin names a sandbox without importing it: a hub that only syncs needs no stand-in and no test server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hub.testing.sandbox import Sandbox


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """A sandbox as a plugin offers it: `hub sandbox NAME`.

    create(state_file=..., **options) makes it and imports what it needs only then; options: those it takes.
    """

    name: str
    title: str
    create: Callable[..., Sandbox]
    options: tuple[str, ...] = ()
