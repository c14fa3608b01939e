"""`hub partner`: setting the programme up from the command line."""

import json

import pytest
from click.testing import CliRunner

from hub.access.users import create_user, find_user
from hub.cli.session import CommandLine
from hub.sdk import RuleBroken
from plugins.partner_portal.cli import partner
from plugins.partner_portal.partners import partner_of


@pytest.fixture
def run(hub):
    """Runs `hub partner ...` on this hub: the exit code and what it printed (JSON as its value)."""
    line = CommandLine()
    line._hub = hub

    def call(*words):
        result = CliRunner().invoke(partner, words, obj=line, standalone_mode=False, catch_exceptions=False)
        text = result.output.strip()
        return json.loads(text) if "--json" in words else text

    return call


def test_a_partner_is_set_up_in_three_commands(hub, run):
    assert run("add", "Northwind") == "Northwind is a partner."
    assert run("family", "PSA", "--name", "Planning") == "Planning (psa) can be registered."
    assert run("user", "Northwind", "jo@x.example", "--name", "Jo") == "jo@x.example works for Northwind."
    with hub.read() as session:
        user = find_user(session, "jo@x.example")
        assert (user.role, partner_of(session, user.id).name) == ("partner", "Northwind")


def test_partners_are_listed_with_their_people_and_deals(run, story):
    story.create(story.north)
    rows = run("list", "--json")
    assert [(row["name"], row["people"], row["deals"]) for row in rows] == [("Northwind", 0, 1), ("Southsea", 0, 0)]


def test_a_user_of_the_firm_works_for_no_partner(hub, run, story):
    hub.transact(lambda session: create_user(session, email="boss@x.example", name="Boss", role="manager") and None)
    with pytest.raises(RuleBroken, match="has the role manager"):
        run("user", "Northwind", "boss@x.example")


def test_nobody_is_created_without_a_name(run, story):
    with pytest.raises(RuleBroken, match=r"There is no user with the address who@x\.example"):
        run("user", "Northwind", "who@x.example")


def test_a_partner_is_switched_off_and_on(run, story):
    assert run("deactivate", "Northwind") == "Northwind can no longer register deals."
    assert run("activate", "Northwind", "--json")["active"] is True


def test_a_retired_family_is_listed_no_more(run):
    run("family", "crm", "--retired")
    assert run("families", "--json") == [{"code": "erp", "name": "ERP"}]


def test_the_programme_is_shown_and_changed(run):
    assert run("programme", "--json") == {"time_zone": "UTC", "protection_days": 90}
    changed = run("programme", "--time-zone", "Europe/Berlin", "--protection-days", "60", "--json")
    assert changed == {"time_zone": "Europe/Berlin", "protection_days": 60}
