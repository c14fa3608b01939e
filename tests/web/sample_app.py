"""A small application that shows every page template with sample values, as the browser tests see it."""

from __future__ import annotations

import secrets
from pathlib import Path

from flask import Flask, g, render_template, request
from jinja2 import ChoiceLoader, FileSystemLoader

from hub.web.display import prepare_templates
from tests.web.samples import NOW, SAMPLES

ROOT = Path(__file__).resolve().parents[2]

# The addresses of all pages: endpoint → rule. Templates build links from these names.
PAGES = {
    "home": "/",
    "login": "/login",
    "logout": "/logout",
    "reset_password": "/reset/<token>",
    "password": "/password",
    "first_run": "/welcome",
    "theme": "/preferences/theme",
    "shortcuts": "/shortcuts",
    "search": "/search",
    "clients": "/clients",
    "client": "/clients/<client_id>",
    "projects": "/projects",
    "project": "/projects/<project_id>",
    "week": "/time",
    "approvals": "/approvals",
    "decide_time": "/approvals/decide",
    "invoices": "/invoices",
    "invoice": "/invoices/<invoice_id>",
    "draft_invoices": "/invoices/draft",
    "reconciliation": "/reconciliation",
    "connectors": "/connectors",
    "add_connection": "/connectors/<connector>/add",
    "connections": "/connections",
    "connection": "/connections/<name>",
    "edit_connection": "/connections/<name>/settings",
    "matching": "/connections/<name>/matching",
    "runs": "/runs",
    "timeline": "/timeline",
    "run": "/runs/<run_id>",
    "plan": "/plans/<plan_id>",
    "plans": "/connections/<name>/plans",
    "parked": "/parked",
    "plugins": "/plugins",
    "users": "/users",
    "add_user": "/users/add",
    "user": "/users/<user_id>",
    "keys": "/keys",
    "audit": "/audit",
    "imports": "/import",
}

PARTNER_PAGES = {
    "deals": "/partner/deals",
    "new_deal": "/partner/deals/new",
    "deal": "/partner/deals/<deal_id>",
    "review_queue": "/partner/review",
    "review": "/partner/review/<deal_id>",
}

POLICY = (
    "default-src 'self'; script-src 'self' 'nonce-%s'; img-src 'self' data:; frame-ancestors 'none'; "
    "form-action 'self'; base-uri 'none'"
)


def build_app() -> Flask:
    """Every sample at /sample/NAME?theme=light|dark|system&direction=ltr|rtl."""
    app = Flask("hub.web")
    folders = [ROOT / "hub" / "web" / "templates", ROOT / "plugins" / "partner_portal" / "templates"]
    app.jinja_loader = ChoiceLoader([FileSystemLoader(folder) for folder in folders])
    prepare_templates(app)
    for blueprint, pages in (("pages", PAGES), ("partner_portal", PARTNER_PAGES)):
        for endpoint, rule in pages.items():
            app.add_url_rule(rule, f"{blueprint}.{endpoint}", _page, methods=["GET", "POST"])
    app.add_url_rule("/sample/<name>", "sample", _sample, methods=["GET", "POST"])
    app.before_request(_begin)
    app.after_request(_set_policy)
    return app


def _sample(name):
    template, context = SAMPLES[name]
    look = {key: request.args[key] for key in ("theme", "direction") if key in request.args}
    return render_template(template, **{**context, **look, "csp_nonce": g.csp_nonce})


def _page(**values):
    """The page's own sample, where there is one of its name."""
    name = request.endpoint.partition(".")[2]
    return _sample(name) if name in SAMPLES else ("", 204)


def _begin():
    g.now = NOW
    g.csp_nonce = secrets.token_urlsafe(16)  # htmx drops a part that comes with the nonce of an earlier answer


def _set_policy(response):
    response.headers["Content-Security-Policy"] = POLICY % g.csp_nonce
    return response
