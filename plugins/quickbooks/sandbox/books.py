"""The company's books: entities with ids and versions, references between them, and what values may look like."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Protocol

from plugins.quickbooks.sandbox import faults
from plugins.quickbooks.sandbox.seed import EXCHANGE_RATES

Entity = dict[str, Any]
READ_ONLY = {"Id", "SyncToken", "sparse", "MetaData", "domain", "CustomField", "AttachableRef", "status", "time"}


class Recorder(Protocol):
    def __call__(self, operation: str, kind: str, id: str, *, actor: str = "api", key: str = "") -> None: ...


class Books:
    """One company. Every change goes through `put` or `forget`, which write it into the ledger."""

    def __init__(self, state: dict[str, Any], now: Callable[[], datetime], record: Recorder) -> None:
        self.state = state
        self._now = now
        self.record = record

    # Reading ---------------------------------------------------------------------------------------------------------

    def all(self, kind: str) -> Iterable[Entity]:
        entities: dict[str, Entity] = self.state["entities"][kind]
        return entities.values()

    def get(self, kind: str, id: str) -> Entity:
        """An entity by its id. Raises VendorFault 610."""
        entity: Entity | None = self.state["entities"][kind].get(str(id))
        if entity is None:
            raise faults.not_found(kind)
        return entity

    def referenced(self, kind: str, reference: Any, element: str, *, may_be_inactive: bool = False) -> Entity:
        """The entity a reference names. Raises VendorFault 2500 for an unknown one, 610 for an inactive one."""
        id = reference.get("value") if isinstance(reference, dict) else None
        if id is None:
            raise faults.unparsable(f"{element} is an object with a value", element)
        entity: Entity | None = self.state["entities"][kind].get(str(id))
        if entity is None:
            raise faults.unknown_reference(element, id)
        if not (entity["Active"] or may_be_inactive):
            raise faults.not_found(kind)
        return entity

    def check_references(self, values: Entity, kinds: Mapping[str, str]) -> None:
        """Check references to lists, by their names. Raises VendorFault 2010, 2500 or 610."""
        for name, kind in kinds.items():
            if values.get(name):
                self.referenced(kind, values[name], name)

    def today(self) -> str:
        return self._now().date().isoformat()

    def stamp(self) -> str:
        """This moment as the vendor writes it: whole seconds, the company's offset."""
        zone = datetime.fromisoformat("2024-01-01T00:00:00" + self.state["offset"]).tzinfo
        return self._now().astimezone(zone).isoformat(timespec="seconds")

    def exchange_rate(self, currency: str) -> Decimal:
        """Home units for one unit of a currency."""
        home = Decimal(EXCHANGE_RATES.get(self.state["currency"], "1"))
        return (Decimal(EXCHANGE_RATES.get(currency, "1")) / home).quantize(Decimal("0.000001"))

    # Writing ---------------------------------------------------------------------------------------------------------

    def put(
        self, kind: str, values: Entity, old: Entity | None, *, operation: str, actor: str, key: str = ""
    ) -> Entity:
        """Store a new entity, or the next version of an old one, and return a copy of it."""
        id = old["Id"] if old else self._next_id()
        version = str(int(old["SyncToken"]) + 1) if old else "0"
        times = {"CreateTime": old["MetaData"]["CreateTime"] if old else self.stamp(), "LastUpdatedTime": self.stamp()}
        entity = {**values, "domain": "QBO", "sparse": False, "Id": id, "SyncToken": version, "MetaData": times}
        self.state["entities"][kind][id] = entity
        self.record(operation, kind, id, actor=actor, key=key)
        return deepcopy(entity)

    def touch(self, kind: str, id: str, **values: Any) -> None:
        """The service itself changes an entity (a payment its invoice): a new version, but nobody's effect."""
        entity = self.get(kind, id)
        entity.update(values, SyncToken=str(int(entity["SyncToken"]) + 1))
        entity["MetaData"]["LastUpdatedTime"] = self.stamp()

    def forget(self, kind: str, id: str, *, actor: str, key: str = "") -> Entity:
        """Delete a transaction; change data capture goes on naming it."""
        entity = self.state["entities"][kind].pop(id)
        times = {"LastUpdatedTime": self.stamp()}
        self.state["deleted"][kind][id] = {"status": "Deleted", "domain": "QBO", "Id": id, "MetaData": times}
        self.record("delete", kind, entity["Id"], actor=actor, key=key)
        return {"status": "Deleted", "domain": "QBO", "Id": id}

    def _next_id(self) -> str:
        self.state["next_id"] += 1
        return str(self.state["next_id"] - 1)


# What values may look like --------------------------------------------------------------------------------------------


def merged(kind: str, body: Entity, old: Entity | None) -> Entity:
    """The body as the whole entity it asks for: a sparse update keeps what it does not mention. Raises 5010."""
    if old is None:
        return dict(body)
    if "SyncToken" not in body:
        raise faults.missing("SyncToken")
    if str(body["SyncToken"]) != old["SyncToken"]:
        raise faults.stale(kind)
    return {**deepcopy(old), **body} if body.get("sparse") is True else dict(body)


def only_known(body: Entity, known: Iterable[str], element: str = "") -> None:
    """Raises VendorFault 2010 for a property that does not exist."""
    unknown = sorted(set(body) - set(known) - READ_ONLY)
    if unknown:
        raise faults.unparsable(f"Property Name:{element}{unknown[0]} specified is unsupported or invalid")


def text(body: Entity, longest: Mapping[str, int]) -> None:
    """Check the texts of a body against their greatest lengths. Raises VendorFault 2010 or 2050."""
    for name, limit in longest.items():
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, str):
            raise faults.unparsable(f"{name} is a text", name)
        if len(value) > limit:
            raise faults.too_long(name, limit)


def address(body: Entity, name: str) -> None:
    """Check a postal address, and write its country as the service does: as a three-letter code."""
    value = body.get(name)
    if value is None:
        return
    lines = {f"Line{number}": 500 for number in range(1, 6)}
    others = {"City": 255, "CountrySubDivisionCode": 255, "PostalCode": 30, "Country": 255, "Note": 500}
    only_known(value, {*lines, *others, "Lat", "Long"}, f"{name}.")
    text(value, lines | others)
    country = value.get("Country")
    if country:
        value["Country"] = _THREE_LETTERS.get(country.upper(), country)


def email(body: Entity, name: str) -> None:
    """Check an e-mail address. Raises VendorFault 2050 or 2210."""
    value = body.get(name)
    if value is None:
        return
    only_known(value, {"Address"}, f"{name}.")
    text(value, {"Address": 100})
    for each in (value.get("Address") or "").split(","):
        if each and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s.]+", each.strip()):
            raise faults.malformed_email(name)


def number(value: Any, element: str) -> Decimal:
    """An amount sent as a number or a text. Raises VendorFault 2010."""
    try:
        if isinstance(value, bool):
            raise InvalidOperation
        return Decimal(str(value))
    except InvalidOperation as error:
        raise faults.unparsable(f"{element} is a number, not {value!r}", element) from error


def amount(value: Any, element: str) -> Decimal:
    """An amount of money: two decimals at most."""
    exact = number(value, element)
    if cents(exact) != exact:
        raise faults.business(f"{element} {exact} has more than two decimals")
    return cents(exact)


def cents(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)


def day(body: Entity, name: str) -> None:
    """Check a date. Raises VendorFault 2010."""
    value = body.get(name)
    if value is None:
        return
    try:
        date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise faults.unparsable(f"{name} is a date YYYY-MM-DD", name) from error


_THREE_LETTERS = {
    "US": "USA", "GB": "GBR", "IE": "IRL", "DE": "DEU", "FR": "FRA", "CA": "CAN", "AU": "AUS", "CH": "CHE",
    "AT": "AUT", "NL": "NLD", "BE": "BEL", "ES": "ESP", "IT": "ITA", "DK": "DNK", "SE": "SWE", "NZ": "NZL",
}  # fmt: skip
