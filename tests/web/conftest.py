"""A whole web application on a real database, with one user of each role, and a client that speaks as any of them."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

import pytest

from hub.access.fingerprints import Fingerprints
from hub.access.keys import create_key
from hub.access.models import User
from hub.access.permissions import Role
from hub.access.users import create_user
from hub.config import secret_keys
from hub.core.clients.service import create_client
from hub.core.companies.service import set_company
from hub.core.people.service import create_person
from hub.core.projects.service import create_project, create_task
from hub.core.rates.service import add_rate
from hub.core.timesheets.service import record_time, submit_and_approve
from hub.web.app import create_app
from tests.lent_app import app_for

ROLES = [str(role) for role in Role]


@pytest.fixture
def app(hub):
    return app_for(hub)


@pytest.fixture
def own_app(hub):
    """An application that no other test gets: to change it."""
    return create_app(hub)


@pytest.fixture
def users(hub):
    """The id of one user of each role; the firm's own are people too."""

    def work(session):
        set_company(session, name="Ada Ltd", country="GB", currency="GBP")
        found = {}
        for role in ROLES:
            person = create_person(session, name=f"{role} person") if role != "partner" else None
            session.flush()
            found[role] = create_user(
                session, email=f"{role}@example.com", name=f"{role} person", role=role, person_id=person and person.id
            ).id
        return found

    return hub.transact(work)


@pytest.fixture
def keys(hub, users):
    """An API key of one user of each role."""
    fingerprints = Fingerprints(secret_keys(hub.settings))

    def work(session):
        return {
            role: create_key(session, fingerprints, owner=session.get_one(User, user_id), name=role).secret
            for role, user_id in users.items()
        }

    return hub.transact(work)


class Api:
    """Speaks to the API as one role. Answers are (status, body); `last` is the whole response."""

    def __init__(self, app, key):
        self.client = app.test_client()
        self.key = key

    def __call__(self, method, path, body=None, **headers):
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.key:
            given["Authorization"] = f"Bearer {self.key}"
        response = self.client.open(f"/api/v1{path}", method=method, json=body, headers=given)
        self.last = response
        return response.status_code, json.loads(response.data) if response.data else None

    def get(self, path, **headers):
        return self("GET", path, **headers)

    def post(self, path, body=None, **headers):
        return self("POST", path, body, **headers)

    def patch(self, path, body, **headers):
        return self("PATCH", path, body, **headers)

    def delete(self, path, **headers):
        return self("DELETE", path, **headers)


@pytest.fixture
def api_as(app, keys):
    return lambda role: Api(app, keys.get(role))


@pytest.fixture
def api(api_as):
    """The API as the admin sees it."""
    return api_as("admin")


@pytest.fixture
def billable(hub, users):
    """Two hours of approved time at 80.00: ids of the client, project, task, person and entry."""

    def work(session):
        client = create_client(session, name="Acme")
        project = create_project(session, client_id=client.id, name="Roll-out")
        task = create_task(session, project_id=project.id, name="Build")
        person = create_person(session, name="Grace")
        session.flush()
        add_rate(session, rate=Decimal("80.00"), currency="GBP")
        entry = record_time(
            session, task_id=task.id, person_id=person.id, worked_on=date(2026, 11, 2), seconds=7200, note="Steel"
        )
        submit_and_approve(session, [entry.id])
        named = {"client": client, "project": project, "task": task, "person": person, "entry": entry}
        return {name: str(record.id) for name, record in named.items()}

    return hub.transact(work)
