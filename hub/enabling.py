"""Switching a plugin on: with its tables, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from hub.bootstrap import Hub

log = structlog.get_logger("hub.plugins")


def enable_with_tables(hub: Hub, name: str, *, actor: str) -> None:
    """Enable a plugin and bring its tables up to date. Without them it is disabled again."""
    from hub.migrations import upgrade  # only now: every command imports this module, and few of them need Alembic

    hub.plugins.enable(name, actor=actor)
    try:
        upgrade(hub)
    except Exception as failure:
        log.error("the tables of a plugin could not be made", plugin=name, exc_info=failure)
        reason = f"its tables could not be made ({type(failure).__name__})"
        hub.plugins.disable(name, actor=actor, reason=reason, status="failed")
        raise
