"""Raw calls to a running QuickBooks stand-in, for tests."""

from __future__ import annotations

import base64

import requests

from hub.testing.sandbox import from_json, to_json
from plugins.quickbooks.sandbox.server import QuickBooksSandbox
from plugins.quickbooks.sandbox.tokens import CLIENT_ID, CLIENT_SECRET, FIRST_REFRESH_TOKEN

NO_LIMITS = {"calls_per_minute": 0, "calls_per_second": 0, "batches_per_minute": 0, "calls_in_flight": 0}
BASIC = "Basic " + base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()


def company(**options):
    """A stand-in without limits, unless they are given."""
    return QuickBooksSandbox(**{**NO_LIMITS, **options})


class Caller:
    """Speaks to the stand-in as a program that has a token does."""

    def __init__(self, server):
        self.server = server
        self.root = f"{server.url}/v3/company/{server.sandbox.state['realm_id']}"
        self.token = self.refresh(FIRST_REFRESH_TOKEN).json()["access_token"]

    def refresh(self, token, authorization=BASIC):
        form = {"grant_type": "refresh_token", "refresh_token": token}
        url = f"{self.server.url}/oauth2/v1/tokens/bearer"
        return requests.post(url, data=form, headers={"Authorization": authorization}, timeout=5)

    def call(self, method, path, body=None, **keywords):
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
            keywords["data"] = to_json(body)
        headers |= keywords.pop("headers", {})
        return requests.request(method, f"{self.root}/{path}", headers=headers, timeout=5, **keywords)

    def get(self, path, **params):
        return from_json(self.call("GET", path, params=params).content)

    def post(self, path, body, **params):
        return from_json(self.call("POST", path, body, params=params).content)

    def query(self, statement):
        return self.get("query", query=statement)

    def act(self, name, **arguments):
        answer = requests.post(f"{self.server.url}/_control/{name}", data=to_json(arguments), timeout=5)
        assert answer.ok, answer.text
        return from_json(answer.content)

    def first(self, kind, condition=""):
        return self.query(f"SELECT * FROM {kind} {condition} ORDERBY Id")["QueryResponse"][kind][0]["Id"]


def codes(answer):
    """The fault codes of an answer, none if it succeeded."""
    return [int(error["code"]) for error in answer.get("Fault", {}).get("Error", [])]
