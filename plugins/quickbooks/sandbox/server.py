"""The stand-in's HTTP face: paths, credentials, limits, and repeats of a request."""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4
from xml.sax.saxutils import escape

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request, Response

from hub.testing.sandbox import from_json, json_response, route
from plugins.quickbooks.sandbox import faults, query, seed
from plugins.quickbooks.sandbox.books import Entity
from plugins.quickbooks.sandbox.faults import VendorFault
from plugins.quickbooks.sandbox.names import PEOPLE
from plugins.quickbooks.sandbox.throttle import Throttle
from plugins.quickbooks.sandbox.tokens import (
    CLIENT_ID,
    CLIENT_SECRET,
    Tokens,
    check_app,
    discovery_document,
)
from plugins.quickbooks.sandbox.users import Company
from plugins.quickbooks.sandbox.writing import write_entity

COMPANY = "/v3/company/<realm>"
WRITABLE = {kind.lower(): kind for kind in (*PEOPLE, "Item", *seed.DOCUMENTS)}
KINDS = {kind.lower(): kind for kind in (*seed.LISTS, *seed.DOCUMENTS)}
CAPTURED = {"Customer", "Vendor", "Employee", "Item", "Account", "Term", "PaymentMethod", *seed.DOCUMENTS}
DEFAULTS: dict[str, Any] = {
    "country": "US",
    "currency": "",
    "multicurrency": False,
    "company": "Sandbox Company",
    "realm_id": "9130350000000000",
    "using_sales_tax": True,
    "automated_tax": None,
    "ignores_sent_tax": False,
    "custom_numbers": True,
    "calls_per_minute": 500,
    "calls_per_second": 10,
    "batches_per_minute": 40,
    "calls_in_flight": 10,
    "batch_size": 30,
}


class QuickBooksSandbox(Company):
    """QuickBooks Online for one company.

    Options: country, currency (default: the country's), multicurrency, company, realm_id; using_sales_tax,
    automated_tax (US: per cent taken when no tax is sent), ignores_sent_tax, custom_numbers; the limits
    calls_per_minute, calls_per_second, batches_per_minute, calls_in_flight (0: no limit) and batch_size; latency_s.
    """

    name = "quickbooks"

    def __init__(self, *, state_file: Path | None = None, latency_s: float = 0, **options: Any) -> None:
        unknown = sorted(set(options) - set(DEFAULTS))
        if unknown:
            raise TypeError(f"unknown option {unknown[0]!r}; there are: {', '.join(DEFAULTS)}")
        options = DEFAULTS | {name: _typed(name, value) for name, value in options.items() if value is not None}
        self._throttle = Throttle(options)
        super().__init__(state_file=state_file, latency_s=float(latency_s), **options)

    def first_state(self) -> dict[str, Any]:
        state = seed.first_state(
            country=self.options["country"].upper(),
            currency=self.options["currency"].upper(),
            multicurrency=self.options["multicurrency"],
            company=self.options["company"],
            realm_id=self.options["realm_id"],
            using_sales_tax=self.options["using_sales_tax"],
        )
        Tokens(state["tokens"], self.now()).start()
        return state

    def settings(self, url: str) -> dict[str, Any]:
        """Settings with a refresh token that nobody has used yet, at each call."""
        with self.lock:
            refresh_token = self._tokens().grant()
            self.save()
        return {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "realm_id": self.state["realm_id"],
            "refresh_token": refresh_token,
            "environment": "sandbox",
            "base_url": url,
            "discovery_url": f"{url}/.well-known/openid_sandbox_configuration",
        }

    # Around every call -----------------------------------------------------------------------------------------------

    def admit(self, request: Request, counts: str) -> Response | None:
        if not request.path.startswith("/v3/"):
            return None
        if not self._tokens().valid(request.headers.get("Authorization", "")):
            return self._gateway(faults.token_refused())
        if request.path.split("/")[3] != self.state["realm_id"]:
            return self._gateway(faults.wrong_company())
        if not self._throttle.admits(self.now(), counts, self.in_flight):
            return self._gateway(faults.throttled())
        return None

    def unknown_call(self, request: Request, error: HTTPException) -> Response:
        return self._refusal(faults.unsupported(f"Operation {request.method} {request.path} is not supported."))

    def finish(self, request: Request, response: Response) -> Response:
        response.headers["intuit_tid"] = str(uuid4())
        if request.path.startswith("/v3/") and "json" not in request.headers.get("Accept", ""):
            text = escape(response.get_data(as_text=True))
            response.set_data(f'<?xml version="1.0"?><IntuitResponse>{text}</IntuitResponse>')
            response.content_type = "application/xml"
        return response

    def _gateway(self, fault: VendorFault) -> Response:
        milliseconds = int(self.now().timestamp() * 1000)
        return json_response({**fault.gateway_body(), "time": milliseconds}, fault.status)

    def _refusal(self, fault: VendorFault) -> Response:
        return json_response({"Fault": fault.body(), "time": self._books().stamp()}, fault.status)

    def _timed(self, answer: dict[str, Any]) -> Response:
        return json_response({**answer, "time": self._books().stamp()})

    # OAuth -----------------------------------------------------------------------------------------------------------

    @route("GET", "/.well-known/openid_configuration", counts="discovery")
    @route("GET", "/.well-known/openid_sandbox_configuration", counts="discovery")
    def discovery(self, request: Request) -> dict[str, Any]:
        return discovery_document(request.host_url.rstrip("/"))

    @route("POST", "/oauth2/v1/tokens/bearer", counts="token")
    def token(self, request: Request) -> Response:
        self.changed()
        return self._tokens().answer(request)

    @route("GET", "/connect/oauth2", counts="authorise")
    def authorise(self, request: Request) -> Response:
        self.changed()
        return self._tokens().authorise(request, self.state["realm_id"])

    @route("POST", "/v2/oauth2/tokens/revoke", counts="token")
    def revoke(self, request: Request) -> Response:
        check_app(request)
        self._tokens().revoke()
        self.changed()
        return Response(status=200)

    # Reading ---------------------------------------------------------------------------------------------------------

    @route("GET", f"{COMPANY}/companyinfo/<id>", counts="read")
    def company_info(self, request: Request, realm: str, id: str) -> Response:
        info = {"Id": "1", "CompanyName": self.state["company"], "LegalName": self.state["company"]}
        info |= {"Country": self.state["country"], "DefaultTimeZone": "America/Los_Angeles", "SyncToken": "4"}
        return self._timed({"CompanyInfo": info})

    @route("GET", f"{COMPANY}/preferences", counts="read")
    def preferences(self, request: Request, realm: str) -> Response:
        tax: dict[str, Any] = {"UsingSalesTax": self.state["using_sales_tax"]}
        if self.options["automated_tax"] is not None:
            tax["PartnerTaxEnabled"] = True
        accounting = {"UseAccountNumbers": False}
        if self.state["closed_until"]:
            accounting["BookCloseDate"] = self.state["closed_until"]
        currency = {"value": self.state["currency"]}
        sales = {"CustomTxnNumbers": self.options["custom_numbers"], "AllowDiscount": False, "AutoApplyCredit": False}
        preferences = {
            "TaxPrefs": tax,
            "CurrencyPrefs": {"MultiCurrencyEnabled": self.state["multicurrency"], "HomeCurrency": currency},
            "SalesFormsPrefs": sales,
            "AccountingInfoPrefs": accounting,
            "OtherPrefs": {"NameValue": [{"Name": "WarnDuplicateTxnNumber", "Value": "true"}]},
            "Id": "1",
        }
        return self._timed({"Preferences": preferences})

    @route("GET", f"{COMPANY}/query", counts="read")
    def query(self, request: Request, realm: str) -> Response:
        return self._query(request.args.get("query", ""))

    @route("POST", f"{COMPANY}/query", counts="read")
    def query_by_post(self, request: Request, realm: str) -> Response:
        if request.mimetype not in {"application/text", "text/plain"}:
            return self._refusal(faults.unsupported("A query is posted as application/text"))
        return self._query(request.get_data(as_text=True))

    def _query(self, statement: str) -> Response:
        try:
            return self._timed({"QueryResponse": query.run(statement, self.state["entities"])})
        except VendorFault as fault:
            return self._refusal(fault)

    @route("GET", f"{COMPANY}/cdc", counts="read")
    def change_data_capture(self, request: Request, realm: str) -> Response:
        try:
            since = datetime.fromisoformat(request.args.get("changedSince", ""))
        except ValueError:
            return self._refusal(faults.unparsable("changedSince is a time", "changedSince"))
        since = since if since.tzinfo else since.replace(tzinfo=query.PACIFIC)
        if since < self.now() - timedelta(days=30):
            return self._refusal(faults.business("changedSince is more than 30 days ago"))
        kinds = [name.strip() for name in request.args.get("entities", "").split(",")]
        if not set(kinds) <= CAPTURED:
            return self._refusal(faults.unsupported(f"Change data capture does not cover {kinds}"))
        answers, left = [], 1000  # what is beyond is dropped without a word
        for kind in kinds:
            rows = self._changed_since(kind, since)[:left]
            left -= len(rows)
            answers.append({kind: rows, "startPosition": 1, "maxResults": len(rows)} if rows else {})
        return self._timed({"CDCResponse": [{"QueryResponse": answers}]})

    def _changed_since(self, kind: str, since: datetime) -> list[Entity]:
        rows = [*self.state["entities"][kind].values(), *self.state["deleted"].get(kind, {}).values()]
        times = [(datetime.fromisoformat(row["MetaData"]["LastUpdatedTime"]), row) for row in rows]
        return [row for time, row in sorted(times, key=lambda pair: pair[0]) if time >= since]

    @route("GET", f"{COMPANY}/<resource>/<id>", counts="read")
    def read(self, request: Request, realm: str, resource: str, id: str) -> Response:
        try:
            kind = _kind(resource, KINDS)
            return self._timed({kind: self._books().get(kind, id)})
        except VendorFault as fault:
            return self._refusal(fault)

    # Writing ---------------------------------------------------------------------------------------------------------

    @route("POST", f"{COMPANY}/<resource>", counts="write")
    def write(self, request: Request, realm: str, resource: str) -> Response:
        request_id = request.args.get("requestid", "")
        try:
            kind = _kind(resource, WRITABLE)
            body = self._body(request)
            operation = request.args.get("operation", "")
            if request.args.get("include") == "void":
                operation = "void"
            repeat = request.args.get("include") == "allowduplicatedocnum"
            return self._timed(self._once(request_id, kind, operation, body, may_repeat_number=repeat))
        except VendorFault as fault:
            return self._refusal(fault)

    @route("POST", f"{COMPANY}/batch", counts="batch")
    def batch(self, request: Request, realm: str) -> Response:
        try:
            items = self._body(request).get("BatchItemRequest")
            if not isinstance(items, list) or not items:
                raise faults.missing("BatchItemRequest")
            if len(items) > self.options["batch_size"]:
                raise faults.business(f"A batch has at most {self.options['batch_size']} items")
            if not all(isinstance(item, dict) for item in items):
                raise faults.unparsable("Each item of a batch is an object", "BatchItemRequest")
            if any(not isinstance(item.get("bId"), str) or not item["bId"] for item in items):
                raise faults.missing("bId")
            if len({item["bId"] for item in items}) < len(items):
                raise faults.business("Each bId of a batch is used once")
        except VendorFault as fault:
            return self._refusal(fault)
        request_id = request.args.get("requestid", "")
        answers = [self._batch_item(item, request_id) for item in items]
        answers.reverse()  # whoever goes by the position is wrong
        return self._timed({"BatchItemResponse": answers})

    def _batch_item(self, item: dict[str, Any], request_id: str) -> dict[str, Any]:
        id = str(item["bId"])
        try:
            if len(id) > 10 or len(request_id) > 36:
                raise faults.business("bId has at most 10 characters, the requestid of a batch 36")
            if "Query" in item:
                return {"bId": id, "QueryResponse": query.run(item["Query"], self.state["entities"])}
            kinds = [kind for kind in WRITABLE.values() if kind in item]
            if len(kinds) != 1:
                raise faults.missing("the item's entity")
            if "operation" not in item:
                raise faults.missing("operation")
            operation = item.get("optionsData") or item["operation"]
            key = request_id + id if request_id else ""
            return {"bId": id, **self._once(key, kinds[0], operation, item[kinds[0]])}
        except VendorFault as fault:
            return {"bId": id, "Fault": fault.body()}

    def _body(self, request: Request) -> dict[str, Any]:
        if request.mimetype != "application/json":
            raise faults.unsupported("The body is sent as application/json")
        try:
            body = from_json(request.get_data().decode("utf-8"))
        except UnicodeDecodeError as error:
            raise faults.unsupported("MalformedByteSequenceException: invalid UTF-8 byte sequence") from error
        except ValueError as error:
            raise faults.unparsable("The body is no JSON") from error
        if not isinstance(body, dict):
            raise faults.unparsable("The body is no object")
        return body

    def _once(
        self, key: str, kind: str, operation: str, body: Entity, *, may_repeat_number: bool = False
    ) -> dict[str, Any]:
        """Do it, or give the first answer again when the key was seen before."""
        if len(key) > 50:
            raise faults.business("A requestid has at most 50 characters, with the bId of a batch item appended")
        answers = self.state["answers"]
        if key and key in answers:
            return deepcopy(answers[key])
        written = write_entity(
            self._books(),
            self.options,
            kind,
            operation,
            body,
            actor="api",
            key=key,
            may_repeat_number=may_repeat_number,
        )
        answer = {kind: written}
        if key:
            answers[key] = deepcopy(answer)
        return answer


def _kind(resource: str, kinds: dict[str, str]) -> str:
    if resource not in kinds:
        raise faults.unsupported(f"There is no resource {resource!r}; they are written in lower case")
    return kinds[resource]


def _typed(name: str, value: Any) -> Any:
    """An option as its default is, also when it comes from a command line as a text. Raises ValueError."""
    default = DEFAULTS[name]
    if isinstance(default, bool) and isinstance(value, str):
        if value.lower() not in {"true", "false", "yes", "no", "1", "0"}:
            raise ValueError(f"{name} is yes or no, not {value!r}")
        return value.lower() in {"true", "yes", "1"}
    return int(value) if type(default) is int else value
