from __future__ import annotations

import pytest
from sqlalchemy import select

from hub.core.clients.models import Client, Contact
from hub.core.companies.service import set_company
from hub.core.projects.models import Project
from hub.sync.connections import add_connection, check_connection, connection_named
from hub.sync.cycle import run_connection
from plugins import crm_salesforce
from tests.plugins.crm_salesforce.conftest import Caller


@pytest.fixture
def server(stand_in):
    return stand_in(country="GB", currency="GBP")


@pytest.fixture
def hub(make_hub):
    hub = make_hub({"crm_salesforce": crm_salesforce})
    hub.transact(lambda session: set_company(session, name="Firm", country="GB", currency="GBP"))
    return hub


@pytest.fixture
def crm(hub, server):
    return add_connection(hub, connector="salesforce", name="crm", settings=server.settings).id


def pull(hub, crm):
    return run_connection(hub, crm, direction="pull")


def count(hub, model):
    with hub.read() as session:
        return len(session.scalars(select(model)).all())


def test_a_firms_crm_arrives_once(hub, crm):
    first = pull(hub, crm)
    assert (first.status, first.counts["created"]) == ("success", 12 + 20 + 5)
    assert (count(hub, Client), count(hub, Contact), count(hub, Project)) == (12, 20, 5)
    again = pull(hub, crm)
    assert (again.status, again.counts["created"], again.counts["updated"]) == ("success", 0, 0)


def test_the_connection_knows_its_org(hub, crm):
    with hub.read() as session:
        connection = connection_named(session, "crm")
    assert connection.account_name == "Northwind Consulting"
    assert connection.environment == "sandbox"


def test_an_edited_account_and_a_won_opportunity(hub, crm, server):
    pull(hub, crm)
    org = Caller(server)
    ids = {row["Name"]: row["Id"] for row in org.query("SELECT Id, Name FROM Account").json()["records"]}
    won = org.query("SELECT Id FROM Opportunity WHERE Name = 'Claims migration'").json()["records"][0]["Id"]
    org.user("edit", id=ids["Harvest Foods"], fields={"Phone": "+44 20 1234"})
    org.user("win_opportunity", id=won)
    assert pull(hub, crm).status == "success"
    with hub.read() as session:
        assert session.scalar(select(Client.phone).where(Client.name == "Harvest Foods")) == "+44 20 1234"
        project = session.scalars(select(Project).where(Project.name == "Claims migration")).one()
        assert (str(project.status), project.currency) == ("planned", "GBP")


def test_accounts_that_were_merged_there_go_to_a_person_here(hub, crm, server):
    pull(hub, crm)
    org = Caller(server)
    ids = {row["Name"]: row["Id"] for row in org.query("SELECT Id, Name FROM Account").json()["records"]}
    org.user("merge_accounts", master_id=ids["Fjord Logistics"], id=ids["Juniper Labs"])
    run = pull(hub, crm)
    assert (run.status, run.counts["conflicts"]) == ("partial", 1)
    assert "“Fjord Logistics”" in run.headline
    assert count(hub, Client) == 12
    with hub.read() as session:
        moved = session.scalars(select(Contact).join(Client).where(Client.name == "Fjord Logistics")).all()
    assert {contact.last_name for contact in moved} == {"Berg", "Holm", "Sato"}


def test_a_session_that_was_ended_and_a_run_without_a_word_of_it(hub, crm, server):
    pull(hub, crm)
    Caller(server).user("end_sessions")
    assert pull(hub, crm).status == "success"


# What the integration user may not


def forbid(server, **options):
    """From now on; True forgets it."""
    server.sandbox.options |= options
    vars(server.sandbox).pop("schema", None)


@pytest.mark.parametrize("known", [True, False])
def test_an_object_that_may_not_be_read_costs_its_stream_only(hub, crm, server, known):
    """Whether the last test of the connection knows it, or the right was taken away since."""
    pull(hub, crm)
    org = Caller(server)
    forbid(server, missing=("Contact",))
    if known:
        check_connection(hub, crm)
    berg = next(row for row in server.sandbox.state["rows"]["Contact"].values() if row["LastName"] == "Berg")
    org.user("edit", id=berg["Id"], fields={"LastName": "Dahl"})
    org.user("create_account", Name="Newcomer")
    run = pull(hub, crm)
    assert (run.status, run.counts["created"], run.counts["rejected"]) == ("partial", 1, 1)
    assert "Give the integration user access" in run.headline or "Test the connection again" in run.headline
    with hub.read() as session:
        assert connection_named(session, "crm").state == "active"
    forbid(server, missing=())
    check_connection(hub, crm)
    assert pull(hub, crm).status == "success"
    with hub.read() as session:
        assert session.scalars(select(Contact.last_name).where(Contact.last_name.in_(["Berg", "Dahl"]))).all() == [
            "Dahl"
        ]


def test_without_opportunities_clients_and_contacts_still_arrive(hub, server):
    forbid(server, missing=("Opportunity",))
    crm = add_connection(hub, connector="salesforce", name="crm", settings=server.settings).id
    run = pull(hub, crm)
    assert (run.status, run.counts["created"], run.counts["rejected"]) == ("partial", 12 + 20, 1)
    assert "projects are not pulled, and deals are not sent" in run.headline
