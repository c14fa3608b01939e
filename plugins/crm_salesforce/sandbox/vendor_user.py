"""What the vendor's own users do, for demo and tests: `POST /_control/<action>`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from hub.testing.sandbox import ActionRefused, action
from plugins.crm_salesforce.sandbox.errors import ApiError
from plugins.crm_salesforce.sandbox.frame import SalesforceFrame
from plugins.crm_salesforce.sandbox.ids import as_long_id
from plugins.crm_salesforce.sandbox.org import Org

_MOST_CALLS = 10_000_000


class VendorUser(SalesforceFrame):
    """A seller, and the org's administrator."""

    @action
    def edit(self, id: str, fields: dict[str, Any], stamped_s_ago: float = 0) -> dict[str, Any]:
        """Change fields of a record. stamped_s_ago: its stamp lies so far back, as if it was committed late."""
        with self._user_saves(stamped_s_ago) as org:
            return {"id": org.update(self._object_of(id), id, fields)}

    @action
    def create_account(self, Name: str, stamped_s_ago: float = 0, **fields: Any) -> dict[str, Any]:
        """Create an account: Name, and any other field of the object by its name."""
        return self._create("Account", {"Name": Name, **fields}, stamped_s_ago)

    @action
    def create_contact(
        self,
        LastName: str,
        AccountId: str | None = None,
        stamped_s_ago: float = 0,
        **fields: Any,
    ) -> dict[str, Any]:
        """Create a contact."""
        return self._create("Contact", {"LastName": LastName, "AccountId": AccountId, **fields}, stamped_s_ago)

    @action
    def create_opportunity(
        self,
        Name: str,
        AccountId: str | None = None,
        StageName: str = "Prospecting",
        stamped_s_ago: float = 0,
        **fields: Any,
    ) -> dict[str, Any]:
        """Create an opportunity; CloseDate is today unless it is given."""
        values = {"CloseDate": self.now().date().isoformat(), "AccountId": AccountId, "StageName": StageName}
        return self._create("Opportunity", {**values, "Name": Name, **fields}, stamped_s_ago)

    @action
    def win_opportunity(self, id: str) -> dict[str, Any]:
        """Set an opportunity to the stage that is won; it closes today."""
        return self._set_stage(id, won=True, closed=True)

    @action
    def lose_opportunity(self, id: str) -> dict[str, Any]:
        """Set an opportunity to the stage that is closed and not won."""
        return self._set_stage(id, won=False, closed=True)

    @action
    def reopen_opportunity(self, id: str) -> dict[str, Any]:
        """Set an opportunity back to the first open stage."""
        return self._set_stage(id, won=False, closed=False)

    @action
    def delete(self, id: str) -> dict[str, Any]:
        """Put a record into the recycle bin."""
        with self._user_saves() as org:
            org.delete(self._object_of(id), id)
        return {"id": as_long_id(id)}

    @action
    def undelete(self, id: str) -> dict[str, Any]:
        """Take a record out of the recycle bin."""
        with self._user_saves() as org:
            org.undelete(self._object_of(id), id)
        return {"id": as_long_id(id)}

    @action
    def empty_bin(self) -> dict[str, Any]:
        """Remove for good what is in the recycle bin."""
        rows_by_object: dict[str, dict[str, Any]] = self.state["rows"]
        gone = [(name, id) for name, rows in rows_by_object.items() for id, row in rows.items() if row.get("IsDeleted")]
        for name, id in gone:
            del rows_by_object[name][id]
        self.changed()
        return {"removed": len(gone)}

    @action
    def merge_accounts(self, master_id: str, id: str) -> dict[str, Any]:
        """Merge the account `id` into `master_id`: its contacts and opportunities move, it goes into the bin."""
        with self._user_saves() as org:
            org.merge("Account", master_id, id)
        return {"id": as_long_id(master_id)}

    @action
    def set_duplicate_rule(self, rule: str) -> dict[str, Any]:
        """The duplicate rule on the name of accounts: "off", "alert" or "block"."""
        if rule not in ("off", "alert", "block"):
            raise ActionRefused('The rule is "off", "alert" or "block".')
        self.state["duplicate_rule"] = rule
        self.changed()
        return {"rule": rule}

    @action
    def lock_row(self, id: str, times: int = 1) -> dict[str, Any]:
        """The next `times` writes of a record, or of a child of it, find it locked."""
        self.state["locked"][as_long_id(id) or id] = times
        self.changed()
        return {"id": id, "times": times}

    @action
    def refuse_rows(
        self,
        object: str,
        code: str,
        fields: list[str] | None = None,
        times: int = 1,
        saved: bool = False,
    ) -> dict[str, Any]:
        """The next `times` rows of an object that the API saves are refused; saved: after they were saved."""
        refusal = {"object": object, "code": code, "fields": fields or [], "times": times, "saved": saved}
        self.state["refusals"].append(refusal)
        self.changed()
        return refusal

    @action
    def end_sessions(self) -> dict[str, Any]:
        """End every session: the next call gets INVALID_SESSION_ID."""
        count = len(self.state["tokens"])
        self.state["tokens"] = {}
        self.changed()
        return {"ended": count}

    @action
    def use_api_calls(self, count: int) -> dict[str, Any]:
        """Other integrations use up API calls of the day."""
        self.calls_used()
        self.state["usage"]["calls"] = min(self.state["usage"]["calls"] + count, _MOST_CALLS)
        self.changed()
        return {"left": self.calls_left()}

    # ------------------------------------------------------------------------------------------------------------------

    def _create(self, name: str, fields: dict[str, Any], stamped_s_ago: float) -> dict[str, Any]:
        with self._user_saves(stamped_s_ago) as org:
            return {"id": org.create(name, fields)}

    def _set_stage(self, id: str, *, won: bool, closed: bool) -> dict[str, Any]:
        stages = sorted(self.state["rows"]["OpportunityStage"].values(), key=lambda row: row["SortOrder"])
        stage = next(row for row in stages if (row["IsWon"], row["IsClosed"]) == (won, closed))
        fields = {"StageName": stage["ApiName"]}
        if closed:
            fields["CloseDate"] = self.now().date().isoformat()
        with self._user_saves() as org:
            return {"id": org.update("Opportunity", id, fields), **fields}

    @contextmanager
    def _user_saves(self, stamped_s_ago: float = 0) -> Iterator[Org]:
        try:
            with self.transaction(actor="user", now=self.now() - timedelta(seconds=stamped_s_ago)) as org:
                yield org
        except ApiError as error:
            raise ActionRefused(f"{error.code}: {error.message}") from error

    def _object_of(self, id: str) -> str:
        name = next((each.name for each in self.full_schema.values() if id.startswith(each.prefix)), None)
        if name is None:
            raise ActionRefused(f"{id} is no id of a record.")
        return name
