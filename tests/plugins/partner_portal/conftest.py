import hashlib
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

import plugins.partner_portal as partner_portal
from hub.access.keys import create_key
from hub.access.sign_in import open_session
from hub.access.users import create_user
from plugins.partner_portal import partners, service
from plugins.partner_portal.models import Deal
from tests.conftest import migrate
from tests.lent_app import app_for

TODAY = datetime.now(UTC).date()


PLUGINS = {"partner_portal": partner_portal}


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory):
    """As everywhere, with the plugin's tables."""
    path = tmp_path_factory.mktemp("template") / "hub.sqlite3"
    migrate(f"sqlite:///{path}", path.parent, PLUGINS)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server, tmp_path_factory):
    """As everywhere, with the plugin's tables."""
    name = f"template_{os.urandom(6).hex()}"
    migrate(postgres_server.create_database(name), tmp_path_factory.mktemp("template"), PLUGINS)
    return name


@pytest.fixture(scope="session")
def spare_databases():
    """Those with the plugin's tables."""
    return []


@pytest.fixture
def hub(make_hub):
    """A hub with this plugin only, and two product families."""
    hub = make_hub(PLUGINS)

    def prepare(session):
        partners.set_family(session, "erp", "ERP")
        partners.set_family(session, "crm", "CRM")

    hub.transact(prepare)
    return hub


class Story:
    """Two partners and an approver at work, each step in a transaction of its own."""

    def __init__(self, hub):
        self.hub = hub
        self.north = hub.transact(lambda session: partners.add_partner(session, "Northwind").id)
        self.south = hub.transact(lambda session: partners.add_partner(session, "Southsea").id)

    def create(self, partner_id, **changes):
        def work(session):
            partner = session.get(partners.Partner, partner_id)
            return service.create_deal(session, partner, COMPLETE | changes).id

        return self.hub.transact(work, actor=f"user:{partner_id}")

    def act(self, verb, deal_id, *, actor="user:approver", **arguments):
        return self.hub.transact(lambda session: verb(session, session.get(Deal, deal_id), **arguments), actor=actor)

    def submitted(self, partner_id, **changes):
        deal_id = self.create(partner_id, **changes)
        self.act(service.submit_deal, deal_id, actor=f"user:{partner_id}")
        return deal_id

    def approved(self, partner_id, **changes):
        deal_id = self.submitted(partner_id, **changes)
        self.act(service.approve_deal, deal_id)
        return deal_id

    def look(self, deal_id, see=lambda deal: deal.state):
        with self.hub.read() as session:
            return see(session.get(Deal, deal_id))


COMPLETE = {
    "title": "ERP roll-out",
    "customer_name": "Acme GmbH",
    "customer_website": "acme.de",
    "customer_country": "DE",
    "customer_postcode": "10115",
    "contact_name": "Jo Doe",
    "contact_email": "jo@acme.de",
    "consent_to_contact": True,
    "business_problem": "Three ledgers that never agree.",
    "products": ["erp"],
    "amount": Decimal("25000.00"),
    "currency": "EUR",
    "target_close_on": TODAY + timedelta(days=60),
}
"""What a first submission has to say, at the least."""


@pytest.fixture
def story(hub):
    return Story(hub)


@pytest.fixture
def complete():
    return dict(COMPLETE)


@pytest.fixture
def today():
    return TODAY


class Caller:
    """A program with an API key. Every POST gets a new Idempotency-Key unless the test says another."""

    ROOT = "/api/v1/partner"

    def __init__(self, client, secret, user_id):
        self.client, self.secret, self.user_id = client, secret, user_id

    def send(self, method, path, body=None, *, match=None, key=None, **headers):
        headers = {"Authorization": f"Bearer {self.secret}", **headers}
        if method == "POST" and key != "":
            headers["Idempotency-Key"] = key or uuid4().hex
        if match is not None:
            headers["If-Match"] = f'"{match}"'
        return self.client.open(self.ROOT + path, method=method, json=body, headers=headers)

    def create(self, **changes):
        said = {**COMPLETE, "amount": "25000.00", "target_close_on": str(COMPLETE["target_close_on"]), **changes}
        return self.send("POST", "/deal-registrations", said)

    def submitted(self, **changes):
        made = self.create(**changes).json
        return self.send("POST", f"/deal-registrations/{made['id']}/submit", match=made["revision"]).json


@pytest.fixture
def app(hub):
    return app_for(hub)


@pytest.fixture
def caller(hub, app, story):
    """Makes callers: `caller("Northwind")` works for that partner, `caller(role="manager")` for the firm."""

    def make(partner=None, *, role="partner"):
        def work(session):
            user = create_user(session, email=f"u{uuid4().hex}@x.example", name="Jo", role=role)
            if partner:
                partners.join_partner(session, partners.get_partner(session, partner), user.id)
            return create_key(session, app.extensions["hub.fingerprints"], owner=user, name="test").secret, user.id

        secret, user_id = hub.transact(work)
        return Caller(app.test_client(), secret, user_id)

    return make


@pytest.fixture
def browser(hub, app, story):
    """Makes browsers that are signed in: `browser("Northwind")`, `browser(role="manager")`."""

    def make(partner=None, *, role="partner"):
        def work(session):
            user = create_user(session, email=f"u{uuid4().hex}@x.example", name="Jo", role=role)
            if partner:
                partners.join_partner(session, partners.get_partner(session, partner), user.id)
            return open_session(session, user)[1]

        token = hub.transact(work)
        client = app.test_client()
        client.set_cookie("hub_session", token)
        csrf = hashlib.sha256(f"csrf:{token}".encode()).hexdigest()
        return Browser(client, csrf)

    return make


class Browser:
    """Somebody at the pages, without JavaScript."""

    def __init__(self, client, csrf):
        self.client, self.csrf = client, csrf

    def get(self, path):
        return self.client.get(path)

    def post(self, path, **fields):
        return self.client.post(path, data={"_csrf": self.csrf, **fields})
