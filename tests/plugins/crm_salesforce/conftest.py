from __future__ import annotations

import pytest
import requests

from plugins.crm_salesforce.sandbox import SalesforceSandbox


class Caller:
    """Calls a running stand-in the way a client would: paths start behind /services/data/v66.0."""

    def __init__(self, server, version="66.0"):
        self.server, self.version = server, version
        self.token = self.sign_in().json()["access_token"]

    def sign_in(self, **form):
        settings = self.server.settings
        grant = {"grant_type": "client_credentials", "client_id": settings["client_id"]}
        grant["client_secret"] = settings["client_secret"]
        return requests.post(f"{self.server.url}/services/oauth2/token", data={**grant, **form}, timeout=5)

    def __call__(self, method, path, *, headers=None, **keywords):
        url = f"{self.server.url}/services/data/v{self.version}{path}"
        headers = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        return requests.request(method, url, headers=headers, timeout=5, **keywords)

    def query(self, statement, *, path="/query", **keywords):
        return self("GET", path, params={"q": statement}, **keywords)

    def names(self, statement):
        return [row["Name"] for row in self.query(statement).json()["records"]]

    def user(self, action, **arguments):
        answer = requests.post(f"{self.server.url}/_control/{action}", json=arguments, timeout=5)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def stand_in():
    """Starts stand-ins with the options of a test; stops them afterwards."""
    servers = []

    def start(**options):
        servers.append(SalesforceSandbox(**options).serve())
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def org(stand_in):
    """Calls a stand-in with three accounts, and nothing else."""
    accounts = [{"Name": "Acme"}, {"Name": "Beta", "Type": "Customer"}, {"Name": "O'Neil & Söhne"}]
    return Caller(stand_in(seed={"Account": accounts}))
