"""The notebook itself: records in a JSON file behind a small API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from werkzeug.wrappers import Request, Response

from hub.testing.sandbox import Answer, Sandbox, json_response, route

TOKEN = "notebook-token-4f1c9a"  # noqa: S105
KEYED = ("clients", "invoices")
NEVER = "0001-01-01T00:00:00.000000+00:00"


class NotebookSandbox(Sandbox):
    """options: account, token, page_size, scopes, zone (the account's, in which it shows and reads instants)."""

    name = "notebook"

    def first_state(self) -> dict[str, Any]:
        kinds: dict[str, Any] = {"clients": {}, "services": {}, "invoices": {}}
        return {"kinds": kinds, "number": 0, "answers": {}, "refused_names": []}

    def settings(self, url: str) -> dict[str, Any]:
        return {"url": url, "token": self.options.get("token", TOKEN)}

    def admit(self, request: Request, counts: str) -> Response | None:
        if request.headers.get("Authorization") != f"Bearer {self.options.get('token', TOKEN)}":
            return json_response({"error": "unknown token"}, 401)
        return None

    @route("GET", "/me")
    def me(self, request: Request) -> Any:
        account = self.options.get("account", "nb-1")
        return {"id": account, "name": f"Notebook {account}", "scopes": self.options.get("scopes", ["read", "write"])}

    @route("GET", "/<kind>")
    def look(self, request: Request, kind: str) -> Any:
        """Records by change, oldest first: all, since an instant, from a page or an offset on, or with these values."""
        rows = sorted(self.of(kind).values(), key=_place)
        wanted = request.args
        if "ids" in wanted:
            rows = [row for row in rows if row["id"] in wanted["ids"].split(",")]
        elif "name" in wanted:
            keys = ("hub_id", "name")
            rows = [row for row in rows if any(row.get(key) == wanted.get(key) for key in keys)]
        if "since" in wanted:
            since = self._instant(wanted["since"])
            rows = [row for row in rows if (row["modified_at"] or NEVER) >= since]
        if "page" in wanted:
            rows = [row for row in rows if "|".join(_place(row)) > wanted["page"]]
        rows = rows[int(wanted.get("offset", 0)) :]
        size = int(self.options.get("page_size", 5))
        more = len(rows) > size and "ids" not in wanted
        rows = rows[:size] if more else rows
        return {
            "records": [self._shown(row) for row in rows],
            "next": "|".join(_place(rows[-1])) if more else None,
            "now": self.now().isoformat(),
        }

    @route("POST", "/<kind>", counts="write")
    def write(self, request: Request, kind: str) -> Any:
        """A verdict for each item. The same key gets the same answer, except for services, which know no keys."""
        key = request.headers.get("Idempotency-Key", "")
        answers = self.state["answers"]
        if kind in KEYED and key in answers:
            return answers[key]
        items = request.get_json()["items"]
        answer = {"results": [self._write(kind, item, key) for item in reversed(items)]}
        if kind in KEYED:
            answers[key] = answer
        self.changed()
        return answer

    def _write(self, kind: str, item: dict[str, Any], key: str) -> dict[str, Any]:
        values, records = item["values"], self.of(kind)
        known = records.get(item["id"]) if item["id"] else None
        name = values.get("name", known and known.get("name"))
        if name in self.state["refused_names"]:
            return {"ref": item["ref"], "status": "refused", "reason": f"{name} is on no list.", "field": "name"}
        if known is not None and item["version"] and item["version"] != str(known["version"]):
            return {"ref": item["ref"], "status": "stale", "reason": "It was changed meanwhile."}
        remote_id = self.put(kind, item["id"], values, key=key)
        status = "created" if known is None else "updated"
        return {"ref": item["ref"], "status": status, "id": remote_id, "version": records[remote_id]["version"]}

    # What users do ---------------------------------------------------------------------------------------------------

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """The records of a kind by id."""
        if kind not in self.state["kinds"]:
            raise Answer(json_response({"error": f"no such kind: {kind}"}, 404))
        found: dict[str, dict[str, Any]] = self.state["kinds"][kind]
        return found

    def put(
        self, kind: str, remote_id: str | None, values: dict[str, Any], *, actor: str = "api", key: str = ""
    ) -> str:
        """Write a record, new without an id. Returns its id."""
        with self.lock:
            records, operation = self.of(kind), "update"
            if remote_id is None or remote_id not in records:
                self.state["number"] += 1
                remote_id, operation = f"{kind[0]}-{self.state['number']:04}", "create"
                records[remote_id] = {"id": remote_id, "version": 0}
            at = self.now().isoformat(timespec="microseconds")
            records[remote_id] |= values | {"modified_at": at, "version": records[remote_id]["version"] + 1}
            self.record(operation, kind, remote_id, actor=actor, key=key)
        return remote_id

    # Instants --------------------------------------------------------------------------------------------------------

    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.options.get("zone", "UTC"))

    def _instant(self, text: str) -> str:
        """As it is stored; one without an offset is read in the account's zone."""
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            at = at.replace(tzinfo=self._zone())
        return at.astimezone(UTC).isoformat(timespec="microseconds")

    def _shown(self, row: dict[str, Any]) -> dict[str, Any]:
        """With its instant in the account's zone, to the millisecond."""
        if row["modified_at"] is None:
            return row
        at = datetime.fromisoformat(row["modified_at"]).astimezone(self._zone())
        return row | {"modified_at": at.isoformat(timespec="milliseconds")}


def _place(row: dict[str, Any]) -> tuple[str, str]:
    """Where a record stands in the order of changes; one that says nothing stands first."""
    return (row["modified_at"] or NEVER, row["id"])
