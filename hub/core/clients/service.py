"""Clients and contacts: creating, changing, and recognising those that are here already."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from rapidfuzz import fuzz, process
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from hub.core import clock
from hub.core.clients.models import Client, Contact
from hub.core.clients.rules import normalised_domain, normalised_name, normalised_tax_id
from hub.core.companies.service import country_code
from hub.core.errors import NotFound, RuleBroken
from hub.core.kinds import EVERY, Candidate
from hub.core.money import currency_code
from hub.core.outbox import announce
from hub.core.records import ClientRecord, ContactRecord

NEAR = 90
"""A token-sort score from which two names are near enough for a person to look at."""

_CLIENT_FIELDS = [
    "name",
    "legal_name",
    "currency",
    "tax_id",
    "email",
    "phone",
    "website",
    "tax_exempt",
    "street",
    "city",
    "region",
    "postcode",
    "country",
]
_CONTACT_FIELDS = ("first_name", "last_name", "email", "phone", "job_title")


def create_client(session: Session, *, name: str, **values: Any) -> Client:
    """A new client. values: the other fields of ClientRecord, the address as `address` or field by field."""
    return create_clients(session, [{"name": name, **values}])[0]


def create_clients(session: Session, many: Sequence[Mapping[str, Any]]) -> list[Client]:
    """New clients, each of a set of values. Raises RuleBroken for the first that cannot be."""
    clients = [Client(name="") for _ in many]
    for client, values in zip(clients, many, strict=True):
        _write_client(client, values)
    session.add_all(clients)
    announce(session, "clients", [client.id for client in clients], event="client_changed")
    return clients


def change_client(session: Session, client_id: UUID, **values: Any) -> Client:
    """Change what is given. Raises NotFound, RuleBroken."""
    client = get_client(session, client_id)
    _write_client(client, values)
    if session.is_modified(client):
        announce(session, "clients", [client.id], event="client_changed")
    return client


def archive_client(session: Session, client_id: UUID, *, archived: bool = True) -> Client:
    """Take a client out of use without losing anything; it can come back."""
    client = get_client(session, client_id)
    client.archived_at = (client.archived_at or clock.now()) if archived else None
    announce(session, "clients", [client.id], event="client_changed")
    return client


def get_client(session: Session, client_id: UUID) -> Client:
    client = session.get(Client, client_id)
    if client is None:
        raise NotFound(f"There is no client with id {client_id}.")
    return client


def find_clients(session: Session, name: str) -> Sequence[Client]:
    """Clients of exactly this name, older first."""
    return session.scalars(select(Client).where(Client.name == name).order_by(Client.id)).all()


def load_clients(session: Session, ids: Sequence[UUID]) -> list[ClientRecord]:
    return [client.to_record() for client in session.scalars(select(Client).where(Client.id.in_(ids)))]


def apply_client_change(session: Session, client_id: UUID | None, values: Mapping[str, Any]) -> UUID:
    """Write what another system says about a client."""
    if client_id is None:
        return create_client(session, **values).id
    return change_client(session, client_id, **values).id


def match_clients(
    session: Session, wanted: Sequence[Mapping[str, Any]], free: ColumnElement[bool] = EVERY
) -> list[list[Candidate]]:
    """For each set of values the clients that may be the same. free: which may be.

    Exact: the same tax id, or the same normalised name with the same country and web domain. Near: one of these
    alone, or a token-sort score of 90 or more. A score only suggests (partner_portal 1.4).
    """
    columns = (Client.id, Client.name, Client.match_name, Client.match_domain, Client.tax_id, Client.country)
    among = _Known(session.execute(select(*columns).where(Client.archived_at.is_(None), free)).all())
    return [_candidates(values, among) for values in wanted]


class _Known:
    """Clients to find some among, by what they have in common with a set of values."""

    def __init__(self, clients: Sequence[Any]) -> None:
        self._clients = clients
        self._names = [_sorted_words(client.match_name) for client in clients]
        self._by: dict[tuple[str, str], list[int]] = defaultdict(list)
        for place, client in enumerate(clients):
            for name in ("match_name", "match_domain", "tax_id"):
                if value := getattr(client, name):
                    self._by[name, value].append(place)

    def alike(self, name: str, domain: str, tax_id: str) -> list[Any]:
        """Those with the same domain or tax id, or the same name or one much alike, in their order."""
        places = {*self._by.get(("match_domain", domain), ()), *self._by.get(("tax_id", tax_id), ())}
        if name:
            near = process.extract(
                _sorted_words(name), self._names, scorer=fuzz.ratio, score_cutoff=NEAR - 0.5, limit=None
            )
            places |= {place for _, _, place in near}
        return [self._clients[place] for place in sorted(places)]


def _sorted_words(name: str) -> str:
    """What the ratio is taken of to have a token-sort ratio."""
    return " ".join(sorted(name.split()))


def _candidates(values: Mapping[str, Any], among: _Known) -> list[Candidate]:
    name = normalised_name(str(values.get("name") or ""))
    domain = normalised_domain(str(values.get("website") or ""), str(values.get("email") or ""))
    tax_id = normalised_tax_id(str(values.get("tax_id") or ""))
    country = str((values.get("address") or {}).get("country") or "")
    found: list[Candidate] = []
    for client in among.alike(name, domain, tax_id):
        same_domain = bool(domain) and domain == client.match_domain
        same_name = bool(name) and name == client.match_name
        same_country = not country or not client.country or country == client.country
        score = 100 if same_name else round(fuzz.token_sort_ratio(name, client.match_name)) if name else 0
        if tax_id and tax_id == client.tax_id:
            found.append(Candidate(client.id, client.name, 100, True, "the same tax id"))
        elif same_name and same_country and (same_domain or not (domain and client.match_domain)):
            found.append(Candidate(client.id, client.name, 100, True, "the same name and country"))
        elif same_domain or (score >= NEAR and same_country):
            why = "the same web domain" if same_domain else "a name much alike"
            found.append(Candidate(client.id, client.name, max(score, 80), False, why))
    return sorted(found, key=lambda candidate: (-candidate.exact, -candidate.score, str(candidate.record_id)))


def create_contact(session: Session, *, client_id: UUID, last_name: str, **values: Any) -> Contact:
    """A new contact of a client. Raises NotFound, RuleBroken."""
    return create_contacts(session, [{"client_id": client_id, "last_name": last_name, **values}])[0]


def create_contacts(session: Session, many: Sequence[Mapping[str, Any]]) -> list[Contact]:
    """New contacts, each of a set of values with its client. Raises as soon as one cannot be."""
    wanted = {values["client_id"] for values in many}
    there = set(session.scalars(select(Client.id).where(Client.id.in_(wanted))))
    contacts: list[Contact] = []
    for values in many:
        if values["client_id"] not in there:
            raise NotFound(f"There is no client with id {values['client_id']}.")
        contact = Contact(client_id=values["client_id"], last_name="")
        _write(contact, _CONTACT_FIELDS, values)
        _check_last_name(contact)
        contacts.append(contact)
    session.add_all(contacts)
    announce(session, "contacts", [contact.id for contact in contacts])
    return contacts


def change_contact(session: Session, contact_id: UUID, **values: Any) -> Contact:
    """Change what is given. Raises NotFound."""
    contact = session.get(Contact, contact_id)
    if contact is None:
        raise NotFound(f"There is no contact with id {contact_id}.")
    if "client_id" in values:
        contact.client_id = get_client(session, values["client_id"]).id
    _write(contact, _CONTACT_FIELDS, values)
    _check_last_name(contact)
    if session.is_modified(contact):
        announce(session, "contacts", [contact.id])
    return contact


def load_contacts(session: Session, ids: Sequence[UUID]) -> list[ContactRecord]:
    return [contact.to_record() for contact in session.scalars(select(Contact).where(Contact.id.in_(ids)))]


def apply_contact_change(session: Session, contact_id: UUID | None, values: Mapping[str, Any]) -> UUID:
    """Write what another system says about a contact."""
    if contact_id is None:
        return create_contact(session, **values).id
    return change_contact(session, contact_id, **values).id


def match_contacts(
    session: Session, wanted: Sequence[Mapping[str, Any]], free: ColumnElement[bool] = EVERY
) -> list[list[Candidate]]:
    """A contact of the same client with the same e-mail address is the same; with the same name, perhaps.

    free: which contacts may be.
    """
    clients = {values["client_id"] for values in wanted if values.get("client_id")}
    contacts = session.scalars(select(Contact).where(Contact.client_id.in_(clients), free)).all() if clients else []
    found: list[list[Candidate]] = []
    for values in wanted:
        email = str(values.get("email") or "").casefold()
        name = f"{values.get('first_name') or ''} {values.get('last_name') or ''}".strip().casefold()
        found.append([])
        for contact in contacts:
            if contact.client_id != values.get("client_id"):
                continue
            label = f"{contact.first_name} {contact.last_name}".strip()
            if email and email == contact.email.casefold():
                found[-1].append(Candidate(contact.id, label, 100, True, "the same e-mail address"))
            elif name and name == label.casefold() and not (email and contact.email):
                found[-1].append(Candidate(contact.id, label, 95, True, "the same name at the same client"))
    return found


def _check_last_name(contact: Contact) -> None:
    if not contact.last_name:
        raise RuleBroken("A contact needs a last name.", fields={"last_name": "must not be empty"})


def _write_client(client: Client, values: Mapping[str, Any]) -> None:
    flat = {**values, **(values.get("address") or {})}
    flat.pop("address", None)
    if flat.get("currency"):
        flat["currency"] = currency_code(str(flat["currency"]))
    if flat.get("country"):
        flat["country"] = country_code(str(flat["country"]))
    if "tax_id" in flat:
        flat["tax_id"] = normalised_tax_id(flat["tax_id"] or "")
    _write(client, _CLIENT_FIELDS, flat)
    if not client.name:
        raise RuleBroken("A client needs a name.", fields={"name": "must not be empty"})
    client.match_name = normalised_name(client.name)
    client.match_domain = normalised_domain(client.website or "", client.email or "")


def _write(row: Any, known: Sequence[str], values: Mapping[str, Any]) -> None:
    for name in known:
        if name in values:
            value = values[name]
            cleaned = value.strip() if isinstance(value, str) else value
            setattr(row, name, "" if cleaned is None and name != "currency" else cleaned)
