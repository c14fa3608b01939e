"""The programme: partners, their people, product families, rules."""

from uuid import UUID

import pytest

from hub.sdk import NotFound, RuleBroken
from plugins.partner_portal import partners

PERSON, OTHER = UUID(int=7), UUID(int=8)


def test_a_partners_person_belongs_to_it(hub):
    def work(session):
        north = partners.add_partner(session, " Northwind ")
        partners.join_partner(session, north, PERSON)
        partners.join_partner(session, north, PERSON)  # again is no change
        return partners.partner_of(session, PERSON).name, partners.partner_of(session, OTHER)

    assert hub.transact(work) == ("Northwind", None)


def test_a_person_works_for_one_partner_at_most(hub):
    def work(session):
        partners.join_partner(session, partners.add_partner(session, "Northwind"), PERSON)
        partners.join_partner(session, partners.add_partner(session, "Southsea"), PERSON)

    with pytest.raises(RuleBroken, match="works for another partner, Northwind"):
        hub.transact(work)


@pytest.mark.parametrize("name", ["", " x ", "x" * 201])
def test_a_partner_needs_a_name(hub, name):
    with pytest.raises(RuleBroken) as refusal:
        hub.transact(lambda session: partners.add_partner(session, name))
    assert set(refusal.value.fields) == {"name"}


def test_two_partners_have_two_names(hub):
    hub.transact(lambda session: partners.add_partner(session, "Northwind"))
    with pytest.raises(RuleBroken, match="already"):
        hub.transact(lambda session: partners.add_partner(session, "Northwind"))


def test_a_partner_that_is_not_there_is_named(hub):
    with hub.read() as session, pytest.raises(NotFound, match="There is no partner called Nobody"):
        partners.get_partner(session, "Nobody")


def test_families_are_set_by_code_and_taken_out_of_use(hub):
    def work(session):
        partners.set_family(session, " CRM ", "Customer relations")
        partners.set_family(session, "erp", "ERP", active=False)
        return [(family.code, family.name) for family in partners.families(session)]

    assert hub.transact(work) == [("crm", "Customer relations")]


@pytest.mark.parametrize("code", ["", "two words", "-x", "x" * 41])
def test_a_familys_code_is_short_and_plain(hub, code):
    with pytest.raises(RuleBroken) as refusal:
        hub.transact(lambda session: partners.set_family(session, code, "Name"))
    assert set(refusal.value.fields) == {"code"}


def test_the_programme_has_a_time_zone_and_days_of_protection(hub):
    hub.transact(lambda session: partners.set_programme(session, time_zone="Europe/Berlin", protection_days=120))
    with hub.read() as session:
        row = partners.programme(session)
        assert (row.time_zone, row.protection_days) == ("Europe/Berlin", 120)


@pytest.mark.parametrize(
    ("rule", "value"), [("time_zone", "Mars/Olympus"), ("protection_days", 0), ("protection_days", 731)]
)
def test_a_rule_that_cannot_be_is_refused(hub, rule, value):
    with pytest.raises(RuleBroken) as refusal:
        hub.transact(lambda session: partners.set_programme(session, **{rule: value}))
    assert set(refusal.value.fields) == {rule}
