from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from hub.core.database import Base
from plugins.partner_portal import partners, service
from plugins.partner_portal.models import Deal

TODAY = datetime.now(UTC).date()


class _Hub:
    def __init__(self, url):
        import hub.core.audit
        import hub.core.outbox  # noqa: F401
        from hub.core.database import Circumstances, Database
        from plugins.partner_portal.kind import DEALS

        self.db = Database(url)
        self.about = lambda actor: Circumstances(actor=actor, kinds={"deals": DEALS})

    def transact(self, work, actor="system"):
        return self.db.transact(work, self.about(actor))

    def read(self):
        return self.db.read(self.about("system"))


@pytest.fixture
def hub(tmp_path):
    """A hub on an empty database, with this plugin only, a programme and two product families."""
    from plugins.partner_portal.models import Programme

    hub = _Hub(f"sqlite:///{tmp_path}/hub.db")
    Base.metadata.create_all(hub.db.engine)

    def prepare(session):
        session.add(Programme())
        partners.set_family(session, "erp", "ERP")
        partners.set_family(session, "crm", "CRM")

    hub.transact(prepare)
    yield hub
    hub.db.close()


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
