"""Pure mapping between the hub's records and the vendor's rows (contract, sections 13 to 16)."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from hub.sdk import Change, PermanentFailure, Refused, RemoteRef, Values, money_text
from plugins.crm_salesforce.countries import country_code, country_name
from plugins.crm_salesforce.facts import KEY_FIELD, Facts

Row = dict[str, Any]

LONGEST = {
    "Name": 120,
    "Account.Name": 255,
    "Account.Website": 255,
    "Account.BillingCity": 40,
    "Account.BillingPostalCode": 20,
    "Description": 32_000,
}
"""Characters the vendor takes; it refuses longer ones and never shortens."""
LEAD_SOURCE = "Partner"
LONGEST_KEY = len("deals:") + 36
"""Characters of the longest key we write: a kind and a UUID."""
_MOST_AMOUNT = Decimal(10) ** 16
_KEY_LINE = "Hub reference: "
_KEY = re.compile(r"\b([a-z_]+):([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b")

_CLIENT_TEXTS = {"name": "Name", "website": "Website", "phone": "Phone"}
_ADDRESS_TEXTS = {
    "street": "BillingStreet",
    "city": "BillingCity",
    "region": "BillingState",
    "postcode": "BillingPostalCode",
}
_CONTACT_TEXTS = {
    "first_name": "FirstName",
    "last_name": "LastName",
    "email": "Email",
    "phone": "Phone",
    "job_title": "Title",
}


# Coming in ------------------------------------------------------------------------------------------------------------


def change_from_account(row: Row, facts: Facts) -> Change | Refused:
    """An account as a client."""
    if row.get("IsDeleted"):
        return _deleted("clients", row)
    country = _country(row)
    if country is None:
        text = row.get("BillingCountry")
        reason = f"The billing country “{text}” is not known. Write its name in English, or its ISO code."
        return Refused(row["Id"], reason, field="address", label=_text(row, "Name"))
    values = _texts(row, _CLIENT_TEXTS)
    values["address"] = {**_texts(row, _ADDRESS_TEXTS), **country}
    if row.get("CurrencyIsoCode"):
        values["currency"] = row["CurrencyIsoCode"]
    match = {"website": domain(_text(row, "Website")), "external_id": _text(row, "AccountNumber")}
    return _change("clients", row, values, match={key: text for key, text in match.items() if text})


def change_from_contact(row: Row, facts: Facts) -> Change | Refused:
    """A contact of an account."""
    if row.get("IsDeleted"):
        return _deleted("contacts", row)
    if not row.get("AccountId"):
        return Refused(row["Id"], "The contact belongs to no account.", field="client_id", label=_person(row))
    values: Values = {"client_id": RemoteRef("clients", row["AccountId"]), **_texts(row, _CONTACT_TEXTS)}
    match = {"email": values["email"].lower()} if values.get("email") else {}
    return _change("contacts", row, values, label=_person(row), match=match)


def change_from_opportunity(row: Row, facts: Facts) -> Change | Refused:
    """A won opportunity as a project; its amount is the budget, in its own currency."""
    if row.get("IsDeleted"):
        return _deleted("projects", row)
    if not row.get("AccountId"):
        reason = "The opportunity has no account. Give it one, so that the project has a client."
        return Refused(row["Id"], reason, field="client_id", label=_text(row, "Name"))
    values: Values = {
        "name": _text(row, "Name"),
        "client_id": RemoteRef("clients", row["AccountId"]),
        "status": "planned",
        "starts_on": row.get("CloseDate"),
    }
    currency = row.get("CurrencyIsoCode") or facts.currency
    if currency:
        values["currency"] = currency
    if "Amount" in row:
        amount = row["Amount"]
        values["budget"] = None if amount is None else f"{Decimal(str(amount)):f}"
    return _change("projects", row, values)


def change_of(stream: str, row: Row, *, facts: Facts) -> Change | Refused:
    """A row of the stream's object as a change."""
    made = {"clients": change_from_account, "contacts": change_from_contact, "projects": change_from_opportunity}
    return made[stream](row, facts)


def _change(kind: str, row: Row, values: Values, *, label: str = "", match: Values | None = None) -> Change:
    key = key_of(row)
    return Change(
        kind=kind,
        remote_id=row["Id"],
        values=values,
        version=str(row.get("SystemModstamp") or ""),
        label=label or _text(row, "Name"),
        our_id=key[1] if key and key[0] == kind else None,
        modified_at=instant(row.get("SystemModstamp")),
        lineage=(key,) if key and key[0] != kind else (),
        may_be=("deals",) if kind == "projects" else (),
        match=match or {},
    )


def _deleted(kind: str, row: Row) -> Change:
    """A row in the recycle bin; one that was merged names the row that lives on."""
    key = key_of(row)
    return Change(
        kind=kind,
        remote_id=row["Id"],
        values={},
        version=str(row.get("SystemModstamp") or ""),
        label=_text(row, "Name") or _person(row),
        our_id=key[1] if key and key[0] == kind else None,
        deleted=True,
        merged_into=row.get("MasterRecordId") or None,
        modified_at=instant(row.get("SystemModstamp")),
    )


# Going out ------------------------------------------------------------------------------------------------------------


def opportunity_from_deal(deal: Any, facts: Facts) -> Values:
    """A registered deal as an opportunity; `Account` says whom it is for, and is resolved when it is sent.

    Raises PermanentFailure naming the deal's field that the vendor would refuse.
    """
    body: Values = {
        "Name": _fitting("Name", deal.title, "title"),
        "StageName": facts.open_stage,
        "CloseDate": _close_on(deal),
        "LeadSource": LEAD_SOURCE,
        "Description": _fitting("Description", _description(deal), "business_problem"),
        "Account": _account(deal, facts),
        **_money(deal, facts),
    }
    if facts.has("Opportunity", KEY_FIELD):
        body[KEY_FIELD] = deal_key(deal.id)
    optional = ("LeadSource", "Description", "Amount", "CurrencyIsoCode")
    return {name: value for name, value in body.items() if name not in optional or facts.takes("Opportunity", name)}


def deal_key(deal_id: UUID) -> str:
    return f"deals:{deal_id}"


def key_of(row: Row) -> tuple[str, UUID] | None:
    """The kind and id of our record that a row names: in its key field, else in its description.

    People write around our line there, so it is found wherever it stands; two of them name nobody.
    """
    if text := row.get(KEY_FIELD):
        match = _KEY.fullmatch(str(text).strip())
        return (match[1], UUID(match[2])) if match else None
    named = {(match[1], UUID(match[2])) for match in _KEY.finditer(str(row.get("Description") or ""))}
    return named.pop() if len(named) == 1 else None


def key_sent(body: Row) -> tuple[str, UUID] | None:
    """The key of the deal that a body of ours is about: the description's last line, whatever the partner wrote."""
    return key_of({KEY_FIELD: body.get(KEY_FIELD) or str(body.get("Description") or "").rpartition(_KEY_LINE)[2]})


def _close_on(deal: Any) -> str:
    if deal.target_close_on is None:
        raise PermanentFailure("Salesforce needs a close date: give the deal one.", field="target_close_on")
    return str(deal.target_close_on.isoformat())


def _account(deal: Any, facts: Facts) -> Values:
    account: Values = {
        "Name": _fitting("Account.Name", deal.customer_name, "customer_name"),
        "Website": _fitting("Account.Website", deal.customer_website, "customer_website"),
        "BillingCity": _fitting("Account.BillingCity", deal.customer_city, "customer_city"),
        "BillingPostalCode": _fitting("Account.BillingPostalCode", deal.customer_postcode, "customer_postcode"),
    }
    country = deal.customer_country
    if facts.takes("Account", "BillingCountryCode"):  # with country picklists on names must match theirs; codes do
        account["BillingCountryCode"] = country
    else:
        account["BillingCountry"] = country_name(country) if country else ""
    return {
        name: value for name, value in account.items() if value and (name == "Name" or facts.takes("Account", name))
    }


def _money(deal: Any, facts: Facts) -> Values:
    if deal.amount is None or (facts.currencies and not facts.takes("Opportunity", "CurrencyIsoCode")):
        return {}  # an amount without its currency would be taken for one in another
    if deal.amount != deal.amount.quantize(Decimal("0.01")) or abs(deal.amount) >= _MOST_AMOUNT:
        text = f"Salesforce takes amounts of 16 digits and two decimals, not {deal.amount}."
        raise PermanentFailure(text, field="amount")
    money = {"Amount": money_text(deal.amount, deal.currency)}
    if facts.currencies:
        if deal.currency not in facts.currencies:
            listed = ", ".join(facts.currencies)
            raise PermanentFailure(f"Salesforce has no currency {deal.currency}, only {listed}.", field="currency")
        return {**money, "CurrencyIsoCode": deal.currency}
    if facts.currency and deal.currency != facts.currency:
        text = f"Salesforce keeps all amounts in {facts.currency}; the deal is in {deal.currency}."
        raise PermanentFailure(text, field="currency")
    return money


def _description(deal: Any) -> str:
    contact = ", ".join(filter(None, (deal.contact_name, deal.contact_email, deal.contact_phone)))
    lines = (
        ("Products: ", ", ".join(deal.products)),
        ("Contact: ", contact),
        ("Partner: ", deal.partner_name),
        ("Protected until: ", deal.protected_until.isoformat() if deal.protected_until else ""),
        ("Deal registration: ", deal.number),
        (_KEY_LINE, deal_key(deal.id)),
    )
    listed = "\n".join(f"{name}{text}" for name, text in lines if text)
    return f"{deal.business_problem}\n\n{listed}" if deal.business_problem else listed


def _fitting(vendor_field: str, text: str, field: str) -> str:
    """The text as the vendor stores it, trimmed. Raises PermanentFailure when it is too long or, as a name, empty."""
    text, longest = (text or "").strip(), LONGEST[vendor_field]
    if len(text) > longest:
        raise PermanentFailure(
            f"Salesforce takes at most {longest} characters here; {field} has {len(text)}. Shorten it.", field=field
        )
    if not text and vendor_field in ("Name", "Account.Name"):
        raise PermanentFailure(f"Salesforce needs a name: {field} is empty.", field=field)
    return text


# Values ---------------------------------------------------------------------------------------------------------------


def domain(website: str) -> str:
    """The host of a web address without www, in small letters; "" for none."""
    text = website.strip().lower()
    host = urlsplit(text if "//" in text else f"//{text}").hostname or ""
    return host.removeprefix("www.")


def instant(text: str | None) -> datetime | None:
    """An instant as the vendor writes it, 2026-01-31T10:00:00.000+0000."""
    return datetime.fromisoformat(text) if text else None


def _country(row: Row) -> Values | None:
    """{"country": code}; without the key where the field is hidden, None for a name that nobody knows."""
    if row.get("BillingCountryCode"):
        return {"country": str(row["BillingCountryCode"])}
    if "BillingCountry" not in row:
        return {}
    code = country_code(_text(row, "BillingCountry"))
    return None if code is None else {"country": code}


def _texts(row: Row, names: dict[str, str]) -> Values:
    """Texts under our names; a field that the integration user may not see is not in the row, and says nothing."""
    return {ours: _text(row, theirs) for ours, theirs in names.items() if theirs in row}


def _person(row: Row) -> str:
    return " ".join(filter(None, (_text(row, "FirstName"), _text(row, "LastName"))))


def _text(row: Row, name: str) -> str:
    return str(row.get(name) or "")
