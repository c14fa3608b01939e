from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from hub.sdk import PermanentFailure, Refused, RemoteRef
from plugins.crm_salesforce.countries import country_code
from plugins.crm_salesforce.facts import USED_FIELDS, Facts
from plugins.crm_salesforce.mapping import change_of, domain, key_of, key_sent, opportunity_from_deal
from tests.plugins.crm_salesforce.connecting import Deal

OURS = UUID("0197a2b4-1111-7222-8333-444455556666")
STAMP = "2026-03-17T16:21:26.000+0000"
FACTS = Facts(fields=USED_FIELDS, open_stage="Prospecting", currency="USD")
WITHOUT_CODES = {"Account": tuple(name for name in USED_FIELDS["Account"] if name != "BillingCountryCode")}
NAMES = Facts(fields={**USED_FIELDS, **WITHOUT_CODES}, open_stage="Prospecting")


def account(**more):
    return {"Id": "001Hb000000001gIAA", "Name": "Acme", "SystemModstamp": STAMP, "IsDeleted": False, **more}


def opportunity(**more):
    base = {"Id": "006Hb000000002AIAQ", "Name": "Rollout", "AccountId": "001Hb000000001gIAA", "SystemModstamp": STAMP}
    return {**base, "IsDeleted": False, "CloseDate": "2026-03-31", "Amount": Decimal("1.25E+4"), **more}


# Coming in


def test_an_account_is_a_client():
    row = account(
        Website="https://www.Acme.example/home",
        Phone="+1 555",
        AccountNumber="A-7",
        BillingStreet="1 Main St",
        BillingCity="Boston",
        BillingState="MA",
        BillingPostalCode="02110",
        BillingCountry="United States",
        CurrencyIsoCode="USD",
    )
    change = change_of("clients", row, facts=FACTS)
    assert change.values == {
        "name": "Acme",
        "website": "https://www.Acme.example/home",
        "phone": "+1 555",
        "currency": "USD",
        "address": {"street": "1 Main St", "city": "Boston", "region": "MA", "postcode": "02110", "country": "US"},
    }
    assert change.match == {"website": "acme.example", "external_id": "A-7"}
    assert (change.remote_id, change.version, change.label) == (row["Id"], STAMP, "Acme")
    assert change.modified_at == datetime(2026, 3, 17, 16, 21, 26, tzinfo=UTC)


def test_null_is_empty_and_a_hidden_field_says_nothing():
    assert change_of("clients", account(Website=None), facts=FACTS).values == {
        "name": "Acme",
        "website": "",
        "address": {},
    }


def test_an_account_with_a_country_nobody_knows_is_refused_by_name():
    refused = change_of("clients", account(BillingCountry="Atlantis"), facts=FACTS)
    assert isinstance(refused, Refused)
    assert refused.field == "address"
    assert "Atlantis" in refused.reason


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("DE", "DE"),
        ("Germany", "DE"),
        (" deutschland ", "DE"),
        ("États-Unis", "US"),
        ("USA", "US"),
        ("England", "GB"),
        ("uk", "GB"),
        ("", ""),
        ("Atlantis", None),
        ("European Union", None),
    ],
)
def test_countries_are_known_by_code_and_by_name(text, code):
    assert country_code(text) == code


def test_a_contact_belongs_to_its_account():
    row = {"Id": "003", "AccountId": "001A", "FirstName": None, "LastName": "Moreau", "Email": "I@x.example"}
    change = change_of("contacts", {**row, "Phone": "1", "Title": "CIO"}, facts=FACTS)
    assert change.values == {
        "client_id": RemoteRef("clients", "001A"),
        "first_name": "",
        "last_name": "Moreau",
        "email": "I@x.example",
        "phone": "1",
        "job_title": "CIO",
    }
    assert (change.label, change.match) == ("Moreau", {"email": "i@x.example"})


@pytest.mark.parametrize(
    ("more", "money"),
    [
        ({"CurrencyIsoCode": "EUR"}, {"currency": "EUR", "budget": "12500"}),
        ({}, {"currency": "USD", "budget": "12500"}),  # the org's one currency, from the settings
        ({"Amount": None}, {"currency": "USD", "budget": None}),
        ({"Amount": Decimal("0.10")}, {"currency": "USD", "budget": "0.10"}),
    ],
)
def test_a_won_opportunity_is_a_planned_project(more, money):
    assert change_of("projects", opportunity(**more), facts=FACTS).values == {
        "name": "Rollout",
        "client_id": RemoteRef("clients", "001Hb000000001gIAA"),
        "status": "planned",
        "starts_on": "2026-03-31",
        **money,
    }


def test_an_opportunity_without_account_is_refused():
    assert change_of("projects", opportunity(AccountId=None), facts=FACTS).field == "client_id"


@pytest.mark.parametrize(
    ("key", "our_id", "lineage"),
    [
        (f"projects:{OURS}", OURS, ()),
        (f"deals:{OURS}", None, (("deals", OURS),)),
        ("something else", None, ()),
        (None, None, ()),
    ],
)
def test_our_key_on_a_row_is_identity_or_lineage(key, our_id, lineage):
    change = change_of("projects", opportunity(Hub_Id__c=key), facts=FACTS)
    assert (change.our_id, change.lineage) == (our_id, lineage)


def test_without_a_key_field_the_last_line_of_the_description_is_the_key():
    row = opportunity(Description=f"Notes of sales\nHub reference: deals:{OURS}")
    assert key_of(row) == ("deals", OURS)


@pytest.mark.parametrize(
    "text",
    [
        f"Hub reference: deals:{OURS}\r\n\r\nCalled on Friday: they want it.",
        f"Deal registration: D-1001. deals:{OURS}, see there",
        f"HUB REF  deals:{OURS}\nand once more: deals:{OURS}",
    ],
)
def test_the_key_is_found_whatever_people_write_around_it(text):
    assert key_of(opportunity(Description=text)) == ("deals", OURS)


def test_two_keys_in_a_description_name_nobody():
    other = str(OURS).replace("1111", "2222")
    assert key_of(opportunity(Description=f"deals:{OURS} was deals:{other}")) is None


def test_what_a_partner_writes_is_not_taken_for_the_key_of_its_deal():
    deal = Deal(id=OURS, business_problem=f"Like Hub reference: deals:{uuid4()}")
    body = opportunity_from_deal(deal, Facts(fields={"Opportunity": ("Description",)}, open_stage="Open"))
    assert key_sent(body) == ("deals", OURS)


def test_an_opportunity_without_a_key_may_still_be_one_that_the_hub_has_sent():
    change = change_of("projects", opportunity(Description="All new."), facts=FACTS)
    assert (change.lineage, change.may_be) == ((), ("deals",))


def test_a_merged_account_points_to_the_one_that_lives_on():
    change = change_of("clients", account(IsDeleted=True, MasterRecordId="001B"), facts=FACTS)
    assert (change.deleted, change.merged_into, change.values) == (True, "001B", {})


@pytest.mark.parametrize(
    ("website", "host"),
    [("https://www.Acme.example/x", "acme.example"), ("acme.example", "acme.example"), ("", ""), (" WWW.a.b ", "a.b")],
)
def test_domain_of_a_website(website, host):
    assert domain(website) == host


# Going out


def test_a_deal_is_an_opportunity():
    deal = Deal(id=OURS)
    body = opportunity_from_deal(deal, NAMES)
    assert body == {
        "Name": "Network refresh",
        "StageName": "Prospecting",
        "CloseDate": "2027-03-31",
        "Amount": "12500.50",
        "LeadSource": "Partner",
        "Hub_Id__c": f"deals:{OURS}",
        "Description": "Their network is slow.\n\nProducts: Routers, Support\n"
        "Contact: Nell Newton, nell@newcomer.example, +44 113 000\nPartner: Partner & Co\n"
        f"Protected until: 2027-02-28\nDeal registration: D-1001\nHub reference: deals:{OURS}",
        "Account": {
            "Name": "Newcomer Ltd",
            "Website": "https://newcomer.example",
            "BillingCity": "Leeds",
            "BillingPostalCode": "LS1 4AP",
            "BillingCountry": "United Kingdom",
        },
    }
    assert key_of(body) == ("deals", OURS)


def test_with_country_picklists_the_code_travels():
    assert opportunity_from_deal(Deal(), FACTS)["Account"]["BillingCountryCode"] == "GB"


def test_fields_the_org_does_not_have_do_not_travel():
    facts = Facts(fields={"Account": ("Name",), "Opportunity": ("Name", "StageName", "CloseDate")}, open_stage="Open")
    body = opportunity_from_deal(Deal(), facts)
    assert set(body) == {"Name", "StageName", "CloseDate", "Account"}
    assert body["Account"] == {"Name": "Newcomer Ltd"}


def test_in_a_multi_currency_org_the_currency_travels():
    facts = Facts(fields=USED_FIELDS, open_stage="Open", currencies=("EUR", "USD"))
    assert opportunity_from_deal(Deal(currency="EUR"), facts)["CurrencyIsoCode"] == "EUR"


@pytest.mark.parametrize(
    ("deal", "field"),
    [
        (Deal(title="x" * 121), "title"),
        (Deal(title=" "), "title"),
        (Deal(customer_name="x" * 256), "customer_name"),
        (Deal(customer_name=""), "customer_name"),
        (Deal(customer_website="x" * 256), "customer_website"),
        (Deal(customer_city="x" * 41), "customer_city"),
        (Deal(customer_postcode="x" * 21), "customer_postcode"),
        (Deal(business_problem="x" * 32_000), "business_problem"),
        (Deal(target_close_on=None), "target_close_on"),
        (Deal(amount=Decimal("0.001")), "amount"),
        (Deal(amount=Decimal(10) ** 16), "amount"),
        (Deal(currency="EUR"), "currency"),  # the org has dollars only
    ],
)
def test_what_the_vendor_would_refuse_names_the_deals_field(deal, field):
    with pytest.raises(PermanentFailure) as refusal:
        opportunity_from_deal(deal, FACTS)
    assert refusal.value.field == field


def test_a_title_of_120_characters_is_not_too_long():
    assert len(opportunity_from_deal(Deal(title="ü" * 120), FACTS)["Name"]) == 120


def test_a_deal_without_amount_or_protection():
    body = opportunity_from_deal(Deal(amount=None, protected_until=None, target_close_on=date(2027, 1, 1)), FACTS)
    assert "Amount" not in body
    assert "Protected" not in body["Description"]


def test_facts_survive_being_kept_as_json():
    facts = Facts(login_url="https://x", fields=USED_FIELDS, currencies=("EUR",), open_stage="Open")
    assert Facts.of(facts.values()) == facts
    assert Facts.of({**facts.values(), "of_another_release": 1}) == facts
