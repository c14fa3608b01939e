"""Versions, describe, limits, single rows and queries (contract, sections 1, 4 to 7)."""

from __future__ import annotations

import secrets
from typing import Any

from werkzeug.wrappers import Request, Response

from hub.testing.sandbox import json_response, route
from plugins.crm_salesforce.sandbox.errors import ApiError
from plugins.crm_salesforce.sandbox.frame import (
    API_USER,
    NEWEST_VERSION,
    OLDEST_VERSION,
    ORG_ID,
    SalesforceFrame,
    duplicates_allowed,
    json_object,
    truth,
    version_of,
)
from plugins.crm_salesforce.sandbox.querying import Finder, attributes, shown_row
from plugins.crm_salesforce.sandbox.soql import parse

_DATA = "/services/data/v<version>"
_SMALLEST_PAGE, _LARGEST_PAGE = 200, 2000
_KEPT_LOCATORS = 50


class RowCalls(SalesforceFrame):
    """The org's resources, one row or one query at a time."""

    @route("GET", "/services/data", counts="public")
    @route("GET", "/services/data/", counts="public")
    def versions(self, request: Request) -> Any:
        numbers = range(OLDEST_VERSION, NEWEST_VERSION + 1)
        return [{"label": f"Release {n}", "url": f"/services/data/v{n}.0", "version": f"{n}.0"} for n in numbers]

    @route("GET", _DATA, counts="read")
    @route("GET", _DATA + "/", counts="read")
    def resources(self, request: Request, version: str) -> Any:
        base = f"/services/data/v{version}"
        names = ("sobjects", "query", "queryAll", "composite", "limits")
        identity = f"{request.host_url}id/{ORG_ID}/{API_USER}"
        return {**{name: f"{base}/{name}" for name in names}, "identity": identity}

    @route("GET", _DATA + "/limits", counts="read")
    def limits(self, request: Request, version: str) -> Any:
        return {
            "DailyApiRequests": {"Max": self.daily_calls, "Remaining": self.calls_left()},
            "DailyBulkApiBatches": {"Max": 15_000, "Remaining": 15_000},
            "DailyBulkV2QueryJobs": {"Max": 10_000, "Remaining": 10_000},
        }

    @route("GET", _DATA + "/sobjects", counts="read")
    def global_describe(self, request: Request, version: str) -> Any:
        return {
            "encoding": "UTF-8",
            "maxBatchSize": 200,
            "sobjects": [each.summary() for each in self.schema.values()],
        }

    @route("GET", _DATA + "/sobjects/<name>/describe", counts="read")
    def describe(self, request: Request, version: str, name: str) -> Any:
        return self.org().object(name).describe()

    # One row ---------------------------------------------------------------------------------------------------------

    @route("POST", _DATA + "/sobjects/<name>", counts="write")
    def create_row(self, request: Request, version: str, name: str) -> Response:
        body = _without_id(json_object(request))
        with self.transaction(allow_duplicates=duplicates_allowed(request)) as org:
            id = org.create(name, body)
        location = {"Location": f"/services/data/v{version}/sobjects/{name}/{id}"}
        return json_response({"id": id, "success": True, "errors": []}, 201, location)

    @route("GET", _DATA + "/sobjects/<name>/<id>", counts="read")
    def read_row(self, request: Request, version: str, name: str, id: str) -> Any:
        org = self.org()
        sobject = org.object(name)
        row = org.live(sobject.name, id)
        paths = [path for path in request.args.get("fields", "").split(",") if path] or list(sobject.fields)
        for path in paths:
            if "." not in path and sobject.field(path) is None:
                raise ApiError("INVALID_FIELD", f"No such column '{path}' on sobject of type {sobject.name}")
        return shown_row(org, sobject, row, paths, version=version)

    @route("PATCH", _DATA + "/sobjects/<name>/<id>", counts="write")
    def update_row(self, request: Request, version: str, name: str, id: str) -> Response:
        body = _without_id(json_object(request))
        with self.transaction() as org:
            org.update(name, id, body)
        return Response(status=204)

    @route("DELETE", _DATA + "/sobjects/<name>/<id>", counts="write")
    def delete_row(self, request: Request, version: str, name: str, id: str) -> Response:
        with self.transaction() as org:
            org.delete(name, id)
        return Response(status=204)

    @route("GET", _DATA + "/sobjects/<name>/<key_field>/<path:value>", counts="read")
    def read_by_key(self, request: Request, version: str, name: str, key_field: str, value: str) -> Any:
        org = self.org()
        sobject = org.object(name)
        matches = org.by_key(sobject.name, org.key_field(sobject, key_field).name, value)
        if not matches:
            raise ApiError("NOT_FOUND", "The requested resource does not exist")
        if len(matches) > 1:
            return _several(sobject.name, matches, version)
        return shown_row(org, sobject, matches[0], list(sobject.fields), version=version)

    @route("PATCH", _DATA + "/sobjects/<name>/<key_field>/<path:value>", counts="write")
    def upsert_row(self, request: Request, version: str, name: str, key_field: str, value: str) -> Response:
        body = _without_id(json_object(request))
        sobject = self.org().object(name)
        key = self.org().key_field(sobject, key_field)
        if key.name in body:
            message = f"The {key.name} field should not be specified in the sobject data."
            raise ApiError("INVALID_FIELD", message, fields=[key.name])
        matches = self.org().by_key(sobject.name, key.name, value)
        if len(matches) > 1:
            return _several(sobject.name, matches, version)
        if not matches and truth(request.args.get("updateOnly", "false")):
            raise ApiError("NOT_FOUND", "The requested resource does not exist")
        with self.transaction(allow_duplicates=duplicates_allowed(request)) as org:
            id, created = org.upsert(sobject.name, key.name, value, body)
        if not created and float(version) < 46:
            return Response(status=204)
        return json_response(
            {"id": id, "success": True, "errors": [], "created": created}, status=201 if created else 200
        )

    # Queries ---------------------------------------------------------------------------------------------------------

    @route("GET", _DATA + "/query", counts="read")
    def query(self, request: Request, version: str) -> Any:
        return self._first_page(request, deleted=False)

    @route("GET", _DATA + "/queryAll", counts="read")
    def query_all(self, request: Request, version: str) -> Any:
        return self._first_page(request, deleted=True)

    @route("GET", _DATA + "/query/<locator>", counts="read")
    @route("GET", _DATA + "/queryAll/<locator>", counts="read")
    def query_more(self, request: Request, version: str, locator: str) -> Any:
        name, _, start = locator.rpartition("-")
        kept = self.state["locators"].get(name)
        if kept is None or not start.isdecimal() or int(start) > len(kept["ids"]):
            raise ApiError("INVALID_QUERY_LOCATOR", "invalid query locator")
        return self._page(name, kept, int(start), version)

    def _first_page(self, request: Request, *, deleted: bool) -> Any:
        statement = request.args.get("q", "")
        query = parse(statement)
        ids = Finder(self.org(), query).ids(deleted=deleted)
        if not query.paths:
            return {"totalSize": len(ids), "done": True, "records": []}
        kept = {"statement": statement, "ids": ids, "size": self._page_size(request)}
        return self._page(f"01gHb{secrets.token_hex(6)}", kept, 0, version_of(request))

    def _page(self, name: str, kept: dict[str, Any], start: int, version: str) -> dict[str, Any]:
        """A page of a result. Which rows it has was settled by the first page; their values are the present ones."""
        end = start + kept["size"]
        finder = Finder(self.org(), parse(kept["statement"]))
        done = end >= len(kept["ids"])
        answer: dict[str, Any] = {"totalSize": len(kept["ids"]), "done": done}
        if not done:
            self._keep(name, kept)
            answer["nextRecordsUrl"] = f"/services/data/v{version}/query/{name}-{end}"
        return {**answer, "records": finder.shown(kept["ids"][start:end], version=version)}

    def _keep(self, name: str, kept: dict[str, Any]) -> None:
        locators = self.state["locators"]
        locators[name] = kept
        for old in list(locators)[:-_KEPT_LOCATORS]:
            del locators[old]
        self.changed()

    def _page_size(self, request: Request) -> int:
        """The caller's wish, within 200 to 2,000; the option page_size makes pages smaller than anyone asked for."""
        if "page_size" in self.options:
            return int(self.options["page_size"])
        wish = request.headers.get("Sforce-Query-Options", "").replace(" ", "").partition("batchSize=")[2]
        return min(max(int(wish), _SMALLEST_PAGE), _LARGEST_PAGE) if wish.isdecimal() else _LARGEST_PAGE


def _without_id(body: dict[str, Any]) -> dict[str, Any]:
    if "Id" in body or "id" in body:
        message = "The Id field should not be specified in the sobject data."
        raise ApiError("INVALID_FIELD", message, fields=["Id"])
    return body


def _several(name: str, rows: list[dict[str, Any]], version: str) -> Response:
    return json_response([attributes(name, row["Id"], version)["url"] for row in rows], 300)
