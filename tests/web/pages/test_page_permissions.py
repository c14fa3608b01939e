"""Who may open which page, and that no form is taken without the session's token."""

from __future__ import annotations

import pytest

from tests.web.pages.firm import issue, set_rate
from tests.web.pages.visitor import Visitor

ROLES = ["admin", "finance", "manager", "consultant", "partner"]
OPEN_TO = {
    "/": "admin finance manager consultant partner",
    "/search": "admin finance manager consultant partner",
    "/shortcuts": "admin finance manager consultant partner",
    "/password": "admin finance manager consultant partner",
    "/clients": "admin finance manager consultant",
    "/clients/add": "admin finance manager",
    "/clients/{client}": "admin finance manager consultant",
    "/clients/{client}/edit": "admin finance manager",
    "/projects": "admin finance manager consultant",
    "/projects/{project}": "admin finance manager consultant",
    "/time": "admin finance manager consultant",
    "/approvals": "admin manager",
    "/invoices": "admin finance manager",
    "/invoices/{invoice}": "admin finance manager",
    "/invoices/{invoice}/payment": "admin finance",
    "/invoices/{invoice}/delete": "admin finance",
    "/invoices/draft": "admin finance",
    "/reconciliation": "admin finance",
    "/import": "admin finance manager",
    "/timeline": "admin finance",
}
POSTED = {
    "/clients/add": "admin finance manager",
    "/clients/{client}/edit": "admin finance manager",
    "/clients/{client}/archive": "admin finance manager",
    "/time": "admin finance manager consultant",
    "/approvals/decide": "admin manager",
    "/invoices/draft": "admin finance",
    "/invoices/{invoice}/issue": "admin finance",
    "/invoices/{invoice}/delete": "admin finance",
    "/invoices/{invoice}/payment": "admin finance",
    "/reconciliation": "admin finance",
    "/import": "admin finance manager",
}


@pytest.fixture
def filled(hub, users):
    """Ids to put into addresses."""
    set_rate(hub)
    record = issue(hub, "Brown Ltd")
    return {"client": record.client_id, "project": record.project_id, "invoice": record.id}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_opens_exactly_its_pages(app, hub, users, filled, role):
    visitor = Visitor(app, hub, users[role])

    answers = {path: visitor.get(path.format(**filled)).status_code for path in OPEN_TO}

    assert answers == {path: 200 if role in roles.split() else 403 for path, roles in OPEN_TO.items()}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_sends_exactly_its_forms(app, hub, users, filled, role):
    visitor = Visitor(app, hub, users[role])

    refused = {path for path in POSTED if visitor.post(path.format(**filled)).status_code == 403}

    assert refused == {path for path, roles in POSTED.items() if role not in roles.split()}


@pytest.mark.parametrize("path", POSTED)
def test_a_form_without_the_token_is_refused(app, hub, users, filled, path):
    visitor = Visitor(app, hub, users["admin"])

    assert visitor.client.post(path.format(**filled)).status_code == 403


@pytest.mark.parametrize("path", OPEN_TO)
def test_who_is_not_signed_in_is_led_to_the_sign_in(app, hub, filled, path):
    away = Visitor(app, hub).get(path.format(**filled))

    assert away.status_code == 303
    assert away.headers["Location"].startswith("/login?next=")


@pytest.mark.parametrize("path", ["/clients", "/projects", "/invoices"])
def test_a_record_that_is_not_there_is_not_found(app, hub, users, path):
    visitor = Visitor(app, hub, users["admin"])

    assert visitor.get(f"{path}/019ab0aa-0000-7000-8000-000000000000").status_code == 404
    assert visitor.get(f"{path}/x").status_code == 404
