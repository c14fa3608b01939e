"""Partner portal: partners register deals, we answer in time, and two partners never hold the same one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from hub.sdk import hookimpl


@hookimpl
def migrations() -> Sequence[str]:
    return ["plugins.partner_portal:migrations"]


@hookimpl
def record_kinds() -> Sequence[Any]:
    from plugins.partner_portal.kind import DEALS

    return [DEALS]


@hookimpl
def permissions() -> Sequence[Any]:
    from plugins.partner_portal.access import PERMISSIONS

    return PERMISSIONS


@hookimpl
def api_blueprints() -> Sequence[Any]:
    from plugins.partner_portal import api

    return [api.deals, api.reviews, api.products]


@hookimpl
def page_blueprints() -> Sequence[Any]:
    from plugins.partner_portal import pages

    return [pages.pages]


@hookimpl
def navigation() -> Sequence[Any]:
    from hub.sdk.web import NavigationEntry
    from plugins.partner_portal.access import REGISTER, REVIEW

    return [
        NavigationEntry("Deals", "partner_portal.deals", "heart-handshake", REGISTER),
        NavigationEntry("Deal review", "partner_portal.review_queue", "heart-handshake", REVIEW, group="Work"),
    ]


@hookimpl
def home_panels(user: Any) -> Sequence[Any]:
    from plugins.partner_portal.panels import panels_for

    return panels_for(user)


@hookimpl
def commands() -> Sequence[Any]:
    from plugins.partner_portal.cli import partner

    return [partner]


@hookimpl
def lineage_recorded(origin_kind: str, origin_id: UUID, kind: str, record_id: UUID, context: Any) -> None:
    """A project that came out of a deal closes the deal as won."""
    from plugins.partner_portal.service import note_project

    if (origin_kind, kind) == ("deals", "projects"):
        context.transact(lambda session: note_project(session, origin_id, record_id))
