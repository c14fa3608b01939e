"""What a plugin with an API and pages of its own imports.

An API blueprint is returned by the hook `api_blueprints`, pages by `page_blueprints`. Every route names a permission
(which the plugin adds by the hook `permissions`), or says that it is public; there is no third way.
"""

from __future__ import annotations

from hub.access.identity import CurrentUser
from hub.access.permissions import Permission, Role
from hub.web.api.fields import Amount, Part, Rate, choice, text, whole
from hub.web.api.rest import ApiBlueprint, answer, answer_after, answer_page
from hub.web.csrf import csrf_token
from hub.web.current import current_user, current_user_or_none, reading, request_id, transact
from hub.web.menu import NavigationEntry, Panel
from hub.web.session import PageBlueprint, flash, page_blueprint, redirect_to, render


def api_blueprint(name: str, description: str, *, prefix: str, strict: bool = False) -> ApiBlueprint:
    """Routes under /api/v1 and `prefix`. strict: Idempotency-Key and If-Match are demanded, not only honoured."""
    return ApiBlueprint(name, description, prefix=prefix, strict=strict)


__all__ = [
    "Amount",
    "ApiBlueprint",
    "CurrentUser",
    "NavigationEntry",
    "PageBlueprint",
    "Panel",
    "Part",
    "Permission",
    "Rate",
    "Role",
    "answer",
    "answer_after",
    "answer_page",
    "api_blueprint",
    "choice",
    "csrf_token",
    "current_user",
    "current_user_or_none",
    "flash",
    "page_blueprint",
    "reading",
    "redirect_to",
    "render",
    "request_id",
    "text",
    "transact",
    "whole",
]
