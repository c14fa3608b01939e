"""The rows of the stand-in's org, and what saving, deleting and merging them does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from plugins.crm_salesforce.sandbox.errors import ApiError
from plugins.crm_salesforce.sandbox.ids import as_long_id, new_id
from plugins.crm_salesforce.sandbox.schema import Field, SObject
from plugins.crm_salesforce.sandbox.values import accepted, instant_text

Row = dict[str, Any]
Record = Callable[[str, str, str, str], None]
"""Called as record(operation, object, id, key) for each effect."""


class Org:
    """One transaction over the rows in `state["rows"]`: {object: {18 id: row}}.

    user_id: who saves; by_api: through the API. hold: takes a row for this call, if no other call has it. trims: outer
    blanks of a text are not stored. allow_duplicates: the alert of the duplicate rule is passed. Effects
    are recorded by `commit`; `roll_back` undoes everything since the Org was made.
    """

    def __init__(
        self,
        state: dict[str, Any],
        schema: Mapping[str, SObject],
        *,
        now: datetime,
        user_id: str,
        record: Record,
        by_api: bool = False,
        hold: Callable[[str], bool] = lambda id: True,
        trims: bool = True,
        allow_duplicates: bool = False,
    ) -> None:
        self.schema, self.user_id, self.by_api = schema, user_id, by_api
        self._state, self._now, self._record = state, now, record
        self._allow_duplicates, self._hold, self._trims = allow_duplicates, hold, trims
        self._undo: list[tuple[str, str, Row | None]] = []
        self._effects: list[tuple[str, str, str, str]] = []

    def commit(self) -> None:
        for effect in self._effects:
            self._record(*effect)
        self._effects.clear()
        self._undo.clear()

    def roll_back(self, to: tuple[int, int] = (0, 0)) -> None:
        """Undo everything since `mark` said `to`."""
        undo, effects = to
        for name, id, before in reversed(self._undo[undo:]):
            if before is None:
                self.rows(name).pop(id, None)
            else:
                self.rows(name)[id] = before
        del self._undo[undo:], self._effects[effects:]

    def mark(self) -> tuple[int, int]:
        return len(self._undo), len(self._effects)

    # Reading ---------------------------------------------------------------------------------------------------------

    def rows(self, name: str) -> dict[str, Row]:
        rows: dict[str, dict[str, Row]] = self._state["rows"]
        return rows.setdefault(name, {})

    def object(self, name: str) -> SObject:
        """The object by its name, in any case. Raises NOT_FOUND."""
        found = self.schema.get(name) or next((o for o in self.schema.values() if o.name.lower() == name.lower()), None)
        if found is None:
            raise ApiError("NOT_FOUND", "The requested resource does not exist")
        return found

    def live(self, name: str, id: str) -> Row:
        """A row that is not in the bin. Raises NOT_FOUND, ENTITY_IS_DELETED, MALFORMED_ID."""
        long = as_long_id(id)
        if long is None:
            raise ApiError("MALFORMED_ID", f"{name} ID: id value of incorrect type: {id:.40}", fields=["Id"])
        row = self.rows(name).get(long)
        if row is None:
            raise ApiError("NOT_FOUND", "The requested resource does not exist")
        if row.get("IsDeleted"):
            raise ApiError("ENTITY_IS_DELETED", "entity is deleted")
        return row

    def by_key(self, name: str, key_field: str, value: Any) -> list[Row]:
        """Live rows whose key field has this value; case does not count, unless the field is case-sensitive."""
        if value is None:
            return []
        field = self.object(name).field(key_field)
        exact = field is not None and field.case_sensitive

        def spelt(text: object) -> str:
            return str(text or "").strip() if exact else str(text or "").strip().lower()

        return [row for row in self._live_rows(name) if spelt(row.get(key_field)) == spelt(value)]

    def _live_rows(self, name: str) -> Iterator[Row]:
        return (row for row in self.rows(name).values() if not row.get("IsDeleted"))

    # Writing ---------------------------------------------------------------------------------------------------------

    def create(self, name: str, values: Mapping[str, Any], *, key: str = "") -> str:
        """Create a row, returns its id. Raises ApiError and writes nothing."""
        sobject = self.object(name)
        changes = self._accept(sobject, values, creating=True)
        row: Row = {f.name: f.default for f in sobject.fields.values()}
        row |= {"Id": self._next_id(sobject), "IsDeleted": False, "OwnerId": self.user_id}
        row |= {"CreatedDate": instant_text(self._now), "CreatedById": self.user_id, **changes}
        if isinstance(values.get("Id"), str):  # only the seed names an id
            row["Id"] = values["Id"]
        self._require(sobject, row)
        self._refuse_taken_keys(sobject, row)
        self._refuse_duplicates(sobject, row)
        self._lock(changes.get("AccountId"))
        self._derive(sobject, row, changes)
        return self._save(sobject, row, "create", key)

    def update(self, name: str, id: str, values: Mapping[str, Any], *, key: str = "") -> str:
        """Change a row; identical values move its stamp all the same."""
        sobject = self.object(name)
        before = self.live(sobject.name, id)
        changes = self._accept(sobject, values, creating=False)
        row = {**before, **changes}
        self._require(sobject, row)
        self._refuse_taken_keys(sobject, row)
        self._lock(row["Id"], row.get("AccountId"))
        self._derive(sobject, row, changes)
        return self._save(sobject, row, "update", key)

    def upsert(self, name: str, key_field: str, value: Any, values: Mapping[str, Any]) -> tuple[str, bool]:
        """Update the one row with this key or create it; returns id and whether it was created.

        Raises DUPLICATE_EXTERNAL_ID when several have it.
        """
        sobject = self.object(name)
        field = self.key_field(sobject, key_field)
        matches = self.by_key(sobject.name, field.name, value)
        if len(matches) > 1:
            raise ApiError("DUPLICATE_EXTERNAL_ID", f"{field.name}: more than one record found for external id field")
        if matches:
            return self.update(sobject.name, matches[0]["Id"], values, key=str(value)), False
        return self.create(sobject.name, {**values, field.name: value}, key=str(value or "")), True

    def delete(self, name: str, id: str, *, merged_into: str | None = None) -> None:
        """Put a row into the bin, an account with its contacts and opportunities."""
        sobject = self.object(name)
        row = dict(self.live(sobject.name, id))
        self._lock(row["Id"])
        row["IsDeleted"] = True
        if merged_into:
            row["MasterRecordId"] = merged_into
        elif sobject.name == "Account":
            for child, child_row in self._children(row["Id"]):
                self.delete(child, child_row["Id"])
        self._save(sobject, row, "delete", "")

    def undelete(self, name: str, id: str) -> None:
        """Take a row out of the bin again."""
        row = dict(self.rows(name).get(as_long_id(id) or "", {}))
        if not row.get("IsDeleted") or row.get("MasterRecordId"):
            raise ApiError("UNDELETE_FAILED", "Entity is not in the recycle bin")
        row["IsDeleted"] = False
        self._save(self.object(name), row, "undelete", "")

    def merge(self, name: str, master_id: str, loser_id: str) -> None:
        """The loser's children move to the master; the loser is in the bin with MasterRecordId."""
        master, loser = self.live(name, master_id), self.live(name, loser_id)
        if master["Id"] == loser["Id"]:
            raise ApiError("INVALID_ID_FIELD", "A record cannot be merged with itself")
        for child, row in self._children(loser["Id"]) if name == "Account" else ():
            self._save(self.object(child), {**row, "AccountId": master["Id"]}, "update", "")
        self.delete(name, loser["Id"], merged_into=master["Id"])
        self._save(self.object(name), dict(self.live(name, master["Id"])), "update", "")

    def key_field(self, sobject: SObject, name: str) -> Field:
        field = sobject.field(name)
        if field is None or not (field.external_id or field.id_lookup or field.type == "id"):
            message = f"Provided external ID field does not exist or is not accessible: {name}"
            raise ApiError("NOT_FOUND", message)
        return field

    # What saving checks ----------------------------------------------------------------------------------------------

    def _accept(self, sobject: SObject, values: Mapping[str, Any], *, creating: bool) -> Row:
        if sobject.system:
            raise ApiError("INSUFFICIENT_ACCESS_OR_READONLY", f"entity type {sobject.name} does not support save")
        if ("create" if creating else "edit") in sobject.closed:
            raise ApiError("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id")
        changes: Row = {}
        for name, value in values.items():
            if name in ("attributes", "Id", "id"):
                continue
            parent = sobject.parent(name) if isinstance(value, dict) else None
            if parent is not None:
                changes[parent.name] = self._by_external_id(parent, value)
                continue
            field = sobject.field(name)
            if field is None:
                message = f"No such column '{name}' on sobject of type {sobject.name}"
                raise ApiError("INVALID_FIELD", message, whole_call=True)
            if not (field.createable if creating else field.updateable):
                message = (
                    f"Unable to create/update fields: {field.name}. Please check the security settings of this field."
                )
                raise ApiError("INVALID_FIELD_FOR_INSERT_UPDATE", message, fields=[field.name])
            changes[field.name] = self._existing(field, accepted(field, value, trims=self._trims))
        return changes

    def _by_external_id(self, field: Field, value: dict[str, Any]) -> str:
        keys = {name: each for name, each in value.items() if name != "attributes"}
        if len(keys) != 1:
            raise ApiError("INVALID_FIELD", f"{field.relationship}: name exactly one external id field")
        ((name, key),) = keys.items()
        target = self.object(field.refers_to)
        matches = self.by_key(target.name, self.key_field(target, name).name, key)
        if len(matches) != 1:
            message = f"Foreign key external ID: {key} not found for field {name} in entity {target.name}"
            raise ApiError("INVALID_FIELD", message)
        return str(matches[0]["Id"])

    def _existing(self, field: Field, value: Any) -> Any:
        """The value, a reference only if its row is there."""
        if field.type != "reference" or value is None:
            return value
        row = self.rows(field.refers_to).get(value)
        if row is None:
            raise ApiError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", fields=[field.name], status=400)
        if row.get("IsDeleted"):
            raise ApiError("ENTITY_IS_DELETED", "entity is deleted", fields=[field.name], status=400)
        return value

    def _require(self, sobject: SObject, row: Row) -> None:
        missing = [f.name for f in sobject.fields.values() if f.required and row.get(f.name) is None]
        if missing:
            message = f"Required fields are missing: [{', '.join(missing)}]"
            raise ApiError("REQUIRED_FIELD_MISSING", message, fields=missing)

    def _refuse_taken_keys(self, sobject: SObject, row: Row) -> None:
        for field in sobject.fields.values():
            if not field.unique:
                continue
            for other in self.by_key(sobject.name, field.name, row.get(field.name)):
                if other["Id"] != row["Id"]:
                    message = (
                        f"duplicate value found: {field.name} duplicates value on record with id: {other['Id'][:15]}"
                    )
                    raise ApiError("DUPLICATE_VALUE", message)

    def _refuse_duplicates(self, sobject: SObject, row: Row) -> None:
        """The duplicate rule on the account's name, letters and digits only; switched on by the vendor's user."""
        rule = self._state["duplicate_rule"]
        if sobject.name != "Account" or rule == "off" or (rule == "alert" and self._allow_duplicates):
            return
        matches = [each for each in self._live_rows("Account") if _alike(each["Name"]) == _alike(row["Name"])]
        if not matches:
            return
        records = [
            {"matchConfidence": 100, "record": {"attributes": {"type": "Account"}, "Id": m["Id"]}} for m in matches
        ]
        result = {
            "allowSave": rule == "alert",
            "duplicateRule": "Standard_Account_Duplicate_Rule",
            "matchResults": [{"entityType": "Account", "matchRecords": records, "size": len(records)}],
        }
        message = "Use one of these records?"
        raise ApiError("DUPLICATES_DETECTED", message, details={"duplicateResult": result})

    def _lock(self, *ids: str | None) -> None:
        """Another transaction holds a row or its parent: one of a call that is open, or the vendor's user says so."""
        for id in ids:
            if id and not self._hold(id):
                raise ApiError("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record")
            left = self._state["locked"].get(id, 0) if id else 0
            if left:
                self._state["locked"][id] = left - 1
                raise ApiError("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record")

    # What saving does ------------------------------------------------------------------------------------------------

    def _derive(self, sobject: SObject, row: Row, changes: Mapping[str, Any]) -> None:
        if sobject.name == "Contact":
            row["Name"] = " ".join(part for part in (row.get("FirstName"), row["LastName"]) if part)
        if sobject.name != "Opportunity":
            return
        if row.get("HasOpportunityLineItem") and "Amount" in changes:
            row["Amount"] = self.rows("Opportunity")[row["Id"]]["Amount"]  # the products' sum stands; nobody is told
        if "StageName" in changes:
            self._derive_stage(row, changes)

    def _derive_stage(self, row: Row, changes: Mapping[str, Any]) -> None:
        stages = self.rows("OpportunityStage").values()
        stage = next((each for each in stages if each["ApiName"] == row["StageName"]), {})  # any text is taken
        row["IsWon"], row["IsClosed"] = stage.get("IsWon", False), stage.get("IsClosed", False)
        row["LastStageChangeDate"] = instant_text(self._now)
        row["ForecastCategory"] = "Closed" if row["IsWon"] else "Omitted" if row["IsClosed"] else "Pipeline"
        if "Probability" not in changes:
            row["Probability"] = stage.get("DefaultProbability", Decimal(0))

    def _save(self, sobject: SObject, row: Row, operation: str, key: str) -> str:
        refusal = self._refusal(sobject.name)
        if refusal is not None and not refusal["saved"]:
            raise _refused(refusal)
        stamp = instant_text(self._now)
        row = {**row, "SystemModstamp": stamp, "LastModifiedDate": stamp, "LastModifiedById": self.user_id}
        rows = self.rows(sobject.name)
        self._undo.append((sobject.name, row["Id"], rows.get(row["Id"])))
        rows[row["Id"]] = row
        self._effects.append((operation, sobject.name, row["Id"], key))
        if refusal is not None and refusal["saved"]:
            raise _refused(refusal, saved=True)
        return str(row["Id"])

    def _refusal(self, name: str) -> dict[str, Any] | None:
        """What the vendor's user said of the next rows of this object, once for each of them."""
        found: list[dict[str, Any]] = [each for each in self._state["refusals"] if each["object"] == name]
        if not self.by_api or not found:
            return None
        refusal = found[0]
        refusal["times"] -= 1
        if refusal["times"] <= 0:
            self._state["refusals"].remove(refusal)
        return refusal

    def _children(self, account_id: str) -> list[tuple[str, Row]]:
        return [
            (name, row)
            for name in ("Contact", "Opportunity")
            for row in self._live_rows(name)
            if row.get("AccountId") == account_id
        ]

    def _next_id(self, sobject: SObject) -> str:
        self._state["last_number"] += 1
        return new_id(sobject.prefix, self._state["last_number"])


def _refused(refusal: dict[str, Any], *, saved: bool = False) -> ApiError:
    code = refusal["code"]
    return ApiError(code, f"the org says {code}", fields=refusal["fields"], saved=saved)


def _alike(name: str) -> str:
    return "".join(char for char in name.casefold() if char.isalnum())
