"""The first rows of the stand-in's org: a small firm's accounts, contacts and opportunities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from plugins.crm_salesforce.sandbox.ids import long_id, new_id
from plugins.crm_salesforce.sandbox.org import Org
from plugins.crm_salesforce.sandbox.schema import SObject
from plugins.crm_salesforce.sandbox.values import instant_text

ORGANIZATION_ID = long_id("00DHb0000000001")

STAGES = (
    ("Prospecting", 10, False, False),
    ("Qualification", 20, False, False),
    ("Proposal", 50, False, False),
    ("Negotiation", 80, False, False),
    ("Closed Won", 100, True, True),
    ("Closed Lost", 0, False, True),
)
"""Name, probability, IsWon, IsClosed."""

USERS = (("hub@example.com", "Hub Integration"), ("sales@example.com", "Sam Seller"))
RECORD_TYPES = (("Services", "Services"), ("Licences", "Licences"))


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the seed, its people as (first, last, title)."""

    name: str
    domain: str
    industry: str
    type: str
    street: str
    people: tuple[tuple[str, str, str], ...]


ACCOUNTS = (
    Account("Alder & Finch Law", "alderfinch.example", "Finance", "Customer", "12 Temple Row",
            (("Grace", "Alder", "Managing Partner"), ("Tom", "Finch", "Head of Operations"))),
    Account("Brightwater Energy", "brightwater.example", "Energy", "Customer", "400 Harbour Street",
            (("Ines", "Moreau", "CIO"), ("Paul", "Keller", "Project Office"))),
    Account("Cobalt Robotics", "cobaltrobotics.example", "Manufacturing", "Customer", "7 Foundry Lane",
            (("Mei", "Tanaka", "VP Engineering"), ("Jonas", "Weber", "Plant Manager"))),
    Account("Dune Hospitality Group", "dunehotels.example", "Retail", "Customer", "88 Ocean Drive",
            (("Carla", "Ruiz", "IT Director"),)),
    Account("Eastgate Hospital Trust", "eastgate.example", "Healthcare", "Customer", "1 Infirmary Road",
            (("Nadia", "Rahman", "Chief Nurse"), ("Owen", "Price", "Digital Lead"))),
    Account("Fjord Logistics", "fjordlogistics.example", "Manufacturing", "Customer", "19 Quay Side",
            (("Astrid", "Berg", "COO"), ("Lars", "Holm", "Warehouse Systems"))),
    Account("Granite Mutual", "granitemutual.example", "Finance", "Customer", "250 Exchange Place",
            (("Helen", "Stone", "Programme Director"), ("Victor", "Osei", "Procurement"))),
    Account("Harvest Foods", "harvestfoods.example", "Retail", "Prospect", "33 Mill Road",
            (("Ruth", "Baker", "CFO"),)),
    Account("Ironbridge Rail", "ironbridgerail.example", "Manufacturing", "Prospect", "5 Station Approach",
            (("Declan", "Walsh", "Head of Signalling"), ("Amara", "Okafor", "Asset Data"))),
    Account("Juniper Labs", "juniperlabs.example", "Healthcare", "Prospect", "60 Science Park",
            (("Yuki", "Sato", "Research IT"),)),
    Account("Kestrel Media", "kestrelmedia.example", "Retail", "Prospect", "101 Canal Street",
            (("Leo", "Marsh", "Head of Product"), ("Zoe", "Lind", "Finance Manager"))),
    Account("Lighthouse Charity", "lighthouse.example", "Healthcare", "Other", "2 Beacon Hill",
            (("Marta", "Nowak", "Director"),)),
)  # fmt: skip

OPPORTUNITIES = (
    # account, name, stage, amount, close day from today
    ("Alder & Finch Law", "Matter intake portal", "Closed Won", "48000.00", -45),
    ("Brightwater Energy", "Grid data platform, phase 1", "Closed Won", "126500.00", -38),
    ("Brightwater Energy", "Grid data platform, phase 2", "Negotiation", "98000.00", 30),
    ("Cobalt Robotics", "Robot fleet dashboard", "Closed Won", "73200.00", -25),
    ("Dune Hospitality Group", "Booking engine rollout", "Closed Won", "39950.50", -12),
    ("Eastgate Hospital Trust", "Ward handover app", "Closed Won", "84000.00", -5),
    ("Eastgate Hospital Trust", "Integration care plan", "Proposal", "21000.00", 60),
    ("Fjord Logistics", "Warehouse scanner upgrade", "Qualification", "56000.00", 45),
    ("Granite Mutual", "Claims migration", "Proposal", "210000.00", 75),
    ("Granite Mutual", "Managed support 2025", "Closed Lost", "30000.00", -90),
    ("Harvest Foods", "Forecasting workshop", "Prospecting", None, 20),
    ("Ironbridge Rail", "Asset register clean-up", "Prospecting", "64000.00", 90),
    ("Kestrel Media", "Subscriber billing advice", "Qualification", "18500.00", 15),
)

PLACES = {
    "US": ("United States", ("Boston", "MA", "02110"), ("Denver", "CO", "80202"), ("Portland", "OR", "97204")),
    "GB": ("United Kingdom", ("Leeds", "", "LS1 4AP"), ("Bristol", "", "BS1 5TR"), ("Glasgow", "", "G2 1DU")),
    "DE": ("Germany", ("Hamburg", "", "20095"), ("Leipzig", "SN", "04109"), ("Mainz", "RP", "55116")),
    "CA": ("Canada", ("Toronto", "ON", "M5H 2N2"), ("Calgary", "AB", "T2P 1J9"), ("Halifax", "NS", "B3J 1S9")),
    "AU": ("Australia", ("Perth", "WA", "6000"), ("Hobart", "TAS", "7000"), ("Brisbane", "QLD", "4000")),
    "FR": ("France", ("Lyon", "", "69002"), ("Nantes", "", "44000"), ("Lille", "", "59000")),
}


def fill(
    state: dict[str, Any],
    schema: Mapping[str, SObject],
    *,
    now: datetime,
    seed: str | Mapping[str, list[dict[str, Any]]] = "firm",
    country: str = "US",
    organization: str = "Northwind Consulting",
    username: str = USERS[0][0],
) -> None:
    """Put the system's rows and the seed into a fresh state.

    seed: "firm", "empty", or rows per object: {"Account": [{"Name": "Acme"}], "Contact": [{"AccountId": ...}]}. The
    rows of "firm" are a month old, so that a first pull finds them settled; given rows are stamped now, unless they
    name a SystemModstamp.
    """
    _system_rows(state, schema, now, organization=organization, username=username)
    if seed == "empty":
        return
    if isinstance(seed, str):
        _firm(_org(state, schema, now - timedelta(days=31)), now, PLACES.get(country, PLACES["US"]))
        return
    for name, rows in seed.items():
        for row in rows:
            stamp = row.get("SystemModstamp")
            at = datetime.fromisoformat(stamp) if stamp else now
            _org(state, schema, at).create(name, {key: row[key] for key in row if key != "SystemModstamp"})


def _org(state: dict[str, Any], schema: Mapping[str, SObject], now: datetime) -> Org:
    return Org(state, schema, now=now, user_id=new_user_id(2), record=lambda *_: None, allow_duplicates=True)


def _firm(org: Org, now: datetime, place: tuple[Any, ...]) -> None:
    country, *towns = place
    ids: dict[str, str] = {}
    for number, account in enumerate(ACCOUNTS):
        town, state, postcode = towns[number % len(towns)]
        values = {"Name": account.name, "Type": account.type, "Industry": account.industry}
        values |= {"Website": f"https://www.{account.domain}", "Phone": f"+1 555 01{number:02d}"}
        values |= {"BillingStreet": account.street, "BillingCity": town, "BillingState": state}
        values |= {"BillingPostalCode": postcode, "BillingCountry": country}
        ids[account.name] = org.create("Account", values)
        for first, last, title in account.people:
            email = f"{first}.{last}@{account.domain}".lower()
            person = {"FirstName": first, "LastName": last, "Title": title, "Email": email}
            org.create("Contact", {**person, "AccountId": ids[account.name], "Phone": values["Phone"]})
    for account_name, name, stage, amount, days in OPPORTUNITIES:
        close_on = (now + timedelta(days=days)).date().isoformat()
        deal: dict[str, Any] = {"Name": name, "StageName": stage, "CloseDate": close_on, "Amount": amount}
        deal |= {"AccountId": ids[account_name], "RecordTypeId": new_id("012", 1), "Type": "New Business"}
        org.create("Opportunity", deal)


# The system's own rows ------------------------------------------------------------------------------------------------


def new_user_id(number: int) -> str:
    """The first user is the integration's, the second sells."""
    return long_id(f"005Hb{number:010d}")


def _system_rows(
    state: dict[str, Any], schema: Mapping[str, SObject], now: datetime, *, organization: str, username: str
) -> None:
    stamp = instant_text(now - timedelta(days=365))
    rows: dict[str, dict[str, dict[str, Any]]] = state["rows"]

    def put(name: str, id: str, **values: Any) -> None:
        if name in schema:
            rows.setdefault(name, {})[id] = {"Id": id, **values, "SystemModstamp": stamp}

    currencies = schema["Account"].fields["CurrencyIsoCode"].values if "CurrencyType" in schema else ()
    company = {"IsSandbox": True, "InstanceName": "NA0", "OrganizationType": "Enterprise Edition"}
    put("Organization", ORGANIZATION_ID, Name=organization, **company)
    for number, (login, person) in enumerate(USERS, 1):
        money = {"DefaultCurrencyIsoCode": currencies[0]} if currencies else {}
        login = username if number == 1 else login
        put("User", new_user_id(number), Username=login, Name=person, Email=login, IsActive=True, **money)
    for number, (name, probability, won, closed) in enumerate(STAGES, 1):
        stage = {"ApiName": name, "MasterLabel": name, "IsActive": True, "IsWon": won, "IsClosed": closed}
        put(
            "OpportunityStage",
            new_id("01J", number),
            **stage,
            SortOrder=number,
            DefaultProbability=Decimal(probability),
        )
    for number, (name, developer_name) in enumerate(RECORD_TYPES, 1):
        kind = {"DeveloperName": developer_name, "SobjectType": "Opportunity", "IsActive": True}
        put("RecordType", new_id("012", number), Name=name, **kind)
    for number, code in enumerate(currencies, 1):
        currency = {"IsoCode": code, "IsActive": True, "IsCorporate": number == 1, "DecimalPlaces": 2}
        put("CurrencyType", new_id("01L", number), **currency)
