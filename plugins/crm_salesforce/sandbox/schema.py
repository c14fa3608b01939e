"""The objects of the stand-in's org and their fields, with the limits of a recorded describe (contract, section 15)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Field:
    """One field. type: as describe names it; digits: before and after the decimal point of a number."""

    name: str
    type: str = "string"
    length: int = 0
    digits: tuple[int, int] = (0, 0)
    required: bool = False
    createable: bool = True
    updateable: bool = True
    default: Any = None
    external_id: bool = False
    id_lookup: bool = False
    unique: bool = False
    values: tuple[str, ...] = ()
    restricted: bool = False
    case_sensitive: bool = False
    refers_to: str = ""
    relationship: str = ""

    @property
    def filterable(self) -> bool:
        return self.type != "textarea" or self.length <= 255

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "label": self.name.removesuffix("__c").replace("_", " "),
            "type": self.type,
            "length": self.length,
            "precision": sum(self.digits),
            "scale": self.digits[1],
            "nillable": not self.required,
            "createable": self.createable,
            "updateable": self.updateable,
            "defaultedOnCreate": self.default is not None,
            "filterable": self.filterable,
            "sortable": self.filterable,
            "externalId": self.external_id,
            "idLookup": self.external_id or self.id_lookup or self.type == "id",
            "unique": self.unique,
            "caseSensitive": self.case_sensitive,
            "custom": self.name.endswith("__c"),
            "restrictedPicklist": self.restricted,
            "picklistValues": [{"active": True, "value": value, "label": value} for value in self.values],
            "referenceTo": [self.refers_to] if self.refers_to else [],
            "relationshipName": self.relationship or None,
        }


@dataclass(frozen=True, slots=True)
class SObject:
    """One object: its name, the first three characters of its ids, its fields by name. system: not writable. closed:
    which of "create" and "edit" the integration user may not.
    """

    name: str
    prefix: str
    fields: dict[str, Field] = field(default_factory=dict)
    system: bool = False
    closed: frozenset[str] = frozenset()

    def field(self, name: str) -> Field | None:
        """The field of this name, in any case."""
        return self.fields.get(name) or next(
            (each for each in self.fields.values() if each.name.lower() == name.lower()), None
        )

    def parent(self, relationship: str) -> Field | None:
        """The reference behind a relationship's name, in any case."""
        matching = (f for f in self.fields.values() if f.relationship.lower() == relationship.lower())
        return next(matching, None) if relationship else None

    def describe(self) -> dict[str, Any]:
        return {**self.summary(), "fields": [each.describe() for each in self.fields.values()]}

    def summary(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "keyPrefix": self.prefix,
            "queryable": True,
            "createable": not self.system and "create" not in self.closed,
            "updateable": not self.system and "edit" not in self.closed,
            "deletable": not self.system,
            "custom": False,
        }


def _read_only(name: str, type: str, **more: Any) -> Field:
    return Field(name, type, createable=False, updateable=False, **more)


def _reference(name: str, to: str, **more: Any) -> Field:
    return Field(name, "reference", 18, refers_to=to, relationship=name.removesuffix("Id"), **more)


def _system_fields() -> Iterable[Field]:
    yield _read_only("Id", "id", length=18)
    yield _read_only("IsDeleted", "boolean")
    yield _read_only("CreatedDate", "datetime")
    yield _reference("CreatedById", "User", createable=False, updateable=False)
    yield _read_only("LastModifiedDate", "datetime")
    yield _reference("LastModifiedById", "User", createable=False, updateable=False)
    yield _read_only("SystemModstamp", "datetime")


def _address(prefix: str) -> Iterable[Field]:
    yield Field(f"{prefix}Street", "textarea", 255)
    yield Field(f"{prefix}City", length=40)
    yield Field(f"{prefix}State", length=80)
    yield Field(f"{prefix}PostalCode", length=20)
    yield Field(f"{prefix}Country", length=80)


def _account() -> Iterable[Field]:
    yield Field("Name", length=255, required=True)
    yield _read_only("MasterRecordId", "reference", length=18, refers_to="Account", relationship="MasterRecord")
    yield Field("Type", "picklist", 255, values=("Prospect", "Customer", "Partner", "Other"))
    yield _reference("ParentId", "Account")
    yield from _address("Billing")
    yield from _address("Shipping")
    yield Field("Phone", "phone", 40)
    yield Field("Website", "url", 255)
    yield Field("Industry", "picklist", 255, values=("Energy", "Finance", "Healthcare", "Manufacturing", "Retail"))
    yield Field("AnnualRevenue", "currency", digits=(18, 0))
    yield Field("NumberOfEmployees", "int", digits=(8, 0))
    yield Field("AccountNumber", length=40)
    yield Field("Description", "textarea", 32_000)


def _contact() -> Iterable[Field]:
    yield _read_only("MasterRecordId", "reference", length=18, refers_to="Contact", relationship="MasterRecord")
    yield _reference("AccountId", "Account")
    yield Field("LastName", length=80, required=True)
    yield Field("FirstName", length=40)
    yield Field("Salutation", "picklist", 40, values=("Mr.", "Ms.", "Dr.", "Prof."))
    yield _read_only("Name", "string", length=121)
    yield Field("Email", "email", 80, id_lookup=True)
    yield Field("Phone", "phone", 40)
    yield Field("MobilePhone", "phone", 40)
    yield Field("Title", length=128)
    yield Field("Department", length=80)
    yield from _address("Mailing")
    yield Field("Description", "textarea", 32_000)


def _opportunity(stages: tuple[str, ...]) -> Iterable[Field]:
    yield _reference("AccountId", "Account")
    yield _reference("RecordTypeId", "RecordType")
    yield Field("Name", length=120, required=True, id_lookup=True)
    yield Field("StageName", "picklist", 255, required=True, values=stages)
    yield Field("CloseDate", "date", required=True)
    yield Field("Amount", "currency", digits=(16, 2))
    yield Field("Probability", "percent", digits=(3, 0))
    yield Field("Type", "picklist", 255, values=("New Business", "Existing Business"))
    yield Field("LeadSource", "picklist", 255, values=("Web", "Phone Inquiry", "Partner", "Other"))
    yield Field("NextStep", length=255)
    yield Field("Description", "textarea", 32_000)
    yield _read_only("IsWon", "boolean")
    yield _read_only("IsClosed", "boolean")
    yield _read_only("ForecastCategory", "picklist", length=40)
    yield _read_only("HasOpportunityLineItem", "boolean")
    yield _read_only("LastStageChangeDate", "datetime")


def _stage() -> Iterable[Field]:
    yield _read_only("Id", "id", length=18)
    yield _read_only("ApiName", "string", length=255)
    yield _read_only("MasterLabel", "string", length=255)
    yield _read_only("IsActive", "boolean")
    yield _read_only("IsClosed", "boolean")
    yield _read_only("IsWon", "boolean")
    yield _read_only("SortOrder", "int", digits=(8, 0))
    yield _read_only("DefaultProbability", "percent", digits=(3, 0))
    yield _read_only("SystemModstamp", "datetime")


def _user(multi_currency: bool) -> Iterable[Field]:
    yield _read_only("Id", "id", length=18)
    yield _read_only("Username", "string", length=80)
    yield _read_only("Name", "string", length=121)
    yield _read_only("Email", "email", length=128)
    yield _read_only("IsActive", "boolean")
    yield _read_only("SystemModstamp", "datetime")
    if multi_currency:
        yield _read_only("DefaultCurrencyIsoCode", "picklist", length=3)


def _organization() -> Iterable[Field]:
    yield _read_only("Id", "id", length=18)
    yield _read_only("Name", "string", length=80)
    yield _read_only("IsSandbox", "boolean")
    yield _read_only("InstanceName", "string", length=5)
    yield _read_only("OrganizationType", "picklist", length=40)
    yield _read_only("SystemModstamp", "datetime")


def _record_type() -> Iterable[Field]:
    yield _read_only("Id", "id", length=18)
    yield _read_only("Name", "string", length=80)
    yield _read_only("DeveloperName", "string", length=80)
    yield _read_only("SobjectType", "picklist", length=40)
    yield _read_only("IsActive", "boolean")
    yield _read_only("SystemModstamp", "datetime")


def _currency_type() -> Iterable[Field]:
    yield _read_only("Id", "id", length=18)
    yield _read_only("IsoCode", "picklist", length=3)
    yield _read_only("IsActive", "boolean")
    yield _read_only("IsCorporate", "boolean")
    yield _read_only("DecimalPlaces", "int", digits=(1, 0))
    yield _read_only("SystemModstamp", "datetime")


_HUB_ID = Field("Hub_Id__c", length=80, external_id=True, unique=True)
HUB_ID_FIELDS = {
    "good": _HUB_ID,
    "not_external": replace(_HUB_ID, external_id=False),
    "not_unique": replace(_HUB_ID, unique=False),
    "short": replace(_HUB_ID, length=36),
    "read_only": replace(_HUB_ID, createable=False, updateable=False),
    "area": replace(_HUB_ID, type="textarea", length=255),
    "case_sensitive": replace(_HUB_ID, case_sensitive=True),
}
"""Our key field as an admin may have made it."""


def build_schema(
    *,
    stages: tuple[str, ...],
    hub_id_field: str,
    currencies: tuple[str, ...],
    missing: tuple[str, ...] = (),
    closed: tuple[str, ...] = (),
) -> dict[str, SObject]:
    """The org's objects by name. currencies: more than none means multi-currency, the first is the default.

    hub_id_field: one of HUB_ID_FIELDS, or "" for none. missing: what the integration user may not see, as "Object" or
    "Object.Field"; closed: what it sees but may not write, as "Object", "Object:create", "Object:edit" or
    "Object.Field".
    """
    business = [
        SObject("Account", "001", _by_name(_system_fields(), _account(), [_reference("OwnerId", "User")])),
        SObject("Contact", "003", _by_name(_system_fields(), _contact(), [_reference("OwnerId", "User")])),
        SObject(
            "Opportunity", "006", _by_name(_system_fields(), _opportunity(stages), [_reference("OwnerId", "User")])
        ),
    ]
    for each in business:
        if hub_id_field:
            each.fields["Hub_Id__c"] = HUB_ID_FIELDS[hub_id_field]
        if currencies:
            each.fields["CurrencyIsoCode"] = Field(
                "CurrencyIsoCode", "picklist", 3, values=currencies, restricted=True, default=currencies[0]
            )
    system = [
        SObject("OpportunityStage", "01J", _by_name(_stage()), system=True),
        SObject("User", "005", _by_name(_user(bool(currencies))), system=True),
        SObject("Organization", "00D", _by_name(_organization()), system=True),
        SObject("RecordType", "012", _by_name(_record_type()), system=True),
    ]
    if currencies:
        system.append(SObject("CurrencyType", "01L", _by_name(_currency_type()), system=True))
    return _closed(_without({each.name: each for each in (*business, *system)}, missing), closed)


def _without(objects: dict[str, SObject], missing: tuple[str, ...]) -> dict[str, SObject]:
    for each in missing:
        name, _, field_name = each.partition(".")
        if field_name:
            objects[name].fields.pop(field_name, None)
        else:
            objects.pop(name, None)
    return objects


def _closed(objects: dict[str, SObject], closed: tuple[str, ...]) -> dict[str, SObject]:
    for each in closed:
        path, _, verb = each.partition(":")
        name, _, field_name = path.partition(".")
        if field_name:
            fields = objects[name].fields
            fields[field_name] = replace(fields[field_name], createable=False, updateable=False)
        else:
            verbs = objects[name].closed | {verb} if verb else {"create", "edit"}
            objects[name] = replace(objects[name], closed=frozenset(verbs))
    return objects


def _by_name(*groups: Iterable[Field]) -> dict[str, Field]:
    return {each.name: each for group in groups for each in group}
