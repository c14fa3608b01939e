"""Several rows or several calls in one: collections, composite and composite batch (contract, sections 9 and 10)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

from werkzeug.wrappers import Request, Response

from hub.testing.sandbox import from_json, json_response, route, to_json
from plugins.crm_salesforce.sandbox.errors import ApiError
from plugins.crm_salesforce.sandbox.frame import (
    AllUndone,
    SalesforceFrame,
    duplicates_allowed,
    json_object,
    truth,
)
from plugins.crm_salesforce.sandbox.ids import as_long_id
from plugins.crm_salesforce.sandbox.org import Org
from plugins.crm_salesforce.sandbox.querying import shown_row

_COLLECTION = "/services/data/v<version>/composite/sobjects"
_MOST_ROWS, _MOST_READ, _MOST_RUNS = 200, 2000, 10
_MOST_SUBREQUESTS, _MOST_HEAVY, _MOST_BATCHED = 25, 5, 25
_REFERENCE = re.compile(r"@\{([^}]+)\}")
_HEAVY = re.compile(r"/services/data/v[\d.]+/(composite/sobjects|query|queryAll)(/|\?|$)")

Row = dict[str, Any]
Result = dict[str, Any]
Save = Callable[[Org, Row], Result]


class CollectionCalls(SalesforceFrame):
    """Up to 200 rows a call, one result a row, HTTP 200 even when every row failed."""

    @route("POST", _COLLECTION, counts="write")
    def create_rows(self, request: Request, version: str) -> Any:
        def save(org: Org, row: Row) -> Result:
            if "id" in row or "Id" in row:
                raise ApiError("INVALID_FIELD_FOR_INSERT_UPDATE", "cannot specify Id in an insert call", fields=["Id"])
            return _saved(org.create(_type(row), row))

        return self._each(request, save)

    @route("PATCH", _COLLECTION, counts="write")
    def update_rows(self, request: Request, version: str) -> Any:
        def save(org: Org, row: Row) -> Result:
            id = row.get("id") or row.get("Id")
            if not id:
                raise ApiError("MISSING_ARGUMENT", "Id not specified in an update call", fields=["Id"])
            return _saved(org.update(_type(row), id, row))

        return self._each(request, save)

    @route("PATCH", _COLLECTION + "/<name>/<key_field>", counts="write")
    def upsert_rows(self, request: Request, version: str, name: str, key_field: str) -> Any:
        sobject = self.org().object(name)
        key = self.org().key_field(sobject, key_field)
        seen: set[str] = set()

        def save(org: Org, row: Row) -> Result:
            if _type(row).lower() != sobject.name.lower():
                raise ApiError("INVALID_TYPE", f"all records must be of type {sobject.name}")
            value = next((row[each] for each in row if each.lower() == key.name.lower()), None)
            if key.type == "id":
                return _by_id(org, sobject.name, value, row)
            if value is None or value == "":
                raise ApiError("MISSING_ARGUMENT", f"{key.name} not specified", fields=[key.name])
            if str(value).lower() in seen:
                raise ApiError("DUPLICATE_VALUE", f"Duplicate external id specified: {value}", fields=[key.name])
            seen.add(str(value).lower())
            id, created = org.upsert(sobject.name, key.name, value, row)
            return {**_saved(id), "created": created}

        return self._each(request, save)

    @route("DELETE", _COLLECTION, counts="write")
    def delete_rows(self, request: Request, version: str) -> Any:
        ids = [id for id in request.args.get("ids", "").split(",") if id]
        _refuse_size(ids, _MOST_ROWS)

        def save(org: Org, row: Row) -> Result:
            long = as_long_id(row["id"])
            name = next((o.name for o in self.schema.values() if long and long.startswith(o.prefix)), None)
            if name is None:
                raise ApiError("MALFORMED_ID", f"malformed id {row['id']:.40}", fields=["Id"])
            org.delete(name, row["id"])
            return _saved(str(long))

        all_or_none = truth(request.args.get("allOrNone", "false"))
        return self._all([{"id": id} for id in ids], save, all_or_none=all_or_none, allow_duplicates=False)

    @route("POST", _COLLECTION + "/<name>", counts="read")
    def retrieve_rows(self, request: Request, version: str, name: str) -> Any:
        body = json_object(request)
        org = self.org()
        sobject = org.object(name)
        ids, paths = body.get("ids", []), body.get("fields", [])
        _refuse_size(ids, _MOST_READ)
        for path in paths:
            if sobject.field(path) is None:
                raise ApiError("INVALID_FIELD", f"No such column '{path}' on sobject of type {sobject.name}")
        rows = (org.rows(sobject.name).get(as_long_id(id) or "") for id in ids)
        return [
            shown_row(org, sobject, row, paths, version=version) if row and not row.get("IsDeleted") else None
            for row in rows
        ]

    def _each(self, request: Request, save: Save) -> Any:
        body = json_object(request)
        rows = body.get("records")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ApiError("JSON_PARSER_ERROR", "records must be a list of objects")
        _refuse_size(rows, _MOST_ROWS)
        _refuse_runs(rows)
        return self._all(
            rows, save, all_or_none=truth(body.get("allOrNone", False)), allow_duplicates=duplicates_allowed(request)
        )

    def _all(self, rows: Iterable[Row], save: Save, *, all_or_none: bool, allow_duplicates: bool) -> Response:
        results: list[Result] = []
        try:
            with self.transaction(allow_duplicates=allow_duplicates) as org:
                for row in rows:
                    results.append(_one(org, row, save, rows_alone=self.options.get("bad_field_refuses") == "row"))
                if all_or_none and not all(result["success"] for result in results):
                    raise AllUndone
        except AllUndone:
            results = [result if not result["success"] else _rolled_back() for result in results]
        return json_response(results)


class CompositeCalls(SalesforceFrame):
    """Several calls in one; the whole composite costs one call, a batch one for each."""

    @route("POST", "/services/data/v<version>/composite", counts="composite")
    def composite(self, request: Request, version: str) -> Any:
        body = json_object(request)
        parts = _parts(body)
        answers: dict[str, dict[str, Any]] = {}
        try:
            with self.transaction():
                for part in parts:
                    answers[part["referenceId"]] = self._part(part, answers, request)
                if truth(body.get("allOrNone", False)) and any(a["httpStatusCode"] >= 400 for a in answers.values()):
                    raise AllUndone
        except AllUndone:
            answers = {name: _halted_unless_culprit(answer) for name, answer in answers.items()}
        return {"compositeResponse": list(answers.values())}

    def _part(self, part: dict[str, Any], answers: dict[str, dict[str, Any]], outer: Request) -> dict[str, Any]:
        try:
            filled = _fill(part, answers)
        except KeyError as missing:
            name = missing.args[0]
            message = f"Invalid reference specified. No value for {name} found in {name.partition('.')[0]}"
            return _answer(part, 400, [{"errorCode": "PROCESSING_HALTED", "message": message}])
        response = self.dispatch(_subrequest(filled, outer))
        text = response.get_data(as_text=True)
        return _answer(part, response.status_code, from_json(text) if text else None, response.headers.get("Location"))

    @route("POST", "/services/data/v<version>/composite/batch", counts="composite")
    def batch(self, request: Request, version: str) -> Any:
        body = json_object(request)
        parts = body.get("batchRequests", [])
        if not 0 < len(parts) <= _MOST_BATCHED:
            raise ApiError("LIMIT_EXCEEDED", f"a batch has 1 to {_MOST_BATCHED} subrequests")
        self.state["usage"]["calls"] += len(parts) - 1
        results: list[dict[str, Any]] = []
        for part in parts:
            if truth(body.get("haltOnError", False)) and any(result["statusCode"] >= 400 for result in results):
                halted = [{"errorCode": "BATCH_PROCESSING_HALTED", "message": "Batch processing halted"}]
                results.append({"statusCode": 412, "result": halted})
                continue
            url = "/services/data/" + str(part["url"]).removeprefix("/services/data/")
            filled = {"method": part["method"], "url": url, "body": part.get("richInput")}
            response = self.dispatch(_subrequest(filled, request))
            text = response.get_data(as_text=True)
            results.append({"statusCode": response.status_code, "result": from_json(text) if text else None})
        return {"hasErrors": any(result["statusCode"] >= 400 for result in results), "results": results}


# Rows -----------------------------------------------------------------------------------------------------------------


def _one(org: Org, row: Row, save: Save, *, rows_alone: bool) -> Result:
    """One row saved, or why not. rows_alone: whatever is wrong with it refuses only itself."""
    mark = org.mark()
    try:
        return save(org, row)
    except ApiError as error:
        if error.whole_call and not rows_alone:
            raise
        if not error.saved:
            org.roll_back(mark)
        return error.row_result(row.get("id") or row.get("Id"))


def _by_id(org: Org, name: str, value: Any, row: Row) -> Result:
    if value is None:
        return {
            **_saved(org.create(name, {key: each for key, each in row.items() if key.lower() != "id"})),
            "created": True,
        }
    return {**_saved(org.update(name, value, row)), "created": False}


def _saved(id: str) -> Result:
    return {"id": id, "success": True, "errors": []}


def _rolled_back() -> Result:
    code, message = "ALL_OR_NONE_OPERATION_ROLLED_BACK", "Record rolled back because not all records were valid"
    return {"success": False, "errors": [{"statusCode": code, "message": message, "fields": []}]}


def _type(row: Row) -> str:
    attributes = row.get("attributes")
    if not isinstance(attributes, dict) or not attributes.get("type"):
        raise ApiError("INVALID_TYPE", "each record needs attributes.type", whole_call=True)
    return str(attributes["type"])


def _refuse_size(rows: list[Any], most: int) -> None:
    if not 0 < len(rows) <= most:
        raise ApiError("LIMIT_EXCEEDED", f"record limit reached: a call takes 1 to {most} records")


def _refuse_runs(rows: list[Row]) -> None:
    types = [_type(row) for row in rows]
    runs = 1 + sum(first != second for first, second in pairwise(types))
    if runs > _MOST_RUNS:
        raise ApiError("LIMIT_EXCEEDED", f"a call takes at most {_MOST_RUNS} runs of one type")


# Subrequests ----------------------------------------------------------------------------------------------------------


def _parts(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The subrequests. Faults of the envelope refuse the call: then nothing is run."""
    parts = body.get("compositeRequest")
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise ApiError("JSON_PARSER_ERROR", "compositeRequest must be a list of objects")
    if not 0 < len(parts) <= _MOST_SUBREQUESTS:
        raise ApiError("LIMIT_EXCEEDED", f"a composite has 1 to {_MOST_SUBREQUESTS} subrequests")
    names = [part.get("referenceId") for part in parts]
    if not all(isinstance(name, str) and re.fullmatch(r"\w+", name) for name in names) or len({*names}) < len(names):
        raise ApiError("INVALID_INPUT", "each subrequest needs a referenceId of its own: letters, digits, _")
    for part in parts:
        if part.get("method") not in ("GET", "POST", "PATCH", "DELETE", "PUT"):
            raise ApiError("INVALID_INPUT", f"{part['referenceId']}: method names are in capitals")
        if not str(part.get("url", "")).startswith("/services/data/v"):
            raise ApiError("INVALID_INPUT", f"{part['referenceId']}: the url starts with /services/data/vNN.0/")
        headers = {str(name).lower() for name in part.get("httpHeaders") or {}}
        if headers & {"accept", "authorization", "content-type"}:
            raise ApiError(
                "INVALID_INPUT", f"{part['referenceId']}: Accept, Authorization, Content-Type are not allowed"
            )
    if sum(bool(_HEAVY.match(part["url"])) for part in parts) > _MOST_HEAVY:
        raise ApiError("LIMIT_EXCEEDED", f"at most {_MOST_HEAVY} subrequests may be collections or queries")
    return parts


def _subrequest(part: dict[str, Any], outer: Request) -> Request:
    path, _, query = part["url"].partition("?")
    body = part.get("body")
    return Request.from_values(
        path=path,
        base_url=outer.host_url,
        query_string=query,
        method=part["method"],
        headers=part.get("httpHeaders") or {},
        data=to_json(body) if body is not None else None,
        content_type="application/json",
    )


def _fill(part: dict[str, Any], answers: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The subrequest with `@{reference.field}` replaced. Raises KeyError with the reference that has no value."""

    def filled(value: Any) -> Any:
        if isinstance(value, str):
            return _REFERENCE.sub(lambda match: str(_referred(match[1], answers)), value)
        if isinstance(value, list):
            return [filled(each) for each in value]
        if isinstance(value, dict):
            return {key: filled(each) for key, each in value.items()}
        return value

    return {**part, "url": filled(part["url"]), "body": filled(part.get("body"))}


def _referred(path: str, answers: dict[str, dict[str, Any]]) -> Any:
    name, _, rest = path.partition(".")
    answer = answers.get(name)
    value: Any = answer["body"] if answer and answer["httpStatusCode"] < 300 else None
    for step in re.findall(r"\w+|\[\d+\]", rest):
        if step.startswith("["):
            place = int(step[1:-1])
            value = value[place] if isinstance(value, list) and place < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None  # names are case-sensitive
    if value is None:
        raise KeyError(path)
    return value


def _answer(part: dict[str, Any], status: int, body: Any, location: str | None = None) -> dict[str, Any]:
    headers = {"Location": location} if location else {}
    return {"body": body, "httpHeaders": headers, "httpStatusCode": status, "referenceId": part["referenceId"]}


def _halted_unless_culprit(answer: dict[str, Any]) -> dict[str, Any]:
    if answer["httpStatusCode"] >= 400:
        return answer
    message = "The transaction was rolled back since another operation in the same transaction failed."
    return {**answer, "httpStatusCode": 400, "body": [{"errorCode": "PROCESSING_HALTED", "message": message}]}
